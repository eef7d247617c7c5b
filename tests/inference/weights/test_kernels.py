"""The two kernels against each other and against torch: the same bits, and the same counts, for every kind of value."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from inference.weights import kernels
from inference.weights.cast import MANTISSA, Caster, cast
from inference.weights.kernels import PIECE, Kernel, NumpyKernel, TorchKernel

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


def test_torch_is_taken_for_large_jobs_and_left_alone_for_small_ones() -> None:
    code = (
        "import sys; from inference.weights import kernels as k; a = k.choose(k.TORCH_PAYS - 1).name; b = 'torch' in sys.modules; "
        "print(a, b, k.choose(k.TORCH_PAYS).name, k.choose(0).name)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["numpy", "False", "torch", "torch"], done.stderr


def test_numpy_does_the_work_where_torch_is_absent() -> None:
    code = "import sys; sys.modules['torch'] = None; from inference.weights import kernels as k; print(k.choose(k.TORCH_PAYS).name)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["numpy"], done.stderr


def test_torch_casts_with_one_thread() -> None:
    kernels.choose(kernels.TORCH_PAYS)
    assert torch.get_num_threads() == 1


def test_a_caster_uses_its_memory_again() -> None:
    caster = Caster()
    first = caster.cast(np.ones(1000, np.float32), "F32", "F16")[0]
    second = caster.cast(np.zeros(500, np.float32), "F32", "F16")[0]
    assert np.shares_memory(first, second)
    assert not np.shares_memory(cast(np.ones(9, np.float32), "F32", "F16")[0], second)
