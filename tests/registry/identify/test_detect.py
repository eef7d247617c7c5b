"""What a file is, for every architecture and flavour that the rules know, and for files made to mislead."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import torch

from registry.formats.directory import Storage, TensorDirectory, TensorEntry
from registry.identify.detect import identify
from tests import tiny
from tests.registry.identify import layouts
from tests.registry.identify.layouts import Keys

MODELS = {
    "SD1": ("checkpoint", "SD 1.x", "SD 1.5", []),
    "SD1_INPAINTING": ("checkpoint", "SD 1.x", "SD 1.5", ["inpainting"]),
    "SD1_PIX2PIX": ("checkpoint", "SD 1.x", "SD 1.5", ["pix2pix"]),
    "SD2": ("checkpoint", "SD 2.x", "SD 2.1", []),
    "SD2_DEPTH": ("checkpoint", "SD 2.x", "SD 2.1", ["depth"]),
    "SD2_UNCLIP": ("checkpoint", "SD 2.x unCLIP", "SD 2.1 Unclip", []),
    "X4_UPSCALER": ("checkpoint", "SD 2.x", "SD 2.1", ["upscaling"]),
    "SDXL": ("checkpoint", "SDXL", "SDXL 1.0", []),
    "SDXL_UNET": ("unet", "SDXL", "SDXL 1.0", []),
    "SDXL_INPAINTING": ("checkpoint", "SDXL", "SDXL 1.0", ["inpainting"]),
    "SDXL_VPRED": ("checkpoint", "SDXL", "SDXL 1.0", ["v-prediction", "zero terminal SNR"]),
    "SSD_1B": ("checkpoint", "SDXL", "SDXL Distilled", []),
    "PLAYGROUND": ("checkpoint", "SDXL", "Playground v2", []),
    "REFINER": ("checkpoint", "SDXL Refiner", "SDXL 1.0", []),
    "SVD": ("checkpoint", "SVD", "SVD", []),
    "SD3": ("checkpoint", "SD 3", "SD 3", []),
    "SD35_MEDIUM": ("checkpoint", "SD 3.5", "SD 3.5 Medium", []),
    "SD35_LARGE": ("checkpoint", "SD 3.5", "SD 3.5 Large", []),
    "FLUX_DEV": ("unet", "Flux.1", "Flux.1 D", []),
    "FLUX_SCHNELL": ("unet", "Flux.1", "Flux.1 S", []),
    "FLUX_FILL": ("unet", "Flux.1", "Flux.1 D", ["inpainting"]),
    "FLUX_AIO": ("checkpoint", "Flux.1", "Flux.1 D", []),
    "FLUX_2": ("unet", "Flux.2", "Flux.2 D", []),
    "CHROMA": ("unet", "Chroma", "Chroma", []),
    "LUMINA": ("unet", "Lumina", "Lumina", []),
    "Z_IMAGE": ("unet", "Z-Image", "ZImageTurbo", []),
    "WAN": ("unet", "Wan Video", "Wan Video", []),
    "PIXART": ("unet", "PixArt", "PixArt E", []),
    "AURAFLOW": ("unet", "AuraFlow", "AuraFlow", []),
}

PARTS = {
    "VAE_KL": ("vae", "", ""),
    "CONTROLNET": ("controlnet", "ControlNet", "SD 1.5"),
    "UPSCALER_OLD": ("upscaler", "ESRGAN (old names)", ""),
    "UPSCALER_REAL": ("upscaler", "Real-ESRGAN", ""),
    "UPSCALER_COMPACT": ("upscaler", "Compact", ""),
    "CLIP_L": ("text_encoder", "CLIP-L", ""),
    "T5": ("text_encoder", "T5-XXL", ""),
    "IP_ADAPTER": ("other", "IP-Adapter", ""),
    "LORA_SD1": ("lora", "LoRA", "SD 1.5"),
    "LORA_SD2": ("lora", "LoRA", "SD 2.1"),
    "LORA_SDXL": ("lora", "LoRA", "SDXL 1.0"),
    "LORA_FLUX": ("lora", "LoRA", "Flux.1 D"),
    "LORA_SD3": ("lora", "LoRA", "SD 3"),
    "LORA_TEXT_ONLY": ("lora", "LoRA", "SD 1.5"),
    "LORA_DIFFUSERS": ("lora", "LoRA", "SD 1.5"),
    "LORA_FLUX_DIFFUSERS": ("lora", "LoRA", "Flux.1 D"),
    "LOCON": ("lora", "LoCon", "SD 1.5"),
    "LOHA": ("lora", "LoHa", "SD 1.5"),
    "LOKR": ("lora", "LoKr", "SDXL 1.0"),
    "DORA": ("lora", "DoRA", "SD 1.5"),
    "OFT": ("lora", "OFT", ""),
    "IA3": ("lora", "IA3", ""),
    "FULL_DIFF": ("lora", "Full difference", "SD 1.5"),
}


def keys(name: str) -> Keys:
    found: Keys = getattr(layouts, name)
    return found


@pytest.mark.parametrize("name", MODELS)
def test_diffusion_model(name: str) -> None:
    found = identify(tiny.directory_of(keys(name)))
    assert (found.kind, found.family, found.base, found.variants) == MODELS[name]
    assert found.evidence


@pytest.mark.parametrize("name", PARTS)
def test_part_or_add_on(name: str) -> None:
    found = identify(tiny.directory_of(keys(name)))
    assert (found.kind, found.flavour, found.base) == PARTS[name]
    assert found.evidence


@pytest.mark.parametrize("prefix", ["", "diffusion_model.", layouts.U])
def test_model_without_the_rest_of_a_checkpoint_is_known_under_any_prefix(prefix: str) -> None:
    unet = {prefix + name: info for name, info in layouts.bare(layouts.U, layouts.SD1).items()}
    found = identify(tiny.directory_of(unet))
    assert (found.kind, found.base, found.has_vae, found.has_text_encoder) == ("unet", "SD 1.5", False, False)


@pytest.mark.parametrize("prefix", ["", layouts.VAE])
def test_autoencoder_is_known_with_and_without_prefix(prefix: str) -> None:
    vae = {prefix + name: info for name, info in layouts.bare(layouts.VAE, layouts.SD1).items()}
    found = identify(tiny.directory_of(vae))
    assert (found.kind, found.has_vae, found.base) == ("vae", True, "")
    assert "same layout" in found.notes[0]


def test_controlnet_without_prefix_is_not_taken_for_a_model() -> None:
    assert identify(tiny.directory_of(layouts.bare("control_model.", layouts.CONTROLNET))).kind == "controlnet"


def test_narrow_sd1_layout_is_told_by_its_keys_and_says_that_widths_differ(tmp_path: Path) -> None:
    source = tiny.lightning_checkpoint(tmp_path / "a.ckpt")
    found = identify(tiny.read_directory(source))
    assert (found.kind, found.family, found.base, found.precision) == ("checkpoint", "SD 1.x", "SD 1.5", "fp32")
    assert (found.has_vae, found.has_text_encoder, found.has_ema, found.has_training_state) == (True, True, True, True)
    assert "widths are not the standard" in found.notes[0]
    assert "model.diffusion_model.input_blocks.0.0.weight [8, 4, 3, 3]" in found.evidence
    assert found.tensors == 1131


def test_parameters_are_counted_without_averages(tmp_path: Path) -> None:
    with_ema = identify(tiny.read_directory(tiny.lightning_checkpoint(tmp_path / "a.ckpt")))
    without = identify(tiny.read_directory(tiny.plain_checkpoint(tmp_path / "b.safetensors")))
    assert with_ema.parameters == without.parameters
    assert identify(tiny.directory_of(layouts.SD1)).parameters == 859_520_964 + 83_653_863 + 123_060_557


def test_real_lora_shows_what_its_trainer_wrote(tmp_path: Path) -> None:
    found = identify(tiny.read_directory(tiny.lora_safetensors(tmp_path / "a.safetensors")))
    assert (found.kind, found.flavour, found.base, found.precision) == ("lora", "LoRA", "SD 1.5", "fp16")
    assert (found.network_dim, found.network_alpha) == (4, 2.0)
    assert found.trigger_words == [("paper lantern", 40), ("warm light", 25), ("night", 12)]


def test_rank_is_read_from_shapes_where_metadata_is_silent() -> None:
    assert identify(tiny.directory_of(layouts.LORA_SD1)).network_dim == 16
    assert identify(tiny.directory_of(layouts.LOHA)).network_dim == 4


def test_embeddings_of_each_text_encoder(tmp_path: Path) -> None:
    def base(shapes: dict[str, tuple[int, ...]]) -> tuple[str, str]:
        found = identify(tiny.directory_of(layouts.f16(shapes)))
        return found.kind, found.base

    assert base({"emb_params": (4, 768)}) == ("embedding", "SD 1.5")
    assert base({"emb_params": (4, 1024)}) == ("embedding", "SD 2.1")
    assert base({"clip_l": (4, 768), "clip_g": (4, 1280)}) == ("embedding", "SDXL 1.0")
    assert base({"<lantern>": (768,)}) == ("embedding", "SD 1.5")
    pickled = identify(tiny.read_directory(tiny.embedding_pt(tmp_path / "e.pt")))
    assert (pickled.kind, pickled.base, pickled.has_training_state) == ("embedding", "SD 1.5", False)


def test_hypernetwork(tmp_path: Path) -> None:
    found = identify(tiny.read_directory(tiny.hypernetwork_pt(tmp_path / "h.pt")))
    assert (found.kind, found.base) == ("hypernetwork", "SD 1.5")


@pytest.mark.parametrize(
    ("metadata", "base"),
    [
        ({"ss_sd_model_name": "ponyDiffusionV6XL_v6.safetensors"}, "Pony"),
        ({"modelspec.title": "Illustrious-XL-v1.0"}, "Illustrious"),
        ({"modelspec.merged_from": "NoobAI-XL, Illustrious"}, "NoobAI"),
        ({}, "SDXL 1.0"),
    ],
)
def test_descendants_of_sdxl_are_named_by_metadata_only(metadata: dict[str, str], base: str) -> None:
    found = identify(tiny.directory_of(layouts.LORA_SDXL, metadata))
    assert (found.family, found.base) == ("SDXL", base)


def test_pony_in_the_name_of_an_sd1_lora_changes_nothing() -> None:
    assert identify(tiny.directory_of(layouts.LORA_SD1, {"modelspec.title": "my pony"})).base == "SD 1.5"


def test_metadata_decides_where_shapes_cannot() -> None:
    odd = layouts.lora("lora_unet_down_blocks_0_resnets_0_conv_shortcut", 320, 320)
    assert identify(tiny.directory_of(odd)).base == ""
    assert identify(tiny.directory_of(odd, {"ss_base_model_version": "sdxl_base_v1-0"})).base == "SDXL 1.0"
    assert identify(tiny.directory_of(odd, {"ss_v2": "True"})).base == "SD 2.1"


@pytest.mark.parametrize(
    ("dtypes", "precision"),
    [(("F32",), "fp32"), (("BF16",), "bf16"), (("F8_E4M3",), "fp8"), (("F16", "F32"), "mixed"), (("I64",), ""), (("F64",), "fp64")],
)
def test_precision_is_that_of_nine_tenths_of_the_numbers(dtypes: tuple[str, ...], precision: str) -> None:
    assert identify(tiny.directory_of({f"t{n}": (dtype, (100,)) for n, dtype in enumerate(dtypes)})).precision == precision


def test_unknown_file_is_other_and_claims_nothing() -> None:
    found = identify(tiny.directory_of({"something.weight": ("F32", (3, 3))}))
    assert (found.kind, found.base, found.evidence) == ("other", "", [])


def test_file_without_tensors_is_other() -> None:
    assert identify(TensorDirectory("torch-zip", (), ())).kind == "other"


def test_answer_is_plain_json_and_hides_nothing_in_it() -> None:
    nasty = "lora_unet_\u202eevil.lora_down.weight"
    found = identify(
        tiny.directory_of({nasty: ("F16", (4, 768))}, {"ss_tag_frequency": json.dumps({"a": {"\u202eword": 3, "x": -1, "y": "z"}})})
    )
    data = json.loads(json.dumps(found.to_json()))
    assert "\u202e" not in json.dumps(data, ensure_ascii=False)
    assert data["trigger_words"] == [{"word": "\ufffdword", "count": 3}]


@pytest.mark.parametrize("text", ["{" * 5000, '{"a": 3}', "[1]", "{}", '{"a": {"b": 1e400}}', "not json", '{"a": {"b": true}}'])
def test_broken_tag_counts_are_ignored(text: str) -> None:
    assert identify(tiny.directory_of(layouts.LORA_SD1, {"ss_tag_frequency": text, "ss_network_dim": "nan"})).trigger_words == []


def test_stated_trigger_phrase_comes_first() -> None:
    metadata = {"modelspec.trigger_phrase": "inkwash, ink wash", "ss_tag_frequency": json.dumps({"1_a": {"river": 9}})}
    assert identify(tiny.directory_of(layouts.LORA_SD1, metadata)).trigger_words == [("inkwash", 0), ("ink wash", 0), ("river", 9)]


def test_two_hundred_thousand_names_take_seconds_not_minutes() -> None:
    names = {f"lora_unet_block_{n}_attn2_to_k.weight.{'x.' * 8}{n}": ("F16", (1,)) for n in range(200_000)}
    started = time.monotonic()
    identify(tiny.directory_of(names))
    assert time.monotonic() - started < 20


def test_roots_beside_the_model_are_training_state() -> None:
    rows = (TensorEntry(("state_dict", "w"), "F32", (1,), 0, 0, (1,)), TensorEntry(("optimizer_states", 0, "m"), "F32", (1,), 0, 0, (1,)))
    found = identify(TensorDirectory("torch-zip", (Storage("0", 0, 4),), rows))
    assert found.has_training_state
    assert found.evidence == ["beside the model: optimizer_states"]


def test_half_precision_checkpoint_of_torch_is_read_like_any_other(tmp_path: Path) -> None:
    found = identify(tiny.read_directory(tiny.lightning_checkpoint(tmp_path / "a.ckpt", dtype=torch.bfloat16, ema=False, optimizer=False)))
    assert (found.precision, found.has_ema, found.has_training_state) == ("bf16", False, False)
