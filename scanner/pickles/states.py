"""BUILD and attribute states: what may be set on what, all the way down. Nothing is set; a symbolic value only learns its state.

A state is plain data under plain names. What a loader keeps by reference after we have looked at it (hooks) is sealed, so that the
rest of the pickle cannot fill it afterwards.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

from scanner.pickles import numpycalls
from scanner.pickles.policy import UNKNOWN
from scanner.pickles.tensors import Breach, is_empty, need, seal
from scanner.pickles.values import SCALARS, Data, Glob, Group, Instance, Mapping, StorageRef, Tensor, Unknown, Value


class Judge(Protocol):
    """What a check needs of the machine: a place for findings and a budget for looking into arguments."""

    def find(self, severity: str, code: str, message: str, args: Value = ..., note: str = "") -> None: ...

    def spend(self, visits: int) -> None: ...


TENSOR_NAMES = frozenset(
    {"T", "H", "mT", "mH", "data", "grad", "grad_fn", "imag", "is_leaf", "layout", "name", "names", "output_nr", "real", "requires_grad"}
    | {"retains_grad", "shape", "volatile", "device", "dtype", "_base", "_cdata", "_grad", "_grad_fn", "_python_dispatch", "_version"}
)
"""Attributes of torch.Tensor that change the tensor itself; a state that sets them would load other numbers than the file shows."""

DICT_NAMES = frozenset(dir(OrderedDict))

_MODULE_NAMES = frozenset({"training", "_parameters", "_buffers", "_non_persistent_buffers_set", "_modules", "_keys"})
"""Attributes that torch writes for a ParameterDict, besides its hooks."""


def set_state(judge: Judge, target: Value, state: Value) -> None:
    """BUILD: what is set must be plain data, on something that takes a state; findings go to `judge`."""
    if type(target) is Instance and target.glob.safety == UNKNOWN:
        target.state = state
        return
    try:
        _set_known_state(judge, target, state)
    except Breach as breach:
        message = f"This file sets the inner state of something in a way that torch never writes: {breach}."
        judge.find("danger", "P-BUILD", message, (target, state), "sets a state")


def _set_known_state(judge: Judge, target: Value, state: Value) -> None:
    if type(target) is Mapping and target.kind == "OrderedDict":
        need(not target.sealed, "it changes what was checked already")
        check_attributes(judge, state, DICT_NAMES)  # `_metadata` of a state dict
    elif type(target) is not Data:
        raise Breach("this kind of value takes no state")
    elif target.kind in ("namespace", "ParameterDict"):
        need(not target.built and type(state) is Mapping, "it takes one dictionary, once")
        check_attributes(judge, state)
        target.built = True
        if target.kind == "namespace":
            target.info = Mapping("dict", list(state.pairs))
        else:
            _set_parameters(target, state)
    elif target.kind == "numpy type":
        numpycalls.set_type(target, state)
    elif target.kind == "numpy array":
        numpycalls.set_array(target, state)
    else:
        raise Breach("this kind of value takes no state")


def _set_parameters(target: Data, state: Mapping) -> None:
    """The module state of a ParameterDict: its parameters, and nothing that is a hook, another module or a method."""
    for key, value in state.pairs:
        if "hook" in key or key == "_modules":
            need(type(value) is bool or is_empty(value), "it carries hooks or modules, which are code")
            seal(value)
        else:
            need(key in _MODULE_NAMES or type(value) in SCALARS, "it sets something that a ParameterDict does not have")
        if key == "_parameters":
            need(type(value) is Mapping and all(type(part) in (Tensor, type(None)) for _, part in value.pairs), "a parameter is no tensor")
            target.info = value


def check_tensor_state(judge: Judge, state: Value) -> None:
    """The attributes of a tensor: plain data, nothing that changes the tensor or runs later."""
    attributes = check_attributes(judge, state, TENSOR_NAMES)
    need(not any("hook" in key for key in attributes), "it sets hooks, which are code")


def check_attributes(judge: Judge, state: Value, taken: frozenset[str] = frozenset()) -> list[str]:
    """The names that an attribute state sets: None, a dictionary of names to plain data, or the pair of one with no slots.

    Raises `Breach` where one of them is in `taken`, starts with two underscores, or holds more than data.
    """
    if type(state) is tuple and len(state) == 2:
        need(state[1] is None or (type(state[1]) is Mapping and not state[1].pairs), "it sets slots")
        state = state[0]
    if state is None:
        return []
    need(type(state) is Mapping, "the state is not a dictionary")
    names = [key for key, _ in state.pairs]
    need(all(type(key) is str and not key.startswith("__") for key in names), "an attribute has no plain name")
    need(taken.isdisjoint(names), "it replaces a method or a part that is not plain data")
    data_only(judge, [value for _, value in state.pairs])
    return names


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


def _inside(item: Value) -> list[Value]:
    if type(item) is Mapping:
        return [part for pair in item.pairs for part in pair]
    return item.items if type(item) is Group else list(item)
