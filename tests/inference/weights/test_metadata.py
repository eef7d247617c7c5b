"""What a derived file says about itself: the creator's words kept, what no longer holds left out, ours added."""

from __future__ import annotations

import json
from functools import cache

import pytest

from inference.weights.metadata import derived_metadata, notes_of
from inference.weights.outcome import CONVERTER_VERSION
from inference.weights.recipe import Recipe
from tests import tiny
from tests.registry.identify.cases import CASES, MODELS
from tests.registry.identify.tables import Keys

MADE = {"format", "weighhouse.keep", "weighhouse.precision", "weighhouse.converter", "weighhouse.source_sha256"}


@cache
def built(name: str) -> Keys:
    return CASES[name].build()


def written(keys: str, metadata: dict[str, str] | None = None, title: str = "") -> dict[str, str]:
    return derived_metadata(tiny.directory_of(built(keys), metadata), Recipe("weights", "fp16"), source_sha256="AB" * 32, title=title)


def spec(keys: str, metadata: dict[str, str] | None = None, title: str = "") -> dict[str, str]:
    found = written(keys, metadata, title)
    return {key.removeprefix("modelspec."): text for key, text in found.items() if key.startswith("modelspec.")}


def test_how_it_was_made_stands_beside_what_the_creator_wrote() -> None:
    found = written("LoRA SD 1", {"ss_network_dim": "4", "format": "pt", "weighhouse.keep": "a lie"})
    assert found["ss_network_dim"] == "4"
    assert found["weighhouse.keep"] == "weights"
    assert found["weighhouse.precision"] == "fp16"
    assert found["weighhouse.converter"] == CONVERTER_VERSION
    assert found["weighhouse.source_sha256"] == "ab" * 32


def test_hashes_of_the_source_are_left_out_and_said() -> None:
    metadata = {"sshs_model_hash": "1" * 64, "sshs_legacy_hash": "12345678", "modelspec.hash_sha256": "0x" + "2" * 64}
    assert not set(metadata) & set(written("SD 1", metadata))
    assert notes_of(tiny.directory_of(built("SD 1"), metadata)) == [
        "Hashes of the source do not hold for this file and were left out of the metadata "
        "(modelspec.hash_sha256, sshs_legacy_hash, sshs_model_hash)."
    ]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/home/bob/models/base.safetensors", "base.safetensors"),
        ("C:\\Users\\bob\\base.ckpt", "base.ckpt"),
        ("D:/train/base.ckpt", "base.ckpt"),
        ("\\\\nas\\bob\\base.ckpt", "base.ckpt"),
        ("~/train/", "train"),
        ('{"10_cat": {"image_dir": "/mnt/bob/10_cat", "n": 3}}', '{"10_cat": {"image_dir": "10_cat", "n": 3}}'),
        ('[{"C:\\\\bob\\\\set": 1}]', '[{"set": 1}]'),
    ],
)
def test_of_a_place_on_the_trainers_machine_its_last_part_is_left(text: str, left: str) -> None:
    assert written("LoRA SD 1", {"ss_x": text})["ss_x"] == left
    assert notes_of(tiny.directory_of(built("LoRA SD 1"), {"ss_x": text})) == [
        "Folders of the trainer's machine were left out of the metadata (ss_x)."
    ]


@pytest.mark.parametrize(
    "text",
    [
        "stabilityai/sdxl",
        "https://example.org/a/b",
        "/trigger",
        "\\m/",
        "/\\/\\/\\",
        '{"10_a": {"\\\\m/": 3,  "o_o": 2}}',
        "{/home/bob/: not JSON",
        "data:image/jpeg;base64,/9j/4AAQ",
    ],
)
def test_what_is_no_place_keeps_every_character(text: str) -> None:
    assert written("LoRA SD 1", {"ss_x": text})["ss_x"] == text
    assert notes_of(tiny.directory_of(built("LoRA SD 1"), {"ss_x": text})) == []


def test_folders_of_the_training_set_are_left_out_and_said() -> None:
    metadata = {"ss_dataset_dirs": '{"10_bob": {"n_repeats": 10}}', "ss_reg_dataset_dirs": "{}", "ss_epoch": "3"}
    assert not {"ss_dataset_dirs", "ss_reg_dataset_dirs"} & set(written("LoRA SD 1", metadata))
    assert "ss_dataset_dirs, ss_reg_dataset_dirs" in notes_of(tiny.directory_of(built("LoRA SD 1"), metadata))[0]


def test_deeply_nested_values_stay_as_they_are() -> None:
    deep = "[" * 100_000 + '"/home/bob/x"' + "]" * 100_000
    assert written("LoRA SD 1", {"ss_x": deep})["ss_x"] == deep


def test_a_value_too_long_to_be_looked_through_is_left_out_when_it_names_places() -> None:
    long = json.dumps(["a" * (9 << 20)])
    found = written("LoRA SD 1", {"long": long, "with": long[:-1] + ', "/home/bob/x"]'})
    assert found["long"] == long
    assert "with" not in found


