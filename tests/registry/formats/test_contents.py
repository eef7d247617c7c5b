"""Tensor digests and the content hash: what changes them, what does not, and that a stream is judged as the strict reader judges a file."""

from __future__ import annotations

import io
import json
import struct
import time
from typing import Any

import numpy as np
import pytest
from blake3 import blake3
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from registry.formats.contents import ContentHash, Digests, content_hash
from registry.formats.errors import FormatError
from registry.formats.hashes import Hashes, hash_file
from registry.formats.safetensors import MAX_HEADER, MAX_TENSORS, read_safetensors
from registry.formats.window import Window
from tests.attacks.headers import entry, framed, written
from tests.registry.formats.test_safetensors_fuzz import files

TENSORS: dict[str, Any] = {
    "b.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a.weight": np.arange(5, dtype=np.int64),
    'quo"ted\\ 猫 😀': np.ones((2, 2), np.float16),
    "empty": np.zeros((0, 4), np.float32),
    "scalar": np.array(7, np.uint8),
}


def hashes_of(data: bytes) -> Hashes:
    return hash_file(io.BytesIO(data))


def streamed(data: bytes, pieces: list[int]) -> tuple[str | None, Digests]:
    """Fed in pieces of these sizes, over and over."""
    stream, view, turn = ContentHash(), memoryview(data), 0
    while len(view):
        stream.feed(view[: pieces[turn % len(pieces)]])
        view, turn = view[pieces[turn % len(pieces)] :], turn + 1
    return stream.finish()


def by_hand(tensors: dict[str, Any]) -> str:
    """The definition, written down a second time."""
    names = {np.dtype(np.float32): "F32", np.dtype(np.int64): "I64", np.dtype(np.float16): "F16", np.dtype(np.uint8): "U8"}
    lines = []
    for name in sorted(tensors, key=lambda text: text.encode()):
        value = tensors[name]
        digest = blake3(value.tobytes()).hexdigest()[:32]
        lines.append(json.dumps([name, names[value.dtype], list(value.shape), digest], ensure_ascii=False, separators=(",", ":")) + "\n")
    return blake3("".join(lines).encode()).hexdigest()


def reordered(tensors: dict[str, Any], *, padding: int = 0) -> bytes:
    """The same tensors in the order given, with spaces behind the header."""
    dtypes = {row[0]: row[1] for row in _rows(save(tensors))}
    header: dict[str, Any] = {}
    at = 0
    for name, value in tensors.items():
        header[name] = {"dtype": dtypes[name], "shape": list(value.shape), "data_offsets": [at, at + value.nbytes]}
        at += value.nbytes
    text = json.dumps(header).encode() + b" " * padding
    return struct.pack("<Q", len(text)) + text + b"".join(value.tobytes() for value in tensors.values())


def _rows(data: bytes) -> list[tuple[str, str, tuple[int, ...]]]:
    return [(str(row.path[0]), row.dtype, row.shape) for row in read_safetensors(Window(io.BytesIO(data)))]


def test_content_hash_is_as_defined() -> None:
    found = hashes_of(save(TENSORS))
    assert found.content == by_hand(TENSORS)
    assert found.as_dict()["TENSORS"] == by_hand(TENSORS).upper()
    assert dict(found.tensors) == {name: blake3(value.tobytes()).hexdigest()[:32] for name, value in TENSORS.items()}
    assert [name for name, _ in found.tensors] == sorted(TENSORS, key=lambda text: text.encode())


def test_value_does_not_change_with_releases() -> None:
    """Stored hashes are compared with tomorrow's: this one was computed when the definition was written."""
    found = hashes_of(written({"a": entry(0, 16, 4)}, bytes(range(16))))
    assert found.tensors == (("a", "a6a492965517a830cb75fdb713465aa4"),)
    assert found.content == "850f0e5dfdb73767888e062e637fbe5909a083ff5afc32afdb27f4c1e00a42f8"


@pytest.mark.parametrize(
    "same",
    [
        pytest.param(save(TENSORS, {"title": "another"}), id="metadata"),
        pytest.param(reordered(dict(reversed(TENSORS.items()))), id="order"),
        pytest.param(reordered(TENSORS, padding=4091), id="padding"),
    ],
)
def test_metadata_order_and_padding_do_not_count(same: bytes) -> None:
    plain = hashes_of(save(TENSORS))
    assert plain.content
    assert hashes_of(same).content == plain.content
    assert hashes_of(same).tensors == plain.tensors
    assert hashes_of(same).sha256 != plain.sha256


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({**TENSORS, "scalar": np.array(6, np.uint8)}, id="one bit"),
        pytest.param({("c.weight" if name == "b.weight" else name): value for name, value in TENSORS.items()}, id="name"),
        pytest.param({**TENSORS, "b.weight": TENSORS["b.weight"].view(np.int32)}, id="dtype"),
        pytest.param({**TENSORS, "b.weight": TENSORS["b.weight"].reshape(3, 2)}, id="shape"),
        pytest.param({**TENSORS, "empty": np.zeros((4, 0), np.float32)}, id="shape of an empty tensor"),
        pytest.param({name: value for name, value in TENSORS.items() if name != "empty"}, id="an empty tensor less"),
    ],
)
def test_anything_else_counts(other: dict[str, Any]) -> None:
    assert hashes_of(save(other)).content not in {None, hashes_of(save(TENSORS)).content}


