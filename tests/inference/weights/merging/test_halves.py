"""float16 by integer arithmetic, against numpy's own conversion."""

from __future__ import annotations

import numpy as np

from inference.weights.merging.halves import Halves


def test_rounding_is_numpy_s_on_every_exponent_and_at_every_tie() -> None:
    """All upper halves of a float32, each with the lower bits at and beside every place where rounding turns."""
    low = np.array([0, 1, 0x0FFF, 0x1000, 0x1001, 0x1FFF, 0x2000, 0x2FFF, 0x3000, 0x3001, 0x7FFF, 0x8000, 0xEFFF, 0xF000, 0xF001, 0xFFFF])
    patterns = ((np.arange(1 << 16)[:, None] << 16) + low[None, :]).astype("<u4").reshape(-1)
    halves, out = Halves(1 << 16), np.empty(patterns.size, np.float16)
    for at in range(0, patterns.size, 1 << 16):
        halves.round(patterns[at : at + (1 << 16)].view(np.float32), out[at : at + (1 << 16)])
    with np.errstate(all="ignore"):
        wanted = patterns.view(np.float32).astype(np.float16)
    assert np.array_equal(np.isnan(out), np.isnan(wanted))
    number = ~np.isnan(wanted)
    assert np.array_equal(out.view("<u2")[number], wanted.view("<u2")[number])


def test_a_short_piece_uses_a_part_of_the_memory() -> None:
    out = np.zeros(3, np.float16)
    Halves(8).round(np.array([1.5, -1e-8, 7e4], np.float32), out)
    assert out.tolist() == [1.5, 0.0, float("inf")]
    assert bool(np.signbit(out[1]))
