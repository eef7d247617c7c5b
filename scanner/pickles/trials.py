"""Reads files of other kinds as if they were pickles, to see whether a loader that does so would run something. It decides no verdict.

A pickle needs no header, so a text or the front of a safetensors file can be one. What is none stops Python's unpickler at its first
broken opcode, and this reader at the same place; where it cannot be sure, it says that a limit was reached.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from registry.formats.errors import FormatError, LimitExceeded
from registry.formats.window import Window
from scanner.pickles.limits import LIMITS
from scanner.pickles.machine import Machine
from scanner.pickles.opcodes import Stream
from scanner.pickles.policy import DANGEROUS, POLICY
from scanner.pickles.report import Import, Report

STEPS = 100_000
"""Opcodes that are followed; no text and no header of another format happens to hold a hundred."""

_CALLS = frozenset(b"Rob\x81\x92i")
_BY_NUMBER, _BY_VALUE = "P-EXT", "P-DYNGLOBAL"
"""Imports whose names are not written down. Those by number find nothing, and loading ends, unless something was imported that fills the
registry (copyreg): a safetensors header of 130 bytes begins with such a number and means no harm.
"""
_PLAIN = re.compile(rb"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
"""What the name of a module or of something in it looks like: any other is not found, and loading ends there."""
_DIGITS = re.compile(rb"[0-9a-fA-FxXoOL_+\s-]*")


@dataclass(frozen=True, slots=True)
class Trial:
    """How far the bytes are a pickle: what it imports, whether it calls any of it, whether it fills the file, and where we gave up."""

    imports: tuple[Import, ...]
    hidden: bool
    called: bool
    fills: bool
    limit: FormatError | None
    opcodes: int

    @property
    def imports_danger(self) -> bool:
        """Whether it imports what is dangerous, or hides what it imports."""
        return self.hidden or any(row.safety == DANGEROUS for row in self.imports)


def read_as_pickle(window: Window, around: Report) -> Trial:
    """Follow the bytes from the first on, one pickle after another, up to what no unpickler takes; `around` is the scan that pays."""
    report = Report(policy=around.policy, budget=around.budget)
    stream = _Loose(window)
    called = fills = False
    limit: FormatError | None = None
    try:
        for _ in range(LIMITS.streams):
            machine = Machine(stream, report, "read as a pickle")
            machine.memo_index = 1 << 62
            machine.run()
            called |= bool(report.imports)  # a pickle with a name in it that also ends is no accident
            if fills := _is_blank(window, stream.position):
                break
    except FormatError as error:
        limit = error if error.code == "P-LIMIT" else None
    found = {finding.code for finding in report.findings}
    hidden = _BY_VALUE in found or (_BY_NUMBER in found and bool(report.imports))
    called |= bool(report.imports) and stream.calls > 0
    return Trial(tuple(report.imports), hidden, called, fills, limit, report.opcodes)


def _is_blank(window: Window, position: int) -> bool:
    left = window.size - position
    return left <= LIMITS.line and not window.read(position, left).strip()


class _Loose(Stream):
    """A stream with Python's bounds in place of ours: long lines and values are read or passed over as its unpickler does."""

    __slots__ = ("_calling", "_lines", "_module", "_steps", "calls")

    def __init__(self, window: Window) -> None:
        super().__init__(window)
        self._end = window.size
        self._steps = 0
        self._lines = 0
        self._calling = False
        self._module = b""
        self.calls = 0  # opcodes that call something and went well

    def opcode(self) -> int:
        code = super().opcode()
        self.calls += self._calling
        self._calling = code in _CALLS
        self._lines = 0
        self._steps += 1
        if self._steps > STEPS:
            raise LimitExceeded("P-LIMIT", "It goes on as a pickle for too long.", offset=self.mark)
        return code

    def line(self) -> bytes:
        """Up to the next line feed, however far; where the line cannot be what its opcode needs, the pickle ends."""
        start, pieces = self.position, []
        while (found := self._buffer.find(b"\n", self._at)) < 0:
            pieces.append(self._buffer[self._at :])
            self._base, self._buffer, self._at = self._base + len(self._buffer), b"", 0
            self._fill(1)
        pieces.append(self._buffer[self._at : found])
        self._at = found + 1
        self._lines += 1
        return self._checked(b"".join(pieces), start)

    def _checked(self, raw: bytes, start: int) -> bytes:
        code = self._window.read(self.mark, 1)
        if code == b"P":
            raise FormatError("P-PARSE", "It refers to outside data by text, which no loader here has.", offset=start)
        if code in b"ci" and not self._is_found(raw):
            raise FormatError("P-PARSE", "Nothing that can be imported has such a name.", offset=start)
        if code in b"ILpg" and len(raw) > LIMITS.digits and not _DIGITS.fullmatch(raw.partition(b"\0")[0]):
            raise FormatError("P-PARSE", "A number of the pickle is not a number.", offset=start)
        if len(raw) > LIMITS.text:  # no name is as long; the ends are kept for the quotes
            return raw[:1] + raw[-1:] if code == b"S" else b"" if code == b"V" else raw
        return raw

    def _is_found(self, raw: bytes) -> bool:
        """Whether an import goes on behind this line: a module that is found has run by the time that its part is not."""
        if self._lines == 1:
            self._module = raw
            return bool(_PLAIN.fullmatch(raw))
        return bool(_PLAIN.fullmatch(raw)) or POLICY.judge(self._module.decode("ascii"), "x").safety == DANGEROUS

    def oversized(self, count: int) -> bytes:
        """A value that is longer than ours may be: passed over."""
        self._base, self._buffer, self._at = self.position + count, b"", 0
        return b""

    def open_frame(self, count: int) -> None:
        """A frame that ends behind the file ends C's unpickler; the one in Python has no frame then and reads on, and so do we."""
        if count <= self.left:
            raise LimitExceeded("P-LIMIT", "It goes on as a pickle with frames.", offset=self.mark)
