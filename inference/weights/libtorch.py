"""16-bit floats by the processor's own instructions: torch's C library, opened without its Python package. It chooses no kernel.

`import torch` costs 1.3 s of CPU and 200 MB, its library alone 0.16 s and 100 MB. Of the library only the C interface is used whose ABI
PyTorch promises to keep (torch/csrc/inductor/aoti_torch/c/shim.h), and OpenMP's own function for the number of threads.
"""

from __future__ import annotations

import ctypes
import importlib.util
from ctypes import POINTER, byref, c_int, c_int32, c_int64, c_uint32, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

import numpy.typing as npt

KEPT = 64
"""Tensors that are remembered by address, size and type: making one takes as long as converting 30,000 numbers."""

_TYPES = {"F16": "aoti_torch_dtype_float16", "BF16": "aoti_torch_dtype_bfloat16", "F32": "aoti_torch_dtype_float32"}
_SIZES = {"F16": 2, "BF16": 2, "F32": 4}
_INTERFACE: dict[str, list[Any]] = {
    "aoti_torch_create_tensor_from_blob": [
        c_void_p, c_int64, POINTER(c_int64), POINTER(c_int64), c_int64, c_int32, c_int32, c_int32, POINTER(c_void_p)
    ],
    "aoti_torch_delete_tensor_object": [c_void_p],
    "aoti_torch_copy_": [c_void_p, c_void_p, c_int32],
    "aoti_torch_device_type_cpu": [],
    "torch_get_num_threads": [POINTER(c_uint32)],
    **{name: [] for name in _TYPES.values()},
}  # fmt: skip


def installed() -> bool:
    """Whether there is such a library; whether it can be opened is not tried."""
    return _path() is not None


def is_open() -> bool:
    """Whether this process has opened it already."""
    return _library.cache_info().currsize > 0


def _path() -> Path | None:
    found = importlib.util.find_spec("torch")  # of a package without a dot, which imports nothing
    places = (found.submodule_search_locations if found else None) or ()
    return next((path for place in places if (path := Path(place, "lib", "libtorch_cpu.so")).is_file()), None)


@cache
def _library() -> ctypes.CDLL:
    path = _path()
    if path is None:
        raise ImportError("torch's library is not installed")
    library = ctypes.CDLL(str(path))
    try:
        for name, arguments in _INTERFACE.items():
            getattr(library, name).argtypes, getattr(library, name).restype = arguments, c_int32
        library.omp_set_num_threads.argtypes, library.omp_set_num_threads.restype = [c_int], None
    except AttributeError as error:
        raise ImportError(f"torch's library has not the functions that are needed: {error}") from error
    return library


class LibTorch:
    """Conversions between "F32" and "F16" or "BF16", rounded to nearest even. For the thread that made it, which works alone from then on.

    Raises ImportError where the library is missing or another one, OSError where it cannot be opened (a locked process).
    """

    def __init__(self) -> None:
        self._library = _library()
        self._types = {name: getattr(self._library, function)() for name, function in _TYPES.items()}
        self._cpu = self._library.aoti_torch_device_type_cpu()
        self._kept: dict[tuple[int, int, int], c_void_p] = {}
        # Asked first: the first question sets the number, to that of the processors.
        self._check(self._library.torch_get_num_threads(byref(c_uint32())))
        self._library.omp_set_num_threads(1)

    def __del__(self) -> None:
        self._forget()

    def convert(self, values: npt.NDArray[Any], source: str, out: npt.NDArray[Any], target: str) -> None:
        """`values`, numbers of type `source`, into `out` as `target`: contiguous arrays of as many elements. What becomes of a NaN's
        payload is the processor's choice.
        """
        if values.size != out.size or not out.flags.writeable:
            raise ValueError("the arrays differ in length, or the second is not to be written")
        if len(self._kept) > KEPT:  # here, and not while one of the two is already in hand
            self._forget()
        if values.size:
            given, made = self._tensor(values, source), self._tensor(out, target)
            self._check(self._library.aoti_torch_copy_(made, given, 0))

    def _tensor(self, array: npt.NDArray[Any], dtype: str) -> c_void_p:
        """A tensor on the memory of `array`. It may outlive the array, but is found again only for one that lies where that lay."""
        if array.itemsize != _SIZES[dtype] or not array.flags.c_contiguous:
            raise ValueError(f"a contiguous array of {dtype} is needed")
        key = (_address(array), array.size, self._types[dtype])
        kept = self._kept.get(key)
        if kept is None:
            kept = c_void_p()
            size, step = c_int64(array.size), c_int64(1)
            made = self._library.aoti_torch_create_tensor_from_blob(
                key[0], 1, byref(size), byref(step), 0, key[2], self._cpu, 0, byref(kept)
            )
            self._check(made)
            self._kept[key] = kept
        return kept

    def _forget(self) -> None:
        while getattr(self, "_kept", None):
            self._library.aoti_torch_delete_tensor_object(self._kept.popitem()[1])

    def _check(self, code: int) -> None:
        if code:
            raise RuntimeError(f"torch's library answered with error {code}")


def _address(array: npt.NDArray[Any]) -> int:
    """Where its numbers lie. numpy's own ways take three times as long, and this is asked for every piece."""
    return ctypes.addressof(ctypes.c_char.from_buffer(array.data)) if array.flags.writeable else int(array.ctypes.data)
