"""More of what torch, numpy and old Pythons really write: optimisers kept raw, packed numbers, activations, objects of protocol 0."""

from __future__ import annotations

import argparse
import collections
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from tests.attacks.assemble import COMMAND, call, items, mapping, name, number, payload_zip, pickled, storage, text, torch_zip
from tests.scanner.honest import X, old, saved

Maker = Callable[[], bytes]


def optimizer_state() -> Any:
    """`optimizer.state` itself: a defaultdict whose keys are the parameters."""
    model = torch.nn.Linear(3, 4)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    return optimizer.state


def packed(bits: int) -> Any:
    kind = {4: torch.quint4x2, 2: torch.quint2x4}[bits]
    ones, zeros = torch.ones(4), torch.zeros(4)
    return torch.quantize_per_channel(torch.rand(4, 8), ones, zeros, 0, kind)


def old_tensor_type() -> bytes:
    """What torch 1.7 to 1.9 write for a tensor with attributes."""
    view = items(storage(), number(0), items(number(4)), items(number(1)), b"\x89", call("collections", "OrderedDict"))
    arguments = (name("torch._utils", "_rebuild_tensor_v2"), name("torch", "Tensor"), view, mapping(note=text("x")))
    return torch_zip(pickled(mapping(weight=call("torch.tensor", "_rebuild_from_type", *arguments))))


def old_namespace() -> bytes:
    """An argparse.Namespace by protocol 0, as Python 2 wrote it."""
    made = call("copy_reg", "_reconstructor", name("argparse", "Namespace"), name("__builtin__", "object"), b"N")
    return payload_zip(mapping(hyper_parameters=made + mapping(lr=text(COMMAND)) + b"b"))


def types() -> Any:
    scalars = [np.float32, np.float16, np.int64, np.uint8, np.bool_, np.complex64, np.str_]
    return {"scalars": scalars, "x": X}


NAMES = [("torch", "jagged"), ("torch", "_mkldnn"), ("torch", "bit"), ("torch.sparse", "FloatTensor"), ("torch.cuda.sparse", "HalfTensor")]


NUMBERS: dict[str, Any] = {
    "short": np.int16,
    "longlong": np.longlong,
    "long": np.dtype("l").type,
    "longdouble": np.longdouble,
    "text": np.str_,
}


HONEST_TORCH: dict[str, tuple[str, Maker]] = {
    "optimizer state": ("a.pt", lambda: saved(optimizer_state())),
    "optimizer state, legacy": ("a.pt", lambda: old(optimizer_state())),
    "half bytes": ("a.pt", lambda: saved({"q": packed(4)})),
    "half bytes, legacy": ("a.pt", lambda: old({"q": packed(4)})),
    "quarter bytes": ("a.pt", lambda: saved({"q": packed(2)})),
    "tensor type of torch 1.7": ("a.pt", old_tensor_type),
    "namespace of protocol 0": ("a.pt", old_namespace),
    "namespace of protocol 1": ("a.pt", lambda: saved({"x": X, "args": argparse.Namespace(lr=0.1)}, pickle_protocol=1)),
    "default dictionaries": ("a.pt", lambda: saved({"a": collections.defaultdict(collections.OrderedDict), "x": X})),
    "number types": ("a.pt", lambda: saved(types())),
    "names of torch": ("a.pt", lambda: payload_zip(mapping(**{attribute: name(module, attribute) for module, attribute in NAMES}))),
    "long of Python 2": ("a.pt", lambda: payload_zip(mapping(kind=name("__builtin__", "long")))),
    "arrays of all codes": ("a.pt", lambda: saved({code: np.zeros(3, kind) for code, kind in NUMBERS.items()})),
    "numbers of all codes": ("a.pt", lambda: saved({code: kind(1) for code, kind in NUMBERS.items()})),
    "empty arrays": ("a.pt", lambda: saved({"e": np.zeros(0), "f": np.zeros((0, 4), np.int8), "s": np.array([""])})),
    "empty arrays, protocol 4": ("a.pt", lambda: saved({"e": np.zeros(0), "s": np.array([], "U")}, pickle_protocol=4)),
}
"""title -> (file name, maker of the bytes); all of them are a success."""

WHOLE: dict[str, tuple[str, Maker]] = {
    "transformer layer": ("a.pt", lambda: saved(torch.nn.TransformerEncoderLayer(8, 2))),
    "transformer layer with gelu": ("a.pt", lambda: saved(torch.nn.TransformerEncoderLayer(8, 2, activation="gelu"))),
    "data parallel": ("a.pt", lambda: saved(torch.nn.DataParallel(torch.nn.Linear(2, 2)))),
    "spectral norm": ("a.pt", lambda: saved(torch.nn.utils.spectral_norm(torch.nn.Linear(2, 2)))),
}
"""title -> whole modules: they need their code, so a person must look."""
