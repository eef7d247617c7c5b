"""Whatever lies in a file, in whatever order and stride, safetensors reads the same values back: checked on generated files."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file
from safetensors.numpy import save_file as save_numpy

from inference.weights.cast import NUMPY
from inference.weights.convert import convert
from inference.weights.recipe import Recipe
from registry.formats.directory import Storage, TensorDirectory, TensorEntry
from registry.formats.dtypes import SIZES
from registry.identify.keys import TRAINING

NATIVE = ("BOOL", "U8", "I8", "I16", "U16", "F16", "I32", "U32", "F32", "F64", "I64", "U64")
names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=12).filter(
    lambda name: name not in {"__metadata__", *TRAINING}
)


@st.composite
def views(draw: st.DrawFn) -> tuple[str, tuple[int, ...], tuple[int, ...], int]:
    """A dtype, a shape, strides that fit anything from a broadcast to a permutation with gaps, and an offset."""
    dtype = draw(st.sampled_from(NATIVE))
    shape = tuple(draw(st.lists(st.integers(0, 5), max_size=4)))
    strides = tuple(draw(st.integers(0, 40)) for _ in shape)
    return dtype, shape, strides, draw(st.integers(0, 9))


def lay_out(tensors: dict[str, tuple[str, tuple[int, ...], tuple[int, ...], int]]) -> tuple[bytes, TensorDirectory, dict[str, np.ndarray]]:
    """A file of one storage a tensor, its directory, and the arrays that a reader must find."""
    blob, storages, entries, wanted = bytearray(b"some bytes in front"), [], [], {}
    for number, (name, (dtype, shape, strides, offset)) in enumerate(tensors.items()):
        reach = offset + 1 + sum(max(size - 1, 0) * step for size, step in zip(shape, strides, strict=True))
        values = np.random.default_rng(number).integers(0, 2, reach * SIZES[dtype], np.uint8).view(NUMPY[dtype])
        storages.append(Storage(str(number), len(blob), values.nbytes))
        blob += values.tobytes()
        entries.append(TensorEntry((name,), dtype, shape, number, offset, strides))
        wanted[name] = np.lib.stride_tricks.as_strided(values[offset:], shape, tuple(step * values.itemsize for step in strides))
    return bytes(blob), TensorDirectory("test", tuple(storages), tuple(entries)), wanted


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(names, views(), min_size=1, max_size=6))
def test_every_view_is_read_back_and_the_bytes_are_the_reference_writer_s(tensors: dict[str, tuple]) -> None:
    blob, directory, wanted = lay_out(tensors)
    wanted = {
        name: values.astype(bool) if directory.tensors[at].dtype == "BOOL" else values for at, (name, values) in enumerate(wanted.items())
    }
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "source").write_bytes(blob)
        outcome = convert(Path(folder) / "source", directory, Path(folder) / "out", Recipe(), metadata={})
        found = load_file(Path(folder) / "out")
        save_numpy(
            {name: np.ascontiguousarray(values).reshape(values.shape) for name, values in wanted.items()}, Path(folder) / "reference"
        )
        assert (Path(folder) / "out").read_bytes() == (Path(folder) / "reference").read_bytes()
    assert set(found) == set(wanted)
    for name, values in wanted.items():
        assert found[name].dtype == values.dtype
        assert found[name].tobytes() == np.ascontiguousarray(values).tobytes(), name
    assert outcome.comparison.equal == len(wanted)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=50), st.sampled_from(["fp16", "fp32"]))
def test_casts_are_those_of_numpy_value_by_value(values: list[float], precision: str) -> None:
    array = np.array(values, "<f4")
    directory = TensorDirectory("test", (Storage("0", 0, array.nbytes),), (TensorEntry(("a",), "F32", array.shape, 0, 0, (1,)),))
    with tempfile.TemporaryDirectory() as folder, np.errstate(over="ignore"):
        (Path(folder) / "source").write_bytes(array.tobytes())
        recipe = Recipe("all", precision)  # type: ignore[arg-type]
        outcome = convert(Path(folder) / "source", directory, Path(folder) / "out", recipe)
        wanted = array.astype(np.float16 if precision == "fp16" else np.float32)
        assert load_file(Path(folder) / "out")["a"].tobytes() == wanted.tobytes()
        finite = np.isfinite(wanted)
        assert outcome.comparison.max_abs_error == float(np.abs(array[finite] - wanted[finite].astype("<f4")).max(initial=0))
        assert outcome.losses.overflow == int((np.isfinite(array) & ~finite).sum())
