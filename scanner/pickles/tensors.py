"""Geometry: what torch's `_rebuild_*` functions may be given, and which bytes the result views. No tensor is ever made.

Signatures: torch/_utils.py (2.13). A view that reaches outside its storage reads foreign memory in some torch versions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from math import prod

from registry.formats.dtypes import SIZES, TORCH_DTYPES, TORCH_STORAGES
from scanner.pickles.policy import UNKNOWN
from scanner.pickles.values import SCALARS, Data, Glob, Mapping, StorageRef, Tensor, Value

_OTHER_STORAGES = {"ComplexDoubleStorage": 16, "QInt8Storage": 1, "QUInt8Storage": 1, "QInt32Storage": 4, "QUInt4x2Storage": 1}
_OTHER_STORAGES |= {"QUInt2x4Storage": 1, "UntypedStorage": 1, "_UntypedStorage": 1}
"""Bytes per element of storages that no safetensors type describes."""

_PACKED = {"QUInt4x2Storage": 2, "QUInt2x4Storage": 4}
"""Elements in one byte of a storage; torch counts such storages in bytes."""

_OTHER_DTYPES = {"complex128": 16, "cdouble": 16, "complex32": 4, "chalf": 4, "qint32": 4, "bits16": 2}
_OTHER_DTYPES |= dict.fromkeys(("qint8", "quint8", "quint4x2", "quint2x4", "float4_e2m1fn_x2", "bit", "bits8", "bits1x8"), 1)
_OTHER_DTYPES |= dict.fromkeys(("bits2x4", "bits4x2", *(f"{sign}int{bits}" for sign in ("", "u") for bits in range(1, 8))), 1)
"""Bytes per element of torch's other types; those of less than a byte take a whole one."""

_SYNONYMS = {"float": "float32", "half": "float16", "double": "float64", "short": "int16", "int": "int32", "long": "int64"}
_SYNONYMS |= {"cfloat": "complex64"}

_LOCATION = re.compile(r"[A-Za-z0-9_.:-]{0,64}")
"""Devices as torch names them: cpu, cuda:0, mps:0, xla:1, meta, privateuseone."""

MAX_DIMENSIONS = 64
MAX_KEY = 200


class Breach(Exception):
    """A global was used outside of its contract; the text completes the sentence "... : <text>."."""


def need(condition: object, text: str) -> None:
    if not condition:
        raise Breach(text)


@dataclass(slots=True)
class StorageTable:
    """The storages that persistent ids have named so far. `legacy` ids carry a sixth field, the view of another storage.

    `sizes` gives the bytes available per key (zip members), or None where they are known only afterwards (legacy).
    """

    sizes: dict[str, int] | None
    legacy: bool = False
    used: dict[str, StorageRef] = field(default_factory=dict)
    _parts: dict[str, tuple[str, int, int]] = field(default_factory=dict)

    def resolve(self, saved: Value) -> StorageRef | Glob:
        """The storage of one persistent id; raises `Breach` unless it is exactly the tuple torch writes.

        Legacy files also send a module's class through here, with its source as text that torch only compares: the class itself.
        """
        if self.legacy and type(saved) is tuple and len(saved) == 4 and type(saved[0]) is str and saved[0] == "module":
            plain = type(saved[1]) is Glob and all(type(text) in (str, type(None)) for text in saved[2:])
            need(plain and (saved[1].safety == UNKNOWN or saved[1].contract == "parameterdict"), "it is not a module with its source")
            named: Glob = saved[1]
            return named
        need(type(saved) is tuple and len(saved) == (6 if self.legacy else 5), "it is not the tuple torch writes")
        word, kind, key, location, numel = saved[:5]
        need(type(word) is str and word == "storage", "it is not about a storage")
        need(type(kind) is Glob and kind.contract == "storage", "its type is not a torch storage")
        need(type(key) is str and key.isascii() and key.isprintable() and 0 < len(key) <= MAX_KEY, "its key is not a plain text")
        need(type(location) is str and _LOCATION.fullmatch(location), "its device is not a plain text")
        need(is_count(numel), "its length is not a whole number")
        found = self._known(key, kind.name, numel)
        return found if not self.legacy or saved[5] is None else self._part(found, saved[5])

    def _part(self, root: StorageRef, view: Value) -> StorageRef:
        need(type(view) is tuple and len(view) == 3 and type(view[0]) is str, "its view is not what torch writes")
        name, start, count = view
        need(is_count(start) and is_count(count) and start + count <= root.numel, "its view reaches outside of the storage")
        # torch keeps views and storages under their names in one table, and takes what it finds there first.
        known = self._parts.setdefault(name, (root.key, start, count))
        need(known == (root.key, start, count) and name not in self.used, "one view is described in two ways")
        return StorageRef(root.key, root.kind, root.dtype, root.itemsize, count, start)

    def _known(self, key: str, kind: str, numel: int) -> StorageRef:
        dtype = TORCH_STORAGES.get(kind)
        itemsize = SIZES[dtype] if dtype else _OTHER_STORAGES.get(kind, 0)
        need(itemsize, "its type says nothing of its elements")
        known = self.used.get(key)
        if known is not None:
            need(known.kind == kind and known.numel == numel, "one storage is described in two ways")
            return known
        need(key not in self._parts, "one storage is described in two ways")
        if self.sizes is not None:
            need(key in self.sizes, "the storage is not in the file")
            need(numel * itemsize <= self.sizes[key], "the storage is smaller than stated")
        self.used[key] = StorageRef(key, kind, dtype, itemsize, numel)
        return self.used[key]


