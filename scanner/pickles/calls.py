"""What happens when a pickle calls something or sets its state: the policy's contract is checked, a symbolic result comes back.

Nothing is called here. Contracts of single functions live in `contracts` and `tensors`; this module decides which one applies.
"""

from __future__ import annotations

from typing import Protocol

from scanner.pickles.contracts import CONTRACTS, set_known_state
from scanner.pickles.policy import DANGEROUS, NAME_ONLY, UNKNOWN
from scanner.pickles.tensors import Breach, need
from scanner.pickles.values import SCALARS, Data, Glob, Group, Instance, Mapping, StorageRef, Tensor, Unknown, Value, show
from scanner.pickles.values import UNKNOWN as UNKNOWN_VALUE


class Judge(Protocol):
    """What a call needs of the machine: a place for findings and a budget for looking into arguments."""

    def find(self, severity: str, code: str, message: str, args: str = "", note: str = "") -> None: ...

    def spend(self, visits: int) -> None: ...


def call(judge: Judge, callee: Value, args: tuple[Value, ...], *, kwargs: Value, how: str) -> Value:
    """The symbolic result of `callee(*args)` (`how`: "call" or "new", for `cls.__new__`); findings go to `judge`."""
    if type(callee) is not Glob:
        judge.find("danger", "P-CALL", "This file calls something that is not a plain named function.", show((callee, args)))
        return UNKNOWN_VALUE
    if kwargs is not None and not (type(kwargs) is Mapping and not kwargs.pairs):
        judge.find("danger" if callee.safety != UNKNOWN else "suspicious", "P-CALL", _would_run(callee), show((args, kwargs)))
        return Instance(callee, args) if callee.safety == UNKNOWN else UNKNOWN_VALUE
    if callee.safety == DANGEROUS:
        judge.find("danger", "P-CALL", _would_run(callee), show(args), f"calls {callee.dotted}")
        return UNKNOWN_VALUE
    if callee.safety == UNKNOWN:
        return Instance(callee, args)
    return _contracted(judge, callee, args, how)


def _would_run(callee: Glob) -> str:
    return f"This file would run `{callee.dotted}` when loaded. It was not run."


def _contracted(judge: Judge, callee: Glob, args: tuple[Value, ...], how: str) -> Value:
    if callee.safety == NAME_ONLY:
        judge.find("danger", "P-CALL", f"`{callee.dotted}` may only be named, and this file calls it.", show(args), "called")
        return UNKNOWN_VALUE
    judge.spend(sum(_width(arg) for arg in args))
    try:
        if callee.contract == "rebuild_from_type":
            return _rebuild_from_type(judge, args)
        if callee.contract in DEEP:
            data_only(judge, args)
        return CONTRACTS[callee.contract](args, how)
    except Breach as breach:
        message = f"`{callee.dotted}` is called in a way that torch never writes: {breach}."
        judge.find("danger", "P-CONTRACT", message, show(args), "outside of its contract")
        return UNKNOWN_VALUE


DEEP = frozenset({"group", "counter", "namespace", "path"})
"""Contracts whose arguments must be plain data all the way down."""


def _rebuild_from_type(judge: Judge, args: tuple[Value, ...]) -> Value:
    """`_rebuild_from_type_v2(function, type, args, state)`: it calls its first argument, so that one is judged too."""
    need(len(args) == 4, "it has the wrong number of arguments")
    function, kind, inner, state = args
    need(type(function) is Glob and function.contract.startswith("rebuild_"), "it calls something that builds no tensor")
    need(function.contract != "rebuild_from_type", "it calls itself")
    need(type(kind) is Glob, "it makes an object of something that is not a type")
    need(kind.safety == UNKNOWN or (kind.contract == "name" and kind.module.startswith("torch")), "it makes no tensor type")
    need(type(inner) is tuple, "its arguments are not a tuple")
    check_attributes(judge, state)
    return CONTRACTS[function.contract](inner, "call")


def set_state(judge: Judge, target: Value, state: Value) -> None:
    """BUILD: what is set must be plain data, on something that takes a state; findings go to `judge`."""
    if type(target) is Instance and target.glob.safety == UNKNOWN:
        target.state = state
        return
    try:
        if type(target) is Mapping or (type(target) is Data and target.kind in ("namespace", "ParameterDict")):
            check_attributes(judge, state)
        set_known_state(target, state)
    except Breach as breach:
        message = f"This file sets the inner state of something in a way that torch never writes: {breach}."
        judge.find("danger", "P-BUILD", message, show((target, state)), "sets a state")


def check_attributes(judge: Judge, state: Value) -> None:
    """An attribute state: None, a dictionary of names to plain data, or the pair of one with no slots."""
    if type(state) is tuple and len(state) == 2:
        need(state[1] is None or (type(state[1]) is Mapping and not state[1].pairs), "it sets slots")
        state = state[0]
    if state is None:
        return
    need(type(state) is Mapping, "the state is not a dictionary")
    need(all(type(key) is str and not key.startswith("__") for key, _ in state.pairs), "an attribute has no plain name")
    data_only(judge, [value for _, value in state.pairs])


def is_key(value: Value, depth: int = 4) -> bool:
    """Whether a value can be hashed without running code: scalars, names, small tuples of them, paths and dtypes."""
    kind = type(value)
    if kind in SCALARS or kind is Glob:
        return True
    if kind is tuple:
        return depth > 0 and len(value) <= 16 and all(is_key(item, depth - 1) for item in value)
    return (kind is Data and value.kind in ("path", "torch.device", "torch.Size", "bytes", "number")) or kind is Instance


_LEAVES = (*SCALARS, Tensor, StorageRef, Data)


def data_only(judge: Judge, value: Value) -> None:
    """Raise `Breach` where anything inside is neither plain data nor a tensor; each shared value is looked at once."""
    seen: set[int] = set()
    todo: list[Value] = [value]
    while todo:
        item = todo.pop()
        kind = type(item)
        if kind in _LEAVES:
            continue
        if kind is Glob:
            need(item.contract in ("dtype", "constant", "name", "storage") or item.safety == UNKNOWN, f"it holds `{item.dotted}`")
            continue
        if kind is Instance:
            continue  # an unknown class makes the file suspicious already, and what it is made of was judged there
        need(kind is not Unknown, "it holds the result of something that must not run")
        if id(item) in seen:
            continue
        seen.add(id(item))
        inner = _inside(item)
        judge.spend(len(inner) + 1)
        todo.extend(inner)


def _width(item: Value) -> int:
    """How many values a contract may have to look at: copying one long list for each of many calls must cost the file, not us."""
    if type(item) in (list, tuple):
        return len(item)
    return len(item.pairs) if type(item) is Mapping else len(item.items) if type(item) is Group else 1


def _inside(item: Value) -> list[Value]:
    if type(item) is Mapping:
        return [part for pair in item.pairs for part in pair]
    return item.items if type(item) is Group else list(item)
