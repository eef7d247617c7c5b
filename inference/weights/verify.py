"""The finished file, read again and compared with its source tensor by tensor. It repairs nothing: a difference is our bug."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from inference.weights.cast import Array, widen
from inference.weights.outcome import Comparison
from inference.weights.plan import Plan, Planned
from inference.weights.source import Source
from registry.formats.directory import TensorDirectory, TensorEntry
from registry.formats.safetensors import read_safetensors
from registry.formats.window import Window

HALF_STEP = {"F32": (2.0**-24, 2.0**-150), "F16": (2.0**-11, 2.0**-25), "BF16": (2.0**-8, 2.0**-134)}
"""Largest rounding error of a type: relative to the value, and absolute near zero. IEEE 754 half steps (11, 24 and 8 significant bits)."""
LARGEST = {"F32": float(np.finfo(np.float32).max), "F16": 65504.0, "BF16": 3.3895313892515355e38}


class WrongOutput(Exception):
    """The converter wrote something other than it meant to. Never the uploader's fault."""


def compare(path: Path, source: Source, plan: Plan, tell: Callable[[int], None]) -> Comparison:
    """Reads `path` by the strict reader and compares every tensor with the source's: equal, or rounded by at most half a step.

    `tell` gets the bytes compared. Raises WrongOutput.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        directory = read_safetensors(Window(fd))
    finally:
        os.close(fd)
    _check_table(directory, plan)
    result = Comparison()
    with Source(path, directory) as written:
        for item, entry in zip(plan.tensors, directory.tensors, strict=True):
            error = _literal(item, written, entry, tell) if item.literal is not None else _error(item, source, written, entry, tell)
            result.rounded += error > 0
            result.equal += error == 0
            if error > result.max_abs_error:
                result.max_abs_error, result.worst = error, item.name
    return result


def _check_table(directory: TensorDirectory, plan: Plan) -> None:
    found = [(entry.path, entry.dtype, entry.shape) for entry in directory.tensors]
    if found != [((item.name,), item.dtype, item.entry.shape) for item in plan.tensors]:
        raise WrongOutput("the header read back is not the header that was planned")


def _must(true: object, item: Planned) -> None:
    if not true:
        raise WrongOutput(f"{item.name} differs from its source")


def _literal(item: Planned, written: Source, entry: TensorEntry, tell: Callable[[int], None]) -> float:
    _must(b"".join(part.tobytes() for part in written.chunks(entry)) == item.literal, item)
    tell(item.nbytes)
    return 0.0


def _error(item: Planned, source: Source, written: Source, entry: TensorEntry, tell: Callable[[int], None]) -> float:
    """Largest absolute rounding error of one tensor; 0.0 when every bit, or after a widening cast every value, is the same."""
    at, worst = 0, 0.0
    for before in source.chunks(item.entry):
        after = written.part(entry, at, before.size)
        at += before.size
        if item.dtype == item.entry.dtype:
            _must(np.array_equal(before.view("u1"), after.view("u1")), item)
        else:
            worst = max(worst, _rounding(before, after, item))
        tell(after.nbytes)
    return worst


def _rounding(before: Array, after: Array, item: Planned) -> float:
    exact = "<f8" if item.entry.dtype == "F64" else "<f4"
    old = widen(before) if item.entry.dtype == "BF16" else before.astype(exact, copy=False)
    new = (widen(after) if item.dtype == "BF16" else after).astype(exact, copy=False)
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs(new - old)
        if not np.isfinite(error.max()):
            keep = _agree_where_not_finite(old, new, item)
            old, error = old[keep], error[keep]
        relative, absolute = HALF_STEP[item.dtype]
        _must((error <= np.abs(old) * old.dtype.type(relative) + old.dtype.type(absolute)).all(), item)
    return float(error.max(initial=0.0))


def _agree_where_not_finite(old: Array, new: Array, item: Planned) -> Array:
    """NaN must stay NaN, infinity must come of infinity or of a value too large for the type; gives the mask of the finite rest."""
    finite = np.isfinite(old) & np.isfinite(new)
    was, is_now = old[~finite], new[~finite]
    nan = np.isnan(was) & np.isnan(is_now)
    infinite = np.isinf(is_now) & (np.abs(was) > LARGEST[item.dtype]) & (np.signbit(was) == np.signbit(is_now))
    _must((nan | infinite).all(), item)
    return np.asarray(finite)
