"""Runs a pickle without doing anything it says: real stack, marks and memo, symbolic values, every import and call judged.

Semantics follow CPython's C unpickler. Findings are kept as they arise, so what stands in front of a broken tail is still told.
"""

from __future__ import annotations

from collections.abc import Callable

from registry.formats.errors import FormatError
from scanner.pickles.calls import call
from scanner.pickles.contracts import MAX_KEY_PARTS, key_parts, stored_bytes
from scanner.pickles.limits import LIMITS
from scanner.pickles.opcodes import OPCODES, STOP, Reader, Stream
from scanner.pickles.policy import DANGEROUS, POLICY, UNKNOWN, loaded_as
from scanner.pickles.report import Import, Report
from scanner.pickles.stack import Stack
from scanner.pickles.states import set_state
from scanner.pickles.tensors import Breach, StorageTable
from scanner.pickles.values import UNKNOWN as UNKNOWN_VALUE
from scanner.pickles.values import Glob, Group, Instance, Mapping, Tensor, Unknown, Value

CHECKED = 1024
"""Opcodes between two looks at the stack's height."""


class Machine(Stack):
    """One run over one pickle stream. `storages` is None where persistent ids have no meaning (they are then a danger)."""

    def __init__(self, stream: Stream, report: Report, where: str, storages: StorageTable | None = None) -> None:
        super().__init__(stream, report, where)
        self.storages = storages
        self._proto = 0
        self._start = stream.position
        self._globs: dict[tuple[str, str], tuple[Glob, Import | None]] = {}

    def run(self) -> Value:
        """The symbolic value at STOP. Raises `FormatError` where the stream is broken or a limit is reached."""
        try:
            while True:
                if self._steps():
                    return self._stop()
                if len(self._stack) > LIMITS.stack:
                    raise self.limit("The pickle is far larger than weights need.")
        except FormatError as error:
            self.report.illustrate(error.code, error.sentence, self._around("the last that could be read", 0))
            raise

    def _steps(self) -> bool:
        """Run the next opcodes, up to `CHECKED` of them; whether the last was STOP."""
        stream, push, trail, budget = self.stream, self._stack.append, self._trail, self.report.budget
        opcode, step, count = stream.opcode, trail.append, 0
        if budget.opcodes <= 0:
            raise self.limit("The pickle is far larger than weights need.")
        try:
            for _ in range(min(CHECKED, budget.opcodes)):
                code = opcode()
                entry = _TABLE[code]
                if entry is None:
                    raise FormatError("P-PARSE", f"The pickle holds a byte (0x{code:02x}) that means nothing.", offset=stream.mark)
                reader, handler = entry
                argument = reader(stream) if reader is not None else None
                step(stream.mark)
                count += 1
                if handler is None:
                    push(argument)
                elif code == STOP:
                    return True
                else:
                    handler(self, argument)
            return False
        finally:
            self.report.opcodes += count
            budget.opcodes -= count

    # --- plain values ----------------------------------------------------------------------------------------------

    def _op_none(self, _: Value) -> None:
        self._stack.append(None)

    def _op_newtrue(self, _: Value) -> None:
        self._stack.append(True)

    def _op_newfalse(self, _: Value) -> None:
        self._stack.append(False)

    def _op_proto(self, version: int) -> None:
        if version > 5:
            raise self.error("The pickle states a protocol that does not exist.")
        if self.stream.mark != self._start:
            self.find("suspicious", "P-PROTO", "The pickle changes its protocol in the middle; no pickler does.")
        self._proto = version
        self._globs.clear()  # older protocols mean other names

    def _op_frame(self, _: Value) -> None:
        self.report.budget.frames -= 1
        if self.report.budget.frames < 0:
            raise self.limit("The pickle is cut into more frames than weights need.")

    def _op_empty_tuple(self, _: Value) -> None:
        self._stack.append(())

    def _op_tuple(self, _: Value) -> None:
        self._stack.append(tuple(self._pop_mark()))

    def _op_tuple1(self, _: Value) -> None:
        self._stack.append((self._pop(),))

    def _op_tuple2(self, _: Value) -> None:
        last = self._pop()
        self._stack.append((self._pop(), last))

    def _op_tuple3(self, _: Value) -> None:
        last, middle = self._pop(), self._pop()
        self._stack.append((self._pop(), middle, last))

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
        keys = items[::2]
        for key in keys:
            kind = type(key)
            if kind is not str and kind is not Tensor:  # an optimiser's state is filed under its tensors, hashed by what they are
                self._check_key(key)
        target.pairs.extend(zip(keys, items[1::2], strict=True))

    def _check_key(self, key: Value) -> None:
        parts = key_parts(key)
        self.spend(parts or MAX_KEY_PARTS)
        if not parts:
            self.find("danger", "P-KEY", "Something that is not plain data is used as a key.", key)

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
        self.find("danger", "P-SETITEM", message, target)

    # --- names and calls: the sites that matter --------------------------------------------------------------------

    def _import(self, names: tuple[str, str]) -> None:
        known = self._globs.get(names)
        if known is None:
            known = self._judge(*names)
            if len(self._globs) < LIMITS.imports:
                self._globs[names] = known
        glob, row = known
        if row is not None:
            row.count += 1
        self._stack.append(glob)

    def _judge(self, module: str, name: str) -> tuple[Glob, Import | None]:
        """A name that this pickle has not named before, and its row in the report, which is still to be counted up."""
        module, name = loaded_as(module, name, self._proto)
        rule = POLICY.judge(module, name)
        glob = Glob(module, name, rule.safety, rule.contract, rule.reason)
        row = self.report.row_of(Import(module, name, glob.safety, 0, self.where, self.stream.mark, glob.reason))
        if glob.safety == DANGEROUS:
            self.find("danger", "P-IMPORT", f"This file names `{glob.dotted}`, which {glob.reason}. It was not loaded.")
        elif glob.safety == UNKNOWN:
            self.find("suspicious", "P-UNKNOWN", f"This file needs `{glob.dotted}`: {glob.reason}.")
        return glob, row

    def _op_global(self, names: tuple[str, str]) -> None:
        self._import(names)

    def _op_stack_global(self, _: Value) -> None:
        name, module = self._pop(), self._pop()
        if type(name) is str and type(module) is str:
            self._import((module, name))
            return
        self.find("danger", "P-DYNGLOBAL", "This file computes the name of what it imports, which hides it.", (module, name))
        self._stack.append(UNKNOWN_VALUE)

    def _call(self, callee: Value, args: Value, *, kwargs: Value = None, how: str = "call") -> None:
        if type(args) is not tuple:
            self.find("danger", "P-CALL", "Something is called with arguments that are not a plain tuple.", args)
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
        self._import(names)
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
        self.find("danger", "P-EXT", "This file imports through a number in a registry, which hides what it imports.", code)
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
            self.find("danger", "P-PERSID", f"A reference to stored numbers is not what torch writes: {breach}.", saved)
            self._stack.append(UNKNOWN_VALUE)

    def _op_stop(self, _: Value) -> None:
        """What `_steps` ends at."""

    def _stop(self) -> Value:
        if self.stream.framed:
            raise self.error("The pickle ends inside of a frame; readers disagree on where the next one begins.")
        value = self._pop()
        if self._stack or self._marks:
            self.find("suspicious", "P-LEFTOVER", "The pickle leaves values behind that nothing uses; no pickler does.")
        if type(value) is Unknown:
            self.find("danger", "P-CALL", "The whole content of this file is the result of something that must not run.")
        return value


_Handler = Callable[[Machine, Value], None]


def _entry(code: int) -> tuple[Reader | None, _Handler | None] | None:
    if code not in OPCODES:
        return None
    name, reader = OPCODES[code]
    handler: _Handler | None = getattr(Machine, f"_op_{name.lower()}", None)
    return reader, handler


_TABLE = [_entry(code) for code in range(256)]
"""opcode byte -> the reader of its argument and what the machine does (None: the argument is the value); None where it means nothing."""
