"""What the reference library writes is read alike; every rule of the header is refused by its own code."""

from __future__ import annotations

import io
import json
import struct
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch

from registry.formats import safetensors as strict
from registry.formats.dtypes import SIZES
from registry.formats.errors import FormatError, LimitExceeded, Unsupported
from registry.formats.safetensors import MAX_HEADER, MAX_TENSORS, looks_like_safetensors, read_safetensors
from registry.formats.window import Window
from tests.attacks import headers
from tests.attacks.headers import entry, framed, written


def read(data: bytes) -> Any:
    return read_safetensors(Window(io.BytesIO(data)))


def test_directory_points_at_the_bytes_that_were_saved() -> None:
    state = {"b": torch.arange(6.0).reshape(2, 3), "a": torch.arange(5, dtype=torch.int8), "s": torch.tensor(2.5), "e": torch.empty(0, 3)}
    data = safetensors.torch.save(state, {"format": "pt", "note": "ü\n"})
    directory = read(data)
    assert directory.metadata == {"format": "pt", "note": "ü\n"}
    assert {row.path for row in directory} == {("b",), ("a",), ("s",), ("e",)}
    for row in directory:
        start, size = directory.byte_range(row)
        tensor = state[row.path[0]]
        assert row.shape == tuple(tensor.shape)
        assert data[start : start + size] == tensor.numpy().tobytes()


def test_unaligned_tensors_are_read() -> None:
    directory = read(written({"a": entry(0, 1, 1, dtype="U8"), "b": entry(1, 9, 2)}, bytes(9)))
    assert directory.byte_range(directory.tensors[1])[1] == 8


@pytest.mark.parametrize("dtype", SIZES)
def test_every_known_type_is_read(dtype: str) -> None:
    directory = read(written({"a": entry(0, 2 * SIZES[dtype], 2, dtype=dtype)}, bytes(2 * SIZES[dtype])))
    assert directory.tensors[0].nbytes == 2 * SIZES[dtype]


@pytest.mark.parametrize(
    ("builder", "code"),
    [
        (headers.hole, "S-HOLE"),
        (headers.overlap, "S-OVERLAP"),
        (headers.payload_behind, "S-TRAILING"),
        (headers.truncated, "F-TRUNCATED"),
        (headers.shape_of_another_size, "S-SIZE"),
        (headers.doubled_key, "S-DUP"),
        (headers.negative_offset, "S-ENTRY"),
        (headers.unknown_type, "S-DTYPE"),
        (headers.metadata_that_is_not_text, "S-METADATA"),
        (headers.nul_padding, "S-JSON"),
        (headers.name_with_a_lone_surrogate, "S-NAME"),
        (headers.header_of_80_megabytes, "S-HEADER-SIZE"),
    ],
)
def test_refused(builder: Any, code: str) -> None:
    with pytest.raises(FormatError) as caught:
        read(builder())
    assert caught.value.code == code


@pytest.mark.parametrize(
    "header",
    [
        b"[]",
        b' {"a":1}',
        b'{"a":1',
        b'{"a":NaN}',
        b'{"a":1e5}',
        b"{'a':1}",
        b'{"a":"\xff"}',
        b'{"a":1}{"b":1}',
        b"",
        b'{"a":1}\t',
        b'{"a\x01":1}',
    ],
)
def test_header_that_is_not_json_is_refused(header: bytes) -> None:
    with pytest.raises(FormatError, match="S-JSON"):
        read(framed(header, b""))


@pytest.mark.parametrize("shape", [[True], ["1"], [1.5], None, {}, [-1], [1 << 63], [1] * 33, [[1]]])
def test_shape_that_is_not_whole_numbers_is_refused(shape: Any) -> None:
    with pytest.raises(FormatError, match=r"S-ENTRY|S-JSON"):
        read(framed(json.dumps({"a": {"dtype": "U8", "shape": shape, "data_offsets": [0, 1]}}).encode(), b"x"))


@pytest.mark.parametrize("dtype", ["F4", "F6_E2M3"])
def test_types_below_a_byte_are_unsupported(dtype: str) -> None:
    with pytest.raises(Unsupported, match="F8 or F16"):
        read(written({"a": entry(0, 16, 32, dtype=dtype)}))


def test_header_over_the_cap_is_refused_before_it_is_read() -> None:
    class Counting(io.BytesIO):
        def read(self, count: int | None = -1, /) -> bytes:
            assert count is not None
            assert count <= 8
            return super().read(count)

    with pytest.raises(LimitExceeded, match="S-HEADER-SIZE"):
        read_safetensors(Window(Counting(struct.pack("<Q", MAX_HEADER + 1) + b"{" + bytes(100))))


def test_what_the_library_refuses_is_refused() -> None:
    """One byte of a small header set to each of a few values: where we say yes, the reference reader must agree."""
    data = safetensors.torch.save({"a": torch.arange(4.0), "b": torch.zeros(2)}, {"k": "v"})
    agreed = 0
    for at in range(8 + struct.unpack("<Q", data[:8])[0]):
        for value in b'\0 "0129{}[]:,\\u\xff':
            changed = data[:at] + bytes([value]) + data[at + 1 :]
            try:
                directory = read(changed)
            except FormatError:
                continue
            assert {row.path[0] for row in directory} == set(safetensors.torch.load(changed))
            agreed += 1
    assert agreed > 10


@pytest.mark.parametrize(
    ("head", "answer"),
    [(struct.pack("<Q", 10) + b"{", True), (struct.pack("<Q", 10) + b"[", False), (b"\xff" * 8 + b"{", False), (b"", False)],
)
def test_looks_like_safetensors(head: bytes, answer: bool) -> None:
    assert looks_like_safetensors(head) is answer


@pytest.mark.parametrize(
    ("metadata", "limit"), [({}, 2_000), ({"__metadata__": {"format": "pt"}}, 2_000), ({"__metadata__": {}}, MAX_TENSORS)]
)
def test_metadata_is_not_counted_as_a_tensor(metadata: dict[str, Any], limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_TENSORS == 200_000
    monkeypatch.setattr(strict, "MAX_TENSORS", limit)
    rows = {f"{number}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for number in range(limit)}
    assert len(read(written(metadata | rows, b"")).tensors) == limit
    rows["one more"] = rows["0"]
    with pytest.raises(LimitExceeded, match=f"more than {limit} tensors"):
        read(written(metadata | rows, b""))
