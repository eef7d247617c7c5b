"""Mapped weights: the same numbers as the safetensors library reads, no copy where none is needed, nothing written to the file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from inference.diffusion.families import MAX_TENSORS
from registry.formats.errors import FormatError
from tests.opened_weights import opened

NUMBERS = torch.arange(24, dtype=torch.float32).reshape(4, 6)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "w.safetensors"
    kinds = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16, "f64": torch.float64, "f8": torch.float8_e4m3fn}
    state = {name: NUMBERS.to(kind) for name, kind in kinds.items()} | {"ids": torch.arange(3), "empty": torch.empty(0, 4)}
    save_file({**state, "scalar": torch.tensor(2.5)}, path, {"who": "me"})
    return path


def test_tensors_are_those_that_the_library_reads(file: Path) -> None:
    theirs = load_file(file)
    with opened(file) as ours:
        assert (ours.metadata, ours.size_bytes) == ({"who": "me"}, file.stat().st_size)
        assert ours.shapes == {name: tuple(one.shape) for name, one in theirs.items()}
        for name, one in theirs.items():
            assert ours.view(name).dtype == one.dtype
            assert torch.equal(ours.tensor(name, dtype=torch.float64), one.to(torch.float64))


def test_a_tensor_in_its_own_type_is_no_copy_and_a_cast_is_one(file: Path) -> None:
    weights = opened(file)
    assert weights.tensor("f32").data_ptr() == weights.view("f32").data_ptr()
    assert weights.tensor("f16", dtype=torch.float32).data_ptr() != weights.view("f16").data_ptr()


def test_what_is_added_in_place_never_reaches_the_file(file: Path) -> None:
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    weights = opened(file)
    tensor = weights.tensor("f32")
    tensor += 1
    weights.close()
    assert torch.equal(tensor, NUMBERS + 1)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == before
    assert torch.equal(opened(file).tensor("f32"), NUMBERS)


def test_tensors_outlive_the_open_file(file: Path) -> None:
    weights = opened(file)
    tensor = weights.tensor("f32")
    weights.close()
    file.unlink()
    assert torch.equal(tensor, NUMBERS)
    with pytest.raises(ValueError, match="closed"):
        weights.view("f32")


def raw(header: object, data: bytes, *, pad: int = 0) -> bytes:
    text = json.dumps(header).encode() + b" " * pad
    return len(text).to_bytes(8, "little") + text + data


@pytest.mark.parametrize("pad", range(4))
def test_data_that_lies_at_odd_bytes_is_read_all_the_same(tmp_path: Path, pad: int) -> None:
    path = tmp_path / "odd.safetensors"
    path.write_bytes(raw({"a": {"dtype": "F32", "shape": [24], "data_offsets": [0, 96]}}, NUMBERS.numpy().tobytes(), pad=pad))
    tensor = opened(path).tensor("a")
    assert torch.equal(tensor, NUMBERS.flatten())
    assert tensor.data_ptr() % 4 == 0


BROKEN: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "F-TRUNCATED"),
    "a pickle": (lambda: b"\x80\x02}q\x00." * 10, "S-HEADER-SIZE"),
    "an endless header": (lambda: (1 << 40).to_bytes(8, "little") + b"{", "S-HEADER-SIZE"),
    "cut off": (lambda: raw({"a": {"dtype": "F32", "shape": [24], "data_offsets": [0, 96]}}, b"\0" * 50), "F-TRUNCATED"),
    "bytes behind the end": (lambda: raw({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"\0" * 5), "S-TRAILING"),
    "a shape larger than its bytes": (
        lambda: raw({"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 4]}}, b"\0" * 4),
        "S-SIZE",
    ),
    "overlapping tensors": (
        lambda: raw({name: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} for name in "ab"}, b"\0" * 8),
        "S-OVERLAP",
    ),
    "too many tensors": (
        lambda: raw({f"t{n}": {"dtype": "U8", "shape": [1], "data_offsets": [n, n + 1]} for n in range(MAX_TENSORS + 1)}, b"\0" * 20_001),
        "render:too-many-tensors",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_hostile_files_are_refused(tmp_path: Path, case: str) -> None:
    build, code = BROKEN[case]
    path = tmp_path / "broken.safetensors"
    path.write_bytes(build())
    with pytest.raises(FormatError) as refused:
        opened(path)
    assert refused.value.code == code


def test_types_without_arithmetic_are_refused_when_they_are_wanted(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(raw({"a": {"dtype": "F8_E8M0", "shape": [4], "data_offsets": [0, 4]}}, b"\0" * 4))
    with pytest.raises(FormatError) as refused:
        opened(path).tensor("a")
    assert refused.value.code == "render:element-type"
