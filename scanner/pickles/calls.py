"""What happens when a pickle calls something: the policy's contract is checked, a symbolic result comes back.

Nothing is called here. Contracts of single functions live in `contracts`, `numpycalls` and `tensors`; this module decides which applies.
"""

from __future__ import annotations

from scanner.pickles.contracts import CONTRACTS, FUNCTIONS
from scanner.pickles.policy import DANGEROUS, NAME_ONLY, UNKNOWN
from scanner.pickles.states import Judge, check_tensor_state, data_only
from scanner.pickles.tensors import Breach, need, seal
from scanner.pickles.values import UNKNOWN as UNKNOWN_VALUE
from scanner.pickles.values import Glob, Group, Instance, Mapping, Value


def call(judge: Judge, callee: Value, args: tuple[Value, ...], *, kwargs: Value, how: str) -> Value:
    """The symbolic result of `callee(*args)` (`how`: "call" or "new", for `cls.__new__`); findings go to `judge`."""
    if type(callee) is not Glob:
        judge.find("danger", "P-CALL", "This file calls something that is not a plain named function.", (callee, args))
        return UNKNOWN_VALUE
    if callee.safety == UNKNOWN and callee.name.lstrip("_")[:1].islower():
        # A name like this is a function, and functions of other programs run what nobody here has seen; classes only get a state.
        judge.find("danger", "P-CALL", _would_run(callee), args, f"calls {callee.dotted}")
        return UNKNOWN_VALUE
    if kwargs is not None and not (type(kwargs) is Mapping and not kwargs.pairs):
        judge.find("danger" if callee.safety != UNKNOWN else "suspicious", "P-CALL", _would_run(callee), (args, kwargs))
        return Instance(callee, args) if callee.safety == UNKNOWN else UNKNOWN_VALUE
    if callee.safety == DANGEROUS:
        judge.find("danger", "P-CALL", _would_run(callee), args, f"calls {callee.dotted}")
        return UNKNOWN_VALUE
    if callee.safety == UNKNOWN:
        return Instance(callee, args)
    return _contracted(judge, callee, args, how)


def _would_run(callee: Glob) -> str:
    return f"This file would run `{callee.dotted}` when loaded. It was not run."


def _contracted(judge: Judge, callee: Glob, args: tuple[Value, ...], how: str) -> Value:
    if callee.safety == NAME_ONLY:
        judge.find("danger", "P-CALL", f"`{callee.dotted}` may only be named, and this file calls it.", args, "called")
        return UNKNOWN_VALUE
    contract = callee.contract
    if args:
        judge.spend(sum(map(_width, args)) * (KEYED if contract in ("ordereddict", "set", "frozenset") else 1))
    try:
        need(how == "call" or contract not in FUNCTIONS, "it is made instead of called")
        if contract == "rebuild_from_type":
            return _rebuild_from_type(judge, args)
        if contract == "rebuild_parameter_with_state":
            need(len(args) == 4, "it has the wrong number of arguments")
            check_tensor_state(judge, args[3])
        if contract in DEEP:
            data_only(judge, args)
        return CONTRACTS[contract](args, how)
    except Breach as breach:
        message = f"`{callee.dotted}` is called in a way that torch never writes: {breach}."
        judge.find("danger", "P-CONTRACT", message, args, "outside of its contract")
        return UNKNOWN_VALUE


KEYED = 16
"""Visits for each item that is used as a key, since a key may be a tuple of tuples."""

DEEP = frozenset({"set", "frozenset", "counter", "path"})
"""Contracts whose arguments must be plain data all the way down."""


def _rebuild_from_type(judge: Judge, args: tuple[Value, ...]) -> Value:
    """`_rebuild_from_type(_v2)(function, type, args, state)`: it calls its first argument, so that one is judged too."""
    need(len(args) == 4, "it has the wrong number of arguments")
    function, kind, inner, state = args
    need(type(function) is Glob and function.contract.startswith("rebuild_"), "it calls something that builds no tensor")
    need(function.contract != "rebuild_from_type", "it calls itself")
    need(type(kind) is Glob and (kind.safety == UNKNOWN or kind.dotted in _TENSOR_TYPES), "it makes no tensor type")
    need(type(inner) is tuple, "its arguments are not a tuple")
    check_tensor_state(judge, state)
    seal(state)  # the older one makes it the tensor's own dictionary
    if function.contract == "rebuild_parameter_with_state":
        need(len(inner) == 4, "it has the wrong number of arguments")
        check_tensor_state(judge, inner[3])
    return CONTRACTS[function.contract](inner, "call")


_TENSOR_TYPES = frozenset({"torch.Tensor", "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer"})


def _width(item: Value) -> int:
    """How many values a contract may have to look at: copying one long list for each of many calls must cost the file, not us."""
    kind = type(item)
    if kind in (list, tuple):
        return len(item)
    if kind in (str, bytes):
        return len(item) >> 8
    return len(item.pairs) if kind is Mapping else len(item.items) if kind is Group else 1
