"""Folders of a trainer's machine are found in metadata, in every spelling; what only looks like one stays."""

from __future__ import annotations

import json

import pytest

from registry.places import HIDDEN, hide, names_place, without_places

PLACES = [
    "C:\\Users\\ada\\sets",
    "D:/sets/lantern",
    "\\\\nas\\share\\sets",
    "/home/ada/sets",
    "/content/drive/MyDrive/sets",
    "~/sets",
    "file:///sets",
    "/a/b/c",
    "saved to /mnt/disk",
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("wrap", ["plain", "json", "json in json"])
def test_a_place_is_found_however_it_is_wrapped(place: str, wrap: str) -> None:
    text = {"plain": place, "json": json.dumps({"dir": [place]}), "json in json": json.dumps({"args": json.dumps({"dir": place})})}[wrap]
    assert names_place("ss_anything", text)


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/home/ada/x",
        json.dumps({"/\\/\\": 3, "\\m/": 2, ":/": 1, "d:": 4, ":d": 1, "|_|": 2}),
        "data:image/jpeg;base64,/9j/4AAQSkZJRgABAQ/AAAA/2wBD/x",
        "runwayml/stable-diffusion-v1-5",
        "and/or s/he 3:4/5",
        "2026-01-01T10:00:00",
        json.dumps({"1_girl": {"paper lantern": 12, "night": 9}}),
        "",
    ],
)
def test_what_only_looks_like_a_place_stays(text: str) -> None:
    assert not names_place("ss_tag_frequency", text)


def test_training_folders_are_hidden_whatever_they_are_called() -> None:
    metadata = {"ss_dataset_dirs": '{"my_sister": {"n_repeats": 1}}', "ss_network_dim": "16", "ss_sd_model_name": "/home/ada/base.ckpt"}
    assert without_places(metadata) == {"ss_dataset_dirs": HIDDEN, "ss_network_dim": "16", "ss_sd_model_name": HIDDEN}


def test_places_are_hidden_anywhere_in_plain_data() -> None:
    found = {"training": {"base_file": "D:\\base.ckpt", "steps": 10, "dora": True}, "evidence": ["a", "~/sets"], "base": None}
    assert hide(found) == {"training": {"base_file": HIDDEN, "steps": 10, "dora": True}, "evidence": ["a", HIDDEN], "base": None}


def test_looking_for_places_takes_linear_time() -> None:
    for piece in ("\\", '"', "/a", "a/", "C:", ' "\\\\a', "/home"):
        names_place("x", piece * (2_000_000 // len(piece)))
