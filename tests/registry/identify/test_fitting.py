"""Compatible or not: every flavour on its own base applies whole, on another not at all, and what does not apply is named."""

from __future__ import annotations

from functools import cache

import pytest

from registry.formats.directory import TensorDirectory
from registry.identify.fitting import Fit, fits
from tests import tiny
from tests.registry.identify import unets
from tests.registry.identify.adapters import adapter, unet_modules
from tests.registry.identify.cases import CASES
from tests.registry.identify.cases_loras import LORAS
from tests.registry.identify.tables import f16, prefixed


@cache
def directory(name: str) -> TensorDirectory:
    found: TensorDirectory = tiny.directory_of(CASES[name].build())
    return found


def asked(addon: str, checkpoint: str) -> Fit:
    return fits(directory(addon), directory(checkpoint))


BASES = {
    "SD 1.5": "SD 1", "SD 2.1": "SD 2", "SDXL 1.0": "SDXL", "SD 3": "SD 3", "SD 3.5 Large": "SD 3.5 Large", "Flux.1 D": "Flux dev",
    "Flux.2 D": "Flux.2 dev", "Flux.2 Klein 9B": "Flux.2 klein 9B", "Flux.2 Klein 4B": "Flux.2 klein 4B", "Chroma": "Chroma",
}  # fmt: skip
SPECIAL = {
    "LoRA SDXL refiner",
    "LoRA for AnimateDiff",
    "LoRA SD 3 with its text encoders",
    "LoRA SD 3, diffusers",
    "LoRA SD 3.5 Large, diffusers",
}
WHOLE = [name for name, case in LORAS.items() if case.base in BASES and name not in SPECIAL]


@pytest.mark.parametrize("name", WHOLE)
def test_adapter_of_every_flavour_and_spelling_applies_to_its_base(name: str) -> None:
    found = asked(name, BASES[LORAS[name].base])
    assert found.fits is True, found
    assert found.parts > 0
    assert "fits" in found.sentence


@pytest.mark.parametrize("flavour", ["OFT SD 1", "IA3 SD 1"])
def test_adapter_whose_base_cannot_be_told_is_still_held_against_the_layers(flavour: str) -> None:
    assert (asked(flavour, "SD 1").fits, asked(flavour, "SD 1").share) == (True, 1.0)
    assert asked(flavour, "SDXL").fits is False


@pytest.mark.parametrize(
    ("name", "other"), [("LoRA SD 1", "SDXL"), ("LoRA SDXL", "SD 1"), ("LoRA SD 1", "SD 2"), ("LoRA Flux", "SD 3"), ("LoKr SDXL", "SD 2")]
)
def test_adapter_of_another_base_does_not_fit_and_says_why(name: str, other: str) -> None:
    found = asked(name, other)
    assert found.fits is False
    assert found.share < 0.9
    assert 0 < len(found.misses) <= 10
    assert all(":" in line for line in found.misses)


def test_sd1_and_sd2_differ_in_widths_that_are_named() -> None:
    found = asked("LoRA SD 1, UNet only", "SD 2")
    assert "it is made for 320x768, the layer is" in " ".join(found.misses)


def test_refiner_takes_a_lora_for_it() -> None:
    assert asked("LoRA SDXL refiner", "SDXL refiner").share == 1.0
    assert asked("LoRA SDXL", "SDXL refiner").fits is False


def test_shortened_sdxl_takes_a_part_of_a_lora() -> None:
    found = asked("LoRA SDXL", "SSD-1B")
    assert found.fits is False
    assert 0.2 < found.share < 0.9
    assert "in part only" in found.sentence
    assert found.share == found.applied / found.parts


def test_diffusers_checkpoint_takes_a_lora_of_any_spelling() -> None:
    whole = tiny.directory_of(unets.diffusers(unets.unet(unets.SDXL)))
    for spelling in ("kohya", "ldm", "dotted"):
        small = tiny.directory_of(adapter(unet_modules(unets.SDXL, spelling=spelling, convolutions=True)))
        assert fits(small, whole).share == 1.0


