"""The two kernels against each other and against torch: the same bits, and the same counts, for every kind of value."""

from __future__ import annotations

import _ctypes
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from inference.weights.cast import MANTISSA, Caster, cast
from inference.weights.kernels import PIECE, Kernel, NumpyKernel, TorchKernel
from inference.weights.libtorch import KEPT, LibTorch

ROOT = Path(__file__).resolve().parents[3]
KERNELS = [NumpyKernel(), TorchKernel()]
TORCH = {"F16": torch.float16, "BF16": torch.bfloat16}


def hard_floats() -> np.ndarray:
    """Around every float16 and bfloat16: the value, its ties and their neighbours; the range where float16 ends; weights; any bits."""
    dice = np.random.default_rng(7)
    every = np.arange(65536, dtype=np.uint16)
    halves, bfloats = every.view(np.float16).astype(np.float32).view(np.uint32), every.astype(np.uint32) << 16
    around_halves = [halves + np.uint32(step) for step in (0, 1, 0xFFF, 0x1000, 0x1001, 0x1FFF)]
    around_bfloats = [bfloats + np.uint32(step) for step in (0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF)]
    ends = [np.linspace(65400, 65600, 100_001).astype(np.float32), -np.linspace(65503, 65537, 70_001).astype(np.float32)]
    tiny = [(dice.standard_normal(300_000) * scale).astype(np.float32) for scale in (0.03, 6e-5, 3e-8, 1e-41)]
    ends += [np.nextafter(np.float32(2**-25), np.float32([0, 1])), np.float32([2**-24, 2**-14, -(2**-14), 0.0, -0.0])]
    bits = dice.integers(0, 1 << 32, 1_000_000, np.uint32)
    return np.concatenate([*around_halves, *around_bfloats, *(part.view(np.uint32) for part in ends + tiny), bits]).view(np.float32)


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    return hard_floats()


@pytest.mark.parametrize("target", ["F16", "BF16"])
def test_numpy_and_torch_give_the_same_bits_and_counts(values: np.ndarray, target: str) -> None:
    (ours, lost), (theirs, lost_there) = (cast(values, "F32", target, kernel=kernel) for kernel in KERNELS)
    assert np.array_equal(ours.view(np.uint16), theirs.view(np.uint16))
    assert lost == lost_there
    assert min(lost.overflow, lost.underflow, lost.nonfinite, lost.nan) > 0


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
@pytest.mark.parametrize("target", ["F16", "BF16"])
def test_finite_values_round_as_torch_rounds_them(values: np.ndarray, target: str, kernel: Kernel) -> None:
    want = torch.from_numpy(values.copy()).to(TORCH[target])
    ours, losses = cast(values, "F32", target, kernel=kernel)
    numbers = ~np.isnan(values)
    assert np.array_equal(ours.view(np.uint16)[numbers], want.view(torch.int16).numpy().view(np.uint16)[numbers])
    with np.errstate(invalid="ignore"):
        exact, back = values.astype(np.float64), want.double().numpy()
    finite, kept = np.isfinite(exact), np.isfinite(exact) & np.isfinite(back)
    assert losses.max_abs_error == np.abs(exact[kept] - back[kept]).max()
    assert losses.overflow == int((finite & ~kept).sum())
    assert losses.underflow == int(((back == 0) & (exact != 0)).sum())
    assert (losses.nonfinite, losses.nan) == (int((~finite).sum()), int((~numbers).sum()))


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_pieces_that_a_kernel_takes_are_cast_like_those_that_it_declines(kernel: Kernel) -> None:
    """The same values with and without an infinity among them, which sends the piece along the slow way."""
    piece = (np.random.default_rng(3).standard_normal(PIECE) * 0.01).astype(np.float32)
    for target in ("F16", "BF16"):
        fast, losses = cast(piece, "F32", target, kernel=kernel)
        slow, losses_slow = cast(np.append(piece[:-1], np.float32(np.inf)), "F32", target, kernel=kernel)
        assert np.array_equal(fast.view(np.uint16)[:-1], slow.view(np.uint16)[:-1])
        assert losses_slow.max_abs_error == pytest.approx(losses.max_abs_error)
        assert losses_slow.nonfinite == 1


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
@pytest.mark.parametrize("size", [0, 1, 7, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 5])
def test_arrays_of_any_length_are_cast_whole(kernel: Kernel, size: int) -> None:
    numbers = np.arange(size, dtype=np.float32) / 64
    numbers.flags.writeable = False
    assert np.array_equal(cast(numbers, "F32", "F16", kernel=kernel)[0], numbers.astype(np.float16))


PAYLOADS = {
    "F64": np.array([0x7FF0000000000001, 0xFFF8ABCDEF012345, 0x7FF4000000000000], "<u8"),
    "F32": np.array([0x7F800001, 0xFFC12345, 0x7FBFFFFF, 0xFF801000], "<u4"),
    "F16": np.array([0x7C01, 0xFE55, 0xFD00], "<u2"),
    "BF16": np.array([0x7F81, 0xFFD5, 0x7FA0], "<u2"),
}
FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
@pytest.mark.parametrize(("source", "target"), [(a, b) for a in PAYLOADS for b in ("F32", "F16", "BF16") if a != b])
def test_nan_stays_a_quiet_nan_of_its_sign_with_the_upper_payload(source: str, target: str, kernel: Kernel) -> None:
    bits, (unsigned, width) = PAYLOADS[source], MANTISSA[target]
    got, losses = cast(bits.view(FLOATS[source]), source, target, kernel=kernel)
    size = np.dtype(unsigned).itemsize * 8
    given, wide = bits.dtype.itemsize * 8, MANTISSA[source][1]
    for before, after in zip(bits.tolist(), got.view(unsigned).tolist(), strict=True):
        payload = before & (1 << wide) - 1
        payload = payload >> wide - width if wide > width else payload << width - wide
        infinity = ((1 << size - 1 - width) - 1) << width
        assert after == (before >> given - 1) << size - 1 | infinity | 1 << width - 1 | payload
    assert losses.nan == losses.nonfinite == bits.size


