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
from tests.registry.identify.adapters import adapter
from tests.registry.identify.cases import CASES
from tests.registry.identify.tables import f16

SLOW_MACHINE = 4
"""How much slower than the bench's machine a test machine may be; the figures themselves are the bench's."""

LORA_SD1 = CASES["LoRA SD 1"].build()
LORA_SDXL = CASES["LoRA SDXL"].build()


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
    assert identify(tiny.directory_of(CASES["SD 1"].build())).parameters == 859_520_964 + 83_653_863 + 123_060_557


def test_real_lora_shows_what_its_trainer_wrote(tmp_path: Path) -> None:
    found = identify(tiny.read_directory(tiny.lora_safetensors(tmp_path / "a.safetensors")))
    assert (found.kind, found.flavour, found.base, found.precision) == ("lora", "LoRA", "SD 1.5", "fp16")
    assert (found.network_dim, found.network_alpha) == (4, 2.0)
    assert found.trigger_words == [("paper lantern", 40), ("warm light", 25), ("night", 12)]


def test_rank_is_read_from_shapes_where_metadata_is_silent() -> None:
    assert identify(tiny.directory_of(LORA_SD1)).network_dim == 8
    assert identify(tiny.directory_of(CASES["LoHa SD 1"].build())).network_dim == 8


def test_embeddings_of_each_text_encoder(tmp_path: Path) -> None:
    def base(shapes: dict[str, tuple[int, ...]]) -> tuple[str, str]:
        found = identify(tiny.directory_of(f16(shapes)))
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
    found = identify(tiny.directory_of(LORA_SDXL, metadata))
    assert (found.family, found.base) == ("SDXL", base)


def test_pony_in_the_name_of_an_sd1_lora_changes_nothing() -> None:
    assert identify(tiny.directory_of(LORA_SD1, {"modelspec.title": "my pony"})).base == "SD 1.5"


def test_metadata_decides_where_shapes_cannot() -> None:
    odd = adapter({"lora_unet_down_blocks_0_resnets_0_conv_shortcut": (320, 320)})
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
    assert identify(tiny.directory_of(LORA_SD1, {"ss_tag_frequency": text, "ss_network_dim": "nan"})).trigger_words == []


def test_stated_trigger_phrase_comes_first() -> None:
    metadata = {"modelspec.trigger_phrase": "inkwash, ink wash", "ss_tag_frequency": json.dumps({"1_a": {"river": 9}})}
    assert identify(tiny.directory_of(LORA_SD1, metadata)).trigger_words == [("inkwash", 0), ("ink wash", 0), ("river", 9)]


HOSTILE = {
    "endings": lambda n: f"lora_unet_block_{n}_attn2_to_k.weight.{'x.' * 8}{n}",
    "modules": lambda n: f"m{n}_x.lora_down.weight",
    "long modules": lambda n: f"lora_unet_{'a' * (n % 300)}_{n}.lora_down.weight",
    "blocks": lambda n: f"model.diffusion_model.down_blocks.{n % 9}.resnets.{n % 7}.x{n}.weight",
    "digits": lambda n: f"{n}.0.linear.weight",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_two_hundred_thousand_names_take_seconds_not_minutes(kind: str) -> None:
    directory = tiny.directory_of({HOSTILE[kind](n): ("F16", (1, 2)) for n in range(200_000)})
    started = time.process_time()
    identify(directory)
    assert time.process_time() - started < 2 * SLOW_MACHINE


def test_three_thousand_tensors_are_told_within_fifty_milliseconds() -> None:
    directory = tiny.directory_of({f"extra.{n}.weight": ("F16", (1,)) for n in range(500)} | CASES["SDXL"].build())
    assert len(directory.tensors) > 3000
    times = []
    for _ in range(5):
        started = time.process_time()
        identify(directory)
        times.append(time.process_time() - started)
    assert min(times) < 0.05 * SLOW_MACHINE


def test_roots_beside_the_model_are_training_state() -> None:
    rows = (TensorEntry(("state_dict", "w"), "F32", (1,), 0, 0, (1,)), TensorEntry(("optimizer_states", 0, "m"), "F32", (1,), 0, 0, (1,)))
    found = identify(TensorDirectory("torch-zip", (Storage("0", 0, 4),), rows))
    assert found.has_training_state
    assert found.evidence == ["beside the model: optimizer_states"]


def test_half_precision_checkpoint_of_torch_is_read_like_any_other(tmp_path: Path) -> None:
    found = identify(tiny.read_directory(tiny.lightning_checkpoint(tmp_path / "a.ckpt", dtype=torch.bfloat16, ema=False, optimizer=False)))
    assert (found.precision, found.has_ema, found.has_training_state) == ("bf16", False, False)