@settings(max_examples=60, derandomize=True, database=None, deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=8))
@example([1])
def test_pieces_of_any_size_give_the_same(pieces: list[int]) -> None:
    data = save(TENSORS, {"a": "b"})
    assert streamed(data, pieces) == streamed(data, [len(data)])


SEEN: dict[bool, int] = {}


@st.composite
def whole_files(draw: st.DrawFn) -> bytes:
    """Files that are well formed, with names of every kind that the strict reader takes."""
    shapes = st.lists(st.integers(0, 3), max_size=3)
    names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=5)
    tensors = {name: np.zeros(draw(shapes), draw(st.sampled_from(["<f4", "<i8", "u1"]))) for name in draw(st.sets(names, max_size=4))}
    return save(tensors, {"title": draw(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=5))})


@settings(
    max_examples=800,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.one_of(files(), whole_files()), st.integers(1, 50))
def judge(data: bytes, piece: int) -> None:
    try:
        directory = read_safetensors(Window(io.BytesIO(data)))
    except FormatError:
        expected = None
    else:
        rows = [(str(row.path[0]), row.dtype, row.shape, directory.byte_range(row)) for row in directory]
        parts = [(name, dtype, shape, blake3(data[at : at + size]).hexdigest()[:32]) for name, dtype, shape, (at, size) in rows]
        expected = content_hash(parts) if parts else None
    found, tensors = streamed(data, [piece])
    assert (found, bool(tensors)) == (expected, expected is not None), data
    SEEN[expected is None] = SEEN.get(expected is None, 0) + 1


def test_a_stream_has_a_content_hash_exactly_where_the_strict_reader_takes_the_file() -> None:
    SEEN.clear()
    judge()
    assert min(SEEN[True], SEEN[False]) > 100


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(written({"a": entry(0, 16, 4)}, bytes(17)), id="a byte behind"),
        pytest.param(written({"a": entry(0, 16, 4)}, bytes(15)), id="a byte less"),
        pytest.param(written({"a": entry(0, 8, 2), "b": entry(4, 16, 3)}, bytes(16)), id="overlap"),
        pytest.param(written({"a": entry(0, 1 << 60, 1 << 58)}, bytes(16)), id="an exabyte announced"),
        pytest.param(struct.pack("<Q", MAX_HEADER + 1) + b"{" + b" " * 100, id="header over the limit"),
        pytest.param(struct.pack("<Q", (1 << 64) - 1) + b"{}", id="header of all bytes there are"),
        pytest.param(framed(b"{" + b"[" * 5000, b""), id="nested"),
        pytest.param(framed(b'{"a":' * 3000 + b"1" + b"}" * 3000, b""), id="deep"),
        pytest.param(framed(b"{}"), id="data without tensors"),
        pytest.param(struct.pack("<Q", 0) + b"{}", id="header without length"),
        pytest.param(struct.pack("<Q", 1) + b"{}", id="header of a brace"),
        pytest.param(b"PK\x03\x04" + bytes(100), id="zip"),
        pytest.param(struct.pack("<Q", 2) + b"{}", id="no tensors"),
        pytest.param(b"\x05", id="one byte"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_what_is_not_well_formed_has_neither_and_raises_nothing(data: bytes) -> None:
    found = hashes_of(data)
    assert (found.content, found.tensors) == (None, ())
    assert "TENSORS" not in found.as_dict()


def test_a_stream_that_is_something_else_is_given_up_at_its_ninth_byte() -> None:
    stream = ContentHash()
    stream.feed(memoryview(b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46"))
    assert not stream.given_up
    stream.feed(memoryview(b"\xf9"))
    assert stream.given_up


def test_as_many_tensors_as_are_allowed_take_little_time() -> None:
    header = {f"t{number:06}": {"dtype": "U8", "shape": [1], "data_offsets": [number, number + 1]} for number in range(MAX_TENSORS)}
    data = written(header, bytes(MAX_TENSORS))
    start = time.thread_time()
    content, tensors = streamed(data, [1 << 20])
    assert time.thread_time() - start < 3  # alone on a core about 1.8
    assert content
    assert len(tensors) == MAX_TENSORS