def test_sd3_lora_by_diffusers_names_means_rows_of_fused_weights() -> None:
    found = asked("LoRA SD 3, diffusers", "SD 3")
    applied = [line for line in found.misses if "to_q" in line or "add_k" in line]
    assert applied == []
    assert found.share > 0.7


def test_flux_lora_with_text_encoders_fits_a_model_that_has_none() -> None:
    found = asked("LoRA Flux with text encoders of SDXL's names", "Flux dev")
    assert found.fits is True
    assert "text encoders, which this file does not hold" in found.sentence


def test_one_bad_layer_is_named() -> None:
    modules = unet_modules(unets.SD1)
    small = adapter({**modules, "lora_unet_made_up": (8, 8), next(iter(modules)): (7, 7)})
    found = fits(tiny.directory_of(small), directory("SD 1"))
    assert found.parts - found.applied == len(found.misses) == 2
    assert any(line == "lora_unet_made_up: no such layer" for line in found.misses)


def test_factors_that_do_not_belong_together_are_refused() -> None:
    module = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
    broken = f16({f"{module}.lora_down.weight": (8, 768), f"{module}.lora_up.weight": (320, 4)})
    found = fits(tiny.directory_of(broken), directory("SD 1"))
    assert (found.fits, found.misses) == (False, [f"{module}: its factors do not belong together"])


@pytest.mark.parametrize(
    ("addon", "checkpoint", "answer"),
    [
        ("Embedding SD 1", "SD 1", True),
        ("Embedding SD 1", "SD 2", False),
        ("Embedding SD 2", "SD 2", True),
        ("Embedding SDXL", "SDXL", True),
        ("Embedding SDXL", "SD 1", False),
        ("Embedding SD 1", "SDXL", False),
        ("Embedding SD 1", "SD 1 UNet", True),
        ("VAE", "SD 1", True),
        ("VAE, prefixed", "SDXL", True),
        ("VAE Flux", "SD 1", False),
        ("VAE Flux", "Flux dev, all in one", True),
        ("VAE Flux", "Flux dev", True),
        ("VAE", "SD 1 UNet", True),
        ("VAE", "Flux dev", False),
        ("ControlNet SD 1", "SD 1", True),
        ("ControlNet SD 1", "SDXL", False),
        ("ControlNet SDXL, diffusers", "SDXL", True),
        ("Hypernetwork SD 1", "SD 1", True),
        ("Hypernetwork SD 2", "SD 1", False),
        ("T2I-Adapter SD 1", "SD 1", True),
        ("IP-Adapter Plus SDXL", "SD 1", False),
        ("AnimateDiff", "SD 1", True),
        ("TAESD", "SD 1", False),
        ("Real-ESRGAN", "SD 1", None),
        ("SD 1", "SD 1", None),
        ("LoRA SD 1", "LoRA SD 1", None),
    ],
)
def test_other_add_ons_fit_their_own(addon: str, checkpoint: str, answer: bool | None) -> None:
    found = asked(addon, checkpoint)
    assert found.fits is answer
    assert found.sentence.endswith(".")


def test_vae_of_other_widths_names_what_differs() -> None:
    odd = {
        name: (dtype, (100, *shape[1:]) if name == "decoder.conv_in.weight" else shape)
        for name, (dtype, shape) in unets.autoencoder("").items()
    }
    found = fits(tiny.directory_of(odd), directory("SD 1"))
    assert (found.fits, found.misses) == (False, ["decoder.conv_in.weight: 100x4x3x3, not 512x4x3x3"])


def test_answer_is_plain_json() -> None:
    data = asked("LoRA SD 1", "SDXL").to_json()
    assert set(data) == {"fits", "sentence", "share", "applied", "parts", "misses"}


def test_a_module_of_a_thousand_tricks_is_only_a_miss() -> None:
    nasty = {f"lora_unet_{'.' * n}.lora_down.weight": ("F16", (1, 2, 3, 4, 5)[:n]) for n in range(6)}
    assert fits(tiny.directory_of(prefixed("", nasty)), directory("SD 1")).applied == 0
