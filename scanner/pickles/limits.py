"""Bounds on what a pickle may ask of the scanner. Reaching one means "not understood", which is never a yes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """One set of bounds; a real 2 GB Stable Diffusion checkpoint needs about 45,000 opcodes and 0.3 MB of pickle."""

    opcodes: int = 4_000_000
    memo: int = 1_000_000
    memo_index: int = 1 << 24
    stack: int = 100_000
    marks: int = 1_000
    items: int = 4_000_000
    line: int = 4096
    text: int = 1 << 20
    """Bytes of one string."""
    digits: int = 400
    """Of a text integer: int() is quadratic in them."""
    long_bytes: int = 4096
    pickle: int = 64 << 20
    """Bytes of one pickle stream."""
    streams: int = 64
    archives: int = 2
    """An archive in an archive is still looked into, another in that is not."""
    depth: int = 100
    """Nesting of containers on the way to a tensor."""
    entries: int = 400_000
    """Tensors and other values in one directory."""
    visits: int = 4_000_000
    """Values looked at while checking arguments."""
    findings: int = 200
    imports: int = 600
    """Distinct names: more than fit into a report cannot be looked through by anybody, and the largest whole models have about fifty."""

    frames: int = 10_000
    """Picklers write frames of 64 kB."""


LIMITS = Limits()


@dataclass(slots=True)
class Budget:
    """What is left of the bounds for all pickles of one scan together, so that many small ones cost no more than a large one."""

    opcodes: int = LIMITS.opcodes
    items: int = LIMITS.items
    visits: int = LIMITS.visits
    frames: int = LIMITS.frames


class OutOfTime(BaseException):
    """The time for one scan is over. Not an `Exception`, so that nothing between here and `scan` takes it for a fault of the file."""
