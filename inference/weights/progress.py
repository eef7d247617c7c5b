"""How far a work is, said in bytes about once a MiB: what was written of its outputs, and read back of them. It measures no time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all), about once a MiB. Writing and reading back each count the outputs' tensor bytes once."""

STEP = 1 << 20


class Counted(Protocol):
    """An output: bytes of its tensors, how many of them were read back, and whether they will be."""

    data: int
    checked: bool

    @property
    def read_back(self) -> int: ...


class Teller:
    """Counts bytes written, looks how many were read back, and passes the sum on."""

    def __init__(self, progress: Progress | None, outputs: Sequence[Counted]) -> None:
        self._progress, self._outputs, self._written, self._said = progress, outputs, 0, 0
        self._total = sum(output.data * (2 if output.checked else 1) for output in outputs)

    def __call__(self, size: int) -> None:
        """So many bytes more were written; 0 to look only."""
        self._written += size
        if self._progress is None:
            return
        done = self._written + sum(output.read_back for output in self._outputs)
        if done - self._said >= STEP:
            self._said = done
            self._progress(done, self._total)

    def end(self) -> None:
        """All is done, and said if it was not."""
        if self._progress is not None and self._said < self._total:
            self._progress(self._total, self._total)
