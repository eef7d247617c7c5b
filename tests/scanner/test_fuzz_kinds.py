"""Random damage to small files of every kind: the scanner never raises or hangs, and never lets a payload through that is still there."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Callable

import pytest

from scanner.pickles import scan
from tests.attacks import arrays, bundles, ggufs
from tests.attacks.assemble import pickled, system
from tests.attacks.writers import gguf, gguf_text, gguf_value, npy, old_checkpoint, old_pickle, onnx, onnx_external, onnx_graph, part, png
from tests.scanner.honest_kinds import HONEST_KINDS
from tests.scanner.mutants import mutated

SEED = 20261121
ROUNDS = 120
SMALL = [title for title, (_, make) in HONEST_KINDS.items() if len(make()) < 20_000]
TEXTS = [title for title in SMALL if HONEST_KINDS[title][0].rpartition(".")[2] in ("txt", "md", "json", "csv", "yaml")]

TEMPLATE = gguf_text("tokenizer.chat_template") + gguf_value(ggufs.TEMPLATES["class_of_a_text"])
OUTSIDE = onnx_graph(onnx_external("../../secret"))
NOTES = b"".join(part(14, part(1, f"key {number}") + part(2, "value")) for number in range(40))
HOSTILE: dict[str, tuple[str, Callable[[], bytes], bytes]] = {
    "array of objects": ("a.npy", lambda: npy(arrays.OBJECTS, arrays.PAYLOAD), b"cos\nsystem\n"),
    "arrays with objects": ("a.npz", arrays.objects_in_an_npz, b"cos\nsystem\n"),
    "bundle": ("pack.zip", lambda: bundles.bundle(bundles.Part("x.ckpt", bundles.PAYLOAD)), b"cos\nsystem\n"),
    "bundle in a bundle": (
        "pack.zip",
        lambda: bundles.bundle(bundles.Part("y.zip", bundles.bundle(bundles.Part("x.pt", bundles.PAYLOAD)))),
        b"cos\nsystem\n",
    ),
    "oldest form": ("a.pt", lambda: old_checkpoint(pickle=old_pickle(system())), b"cos\nsystem\n"),
    "template": ("a.gguf", lambda: gguf({"tokenizer.chat_template": ggufs.TEMPLATES["class_of_a_text"]}), TEMPLATE),
    "path": ("a.onnx", lambda: onnx(OUTSIDE, more=NOTES), part(7, OUTSIDE)),
    "picture": ("a.png", lambda: png() + pickled(system()), b"cos\nsystem\n"),
    "text": ("a.txt", lambda: bundles.TEXT_PAYLOAD + b"\nand some prose" * 20, bundles.TEXT_PAYLOAD),
}
"""title -> (file name, maker, bytes that are the payload; a text is one only from its first byte on)"""


def answered(data: bytes, name: str) -> str:
    """The verdict, after it was had in time and without an internal error."""
    started = time.process_time()
    report = scan(io.BytesIO(data), name=name)
    assert time.process_time() - started < 1, data
    assert "F-INTERNAL" not in {finding.code for finding in report.findings}, data
    return report.verdict


@pytest.mark.parametrize("title", [title for title in SMALL if title not in TEXTS])
def test_damaged_files_are_answered(title: str) -> None:
    dice = random.Random(f"{SEED} {title}")
    name, make = HONEST_KINDS[title]
    whole = make()
    verdicts = [answered(mutated(whole, dice), name) for _ in range(ROUNDS)]
    assert set(verdicts) & {"error", "danger"}


@pytest.mark.parametrize("title", TEXTS)
def test_damaged_texts_are_answered(title: str) -> None:
    dice = random.Random(f"{SEED} {title}")
    name, make = HONEST_KINDS[title]
    for _ in range(ROUNDS):
        answered(mutated(make(), dice), name)


@pytest.mark.parametrize("title", HOSTILE)
def test_a_payload_that_is_still_there_is_never_a_success(title: str) -> None:
    dice = random.Random(f"{SEED} {title}")
    name, make, payload = HOSTILE[title]
    whole = make()
    assert answered(whole, name) == "danger"
    kept = 0
    for _ in range(3 * ROUNDS):
        data = mutated(whole, dice)
        if data.startswith(payload) if title == "text" else payload in data:
            kept += 1
            assert answered(data, name) != "success", data
        else:
            answered(data, name)
    assert kept > ROUNDS / 2


@pytest.mark.parametrize("title", [title for title in SMALL if title.startswith(("array", "gguf", "onnx", "oldest", "png", "bundle"))])
def test_files_cut_short_are_errors(title: str) -> None:
    name, make = HONEST_KINDS[title]
    whole = make()
    end = len(whole) - 31  # a model may do without the zeros at its end
    for size in random.Random(SEED).sample(range(1, end), min(60, end - 1)):
        assert answered(whole[:size], name) in ("error", "danger"), size