@pytest.mark.parametrize(
    ("keys", "metadata", "wanted"),
    [
        ("SD 1", {}, ("stable-diffusion-v1", "512x512", "sgm", "")),
        ("SD 1 inpainting", {}, ("stable-diffusion-v1-inpainting", "512x512", "sgm", "")),
        ("SD 1 UNet, diffusers", {}, ("stable-diffusion-v1", "512x512", "diffusers", "")),
        ("SDXL", {}, ("stable-diffusion-xl-v1-base", "1024x1024", "sgm", "")),
        ("SDXL v-prediction", {}, ("stable-diffusion-xl-v1-base", "1024x1024", "sgm", "v")),
        ("SDXL pix2pix", {}, ("stable-diffusion-xl-v1-edit", "768x768", "sgm", "")),
        ("SDXL refiner", {}, ("stable-diffusion-xl-v1-refiner", "1024x1024", "sgm", "")),
        ("SD 2 depth", {}, ("stable-diffusion-v2-depth", "512x512", "sgm", "")),
        ("SD 3", {}, ("stable-diffusion-v3-medium", "1024x1024", "", "")),
        ("LoRA SD 1", {"ss_resolution": "(512, 768)"}, ("stable-diffusion-v1/lora", "512x768", "diffusers", "")),
        ("LoRA SD 1", {}, ("stable-diffusion-v1/lora", "", "diffusers", "")),
        ("LoRA SDXL", {}, ("stable-diffusion-xl-v1-base/lora", "", "diffusers", "")),
        ("LoRA SD 2", {"ss_v_parameterization": "True"}, ("stable-diffusion-v2-768-v/lora", "", "diffusers", "v")),
        ("ControlNet SD 1", {}, ("stable-diffusion-v1/controlnet", "", "", "")),
        ("Control-LoRA SDXL", {}, ("stable-diffusion-xl-v1-base/control-lora", "", "", "")),
    ],
)
def test_model_spec_says_what_the_tensors_prove(keys: str, metadata: dict[str, str], wanted: tuple[str, str, str, str]) -> None:
    found = spec(keys, metadata)
    assert found.pop("sai_model_spec") == "1.0.1"
    assert tuple(found.pop(key, "") for key in ("architecture", "resolution", "implementation", "prediction_type")) == wanted
    assert found == {}


NO_ID = [
    "SD 2",
    "SD 1 pix2pix",
    "SDXL inpainting",
    "x4 upscaler",
    "SSD-1B",
    "Playground 2.5",
    "SD 3.5 Large",
    "LoRA SD 2",
    "LoRA SD 3",
    "VAE",
]


@pytest.mark.parametrize("keys", [*NO_ID, "Flux dev", "LoRA Flux", "IP-Adapter SD 1", "AnimateDiff", "SVD", "Kolors"])
def test_what_tensors_do_not_prove_gets_no_architecture(keys: str) -> None:
    assert spec(keys) == {}


def test_what_only_the_trainer_claims_gets_no_architecture() -> None:
    """Nothing in the shapes of an OFT of SD 1.x tells what it belongs to."""
    assert spec("OFT SD 1", {"ss_base_model_version": "sd_v1"}) == {}


def test_no_model_is_said_to_be_of_another_family() -> None:
    families = {"v1": "SD 1.x", "v2": "SD 2.x", "xl": "SDXL", "v3": "SD 3"}
    for name, case in MODELS.items():
        said = spec(name).get("architecture", "")
        assert not said or case.family.startswith(families[said.split("-")[2]]), name


def test_the_creators_model_spec_is_never_overwritten() -> None:
    said = {"modelspec.sai_model_spec": "1.0.0", "modelspec.title": "Dream", "modelspec.resolution": "640x640"}
    found = written("SD 1", said, title="another")
    assert {key: found[key] for key in said} == said
    assert found["modelspec.architecture"] == "stable-diffusion-v1"
    said = {"modelspec.architecture": "my-own-architecture"}
    assert spec("SD 1", said) == {"architecture": "my-own-architecture"}


def test_a_title_is_written_where_somebody_gave_one() -> None:
    assert "title" not in spec("SD 1")
    assert spec("SD 1", title="Dream")["title"] == "Dream"
    assert spec("LoRA SD 1", {"ss_output_name": "lantern"})["title"] == "lantern"


def test_the_same_file_gets_the_same_words() -> None:
    """Where this fails the bytes of derived files change: raise CONVERTER_VERSION, then write down the new words."""
    assert written("SD 1") == {
        "format": "pt",
        "modelspec.architecture": "stable-diffusion-v1",
        "modelspec.implementation": "sgm",
        "modelspec.resolution": "512x512",
        "modelspec.sai_model_spec": "1.0.1",
        "weighhouse.converter": CONVERTER_VERSION,
        "weighhouse.keep": "weights",
        "weighhouse.precision": "fp16",
        "weighhouse.source_sha256": "ab" * 32,
    }
    assert set(written("Flux dev")) == MADE
