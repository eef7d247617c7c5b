"""Runs a pickle without doing anything it says: real stack, marks and memo, symbolic values, every import and call judged.

Semantics follow CPython's C unpickler. Findings are kept as they arise, so what stands in front of a broken tail is still told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from registry.formats.errors import FormatError, LimitExceeded
from registry.formats.plaintext import printable
from scanner.pickles.calls import call
from scanner.pickles.contracts import is_key, stored_bytes
from scanner.pickles.limits import LIMITS
from scanner.pickles.opcodes import OPCODES, Reader, Stream, ahead
from scanner.pickles.policy import DANGEROUS, POLICY, UNKNOWN, loaded_as
from scanner.pickles.report import Finding, Import, Report, disassemble
from scanner.pickles.states import set_state
from scanner.pickles.tensors import Breach, StorageTable
from scanner.pickles.values import UNKNOWN as UNKNOWN_VALUE
from scanner.pickles.values import Glob, Group, Instance, Mapping, Tensor, Unknown, Value, show

BEFORE, AFTER = 8, 3
"""Opcodes that a finding shows in front of the one it is about, and behind it."""

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


class Machine:
    """One run over one pickle stream. `storages` is None where persistent ids have no meaning (they are then a danger)."""

    def __init__(self, stream: Stream, report: Report, where: str, storages: StorageTable | None = None) -> None:
        self.stream = stream
        self.report = report
        self.where = where
        self.storages = storages
        self.visits = LIMITS.visits
        self._stack: list[Value] = []
        self._marks: list[int] = []
        self._fence = 0
        self._memo: dict[int, Value] = {}
        self._proto = 0
        self._items = LIMITS.items
        self._offset = 0
        self._start = stream.position
        self._trail: deque[tuple[int, str, Value]] = deque(maxlen=BEFORE + 1)
        self._globs: dict[tuple[str, str], Glob] = {}

    def run(self) -> Value:
        """The symbolic value at STOP. Raises `FormatError` where the stream is broken or a limit is reached."""
        count = 0
        stream, stack, trail = self.stream, self._stack, self._trail
        most, highest = LIMITS.opcodes, LIMITS.stack
        try:
            while True:
                code = stream.opcode()
                offset = self._offset = stream.mark
                entry = _TABLE[code]
                if entry is None:
                    raise FormatError("P-PARSE", f"The pickle holds a byte (0x{code:02x}) that means nothing.", offset=offset)
                name, reader, handler = entry
                argument = reader(stream) if reader is not None else None
                count += 1
                trail.append((offset, name, argument))
                if name == "STOP":
                    if stream.framed:
                        raise self.error("The pickle ends inside of a frame; readers disagree on where the next one begins.")
                    return self._stop()
                handler(self, argument)
                if len(stack) > highest or count > most:
                    raise LimitExceeded("P-LIMIT", "The pickle is far larger than weights need.", offset=offset)
        except FormatError as error:
            self.report.illustrate(error.code, error.sentence, self._around("the last that could be read", 0))
            raise
        finally:
            self.report.opcodes += count

    # --- saying what was found -------------------------------------------------------------------------------------

    def find(self, severity: str, code: str, message: str, args: str = "", note: str = "") -> None:
        """Record a finding at the current opcode."""
        if not self.report.is_news(severity, code, message):
            return  # said before: a million repetitions must not cost a million disassemblies
        lines = self._around(note or code)
        self.report.findings.append(Finding(severity, code, self.where, self._offset, printable(message, 400), printable(args), lines))

    def _around(self, note: str, after: int = AFTER) -> tuple[str, ...]:
        """The disassembly around the current opcode."""
        ended = not self._trail or self._trail[-1][1] == "STOP"
        steps = [*self._trail, *([] if ended else ahead(self.stream, after))]
        shown = [(offset, name, "" if argument is None else show(argument, 60)) for offset, name, argument in steps]
        return disassemble(shown[: len(self._trail)], note, shown[len(self._trail) :])

    def error(self, sentence: str) -> FormatError:
        return FormatError("P-PARSE", sentence, where=self.where, offset=self._offset)

    # --- stack, marks and memo -------------------------------------------------------------------------------------

    def _push(self, value: Value) -> None:
        """Every opcode whose argument is its value: numbers, texts, bytes."""
        if self.stream.was_odd():
            self.find("error", "P-ODD", "A number is written in a way that no pickler writes; readers disagree on it.")
        self._stack.append(value)

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
        self._items -= len(items)
        if self._items < 0:
            raise LimitExceeded("P-LIMIT", "The pickle holds more items than weights need.", where=self.where, offset=self._offset)
        return items

    def _op_mark(self, _: Value) -> None:
        if len(self._marks) >= LIMITS.marks:
            raise LimitExceeded("P-LIMIT", "The pickle opens too many groups.", where=self.where, offset=self._offset)
        self._marks.append(len(self._stack))
        self._fence = len(self._stack)

    def _op_pop(self, _: Value) -> None:
        if self._marks and self._marks[-1] == len(self._stack):
            self._pop_mark()
        else:
            self._pop()

    def _op_pop_mark(self, _: Value) -> None:
        self._pop_mark()

    def _op_dup(self, _: Value) -> None:
        self._stack.append(self._top())

    def _store(self, index: int) -> None:
        if self.stream.was_odd():
            self.find("error", "P-ODD", "A memo index is written in a way that no pickler writes.")
        if not 0 <= index < LIMITS.memo_index or len(self._memo) >= LIMITS.memo:
            raise LimitExceeded("P-LIMIT", "The pickle remembers more values than weights need.", where=self.where, offset=self._offset)
        self._memo[index] = self._top()

    def _op_memoize(self, _: Value) -> None:
        self._store(len(self._memo))

    _op_put = _op_binput = _op_long_binput = _store

    def _fetch(self, index: int) -> None:
        if self.stream.was_odd():
            self.find("error", "P-ODD", "A memo index is written in a way that no pickler writes.")
        if index not in self._memo:
            raise self.error("The pickle recalls a value that it never stored.")
        self._stack.append(self._memo[index])

    _op_get = _op_binget = _op_long_binget = _fetch

    # --- plain values ----------------------------------------------------------------------------------------------

    def _constant(self, value: Value) -> None:
        self._stack.append(_CONSTANTS[self._trail[-1][1]])

    _op_none = _op_newtrue = _op_newfalse = _constant

    def _op_proto(self, version: int) -> None:
        if version > 5:
            raise self.error("The pickle states a protocol that does not exist.")
        if self._offset != self._start:
            self.find("suspicious", "P-PROTO", "The pickle changes its protocol in the middle; no pickler does.")
        self._proto = version

    def _op_frame(self, _: Value) -> None:
        pass

    def _op_empty_tuple(self, _: Value) -> None:
        self._stack.append(())

    def _op_tuple(self, _: Value) -> None:
        self._stack.append(tuple(self._pop_mark()))

    def _small_tuple(self, _: Value) -> None:
        items = [self._pop() for _ in range(int(self._trail[-1][1][-1]))]
        self._stack.append(tuple(reversed(items)))

    _op_tuple1 = _op_tuple2 = _op_tuple3 = _small_tuple

    def _op_empty_list(self, _: Value) -> None:
        self._stack.append([])

    def _op_list(self, _: Value) -> None:
        self._stack.append(self._pop_mark())

    def _op_empty_dict(self, _: Value) -> None:
        self._stack.append(Mapping())

    def _op_dict(self, _: Value) -> None:
        items = self._pop_mark()
        self._stack.append(Mapping())
        self._set_items(items)

    def _op_empty_set(self, _: Value) -> None:
        self._stack.append(Group("set", []))

    def _op_frozenset(self, _: Value) -> None:
        items = self._pop_mark()
        for item in items:
            self._check_key(item)
        self._stack.append(Group("frozenset", items))

    # --- filling containers: only real lists, dicts and sets (torch before 2.10 wrote through tensors here) ----------

    def _op_append(self, _: Value) -> None:
        self._append([self._pop()])

    def _op_appends(self, _: Value) -> None:
        self._append(self._pop_mark())

    def _append(self, items: list[Value]) -> None:
        target = self._top()
        if type(target) is list:
            target.extend(items)
        elif type(target) is Instance:
            target.items.extend(items)
        elif items:
            self._wrong_target(target)

    def _op_setitem(self, _: Value) -> None:
        value = self._pop()
        self._set_items([self._pop(), value])

    def _op_setitems(self, _: Value) -> None:
        self._set_items(self._pop_mark())

    def _set_items(self, items: list[Value]) -> None:
        if len(items) % 2:
            raise self.error("The pickle gives a key without a value.")
        target = self._top()
        if type(target) not in (Mapping, Instance):
            if items:
                self._wrong_target(target)
            return
        if type(target) is Mapping and target.sealed and items:
            self.find("danger", "P-SETITEM", "Items are put into something after it was looked at; that would hide hooks, which are code.")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) is not Tensor:  # an optimiser's state is filed under its tensors, which are hashed by what they are
                self._check_key(key)
            target.pairs.append((key, value))

    def _check_key(self, key: Value) -> None:
        if not is_key(key):
            self.find("danger", "P-KEY", "Something that is not plain data is used as a key.", show(key))

    def _op_additems(self, _: Value) -> None:
        items = self._pop_mark()
        target = self._top()
        if not items:
            return
        if type(target) not in (Group, Instance) or (type(target) is Group and target.kind != "set"):
            self._wrong_target(target)
            return
        for item in items:
            self._check_key(item)
        target.items.extend(items)

    def _wrong_target(self, target: Value) -> None:
        message = "Items are written into something that is not a list or dictionary; some loaders corrupt memory on that."
        self.find("danger", "P-SETITEM", message, show(target))

    # --- names and calls: the sites that matter --------------------------------------------------------------------

    def _import(self, module: str, name: str) -> None:
        module, name = loaded_as(module, name, self._proto)
        glob = self._globs.get((module, name))
        if glob is None:
            rule = POLICY.judge(module, name)
            glob = Glob(module, name, rule.safety, rule.contract, rule.reason)
            if len(self._globs) < LIMITS.imports:
                self._globs[(module, name)] = glob
        self.report.count_import(Import(module, name, glob.safety, 1, self.where, self._offset, glob.reason))
        if glob.safety == DANGEROUS:
            self.find("danger", "P-IMPORT", f"This file names `{glob.dotted}`, which {glob.reason}. It was not loaded.")
        elif glob.safety == UNKNOWN:
            self.find("suspicious", "P-UNKNOWN", f"This file needs `{glob.dotted}`: {glob.reason}.")
        self._stack.append(glob)

    def _op_global(self, names: tuple[str, str]) -> None:
        self._import(*names)

    def _op_stack_global(self, _: Value) -> None:
        name, module = self._pop(), self._pop()
        if type(name) is str and type(module) is str:
            self._import(module, name)
            return
        self.find("danger", "P-DYNGLOBAL", "This file computes the name of what it imports, which hides it.", show((module, name)))
        self._stack.append(UNKNOWN_VALUE)

    def _call(self, callee: Value, args: Value, *, kwargs: Value = None, how: str = "call") -> None:
        if type(args) is not tuple:
            self.find("danger", "P-CALL", "Something is called with arguments that are not a plain tuple.", show(args))
            self._stack.append(UNKNOWN_VALUE)
            return
        self._stack.append(call(self, callee, args, kwargs=kwargs, how=how))

    def _op_reduce(self, _: Value) -> None:
        args = self._pop()
        self._call(self._pop(), args)

    def _op_newobj(self, _: Value) -> None:
        args = self._pop()
        self._call(self._pop(), args, how="new")

    def _op_newobj_ex(self, _: Value) -> None:
        kwargs, args = self._pop(), self._pop()
        self._call(self._pop(), args, kwargs=kwargs, how="new")

    def _op_inst(self, names: tuple[str, str]) -> None:
        args = tuple(self._pop_mark())
        self._import(*names)
        self._call(self._stack.pop(), args)

    def _op_obj(self, _: Value) -> None:
        items = self._pop_mark()
        if not items:
            raise self.error("The pickle makes an object of nothing.")
        self._call(items[0], tuple(items[1:]))

    def _op_build(self, _: Value) -> None:
        state = self._pop()
        set_state(self, self._top(), state)

    def _op_ext1(self, code: int) -> None:
        self.find("danger", "P-EXT", "This file imports through a number in a registry, which hides what it imports.", str(code))
        self._stack.append(UNKNOWN_VALUE)

    _op_ext2 = _op_ext4 = _op_ext1

    def _op_next_buffer(self, _: Value) -> None:
        self.find("danger", "P-BUFFER", "This file takes data from outside of itself, which no checkpoint does.")
        self._stack.append(UNKNOWN_VALUE)

    def _op_readonly_buffer(self, _: Value) -> None:
        self._top()
        self.find("danger", "P-BUFFER", "This file takes data from outside of itself, which no checkpoint does.")

    def _op_bytearray8(self, raw: bytes) -> None:
        self._stack.append(stored_bytes("bytearray", len(raw)))

    def _op_persid(self, _: bytes) -> None:
        self.find("danger", "P-PERSID", "This file refers to outside data by text, which no checkpoint does.")
        self._stack.append(UNKNOWN_VALUE)

    def _op_binpersid(self, _: Value) -> None:
        saved = self._pop()
        try:
            if self.storages is None:
                raise Breach("it names stored numbers where there can be none")
            self._stack.append(self.storages.resolve(saved))
        except Breach as breach:
            self.find("danger", "P-PERSID", f"A reference to stored numbers is not what torch writes: {breach}.", show(saved))
            self._stack.append(UNKNOWN_VALUE)

    def _stop(self) -> Value:
        value = self._pop()
        if self._stack or self._marks:
            self.find("suspicious", "P-LEFTOVER", "The pickle leaves values behind that nothing uses; no pickler does.")
        if type(value) is Unknown:
            self.find("danger", "P-CALL", "The whole content of this file is the result of something that must not run.")
        return value

    def spend(self, visits: int) -> None:
        """Count looks at nested values; raises `LimitExceeded` when a file makes them too many."""
        self.visits -= visits
        if self.visits < 0:
            raise LimitExceeded("P-LIMIT", "The pickle is too entangled to be checked.", where=self.where, offset=self._offset)


_Handler = Callable[[Machine, Value], None]


def _entry(code: int) -> tuple[str, Reader | None, _Handler] | None:
    if code not in OPCODES:
        return None
    name, reader = OPCODES[code]
    handler: _Handler = getattr(Machine, f"_op_{name.lower()}", Machine._push)
    return name, reader, handler


_TABLE = [_entry(code) for code in range(256)]
"""opcode byte -> its name, the reader of its argument and what the machine does; None where it means nothing."""
