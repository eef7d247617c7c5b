"""What trainers say about their file: kept where it is plain and bounded, left out where it is broken, private or made to mislead."""

from __future__ import annotations

import json

import pytest

from registry.identify.detect import identify
from registry.identify.training import resolution, training_of
from tests import tiny
from tests.registry.identify.cases import CASES

KOHYA = {
    "ss_sd_model_name": "v1-5-pruned-emaonly.safetensors",
    "ss_base_model_version": "sd_v1",
    "ss_network_module": "lycoris.kohya",
    "ss_network_dim": "16",
    "ss_network_alpha": "8.0",
    "ss_network_args": json.dumps(
        {"algo": "lokr", "conv_dim": "8", "conv_alpha": "4.5", "preset": "full", "dora_wd": "True", "factor": -1}
    ),
    "ss_resolution": "(512, 768)",
    "ss_clip_skip": "2",
    "ss_num_train_images": "40",
    "ss_num_reg_images": "0",
    "ss_epoch": "10",
    "ss_steps": "2000",
    "ss_max_train_steps": "2500",
    "ss_unet_lr": "0.0001",
    "ss_v2": "False",
    "ss_v_parameterization": "True",
    "ss_training_comment": "three\nlines of\ttext",
    "ss_new_sd_model_hash": "A" * 64,
    "ss_sd_model_hash": "not a hash",
    "ss_dataset_dirs": json.dumps({"/home/somebody/pictures": {"n_repeats": 10}}),
    "ss_datasets": "[]",
    "ss_vae_name": "None",
    "ss_lr_scheduler": "None",
    "ssmd_author": "somebody",
    "ssmd_cover_images": "data" * 1000,
    "modelspec.title": "Lantern",
    "modelspec.usage_hint": "weight 0.8",
    "modelspec.is_negative_embedding": "true",
}


def test_settings_are_taken_as_numbers_and_plain_text() -> None:
    assert training_of(KOHYA) == {
        "base_file": "v1-5-pruned-emaonly.safetensors",
        "base_version": "sd_v1",
        "module": "lycoris.kohya",
        "network_dim": 16,
        "network_alpha": 8,
        "algo": "lokr",
        "preset": "full",
        "conv_dim": 8,
        "conv_alpha": 4.5,
        "dora": True,
        "resolution": "512x768",
        "clip_skip": 2,
        "images": 40,
        "epochs": 10,
        "steps": 2000,
        "steps_planned": 2500,
        "unet_learning_rate": 0.0001,
        "v_parameterization": True,
        "comment": "three lines of text",
        "base_sha256": "a" * 64,
        "shown_author": "somebody",
        "title": "Lantern",
        "usage_hint": "weight 0.8",
        "is_negative_embedding": True,
    }


def test_private_paths_and_pictures_are_never_shown() -> None:
    found = json.dumps(identify(tiny.directory_of(CASES["LoRA SD 1"].build(), KOHYA)).to_json())
    assert "somebody/pictures" not in found
    assert "datadata" not in found


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ss_network_dim", "nan"), ("ss_network_dim", "1e999"), ("ss_network_dim", "-4"), ("ss_steps", "9" * 5000), ("ss_epoch", "ten"),
        ("ss_network_args", "{" * 9000), ("ss_network_args", '{"algo": {"a": 1}, "conv_dim": [1]}'), ("ss_new_sd_model_hash", "../../x"),
        ("ss_resolution", "12345678901234567890"), ("modelspec.resolution", "0x0"), ("ss_v2", "maybe"), ("modelspec.title", " \n "),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_left_out(key: str, value: str) -> None:
    assert training_of({key: value}) == {}


def test_texts_are_cut_and_cannot_hide_anything() -> None:
    found = training_of(
        {"modelspec.description": "x" * 100_000, "modelspec.title": "a\u202eb\x1b" + "y" * 10_000, "ssmd_keywords": "k" * 10_000}
    )
    assert (len(found["description"]), len(found["title"]), len(found["keywords"])) == (500, 120, 120)
    assert "\u202e" not in found["title"]
    assert "\x1b" not in found["title"]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1024x1024", "1024x1024"),
        ("(512, 768)", "512x768"),
        ("512", "512x512"),
        ("None", ""),
        ("1x1", ""),
        ("512x512x512", ""),
        ("99999", ""),
    ],
)
def test_resolution_is_two_plain_numbers(text: str, size: str) -> None:
    assert resolution({"ss_resolution": text}) == size


@pytest.mark.parametrize(
    ("metadata", "prediction", "variants"),
    [
        ({}, "", []),
        ({"modelspec.prediction_type": "epsilon"}, "epsilon", []),
        ({"modelspec.prediction_type": "v"}, "v", ["v-prediction"]),
        ({"ss_v_parameterization": "True"}, "v", ["v-prediction"]),
        ({"modelspec.architecture": "stable-diffusion-v2-768-v"}, "v", ["v-prediction"]),
        ({"ss_zero_terminal_snr": "True"}, "", ["zero terminal SNR"]),
    ],
)
def test_sd2_says_how_it_predicts_only_where_something_says_so(metadata: dict[str, str], prediction: str, variants: list[str]) -> None:
    found = identify(tiny.directory_of(CASES["SD 2"].build(), metadata))
    assert (found.prediction, found.variants, found.base) == (prediction, variants, "SD 2.1")
    assert found.alternatives == ["SD 2.0", "SD 2.0 768", "SD 2.1", "SD 2.1 768"]
    assert "768 px v-prediction" in found.notes[0]


def test_markers_in_the_file_say_how_it_predicts() -> None:
    assert identify(tiny.directory_of(CASES["SDXL v-prediction"].build())).prediction == "v"
    assert identify(tiny.directory_of(CASES["Playground 2.5"].build())).prediction == "edm"


def test_confidence_says_what_the_answer_rests_on() -> None:
    names = {"SD 1": "proved by shapes", "Flux dev": "told by names", "Real-ESRGAN": "told by names", "LoRA SDXL": "proved by shapes"}
    assert {name: identify(tiny.directory_of(CASES[name].build())).confidence for name in names} == names
    said = identify(tiny.directory_of(CASES["OFT SD 1"].build(), {"ss_base_model_version": "sd_v1"}))
    assert (said.base, said.confidence) == ("SD 1.5", "metadata only")


def test_metadata_never_outweighs_shapes() -> None:
    found = identify(tiny.directory_of(CASES["LoRA SDXL"].build(), {"ss_base_model_version": "sd_v1", "ss_v2": "True"}))
    assert (found.family, found.base) == ("SDXL", "SDXL 1.0")


def test_what_tensors_cannot_tell_is_said() -> None:
    found = identify(tiny.directory_of(CASES["SDXL"].build()))
    assert {"Pony", "Illustrious", "NoobAI"} <= set(found.alternatives)
    assert "cannot tell them apart" in found.notes[0]


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        ("scaled_fp8", "fp8, scaled"),
        ("a.weight.quant_state.bitsandbytes__nf4", "nf4 (bitsandbytes)"),
        ("blocks.0.qweight", "int4 (nunchaku)"),
    ],
)
def test_packed_numbers_are_named(ending: str, words: str) -> None:
    given = CASES["Flux dev"].build() | {ending: ("U8", (4,))}
    assert identify(tiny.directory_of(given)).quantization == words
