"""How each allowed global may be used, one small check a contract: arguments in, symbolic result out, `Breach` where they do not fit.

The names of contracts are those of policy.json. Each check states what torch, numpy or Python write, and takes nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

from registry.formats.plaintext import printable
from scanner.pickles import numpycalls, tensors
from scanner.pickles.numpycalls import is_bytes
from scanner.pickles.policy import UNKNOWN
from scanner.pickles.tensors import is_count, need, numbers
from scanner.pickles.values import SCALARS, Data, Glob, Group, Instance, Mapping, Value, show

Args = tuple[Value, ...]
MAX_KEY_PARTS = 64

_ENCODINGS = frozenset({"latin1", "latin-1", "ascii", "utf-8", "utf8"})


def _pairs(value: Value) -> list[tuple[Value, Value]]:
    """Key-value pairs given as a mapping or as a list of two-item lists or tuples."""
    if type(value) is Mapping:
        return value.pairs
    need(type(value) in (list, tuple), "it is not made of pairs")
    need(all(type(pair) in (list, tuple) and len(pair) == 2 for pair in value), "it is not made of pairs")
    pairs = [(pair[0], pair[1]) for pair in value]
    need(all(is_key(key) for key, _ in pairs), "a key is not plain data")
    return pairs


def _ordered_dict(args: Args, how: str) -> Mapping:
    need(len(args) <= 1, "it has too many arguments")
    return Mapping("OrderedDict", list(_pairs(args[0])) if args and how == "call" else [])


def _counter(args: Args, how: str) -> Mapping:
    need(len(args) <= 1 and all(type(arg) is Mapping for arg in args), "it does not count plain values")
    return Mapping("Counter", list(args[0].pairs) if args and how == "call" else [])


def _default_dict(args: Args, _how: str) -> Mapping:
    need(len(args) <= 1, "it has too many arguments")
    factory = args[0] if args else None
    plain = type(factory) is Glob and factory.module == "builtins" and factory.contract in ("name", "set", "frozenset")
    plain = plain or (type(factory) is Glob and factory.contract == "ordereddict")
    need(factory is None or plain, "its default is made by something other than a plain type")
    return Mapping("defaultdict")


def key_parts(value: Value) -> int:
    """How many values are hashed with this key, 0 where it is none: scalars, names, small tuples of them, paths and the like.

    Hashing a key must run no code of the file, and a tuple of few bytes can be made of very many parts.
    """
    if type(value) is not tuple:
        return 1 if _is_plain_key(value) else 0
    parts, level = 0, [value]
    for _ in range(5):
        nested = [item for item in level if type(item) is tuple]
        parts += len(level)
        if sum(len(item) for item in nested) + parts > MAX_KEY_PARTS:
            return 0
        if not all(type(item) is tuple or _is_plain_key(item) for item in level):
            return 0
        level = [part for item in nested for part in item]
    return 0 if level else parts


def is_key(value: Value) -> bool:
    return key_parts(value) > 0


def _is_plain_key(value: Value) -> bool:
    kind = type(value)
    if kind in SCALARS or kind is Glob or kind is Instance:
        return True
    if kind is Group:
        return bool(value.kind == "frozenset")  # its members were hashed when it was made
    return kind is Data and value.kind in ("path", "torch.device", "torch.Size", "bytes", "number")


def _members(args: Args) -> list[Value]:
    need(len(args) <= 1, "it has too many arguments")
    need(not args or type(args[0]) in (list, tuple, Group), "it is not made of a list")
    items = list(args[0].items if type(args[0]) is Group else args[0]) if args else []
    need(all(is_key(item) for item in items), "a member is not plain data")
    return items


def _set(args: Args, how: str) -> Group:
    members = _members(args)
    return Group("set", members if how == "call" else [])  # set.__new__ takes arguments and leaves the set empty


def _frozenset(args: Args, _how: str) -> Group:
    return Group("frozenset", _members(args))


def _bytes(args: Args, _how: str) -> Data:
    """bytes: of nothing, of bytes, or of a text in a known encoding. A number would ask the loader for that much memory."""
    return stored_bytes("bytes", _length(args))


def _bytearray(args: Args, how: str) -> Data:
    length = _length(args)
    return stored_bytes("bytearray", length if how == "call" else 0)  # bytearray.__new__ takes arguments and leaves it empty


def stored_bytes(kind: str, length: int) -> Data:
    """Bytes of which only the number is known."""
    return Data(kind, f"{length} bytes", length)


def _length(args: Args) -> int:
    if not args:
        return 0
    if type(args[0]) is str:
        return len(_encode(args, "call"))
    need(len(args) == 1 and is_bytes(args[0]), "it is not made of bytes or text")
    return len(args[0]) if type(args[0]) is bytes else int(args[0].info)


def _complex(args: Args, _how: str) -> Data:
    need(len(args) <= 2 and all(type(arg) in (int, float) for arg in args), "it is not made of numbers")
    return Data("number", show(args, 60))


def _encode(args: Args, _how: str) -> bytes:
    need(len(args) == 2 and type(args[0]) is str and type(args[1]) is str, "its arguments are not two texts")
    need(args[1] in _ENCODINGS, "it uses an encoding that pickles do not")
    try:
        encoded: bytes = args[0].encode(args[1])
    except UnicodeEncodeError:
        raise tensors.Breach("its text does not fit its encoding") from None
    return encoded


def _size(args: Args, _how: str) -> Data:
    need(len(args) == 1, "it has the wrong number of arguments")
    shape = numbers(args[0])
    return Data("torch.Size", str(list(shape)), shape)


def _device(args: Args, _how: str) -> Data:
    need(1 <= len(args) <= 2 and type(args[0]) is str and all(is_count(arg) for arg in args[1:]), "it is not given a device name")
    return Data("torch.device", show(args[0], 60))


def _layout(args: Args, _how: str) -> Data:
    need(len(args) == 1 and type(args[0]) is str, "it is not given a layout name")
    return Data("layout", show(args[0], 60))


def _namespace(args: Args, _how: str) -> Data:
    need(not args, "it has arguments")
    return Data("namespace", info=Mapping())


def _reconstructor(args: Args, _how: str) -> Value:
    """`_reconstructor(class, object, None)`: what `object.__new__(class)` makes. With another base it would call that."""
    need(len(args) == 3 and type(args[0]) is Glob, "it is not given a class")
    base = args[1]
    need(type(base) is Glob and base.dotted == "builtins.object" and args[2] is None, "it makes the object by way of another class")
    need(args[0].contract == "namespace" or args[0].safety == UNKNOWN, "it makes something that is made in other ways")
    return _namespace((), "new") if args[0].contract == "namespace" else Instance(args[0])


def _parameter_dict(args: Args, _how: str) -> Data:
    need(not args, "it has arguments")
    return Data("ParameterDict", info=Mapping())


def _path(args: Args, _how: str) -> Data:
    need(all(type(arg) is str for arg in args), "it is not made of texts")
    return Data("path", printable("/".join(args).replace("//", "/", 1)))


def _tensor(check: Callable[[Args], Value]) -> Callable[[Args, str], Value]:
    return lambda args, _how: check(args)


CONTRACTS: dict[str, Callable[[Args, str], Value]] = {
    "ordereddict": _ordered_dict,
    "counter": _counter,
    "defaultdict": _default_dict,
    "set": _set,
    "frozenset": _frozenset,
    "bytes": _bytes,
    "bytearray": _bytearray,
    "complex": _complex,
    "encode": _encode,
    "np_dtype": numpycalls.numpy_type,
    "np_scalar": numpycalls.scalar,
    "np_reconstruct": numpycalls.reconstruct,
    "np_frombuffer": numpycalls.from_buffer,
    "size": _size,
    "device": _device,
    "layout": _layout,
    "namespace": _namespace,
    "reconstructor": _reconstructor,
    "parameterdict": _parameter_dict,
    "path": _path,
    "rebuild_tensor": _tensor(tensors.rebuild_tensor),
    "rebuild_tensor_v2": _tensor(tensors.rebuild_tensor_v2),
    "rebuild_tensor_v3": _tensor(tensors.rebuild_tensor_v3),
    "rebuild_qtensor": _tensor(tensors.rebuild_qtensor),
    "rebuild_parameter": _tensor(tensors.rebuild_parameter),
    "rebuild_parameter_with_state": lambda args, _how: tensors.rebuild_parameter(args[:3]),
    "rebuild_sparse": _tensor(tensors.rebuild_sparse),
    "rebuild_meta": _tensor(tensors.rebuild_meta),
    "rebuild_from_cpu": _tensor(tensors.rebuild_from_cpu),
    "rebuild_from_numpy": _tensor(tensors.rebuild_from_numpy),
}
"""contract name in policy.json -> check; "name", "dtype", "constant" and "storage" are only named and need none."""

FUNCTIONS = frozenset(name for name in CONTRACTS if name.startswith("rebuild_")) | {
    "rebuild_from_type", "reconstructor", "encode", "layout", "np_scalar", "np_reconstruct", "np_frombuffer",
}  # fmt: skip
"""Contracts of plain functions: NEWOBJ on them is an error for Python, and nothing that torch writes."""
