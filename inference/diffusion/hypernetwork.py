"""A hypernetwork: small networks that change what attention reads before it makes keys and values of it. A1111's layout and rules.

For each width of context that the file has networks for, k = to_k(c + m * Hk(c)) and v = to_v(c + m * Hv(c)), also where a layer attends
to itself. Source: webui 1.10 `modules/hypernetworks/hypernetwork.py`. The change stands before `to_k` and `to_v` as a hook, so that it
holds with every attention processor.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from inference.diffusion.loading import Model
from inference.diffusion.patching import Kept
from inference.diffusion.weightfile import WeightFile
from registry.formats.dtypes import FLOATS
from registry.formats.errors import FormatError, LimitExceeded
from registry.formats.plaintext import printable

SETTING = "weighhouse.value."
"""What the hub's converter puts before the settings of a .pt when it writes them into the metadata."""
NAME = re.compile(r"(\d{1,5})\.([01])\.linear(?:\.(\d{1,3})|([12]))\.(weight|bias)", re.ASCII)
"""Width, keys (0) or values (1), number of the layer (`linear1` and `linear2` in the oldest files), and which of its parameters."""
MAX_LAYERS = 64
MAX_WIDTH = 1 << 16

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "leakyrelu": functional.leaky_relu,
    "elu": functional.elu,
    "swish": functional.hardswish,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "hardswish": functional.hardswish,
    "relu6": functional.relu6,
    "celu": functional.celu,
    "selu": functional.selu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "mish": functional.mish,
    "hardsigmoid": functional.hardsigmoid,
    "hardtanh": functional.hardtanh,
    "hardshrink": functional.hardshrink,
    "softshrink": functional.softshrink,
    "tanhshrink": functional.tanhshrink,
    "softplus": functional.softplus,
    "softsign": functional.softsign,
    "logsigmoid": functional.logsigmoid,
}
"""A1111's names; its "swish" is torch's Hardswish."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A linear layer (`weight` [out, in]) or, with a vector, a layer norm; the activation follows it."""

    weight: Tensor
    bias: Tensor | None
    activation: str = ""

    def __call__(self, values: Tensor) -> Tensor:
        if self.weight.dim() == 1:
            return functional.layer_norm(values, self.weight.shape, self.weight, self.bias)
        made = functional.linear(values, self.weight, self.bias)
        return ACTIVATIONS[self.activation](made) if self.activation else made


Net = tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class Hypernetwork:
    """`nets`: width of context -> the networks for keys and for values."""

    nets: Mapping[int, tuple[Net, Net]]

    def touched(self, model: Model, strength: float, text_strength: float) -> int:
        """No weight changes."""
        return 0

    def put_on(self, model: Model, strength: float, text_strength: float, kept: Kept, after: ExitStack) -> None:
        """Hooks before `to_k` and `to_v` of every attention of a width that the file has; at strength 0 none."""
        if not strength:
            return
        for width, keys, values in _attentions(model.unet):
            for projection, net in zip((keys, values), self.nets.get(width, ()), strict=False):
                after.callback(projection.register_forward_pre_hook(_before(net, strength)).remove)


