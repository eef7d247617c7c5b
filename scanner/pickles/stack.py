"""The stack, marks and memo of the unpickler, and the words it says over them. What opcodes mean is not decided here.

Semantics follow CPython's C unpickler. All pickles of one scan share one budget, which lies in the report.
"""

from __future__ import annotations

from collections import deque

from registry.formats.errors import FormatError, LimitExceeded
from registry.formats.plaintext import printable
from scanner.pickles.limits import LIMITS
from scanner.pickles.opcodes import Stream, ahead
from scanner.pickles.report import Finding, Report, disassemble
from scanner.pickles.values import Value, show

BEFORE, AFTER = 8, 3
"""Opcodes that a finding shows in front of the one it is about, and behind it."""

NOTHING = object()


class Stack:
    """What one pickle has put down so far. The names of opcodes that only move values about are methods here."""

    def __init__(self, stream: Stream, report: Report, where: str) -> None:
        self.stream = stream
        self.report = report
        self.where = where
        self.memo_index = LIMITS.memo_index
        self._stack: list[Value] = []
        self._marks: list[int] = []
        self._fence = 0
        self._memo: dict[int, Value] = {}
        self._trail: deque[int] = deque(maxlen=BEFORE + 1)  # where the last opcodes began; whoever shows them reads them again

    # --- saying what was found -------------------------------------------------------------------------------------

    def find(self, severity: str, code: str, message: str, args: Value = NOTHING, note: str = "") -> None:
        """Record a finding at the current opcode, with what it is about."""
        if not self.report.is_news(severity, code, message):
            return  # said before: a million repetitions must not cost a million disassemblies
        shown = "" if args is NOTHING else show(args)
        lines = self._around(note or code)
        self.report.findings.append(Finding(severity, code, self.where, self.stream.mark, printable(message, 400), shown, lines))

    def _around(self, note: str, after: int = AFTER) -> tuple[str, ...]:
        """The disassembly around the current opcode."""
        if not self._trail:
            return ()
        steps = ahead(self.stream.fork(self._trail[0]), len(self._trail) + after)
        shown = [(offset, name, "" if argument is None else show(argument, 60)) for offset, name, argument in steps]
        return disassemble(shown[: len(self._trail)], note, shown[len(self._trail) :])

    def error(self, sentence: str) -> FormatError:
        return FormatError("P-PARSE", sentence, where=self.where, offset=self.stream.mark)

    def limit(self, sentence: str) -> LimitExceeded:
        return LimitExceeded("P-LIMIT", sentence, where=self.where, offset=self.stream.mark)

    def spend(self, visits: int) -> None:
        """Count looks at nested values; raises `LimitExceeded` when a file makes them too many."""
        self.report.budget.visits -= visits
        if self.report.budget.visits < 0:
            raise self.limit("The pickle is too entangled to be checked.")

    # --- stack and marks -------------------------------------------------------------------------------------------

    def _push_text(self, value: Value) -> None:
        """The opcodes whose argument is written as text and is their value."""
        if self.stream.was_odd():
            self.find("error", "P-ODD", "A number is written in a way that no pickler writes; readers disagree on it.")
        self._stack.append(value)

    _op_int = _op_long = _op_float = _op_string = _op_binstring = _op_short_binstring = _push_text

    def _pop(self) -> Value:
        if len(self._stack) <= self._fence:
            raise self.error("The pickle takes a value that is not there.")
        return self._stack.pop()

    def _top(self) -> Value:
        if len(self._stack) <= self._fence:
            raise self.error("The pickle uses a value that is not there.")
        return self._stack[-1]

    def _pop_mark(self) -> list[Value]:
        if not self._marks:
            raise self.error("The pickle closes a group that was never opened.")
        mark = self._marks.pop()
        self._fence = self._marks[-1] if self._marks else 0
        items = self._stack[mark:]
        del self._stack[mark:]
        budget = self.report.budget
        budget.items -= len(items)
        if budget.items < 0:
            raise self.limit("The pickle holds more items than weights need.")
        return items

    def _op_mark(self, _: Value) -> None:
        if len(self._marks) >= LIMITS.marks:
            raise self.limit("The pickle opens too many groups.")
        self._fence = len(self._stack)
        self._marks.append(self._fence)

    def _op_pop(self, _: Value) -> None:
        if self._marks and self._marks[-1] == len(self._stack):
            self._pop_mark()
        else:
            self._pop()

    def _op_pop_mark(self, _: Value) -> None:
        self._pop_mark()

    def _op_dup(self, _: Value) -> None:
        self._stack.append(self._top())

    # --- memo --------------------------------------------------------------------------------------------------------

    def _op_put(self, index: int) -> None:
        if self.stream.was_odd():
            self.find("error", "P-ODD", "A memo index is written in a way that no pickler writes.")
        self._op_binput(index)

    def _op_binput(self, index: int) -> None:
        stack = self._stack
        if len(stack) <= self._fence:
            raise self.error("The pickle uses a value that is not there.")
        if not 0 <= index < self.memo_index or len(self._memo) >= _MEMO:
            raise self.limit("The pickle remembers more values than weights need.")
        self._memo[index] = stack[-1]

    _op_long_binput = _op_binput

    def _op_memoize(self, _: Value) -> None:
        self._op_binput(len(self._memo))

    def _op_get(self, index: int) -> None:
        if self.stream.was_odd():
            self.find("error", "P-ODD", "A memo index is written in a way that no pickler writes.")
        self._op_binget(index)

    def _op_binget(self, index: int) -> None:
        if index not in self._memo:
            raise self.error("The pickle recalls a value that it never stored.")
        self._stack.append(self._memo[index])

    _op_long_binget = _op_binget


_MEMO = LIMITS.memo
