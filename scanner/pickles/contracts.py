"""How each allowed global may be used, one small check a contract: arguments in, symbolic result out, `Breach` where they do not fit.

The names of contracts are those of policy.json. Each check states what torch, numpy or Python write, and takes nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import prod

from registry.formats.plaintext import printable
from scanner.pickles import tensors
from scanner.pickles.tensors import is_count, is_empty, need, numbers
from scanner.pickles.values import Data, Glob, Group, Mapping, Tensor, Value, show

Args = tuple[Value, ...]
MAX_PAIRS = 1_000_000

_NUMPY_TYPE = re.compile(r"[<>|=]?[?bBhHiIlLqQefdgFDcSU]\d{0,6}")
"""numpy type codes without O (objects hide pickles) and V (structures)."""

_ENCODINGS = frozenset({"latin1", "latin-1", "ascii", "utf-8", "utf8"})


def _pairs(value: Value) -> list[tuple[Value, Value]]:
    """Key-value pairs given as a mapping or as a list of two-item lists or tuples."""
    if type(value) is Mapping:
        return value.pairs
    need(type(value) in (list, tuple), "it is not made of pairs")
    need(all(type(pair) in (list, tuple) and len(pair) == 2 for pair in value), "it is not made of pairs")
    pairs = [(pair[0], pair[1]) for pair in value]
    need(all(type(key) in (str, int, float, bytes, bool, Glob) for key, _ in pairs), "a key is not plain data")
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
    plain = type(factory) is Glob and factory.module == "builtins" and factory.contract in ("name", "group")
    need(factory is None or plain, "its default is made by something other than a plain type")
    return Mapping("defaultdict")


def _group(args: Args, _how: str) -> Group:
    need(len(args) <= 1, "it has too many arguments")
    need(not args or type(args[0]) in (list, tuple, Group), "it is not made of a list")
    items = (args[0].items if type(args[0]) is Group else list(args[0])) if args else []
    need(all(type(item) in (str, int, float, bytes, bool, type(None), tuple, Glob) for item in items), "a member is not plain data")
    return Group("set", items)


def _bytes(args: Args, _how: str) -> Data:
    """bytes and bytearray: of nothing, of bytes, or of a latin-1 text. A number would ask the loader for that much memory."""
    if not args:
        return Data("bytes", "0 bytes")
    need(len(args) <= 2 and type(args[0]) in (bytes, str, Data), "it is not made of bytes or text")
    need(len(args) == 1 or (type(args[1]) is str and args[1] in _ENCODINGS), "it uses an encoding that pickles do not")
    return Data("bytes", f"{len(args[0])} bytes" if type(args[0]) is not Data else args[0].text)


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


def _numpy_type(args: Args, _how: str) -> Data:
    need(1 <= len(args) <= 3 and type(args[0]) is str, "it is not given a type code")
    need(all(type(arg) in (bool, int) for arg in args[1:]), "its flags are not flags")
    need(_NUMPY_TYPE.fullmatch(args[0]), "its type code is not one of plain numbers")
    return Data("numpy type", args[0], args[0])


def _is_numpy_type(value: Value) -> bool:
    return type(value) is Data and value.kind == "numpy type"


def _is_bytes(value: Value) -> bool:
    return type(value) is bytes or (type(value) is Data and value.kind == "bytes")


def _numpy_scalar(args: Args, _how: str) -> Data:
    need(len(args) == 2 and _is_numpy_type(args[0]) and _is_bytes(args[1]), "it is not a type and bytes")
    return Data("number", f"{args[0].text} number")


def _numpy_reconstruct(args: Args, _how: str) -> Data:
    need(len(args) == 3, "it has the wrong number of arguments")
    kind, shape, code = args
    need(type(kind) is Glob and kind.module == "numpy" and kind.name == "ndarray", "it makes something other than a plain array")
    need(type(shape) is tuple and len(shape) == 1 and shape[0] == 0 and type(shape[0]) is int, "its first shape is not empty")
    need(type(code) in (bytes, str) and code in (b"b", "b"), "its first type is not the one numpy writes")
    return Data("numpy array")


def _numpy_buffer(args: Args, _how: str) -> Data:
    need(len(args) == 4, "it has the wrong number of arguments")
    raw, kind, shape, order = args
    need(_is_bytes(raw) and _is_numpy_type(kind), "it is not made of bytes and a type")
    need(type(order) is str and order in ("C", "F"), "its order is not one of numpy")
    return Data("numpy array", f"{kind.text} {list(numbers(shape))}", built=True)


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


def _parameter_dict(args: Args, _how: str) -> Data:
    need(not args, "it has arguments")
    return Data("ParameterDict", info=Mapping())


def _path(args: Args, _how: str) -> Data:
    need(all(type(arg) is str for arg in args), "it is not made of texts")
    return Data("path", printable("/".join(args).replace("//", "/", 1)))


def _tensor(check: Callable[[Args], Value]) -> Callable[[Args, str], Value]:
    def contract(args: Args, how: str) -> Value:
        need(how == "call", "it is made instead of called")
        return check(args)

    return contract


CONTRACTS: dict[str, Callable[[Args, str], Value]] = {
    "ordereddict": _ordered_dict,
    "counter": _counter,
    "defaultdict": _default_dict,
    "group": _group,
    "bytes": _bytes,
    "complex": _complex,
    "encode": _encode,
    "np_dtype": _numpy_type,
    "np_scalar": _numpy_scalar,
    "np_reconstruct": _numpy_reconstruct,
    "np_frombuffer": _numpy_buffer,
    "size": _size,
    "device": _device,
    "layout": _layout,
    "namespace": _namespace,
    "parameterdict": _parameter_dict,
    "path": _path,
    "rebuild_tensor": _tensor(tensors.rebuild_tensor),
    "rebuild_tensor_v2": _tensor(tensors.rebuild_tensor_v2),
    "rebuild_tensor_v3": _tensor(tensors.rebuild_tensor_v3),
    "rebuild_qtensor": _tensor(tensors.rebuild_qtensor),
    "rebuild_parameter": _tensor(tensors.rebuild_parameter),
    "rebuild_parameter_with_state": lambda args, how: _tensor(tensors.rebuild_parameter)(_without_state(args), how),
    "rebuild_sparse": _tensor(tensors.rebuild_sparse),
    "rebuild_meta": _tensor(tensors.rebuild_meta),
    "rebuild_from_cpu": _tensor(tensors.rebuild_from_cpu),
    "rebuild_from_numpy": _tensor(tensors.rebuild_from_numpy),
}
"""contract name in policy.json -> check; "name", "dtype", "constant" and "storage" are only named and need none."""


def _without_state(args: Args) -> Args:
    need(len(args) == 4, "it has the wrong number of arguments")
    state = args[3]
    plain = is_empty(state) or (type(state) is Mapping and all(type(key) is str and _is_simple(item) for key, item in state.pairs))
    need(plain, "it sets attributes that are not plain values")
    return args[:3]


def _is_simple(value: Value) -> bool:
    return type(value) in (type(None), bool, int, float, str, bytes, Tensor, Data)


def set_known_state(target: Value, state: Value) -> None:
    """BUILD on something of ours; raises `Breach` where the target takes no state or not this one."""
    if type(target) is Mapping and target.kind == "OrderedDict":
        return  # attributes of a state dict (`_metadata`), already shown to be data
    if type(target) is not Data:
        raise tensors.Breach("this kind of value takes no state")
    if target.kind == "namespace":
        need(type(state) is Mapping, "a namespace takes a dictionary")
        target.info = state
    elif target.kind == "ParameterDict":
        _set_parameters(target, state)
    elif target.kind == "numpy type":
        _set_numpy_type(state)
    elif target.kind == "numpy array":
        _set_numpy_array(target, state)
    else:
        raise tensors.Breach("this kind of value takes no state")


def _set_parameters(target: Data, state: Value) -> None:
    """The module state of a ParameterDict: its parameters, and nothing that is a hook or another module."""
    need(type(state) is Mapping, "its state is not a dictionary")
    for key, value in state.pairs:
        if "hook" in key or key == "_modules":
            need(
                is_empty(value) or type(value) is bool or (type(value) is Group and not value.items),
                "it carries hooks or modules, which are code",
            )
        if key == "_parameters":
            need(type(value) is Mapping and all(type(part) in (Tensor, type(None)) for _, part in value.pairs), "a parameter is no tensor")
            target.info = value


def _set_numpy_type(state: Value) -> None:
    need(type(state) is tuple and 8 <= len(state) <= 9, "a number type has another state than numpy writes")
    need(all(type(item) in (int, str, type(None)) for item in state[:8]), "a number type has another state than numpy writes")
    need(state[2] is None and state[3] is None and state[4] is None, "a number type has fields")
    need(len(state) == 8 or is_empty(state[8]), "a number type carries metadata")


def _set_numpy_array(target: Data, state: Value) -> None:
    need(not target.built, "an array is set twice")
    need(type(state) is tuple and len(state) == 5, "an array has another state than numpy writes")
    version, shape, kind, fortran, raw = state
    need(type(version) is int and type(fortran) in (bool, int) and _is_numpy_type(kind), "an array has another state than numpy writes")
    need(_is_bytes(raw), "an array is not made of bytes")
    extents = numbers(shape)
    if type(raw) is bytes:
        need(len(raw) % max(prod(extents), 1) == 0, "an array has another size than its shape")
    target.text, target.built = f"{kind.text} {list(extents)}", True