def is_count(value: Value) -> bool:
    return type(value) is int and 0 <= value < 1 << 62


def numbers(value: Value) -> tuple[int, ...]:
    """A shape or stride: a tuple, list or torch.Size of non-negative whole numbers."""
    items = value.info if type(value) is Data and value.kind == "torch.Size" else value
    need(type(items) in (tuple, list) and len(items) <= MAX_DIMENSIONS, "a shape is not a list of numbers")
    for item in items:
        if type(item) is not int or not 0 <= item < 1 << 62:
            raise Breach("a shape or stride is not made of whole, non-negative numbers")
    return tuple(items)


def is_empty(value: Value) -> bool:
    return value is None or (type(value) is Mapping and not value.pairs)


def _strided(view: tuple[Value, ...], dtype: str | None, itemsize: int, special: str, packed: int = 1) -> Tensor:
    storage, offset, size, stride = view
    need(type(storage) is StorageRef, "its first argument is not a storage of this file")
    need(is_count(offset), "its offset is not a whole number")
    need(storage.start * storage.itemsize % itemsize == 0, "its storage starts between two elements")
    shape, steps = numbers(size), numbers(stride)
    need(len(shape) == len(steps), "shape and stride differ in length")
    if prod(shape):
        last = offset
        for extent, step in zip(shape, steps, strict=True):
            last += (extent - 1) * step
        need((last + packed) // packed * itemsize <= storage.numel * storage.itemsize, "the tensor reaches outside of its storage")
    return Tensor(storage, dtype, shape, offset, steps, special)


def seal(value: Value) -> None:
    """Loaders keep this very object: nothing may be put into it after it was looked at."""
    if type(value) is Mapping:
        value.sealed = True


def _check_rest(requires_grad: Value, hooks: Value) -> None:
    need(type(requires_grad) is bool, "requires_grad is not true or false")
    need(is_empty(hooks), "it carries hooks, which are code")
    seal(hooks)


def rebuild_tensor(args: tuple[Value, ...]) -> Tensor:
    """`_rebuild_tensor(storage, offset, size, stride)`."""
    need(len(args) == 4, "it has the wrong number of arguments")
    storage = args[0]
    need(type(storage) is StorageRef, "its first argument is not a storage of this file")
    special = "" if storage.dtype else storage.kind.removesuffix("Storage")
    return _strided(args, storage.dtype, storage.itemsize, special, _PACKED.get(storage.kind, 1))


def rebuild_tensor_v2(args: tuple[Value, ...]) -> Tensor:
    """`_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata])`."""
    need(len(args) in (6, 7), "it has the wrong number of arguments")
    tensor = rebuild_tensor(args[:4])
    _check_rest(args[4], args[5])
    return _with_metadata(tensor, args[6] if len(args) == 7 else None)


def rebuild_tensor_v3(args: tuple[Value, ...]) -> Tensor:
    """`_rebuild_tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype[, metadata])`: the dtype names itself."""
    need(len(args) in (7, 8), "it has the wrong number of arguments")
    dtype, itemsize, name = element_type(args[6])
    tensor = _strided(args[:4], dtype, itemsize, "" if dtype else name)
    _check_rest(args[4], args[5])
    return _with_metadata(tensor, args[7] if len(args) == 8 else None)


def _with_metadata(tensor: Tensor, metadata: Value) -> Tensor:
    """`metadata` is None or {"conj": bool, "neg": bool}: bits that change the values, so such a tensor is not plain bytes."""
    if is_empty(metadata):
        return tensor
    need(type(metadata) is Mapping, "its metadata is not a dictionary")
    need(all(type(key) is str and type(value) is bool for key, value in metadata.pairs), "its metadata is not made of flags")
    tensor.special = tensor.special or "conjugated or negated"
    return tensor


def element_type(value: Value) -> tuple[str | None, int, str]:
    """(our dtype or None, bytes per element, torch's name) of a `torch.<dtype>` constant."""
    need(type(value) is Glob and value.contract == "dtype", "its element type is not a torch dtype")
    name = _SYNONYMS.get(value.name, value.name)
    dtype = TORCH_DTYPES.get(name)
    size = SIZES[dtype] if dtype else _OTHER_DTYPES.get(name, 0)
    need(size, "nothing is known about its element type")
    return dtype, size, name


def rebuild_qtensor(args: tuple[Value, ...]) -> Tensor:
    """`_rebuild_qtensor(storage, offset, size, stride, quantizer, requires_grad, hooks)`."""
    need(len(args) == 7, "it has the wrong number of arguments")
    tensor = rebuild_tensor(args[:4])
    quantizer = args[4]
    need(type(quantizer) is tuple and 3 <= len(quantizer) <= 4, "its quantiser is not what torch writes")
    need(type(quantizer[0]) is Glob and quantizer[0].contract == "constant", "its quantiser is not one of torch")
    need(all(type(item) in SCALARS or type(item) is Tensor for item in quantizer[1:]), "its quantiser is not made of numbers")
    _check_rest(args[5], args[6])
    tensor.special = "quantised"
    return tensor


def rebuild_parameter(args: tuple[Value, ...]) -> Value:
    """`_rebuild_parameter(tensor, requires_grad, hooks)`: the tensor itself."""
    need(len(args) == 3 and _is_tensor(args[0]), "it does not wrap a tensor of this file")
    _check_rest(args[1], args[2])
    return args[0]


def _is_tensor(value: Value) -> bool:
    return type(value) is Tensor or (type(value) is Data and value.kind.endswith(" tensor"))


def rebuild_sparse(args: tuple[Value, ...]) -> Data:
    """`_rebuild_sparse_tensor(layout, (indices..., values, size[, coalesced]))`."""
    need(len(args) == 2 and type(args[1]) is tuple and 3 <= len(args[1]) <= 5, "it has the wrong number of arguments")
    layout = args[0]
    named = (type(layout) is Data and layout.kind == "layout") or (type(layout) is Glob and layout.contract == "constant")
    need(named, "its layout is not one of torch")
    parts = args[1]
    need(type(parts[0]) is Tensor and type(parts[1]) is Tensor, "its parts are not tensors of this file")
    shape = next((numbers(part) for part in parts[2:] if type(part) not in (Tensor, bool)), ())
    need(all(type(part) in (Tensor, bool, tuple, list, Data) for part in parts[2:]), "its parts are not tensors and shapes")
    return Data("sparse tensor", str(list(shape)), parts)


def rebuild_meta(args: tuple[Value, ...]) -> Data:
    """`_rebuild_meta_tensor_no_storage(dtype, size, stride, requires_grad)`: a shape without numbers."""
    need(len(args) == 4 and type(args[3]) is bool, "it has the wrong number of arguments")
    _, _, name = element_type(args[0])
    numbers(args[2])
    return Data("meta tensor", f"{name} {list(numbers(args[1]))}")


def rebuild_from_cpu(args: tuple[Value, ...]) -> Value:
    """`_rebuild_device_tensor_from_cpu_tensor(tensor, dtype, device, requires_grad)`."""
    need(len(args) == 4 and type(args[0]) is Tensor and type(args[3]) is bool, "it does not wrap a tensor of this file")
    dtype, _, _ = element_type(args[1])
    need(type(args[2]) is str, "its device is not a text")
    return args[0] if args[0].dtype == dtype else Data("converted tensor", str(list(args[0].shape)), args[0])


def rebuild_from_numpy(args: tuple[Value, ...]) -> Data:
    """`_rebuild_device_tensor_from_numpy(array, dtype, device, requires_grad)`."""
    need(len(args) == 4 and type(args[0]) is Data and args[0].kind == "numpy array", "it does not wrap a numpy array")
    element_type(args[1])
    need(type(args[2]) is str and type(args[3]) is bool, "its device is not a text")
    return Data("numpy tensor", args[0].text)
