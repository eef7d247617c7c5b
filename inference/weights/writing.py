"""One safetensors file on its way to the disk and back: a sink, and the reader that follows it. What is written into it is the caller's."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from inference.weights.plan import Planned
from inference.weights.sink import BLOCK, Sink
from inference.weights.verify import Follow
from registry.formats.hashes import Hashes


class Writing:
    """Opens the ways of a file with `header` and `tensors` onto the descriptors of a `NewFile`, and writes the header.

    `stack` ends its threads. The tensors go into `sink`, each begun as a section; then `finish`, then `compare`. Without `hashes` there
    are none, without `check` nothing is read back. `block`: see `Sink`. OSError where the disk has not the room.
    """

    def __init__(
        self,
        stack: contextlib.ExitStack,
        descriptors: tuple[int, int | None],
        header: bytes,
        tensors: list[Planned],
        *,
        hashes: bool = True,
        check: bool = True,
        block: int = BLOCK,
    ) -> None:
        self._header, self._tensors, self._hashes, self.checked = header, tensors, hashes, check
        sizes = [item.nbytes for item in tensors]
        self.data = sum(sizes)
        self._follow = stack.enter_context(Follow(*descriptors, [len(header), *sizes])) if check else None
        landed = self._follow.reached if self._follow else None
        self.sink = stack.enter_context(Sink(*descriptors, len(header) + self.data, hashes=hashes, block=block, landed=landed))
        self.sink.begin()
        self.sink.write(header)

    @property
    def read_back(self) -> int:
        """Bytes of tensors that were read back so far."""
        return min(self._follow.done, self.data) if self._follow else 0

    def finish(self) -> Hashes | None:
        """Everything on the disk; the hashes, where they were asked for. Raises as `Sink.sync` does."""
        if self._hashes:
            return self.sink.finish()
        self.sink.sync()
        return None

    def compare(self, tell: Callable[[int], None]) -> None:
        """Waits until all is read back, calls `tell` with 0 meanwhile, and compares. Raises WrongOutput. Nothing, without `check`."""
        if self._follow is not None:
            while not self._follow.ended(0.1):
                tell(0)
            self._follow.check(self._header, self.sink.sections, self._tensors)
