"""The merger's locked process: reads the headers of its sources strictly, merges, answers. Started by `locked` alone."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NoReturn

import numpy as np

from inference.weights.inside import Desk, work, written
from inference.weights.merging.formulas import Maths, NumpyMaths, Values
from inference.weights.merging.inputs import capital, label
from inference.weights.merging.merge import Given, merge_into
from inference.weights.merging.recipe import MergeRecipe, Origin
from inference.weights.merging.torchmaths import TorchMaths
from registry.formats.directory import TensorDirectory
from registry.formats.errors import FormatError
from registry.formats.reader import Reader
from registry.formats.safetensors import read_safetensors
from registry.formats.window import Window
from registry.sandbox import child


def main() -> NoReturn:
    """The entry of `locked.merge_locked`."""
    _warm("torch" in child.orders().arguments)
    work(_merge)


def _merge(desk: Desk) -> dict[str, Any]:
    orders = desk.orders
    inputs = {
        role: Given(source, _directory(role, source), Origin(**origin))
        for role, source, origin in zip(orders["roles"], desk.sources, orders["origins"], strict=True)
    }
    fd, direct_fd = desk.outputs[0]
    outcome = merge_into(inputs, fd, direct_fd, MergeRecipe.from_json(orders["recipe"]), progress=desk.tell)
    return {"made": [written(outcome)]}


def _directory(role: str, source: Reader) -> TensorDirectory:
    try:
        return read_safetensors(Window(source))
    except FormatError as error:
        if error.code != "S-HEADER-SIZE":  # which is what the first bytes of a pickle or a zip come to
            raise
        sentence = f"{capital(label(role))} is no safetensors file that can be read ({error.code}); convert it first."
        raise FormatError("merge:not-safetensors", sentence) from error


def _warm(torch: bool) -> None:
    """Every formula once, so that nothing is left to be imported."""
    makers: list[Maths] = [NumpyMaths()]
    if torch:
        with suppress(ImportError, OSError):
            makers.append(TorchMaths())
    for maths in makers:
        a, b = Values(np.ones(8, "<f2"), "F16"), Values(np.ones(8, "<u2"), "BF16")
        maths.weighted_sum(a, b, 0.5)
        maths.add_difference(a, b, a, 0.5)
