"""Declared against proved: families are compared, names that tensors cannot tell apart never conflict."""

from __future__ import annotations

import pytest

from registry.identify.agreement import UNTOLD, agrees, family_of, same_family
from registry.identify.bases import ALTERNATIVES, TABLES


@pytest.mark.parametrize(
    ("declared", "family", "answer"),
    [
        ("SD 1.5", "SD 1.x", True),
        ("SD 1.4", "SD 1.x", True),
        ("SD 1.5 LCM", "SD 1.x", True),
        ("Pony", "SDXL", True),
        ("Illustrious", "SDXL", True),
        ("SDXL 1.0", "SDXL Refiner", True),
        ("SD 2.1 Unclip", "SD 2.x unCLIP", True),
        ("SD 3.5 Large", "SD 3.5", True),
        ("Flux.1 D", "SD 3 / Flux.1", True),
        ("Flux.1 D", "SD 1.x", False),
        ("SD 1.5", "SDXL", False),
        ("SDXL 1.0", "SD 2.x", False),
        ("Pony V7", "SDXL", False),
        ("Other", "SDXL", None),
        ("HiDream-O1", "HiDream", False),
        ("SD 3.5 Large", "SD 3", True),
        ("ZImageBase", "Z-Image", True),
        ("LTXV 2.3", "LTX-Video", True),
        ("Qwen", "Wan Video / Qwen", True),
        ("Kolors", "SDXL", False),
        ("Something new", "SDXL", None),
        ("SD 1.5", "", None),
    ],
)
def test_a_declaration_is_held_against_the_family_that_tensors_prove(declared: str, family: str, answer: bool | None) -> None:
    assert agrees(declared, {"family": family}) is answer


CIVITAI = """Anima, AuraFlow, Chroma, CogVideoX, Ernie, Flux.1 S, Flux.1 D, Flux.1 Krea, Flux.1 Kontext, Flux.2 D, Flux.2 Klein 9B,
Flux.2 Klein 9B-base, Flux.2 Klein 4B, Flux.2 Klein 4B-base, Flux 3 Video, Grok, HappyHorse, HiDream, HiDream-O1, Hunyuan 1,
Hunyuan Video, Ideogram 4.0, Boogu, Illustrious, Kolors, Krea 2, LTXV, LTXV2, LTXV 2.3, Lens, Lumina, MageFlow, MAI, Mochi, NoobAI,
Upscaler, Other, PixArt a, PixArt E, Pony, Pony V7, Qwen, Qwen 2, Qwen 3, SD 1.4, SD 1.5, SD 1.5 LCM, SD 1.5 Hyper, SD 2.0, SD 2.1,
SDXL 1.0, SDXL Lightning, SDXL Hyper, Reve, Wan Video 1.3B t2v, Wan Video 14B t2v, Wan Video 14B i2v 480p, Wan Video 14B i2v 720p,
Wan Video 2.2 TI2V-5B, Wan Video 2.2 I2V-A14B, Wan Video 2.2 T2V-A14B, Wan Video 2.5 T2V, Wan Video 2.5 I2V, Wan Image 2.7,
Wan Video 2.7, ZImageTurbo, ZImageBase, MiniMax H3, ACE Audio, Imagen4, Nano Banana, ODOR, OpenAI, Playground v2, Stable Cascade,
SD 2.0 768, SD 2.1 768, SD 2.1 Unclip, SD 3, SD 3.5, SD 3.5 Large, SD 3.5 Large Turbo, SD 3.5 Medium, SDXL 0.9, SDXL 1.0 LCM,
SDXL Turbo, SDXL Distilled, Seedream, SVD, SVD XT, Sora 2, Veo 3, Wan Video, Vidu Q1, Kling, Seedance, PolyGen, Tripo, Hunyuan3D"""
SPELLINGS = [" ".join(name.split()) for name in CIVITAI.split(",")]


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_base_model_of_civitai_has_a_family_or_is_said_to_have_none(name: str) -> None:
    assert bool(family_of(name)) is (name not in UNTOLD)


def test_every_suggestion_is_spelled_as_civitai_spells_it_and_agrees_with_its_own_family() -> None:
    suggested = {(base.family, base.base) for table in TABLES.values() for base in table if base.base}
    suggested |= {(family, name) for (family, _), names in ALTERNATIVES.items() for name in names}
    assert {base for _, base in suggested} <= set(SPELLINGS)
    assert [pair for pair in suggested if agrees(pair[1], {"family": pair[0]}) is not True] == []


@pytest.mark.parametrize(
    ("first", "second", "answer"),
    [
        ("SD 1.x", "SD 1.x", True),
        ("SD 2.x", "SD 2.x unCLIP", True),
        ("SD 3 / Flux.1", "Flux.1", True),
        ("SDXL", "SDXL Refiner", False),
        ("SD 3", "SD 3.5", False),
        ("", "SDXL", None),
    ],
)
def test_families_are_one_or_not(first: str, second: str, answer: bool | None) -> None:
    assert same_family(first, second) is answer