def _before(net: Net, strength: float) -> Callable[[nn.Module, tuple[Any, ...]], tuple[Any, ...]]:
    def change(_: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        context: Tensor = given[0]
        made = context
        for layer in net:
            made = layer(made)
        return (context + strength * made, *given[1:])

    return change


def _attentions(unet: nn.Module) -> list[tuple[int, nn.Linear, nn.Linear]]:
    """(width of what it reads, to_k, to_v) of every attention."""
    found = []
    for module in unet.modules():
        keys, values = getattr(module, "to_k", None), getattr(module, "to_v", None)
        if isinstance(keys, nn.Linear) and isinstance(values, nn.Linear):
            found.append((keys.in_features, keys, values))
    return found


def load_hypernetwork(weights: WeightFile, model: Model) -> Hypernetwork:
    """The hypernetwork in this file (the hub's safetensors twin of A1111's .pt), on the model's device and in its type.

    The number and widths of layers follow from the tensors; the activation is a setting that the twin's metadata keeps. Raises FormatError
    `render:hypernetwork` for what is none, is damaged or does not say its activation, `render:other-family` where no attention of the
    model reads what it was trained for.
    """
    found: dict[int, dict[int, dict[int, dict[str, str]]]] = {}
    for name in weights.shapes:
        match = NAME.fullmatch(name)
        if match is None:
            raise FormatError("render:hypernetwork", f"{printable(name)} is not of a hypernetwork as A1111 saves it.")
        number = int(match[3]) if match[3] else int(match[4]) - 1
        layers = found.setdefault(int(match[1]), {}).setdefault(int(match[2]), {})
        layers.setdefault(number, {})[match[5]] = name
    _check_family(set(found), model)
    activation, to_output = _activation(weights.metadata, any(_has_gap(net) for pair in found.values() for net in pair.values()))
    nets = {}
    for width, pair in found.items():
        if set(pair) != {0, 1}:
            raise _damaged(f"for width {width} one of the two networks (keys, values) is missing")
        keys, values = (_net(weights, width, pair[which], model, activation, to_output) for which in (0, 1))
        nets[width] = (keys, values)
    return Hypernetwork(nets)


def _damaged(what: str) -> FormatError:
    return FormatError("render:hypernetwork", f"The hypernetwork is damaged: {what}.")


def _check_family(widths: set[int], model: Model) -> None:
    """The width of the text must be among the file's, or all of the file's among the model's (a file for self attention alone)."""
    reads = {width for width, _, _ in _attentions(model.unet)}
    text = sum(encoder.width for encoder in model.encoders)
    if not widths:
        raise FormatError("render:hypernetwork", "There is no hypernetwork in the file.")
    if text not in widths and not widths <= reads:
        own = ", ".join(str(width) for width in sorted(widths))
        sentence = (
            f"The hypernetwork was made for another family of models: it is for contexts of {own} numbers, and this model's texts have "
            f"{text}. Choose a base that it was trained on."
        )
        raise FormatError("render:other-family", sentence)


def _has_gap(net: Mapping[int, object]) -> bool:
    """Whether between the first layer and the last some number has no parameters: an activation, or a dropout."""
    return len(net) != max(net) + 1


def _activation(metadata: Mapping[str, str], needed: bool) -> tuple[str, bool]:
    """(name of the activation or "", whether it follows the last layer too: A1111's default for files that do not say)."""
    told = metadata.get(f"{SETTING}activation_func", metadata.get("activation_func", "")).strip().lower()
    known = any(key.startswith(SETTING) for key in metadata)
    if not told and needed and not known:
        sentence = (
            "The file does not say which activation the hypernetwork was trained with. Upload the .pt that A1111 saved: the hub makes a "
            "safetensors file of it that keeps the settings."
        )
        raise FormatError("render:hypernetwork", sentence)
    name = "" if told in ("linear", "none") else told
    if name and name not in ACTIVATIONS:
        raise FormatError("render:hypernetwork", f"The hypernetwork's activation ({printable(name, 40)}) is not known here.")
    output = metadata.get(f"{SETTING}activate_output", metadata.get("activate_output", "True"))
    return name, output.strip().lower() not in ("false", "0")


def _net(weights: WeightFile, width: int, numbered: Mapping[int, Mapping[str, str]], model: Model, activation: str, to_output: bool) -> Net:
    """The layers in their order, checked to follow each other from `width` to `width`."""
    order = sorted(numbered)
    linears = [number for number in order if len(weights.shapes.get(numbered[number].get("weight", ""), ())) == 2]
    if not linears or len(order) > MAX_LAYERS:
        raise _damaged(f"for width {width} there are {len(linears)} linear layers")
    layers, size = [], width
    for number in order:
        names = numbered[number]
        size = _checked_size(weights, names, size, number, width)
        last = number == linears[-1]
        follows = activation if number in linears and (to_output or not last) else ""
        tensors = {which: _tensor(weights, name, model) for which, name in names.items()}
        layers.append(Layer(tensors["weight"], tensors.get("bias"), follows))
    if size != width:
        raise _damaged(f"for width {width} the last layer gives {size} numbers")
    return tuple(layers)


def _checked_size(weights: WeightFile, names: Mapping[str, str], size: int, number: int, width: int) -> int:
    """How many numbers the layer gives for `size`. Raises FormatError where it takes another number, or its bias does not fit."""
    shape = weights.shapes.get(names.get("weight", ""), ())
    bias = weights.shapes[names["bias"]] if "bias" in names else shape[:1]
    if len(shape) in (1, 2) and shape[0] > MAX_WIDTH:
        sentence = f"Layer {number} of the hypernetwork for width {width} gives {shape[0]:,} numbers; at most {MAX_WIDTH:,} are rendered."
        raise LimitExceeded("render:hypernetwork", sentence)
    if len(shape) not in (1, 2) or shape[-1] != size or bias != shape[:1] or not shape[0]:
        raise _damaged(f"layer {number} for width {width} does not take the {size} numbers that come to it")
    return shape[0]


def _tensor(weights: WeightFile, name: str, model: Model) -> Tensor:
    if weights.dtypes[name] not in FLOATS:
        sentence = f"{printable(name)} is of type {weights.dtypes[name]}. Upload the hypernetwork as fp16 or fp32."
        raise FormatError("render:element-type", sentence)
    tensor = weights.tensor(name, model.device, model.dtype)
    if not bool(tensor.isfinite().all()):
        raise FormatError(
            "render:hypernetwork", f"{printable(name)} holds numbers that are none (NaN or infinity). Its training went wrong."
        )
    return tensor
