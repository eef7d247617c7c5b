"""What numpy's pickling functions may be given: plain numbers and texts, in exactly the states that numpy writes. No array is made.

Shapes of the states: numpy/core/src/multiarray/descriptor.c and methods.c (`arraydescr_setstate`, `array_setstate`). numpy believes
some of the numbers in them (flags, item sizes), so wrong ones are memory errors, not exceptions.
"""

from __future__ import annotations

import re
from math import prod

from scanner.pickles.tensors import need, numbers
from scanner.pickles.values import Data, Glob, Value

Args = tuple[Value, ...]

_TYPE = re.compile(r"[<>|=]?([?bBhHiIlLqQuefdgFDcSU])(\d{0,6})")
"""numpy type codes without O (objects hide pickles) and V (structures)."""


def numpy_type(args: Args, _how: str) -> Data:
    """`dtype(code, align, copy)`; `info` is (letter, number, whether it is a copy of its own, which alone may take a state)."""
    need(1 <= len(args) <= 3 and type(args[0]) is str, "it is not given a type code")
    need(all(type(arg) in (bool, int) for arg in args[1:]), "its flags are not flags")
    found = _TYPE.fullmatch(args[0])
    if found is None:
        need(False, "its type code is not one of plain numbers")
        raise AssertionError
    own = len(args) == 3 and args[2] in (True, 1)
    return Data("numpy type", args[0], (found[1], int(found[2] or 0), own))


def is_numpy_type(value: Value) -> bool:
    return type(value) is Data and value.kind == "numpy type"


def is_bytes(value: Value) -> bool:
    return type(value) is bytes or (type(value) is Data and value.kind in ("bytes", "bytearray"))


_SIZES: dict[str, tuple[int, ...]] = {
    **dict.fromkeys("?bB", (1,)), **dict.fromkeys("ehH", (2,)), **dict.fromkeys("fiI", (4,)), **dict.fromkeys("dqQF", (8,)), "D": (16,),
    "l": (4, 8), "L": (4, 8), "g": (8, 12, 16), "G": (16, 24, 32), "c": (1,), "u": (),
}  # fmt: skip
"""Bytes of one element of a code that states none; some differ between machines."""


def _item_sizes(kind: Data) -> tuple[int, ...]:
    """The bytes that one element of this type may have."""
    letter, count, _ = kind.info
    if letter in "US":
        return (4 * count,) if letter == "U" else (count,)
    return (count,) if count else _SIZES[letter]


def _length(raw: Value) -> int:
    """How many bytes a value is that `is_bytes`."""
    return len(raw) if type(raw) is bytes else int(raw.info)


def scalar(args: Args, _how: str) -> Data:
    """`scalar(dtype, bytes)`: one number."""
    need(len(args) == 2 and is_numpy_type(args[0]) and is_bytes(args[1]), "it is not a type and bytes")
    need(_length(args[1]) in _item_sizes(args[0]), "it has other bytes than its type")
    return Data("number", f"{args[0].text} number")


def reconstruct(args: Args, _how: str) -> Data:
    """`_reconstruct(ndarray, (0,), b"b")`: an empty array, whose state comes by BUILD."""
    need(len(args) == 3, "it has the wrong number of arguments")
    kind, shape, code = args
    need(type(kind) is Glob and kind.module == "numpy" and kind.name == "ndarray", "it makes something other than a plain array")
    need(type(shape) is tuple and len(shape) == 1 and shape[0] == 0 and type(shape[0]) is int, "its first shape is not empty")
    need(type(code) in (bytes, str) and code in (b"b", "b"), "its first type is not the one numpy writes")
    return Data("numpy array")


def from_buffer(args: Args, _how: str) -> Data:
    """`_frombuffer(bytes, dtype, shape, order)`, as protocol 5 writes arrays."""
    need(len(args) == 4, "it has the wrong number of arguments")
    raw, kind, shape, order = args
    need(is_bytes(raw) and is_numpy_type(kind), "it is not made of bytes and a type")
    need(type(order) is str and order in ("C", "F"), "its order is not one of numpy")
    return Data("numpy array", f"{kind.text} {list(numbers(shape))}", built=True)


def set_type(target: Data, state: Value) -> None:
    """The state of a plain dtype: version 3, byte order, no fields, and the sizes and flags that belong to its code."""
    letter, count, own = target.info
    need(own, "a number type that all arrays share would be changed")
    need(type(state) is tuple and len(state) == 8, "a number type has another state than numpy writes")
    need(all(type(item) in (int, str, type(None)) for item in state), "a number type has another state than numpy writes")
    version, order, *fields, size, alignment, flags = state
    need(version == 3 and type(order) is str and order in ("<", ">", "|", "="), "a number type has another state than numpy writes")
    need(fields == [None, None, None], "a number type has fields")
    sizes = (size, alignment, flags)
    expected = {"U": ((4 * count, 4, 8), (4 * count, 4, 0)), "S": ((count, 1, 0),)}.get(letter, ((-1, -1, 0),))
    need(sizes in expected, "a number type has sizes or flags that are not its own")


def set_array(target: Data, state: Value) -> None:
    """The state of an array: version, shape, dtype, order, and exactly as many bytes as these need."""
    need(not target.built, "an array is set twice")
    need(type(state) is tuple and len(state) == 5, "an array has another state than numpy writes")
    version, shape, kind, fortran, raw = state
    need(type(version) is int and type(fortran) in (bool, int) and is_numpy_type(kind), "an array has another state than numpy writes")
    need(is_bytes(raw), "an array is not made of bytes")
    extents = numbers(shape)
    count = prod(extents)
    need(_length(raw) in [count * size for size in _item_sizes(kind)], "an array has another size than its shape")
    target.text, target.built = f"{kind.text} {list(extents)}", True