def said(code: str) -> list[str]:
    """The words that a program of its own prints, in which nobody has imported torch."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_torch_is_opened_for_large_jobs_and_left_alone_for_small_ones_and_never_imported() -> None:
    code = """
import sys
from inference.weights import kernels as k
from inference.weights.libtorch import is_open
print(k.choose(k.TORCH_PAYS - 1).name, is_open(), k.choose(k.TORCH_PAYS).name, is_open(), k.choose(0).name, "torch" in sys.modules)
"""
    assert said(code) == ["numpy", "False", "torch", "True", "torch", "False"]


def test_numpy_does_the_work_where_torch_is_absent() -> None:
    code = """
import importlib.util
known = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "torch" else known(name, *rest)
from inference.weights import kernels as k
print(k.choose(k.TORCH_PAYS).name)
"""
    assert said(code) == ["numpy"]


def test_numpy_does_the_work_where_torch_s_library_is_another(tmp_path: Path) -> None:
    """One without the functions that are needed, and one that is none."""
    shutil.copy(_ctypes.__file__, tmp_path / "other.so")
    (tmp_path / "none.so").write_bytes(b"MZ")
    code = f"""
from pathlib import Path
from inference.weights import kernels as k, libtorch
for name in ("other.so", "none.so"):
    libtorch._path = lambda: Path({str(tmp_path)!r}, name)
    print(k.choose(k.TORCH_PAYS).name)
"""
    assert said(code) == ["numpy", "numpy"]


def test_torch_s_library_works_with_one_thread() -> None:
    code = """
import os
os.environ.pop("OMP_NUM_THREADS", None)
import numpy as np
from inference.weights import kernels as k
before = len(os.listdir("/proc/self/task"))
kernel = k.choose(k.TORCH_PAYS)
values, out = np.ones(k.PIECE, np.float32), np.empty(k.PIECE, np.uint16)
kernel.half(values, out)
print(len(os.listdir("/proc/self/task")) - before)
"""
    assert said(code) == ["0"]


def test_torch_can_be_imported_after_its_library_was_opened() -> None:
    code = """
import numpy as np
from inference.weights import kernels as k
kernel = k.choose(k.TORCH_PAYS)
import torch
values, out = torch.linspace(-1, 1, 1000), np.empty(1000, np.uint16)
kernel.half(values.numpy(), out)
print(torch.equal(torch.from_numpy(out.view(np.float16)), values.half()))
"""
    assert said(code) == ["True"]


class TestLibTorch:
    def test_more_arrays_than_it_remembers_are_all_converted(self) -> None:
        library, arrays = LibTorch(), [np.full(100, number, np.float32) for number in range(2 * KEPT)]
        outs = [np.empty(100, np.float16) for _ in arrays]
        for _ in range(2):
            for values, out in zip(arrays, outs, strict=True):
                library.convert(values, "F32", out, "F16")
        assert [out[99] for out in outs] == list(range(2 * KEPT))

    def test_memory_that_is_used_again_by_another_array_is_read_anew(self) -> None:
        library, out, memory = LibTorch(), np.empty(8, np.float16), bytearray(64)
        library.convert(np.frombuffer(memory, np.float32)[:8], "F32", out, "F16")
        np.frombuffer(memory, np.float32)[:8] = 5
        library.convert(np.frombuffer(memory, np.float32)[:8], "F32", out, "F16")
        assert out.tolist() == [5] * 8

    @pytest.mark.parametrize(
        ("values", "source", "out", "target"),
        [
            (np.ones(4, np.float32), "F32", np.ones(5, np.uint16), "F16"),
            (np.ones(4, np.float64), "F32", np.ones(4, np.uint16), "F16"),
            (np.ones(8, np.float32)[::2], "F32", np.ones(4, np.uint16), "F16"),
            (np.ones(4, np.float32), "F32", np.ones(8, np.uint16)[::2], "F16"),
            (np.ones(4, np.uint16), "BF16", np.ones(4, np.uint16), "F32"),
            (np.ones(4, np.float32), "F32", np.frombuffer(bytes(8), np.uint16), "F16"),
        ],
    )
    def test_arrays_that_do_not_fit_are_not_touched(self, values: np.ndarray, source: str, out: np.ndarray, target: str) -> None:
        before = out.copy()
        with pytest.raises(ValueError, match=r"arrays differ|contiguous array"):
            LibTorch().convert(values, source, out, target)
        assert np.array_equal(out, before)


def test_a_caster_uses_its_memory_again() -> None:
    caster = Caster()
    first = caster.cast(np.ones(1000, np.float32), "F32", "F16")[0]
    second = caster.cast(np.zeros(500, np.float32), "F32", "F16")[0]
    assert np.shares_memory(first, second)
    assert not np.shares_memory(cast(np.ones(9, np.float32), "F32", "F16")[0], second)
