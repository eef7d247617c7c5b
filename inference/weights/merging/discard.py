"""Whether a tensor's name is found by an expression that somebody wrote, in time that grows with the name alone. It drops nothing.

A1111 searches names with Python's `re`, which can be made to run for years by a short pattern. Here the same notation is run as an
automaton (Thompson, "Regular Expression Search Algorithm", 1968; states are found as they are needed), for what an automaton can do.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from registry.formats.errors import FormatError

MAX_PATTERN = 200
MAX_NODES = 2000
MAX_REPEAT = 50
MAX_DEPTH = 20
MAX_WORK = 2_000_000
"""Nodes that a search may visit for all names together: about a second. Searching all names of SDXL visits some thousand."""
CHARACTERS = 20
"""So many characters of names that need no new states count as one node."""
SPECIAL = frozenset("*+?{}[]()|^$.\\")
CATEGORIES: dict[str, Callable[[str], bool]] = {
    "d": str.isdecimal,
    "w": lambda char: char.isalnum() or char == "_",
    "s": str.isspace,
}
Test = Callable[[str], bool]
States = frozenset[int]


def _refuse(sentence: str) -> FormatError:
    return FormatError("merge:discard", f"The expression of what to discard cannot be used: {sentence}")


class Discard:
    """An expression, ready to search names. Raises FormatError `merge:discard` for one that is too long, wrong or needs backtracking."""

    def __init__(self, pattern: str) -> None:
        if not isinstance(pattern, str) or len(pattern) > MAX_PATTERN:
            raise _refuse(f"it must be text of at most {MAX_PATTERN} characters.")
        self._automaton = _Automaton(pattern) if pattern else None

    def finds(self, name: str) -> bool:
        """What `re.search(pattern, name)` would answer; nothing is found by an empty expression.

        Raises FormatError `merge:discard` when all searches together have taken too long.
        """
        return self._automaton is not None and self._automaton.search(name)


class _Automaton:
    """Nodes are numbers. `free` leads on without a character, `chars` leads on over one that passes a test, `edges` at "^" or "$"."""

    def __init__(self, pattern: str) -> None:
        self.free: dict[int, list[int]] = {}
        self.chars: dict[int, tuple[Test, int]] = {}
        self.edges: dict[int, tuple[str, int]] = {}
        self._numbers = count()
        self.text, self.at, self.depth = pattern, 0, 0
        self.start, self.end = self._either()
        if self.at != len(pattern):
            raise _refuse("it closes a bracket that was not opened.")
        self._steps: dict[tuple[States, bool, str], States | None] = {}
        self._ends: dict[tuple[States, bool], bool] = {}
        self._work = 0

    def search(self, name: str) -> bool:
        states, first = States(), True
        self._spend(len(name) // CHARACTERS + 1)
        for char in name:
            key = (states, first, char)
            if key not in self._steps:
                self._steps[key] = self._step(states, first, char)
            found = self._steps[key]
            if found is None:
                return True
            states, first = found, False
        last = (states, first)
        if last not in self._ends:
            self._ends[last] = self.end in self._closure(states, first, at_end=True)
        return self._ends[last]

    def _step(self, states: States, first: bool, char: str) -> States | None:
        """The states behind `char`, or None where the expression was found before it."""
        reached = self._closure(states, first, at_end=False)
        if self.end in reached:
            return None
        return States(self.chars[node][1] for node in reached if node in self.chars and self.chars[node][0](char))

    def _closure(self, states: States, at_start: bool, *, at_end: bool) -> set[int]:
        todo = [*states, self.start]
        reached: set[int] = set()
        while todo:
            node = todo.pop()
            if node in reached:
                continue
            reached.add(node)
            todo += self.free.get(node, [])
            if node in self.edges:
                edge, behind = self.edges[node]
                if at_start if edge == "^" else at_end:
                    todo.append(behind)
        self._spend(len(reached))
        return reached

    def _spend(self, nodes: int) -> None:
        self._work += nodes
        if self._work > MAX_WORK:
            raise _refuse("it takes too long to search these names for it; write it shorter.")

    def _node(self) -> int:
        number = next(self._numbers)
        if number >= MAX_NODES:
            raise _refuse("it repeats too much.")
        return number

    def _link(self, start: int, *ends: int) -> None:
        self.free.setdefault(start, []).extend(ends)

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _take(self) -> str:
        char = self._peek()
        if not char:
            raise _refuse("it ends too early.")
        self.at += 1
        return char

    def _either(self) -> tuple[int, int]:
        start, end = self._node(), self._node()
        while True:
            first, last = self._sequence()
            self._link(start, first)
            self._link(last, end)
            if self._peek() != "|":
                return start, end
            self.at += 1

    def _sequence(self) -> tuple[int, int]:
        start = end = self._node()
        while self._peek() not in ("", "|", ")"):
            first, last = self._piece()
            self._link(end, first)
            end = last
        return start, end

    def _piece(self) -> tuple[int, int]:
        """An atom with what repeats it. The atom is read once for every time that it may come."""
        begin = self.at
        start, end = self._atom()
        least, most = self._counts()
        done = self.at
        if (least, most) == (1, 1):
            return start, end
        if self._peek() in ("*", "+", "{"):
            raise _refuse("it repeats what is repeated already; put it in brackets if that is meant.")
        outer_start = tail = self._node()
        outer_end = self._node()
        for number in range(max(least, 1) if most is None else most):
            self.at = begin
            start, end = (start, end) if number == 0 else self._atom()
            if number >= least:
                self._link(tail, outer_end)
            self._link(tail, start)
            tail = end
        if most is None:
            self._link(end, start)
        self._link(tail, outer_end)
        self.at = done
        return outer_start, outer_end

    def _counts(self) -> tuple[int, int | None]:
        """(least, most) times, most None for no end; a lazy "?" behind changes nothing about being found."""
        sign = self._peek()
        simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        if sign in simple and sign:
            self.at += 1
            found = simple[sign]
        elif sign == "{":
            found = self._braces()
        else:
            return 1, 1
        if self._peek() == "?":
            self.at += 1
        return found

    def _braces(self) -> tuple[int, int | None]:
        close = self.text.find("}", self.at)
        least, comma, most = self.text[self.at + 1 : max(close, 0)].partition(",")
        if close < 0 or not least.isdecimal() or (most and not most.isdecimal()):
            raise _refuse("braces must hold counts, as in {2} or {2,5}; write \\{ for a brace.")
        self.at = close + 1
        low = int(least)
        high = (int(most) if most else None) if comma else low
        if max(low, high or 0) > MAX_REPEAT or (high is not None and high < low):
            raise _refuse(f"counts must rise and not exceed {MAX_REPEAT}.")
        return low, high

    def _atom(self) -> tuple[int, int]:
        char = self._take()
        if char == "(":
            return self._group()
        start, end = self._node(), self._node()
        if char in "^$":
            self.edges[start] = (char, end)
        elif char == "[":
            self.chars[start] = (self._set(), end)
        elif char == "\\":
            self.chars[start] = (self._escape(), end)
        elif char == ".":
            self.chars[start] = (lambda _char: True, end)
        elif char in SPECIAL - {"}", "]"}:
            raise _refuse(f"{char!r} stands where a character must be; write \\{char} if it is meant as one.")
        else:
            self.chars[start] = (char.__eq__, end)
        return start, end

    def _group(self) -> tuple[int, int]:
        if self._peek() == "?" and self.text[self.at : self.at + 2] != "?:":
            raise _refuse("of the forms that begin with (? only (?:...) can be used.")
        self.at += 2 if self._peek() == "?" else 0
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _refuse("its brackets are nested too deep.")
        inner = self._either()
        self.depth -= 1
        if self._peek() != ")":
            raise _refuse("a bracket is not closed.")
        self.at += 1
        return inner

    def _escape(self) -> Test:
        char = self._take()
        if char.lower() in CATEGORIES:
            inside = CATEGORIES[char.lower()]
            return inside if char.islower() else lambda other: not inside(other)
        if char.isalnum():
            raise _refuse(f"\\{char} cannot be used.")
        return char.__eq__

    def _set(self) -> Test:
        """The inside of square brackets: characters, ranges and categories, or with ^ in front everything else."""
        negated = self._peek() == "^"
        self.at += negated
        tests: list[Test] = []
        while self._peek() != "]" or not tests:
            char = self._take()
            if char == "\\":
                tests.append(self._escape())
            elif self._peek() == "-" and self.text[self.at + 1 : self.at + 2] not in ("", "]", "\\"):
                self.at += 1
                tests.append(_between(char, self._take()))
            else:
                tests.append(char.__eq__)
        self.at += 1
        return lambda char: any(test(char) for test in tests) != negated


def _between(low: str, high: str) -> Test:
    if high < low:
        raise _refuse(f"the range {low}-{high} runs backwards.")
    return lambda char: low <= char <= high
