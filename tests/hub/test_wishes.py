"""What somebody wants a file for: read from forms, cookies and accounts without trust, and what it means for one file."""

from __future__ import annotations

import pytest

from hub import wishes
from hub.wishes import NO_WISH, Wish
from tests.factories import BlobFactory, FileFactory


def test_a_cookie_says_the_wish_again() -> None:
    wish = Wish(8, "train", "safetensors", "bf16")
    assert wishes.read_text(wish.to_text()) == wish
    assert wishes.read(wish.to_json()) == wish
    assert wishes.read_text(NO_WISH.to_text()) == NO_WISH


@pytest.mark.parametrize("text", ["", "8", "8.train", "9.train..fp16.", "\x00.a.b.c", "1e1...", "-8...", "٨..."])
def test_what_is_not_offered_is_not_wished(text: str) -> None:
    assert wishes.read_text(text) == NO_WISH


def test_what_is_said_beside_nonsense_counts() -> None:
    assert wishes.read({"memory_gb": "8", "purpose": ["x"], "form": None, "precision": "fp16; rm"}) == Wish(memory_gb=8)


@pytest.mark.parametrize(
    ("detected", "size", "weights"),
    [
        ({"kind": "checkpoint", "parameters": 1_000_000_000}, 7_700_000_000, 2_000_000_000),  # full precision with averages
        ({"kind": "checkpoint", "parameters": 1_000_000_000}, 2_000_000_000, 2_000_000_000),
        ({"kind": "unet", "parameters": 12_000_000_000}, 12_100_000_000, 12_100_000_000),  # stored in eight bits
        ({"kind": "lora", "parameters": 1_000_000}, 2_000_000, 0),
        ({"kind": "checkpoint", "parameters": "many"}, 2_000_000, 0),
        ({}, 2_000_000, 0),
    ],
)
def test_weights_take_two_bytes_a_number_or_less(detected: dict[str, object], size: int, weights: int) -> None:
    file = FileFactory.build(size_bytes=size, blob=BlobFactory.build(detected=detected))
    assert wishes.memory_bytes(file) == weights


@pytest.mark.parametrize(("gb", "fits"), [(0, True), (6, False), (8, True), (24, True)])
def test_sdxl_fits_eight_gigabytes_as_its_makers_say(gb: int, fits: bool) -> None:
    file = FileFactory.build(size_bytes=6_940_000_000, blob=BlobFactory.build(detected={"kind": "checkpoint", "parameters": 3_469_000_000}))
    assert wishes.fits(file, Wish(memory_gb=gb)) is fits
