"""A LoRA of any flavour, held against a loaded model: which parameter each of its modules changes, by shape before anything is read.

Names are read by `registry.identify`, shapes by the rules of `inference.weights.merging.lora`; what factors make of a weight is in
`deltas`, and `patching` puts it there.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from math import isfinite, prod

import torch
from torch import Tensor, nn

from inference.diffusion.deltas import changed
from inference.diffusion.loading import Model
from inference.diffusion.patching import Kept
from inference.diffusion.rotations import ROTATIONS, rotation_size
from inference.diffusion.weightfile import WeightFile
from inference.weights.merging.lora import BIASES, FIRST_LAYERS, FITS, MAX_RANK, SCALARS, WEIGHTS, dora_fits, flavour_of
from inference.weights.merging.peft import Alphas
from registry.formats.dtypes import FLOATS
from registry.formats.errors import FormatError, LimitExceeded
from registry.formats.plaintext import printable
from registry.identify.adapternames import adapters
from registry.identify.factors import extent
from registry.identify.names import Target, Targets

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
UNET = "unet"
PREFIXES = {"clip-l": "text_encoder.", "clip-h": "text_encoder.", "clip-g": "text_encoder_2."}
"""How `registry.identify.names` knows text encoders, by their kind."""
LATENT_CHANNELS = 4
LEAST_SHARE = 0.5
"""A LoRA of whose modules fewer have a place in the model is for another one."""
LISTED = 5


@dataclass(frozen=True, slots=True)
class Change:
    """What one module of a LoRA does to one parameter: `part` is "unet" or a text encoder's kind, `name` the parameter's name there."""

    part: str
    name: str
    flavour: str
    factors: dict[str, Tensor]
    scale: float

    def on(self, weight: Tensor, strength: float) -> Tensor:
        """The float32 weight with this change at this strength."""
        factors = {role: factor.to(weight.device, torch.float32) for role, factor in self.factors.items()}
        return changed(weight, self.flavour, factors, self.scale, strength)


@dataclass(slots=True)
class Share:
    """How much of a file applies: its modules, those that change the model, and the first names of the others."""

    modules: int = 0
    applied: int = 0
    missed: list[str] = field(default_factory=list)

    def miss(self, name: str) -> None:
        if len(self.missed) < LISTED:
            self.missed.append(printable(name, 80))

    def sentence(self) -> str:
        """For the outcome of a render: empty where everything applies."""
        if self.applied == self.modules:
            return ""
        return f"{self.modules - self.applied} of {self.modules} modules have no place in this model: {', '.join(self.missed)}"


@dataclass(frozen=True, slots=True)
class Patch:
    """A LoRA that fits the model that it was loaded for, and any other of the same architecture."""

    changes: tuple[Change, ...]
    share: Share

    def touched(self, model: Model, strength: float, text_strength: float) -> int:
        """Bytes of the parameters that change."""
        found = {id(one): one for change in self.changes if _of(change, strength, text_strength) for one in [_parameter(model, change)]}
        return sum(one.numel() * one.element_size() for one in found.values())

    def put_on(self, model: Model, strength: float, text_strength: float, kept: Kept, after: ExitStack) -> None:
        """Changes the parameters; a part whose strength is 0 stays as it is. Raises FormatError `render:other-family`."""
        for change in self.changes:
            much = _of(change, strength, text_strength)
            if much:
                kept.change(_parameter(model, change), partial(change.on, strength=much))


def _of(change: Change, strength: float, text_strength: float) -> float:
    return strength if change.part == UNET else text_strength


def _modules(model: Model) -> dict[str, nn.Module]:
    return {UNET: model.unet, **{encoder.kind: encoder.model for encoder in model.encoders}}


def _parameter(model: Model, change: Change) -> nn.Parameter:
    module = _modules(model).get(change.part)
    try:
        if module is None:
            raise AttributeError(change.part)
        return module.get_parameter(change.name)
    except AttributeError as error:
        raise FormatError("render:other-family", "The LoRA was loaded for a model that is built otherwise.") from error


class _Places:
    """The parameters of a model by every name that LoRAs know them by."""

    def __init__(self, model: Model) -> None:
        self._own: dict[str, tuple[str, str]] = {}
        shapes: dict[str, Shape] = {}
        for part, module in _modules(model).items():
            prefix = f"{UNET}." if part == UNET else PREFIXES[part]
            for name, parameter in module.named_parameters():
                self._own[prefix + name] = (part, name)
                shapes[prefix + name] = tuple(parameter.shape)
        self.targets = Targets(shapes)

    def own(self, target: Target) -> tuple[str, str]:
        """(part, the parameter's name in it)."""
        return self._own[target.name]


def load_lora(weights: WeightFile, model: Model) -> Patch:
    """The LoRA in this file, its factors on the model's device. LoRA, LoCon (with Tucker cores, too), LoHa, LoKr, full differences, norms,
    (IA)^3, GLoRA, DoRA on any of them; OFT, Diag-OFT, BOFT.

    Raises FormatError `render:lora` for what is no LoRA or holds numbers that are none, `render:other-family` where it was made for another
    model, `render:lora-form` for forms that are not known here.
    """
    modules = adapters(weights.shapes)
    if not modules:
        raise FormatError("render:lora", "There is no LoRA in the file: no tensor has a name that a trainer of LoRAs gives.")
    places, share, alphas = _Places(model), Share(), Alphas(weights.metadata)
    changes: list[Change] = []
    for module, names in modules.items():
        wanted = _wanted(module, {role: weights.shapes[name] for role, name in names.items()}, places, names)
        share.modules += 1
        share.applied += bool(wanted)
        if not wanted:
            share.miss(module)
        for target, flavour, roles, rank in wanted:
            scale = 1.0 if flavour == "diff" else _scale(weights, names, module, rank, alphas)
            if flavour in ROTATIONS:
                scale = _constraint(weights, names, target)
            factors = {_role(role, flavour): _factor(weights, names[role], model.device) for role in roles}
            if flavour == "ia3" and factors["ia3"].numel() != target.shape[int(factors["on_input"].any())]:
                raise _does_not_fit(module, tuple(factors["ia3"].shape), target.shape)
            changes.append(Change(*places.own(target), flavour, factors, scale))
    _check_share(share, modules)
    _check_finite(changes)
    return Patch(tuple(changes), share)


Wanted = tuple[Target, str, tuple[str, ...], int]
"""A weight, the flavour, the roles of the factors, and the rank (0 for none)."""


def _wanted(module: str, shapes: Shapes, places: _Places, names: Mapping[str, str]) -> list[Wanted]:
    """What a module changes; [] where the model has no such layer. Raises FormatError where the shapes do not fit."""
    found: list[Wanted] = []
    target, bias = places.targets.find(module), places.targets.bias(module)
    for role in BIASES:
        if role in shapes and bias is not None:
            found.append(_fitted(module, "diff", {role: shapes[role]}, bias))
    if target is None:
        return found
    for role in WEIGHTS:
        if role in shapes:
            found.append(_fitted(module, "diff", {role: shapes[role]}, target))
    rest = {role: shape for role, shape in shapes.items() if role not in (*BIASES, *WEIGHTS) and role not in SCALARS}
    if rest:
        found.append(_fitted(module, _flavour(module, rest, names), rest, target))
    return found


OWN_FLAVOURS: dict[frozenset[str], str] = {
    frozenset({"ia3", "on_input"}): "ia3",
    frozenset({"set_weight"}): "set",
    frozenset({"a1", "a2", "b1", "b2"}): "glora",
}


def _flavour(module: str, shapes: Shapes, names: Mapping[str, str]) -> str:
    known = flavour_of(shapes) or OWN_FLAVOURS.get(frozenset(shapes) - {"dora"}) or _rotation(shapes, names)
    if known is None:
        what = "an OFT of PEFT" if "oft_blocks" in shapes else "a form that is not known"
        forms = "LoRA, LoCon, LoHa, LoKr, DoRA, or an OFT or BOFT of LyCORIS or kohya"
        sentence = f"The file is {what}: {printable(module, 80)} has {', '.join(sorted(shapes))}. Upload a {forms}."
        raise FormatError("render:lora-form", sentence, where=printable(module))
    return known


def _rotation(shapes: Shapes, names: Mapping[str, str]) -> str | None:
    """OFT by its blocks' dimensions, PEFT's by its name: that turns what goes into a layer, and packs its blocks."""
    if not {"oft_blocks"} <= shapes.keys() <= {"oft_blocks", "rescale"} or names["oft_blocks"].endswith("oft_R.weight"):
        return None
    if names["oft_blocks"].endswith("oft_diag"):
        return "oft_diag"
    return "boft" if len(shapes["oft_blocks"]) == 4 else "oft"


def _fitted(module: str, flavour: str, shapes: Shapes, target: Target) -> Wanted:
    width = prod(target.shape[1:])
    rank = _rank(flavour, shapes, target.shape, width)
    if rank is None and _sees_more(target) and "dora" not in shapes:
        rank = _rank(flavour, shapes, target.shape, LATENT_CHANNELS * prod(target.shape[2:]))
    if rank is not None and rank > MAX_RANK:
        sentence = f"{printable(module, 80)} has rank {rank:,}; LoRAs of at most {MAX_RANK:,} are rendered."
        raise LimitExceeded("render:lora-rank", sentence, where=printable(module))
    if rank is None or not dora_fits(shapes.get("dora"), target.shape) or not all(prod(one) for one in shapes.values()):
        made = next(iter(shapes.values())) if flavour == "diff" else extent(shapes)
        raise _does_not_fit(module, made, target.shape)
    return target, flavour, tuple(shapes), rank


def _does_not_fit(module: str, made: Shape | None, shape: Shape) -> FormatError:
    gives = f"gives a weight of {_dims(made)}" if made else "has factors that do not belong together"
    sentence = (
        f"The LoRA was made for another family of models: {printable(module, 80)} {gives}, and this model's is {_dims(shape)}. "
        "Choose a base that it was trained on."
    )
    return FormatError("render:other-family", sentence, where=printable(module))


def _rank(flavour: str, shapes: Shapes, shape: Shape, width: int) -> int | None:
    """The rank, 0 for flavours without one, None where the factors do not give a weight of this shape, or of `width` numbers a row."""
    if flavour == "diff":
        return 0 if prod(next(iter(shapes.values()))) == shape[0] * width else None
    if flavour in FITS:
        return FITS[flavour](dict(shapes), shape[0], width)
    if flavour in ROTATIONS:
        return rotation_size(flavour, shapes, shape[0])
    if flavour == "ia3":
        return 0 if len(shape) > 1 and prod(shapes["ia3"]) in shape[:2] and prod(shapes["on_input"]) == 1 else None
    if flavour == "set":
        return 0 if prod(shapes["set_weight"]) == prod(shape) else None
    return _glora_rank(shapes, shape)


def _glora_rank(shapes: Shapes, shape: Shape) -> int | None:
    a1, a2, b1, b2 = (shapes[role] for role in ("a1", "a2", "b1", "b2"))
    if prod(shape[2:]) != 1 or len(shape) < 2 or any(len(one) != 2 for one in (a1, a2, b1, b2)):
        return None
    rows, width = shape[:2]
    now = (a1[0], a2[1], b1[0], b2[1]) == (width, width, rows, width) and a1[1] == a2[0] and b1[1] == b2[0]
    once = (a2[0], a1[1], b2[0], b1[1]) == (width, width, rows, width) and a2[1] == a1[0] and b2[1] == b1[0]
    return a1[1] if now else a1[0] if once else None


def _sees_more(target: Target) -> bool:
    return target.name.endswith(FIRST_LAYERS) and len(target.shape) == 4 and target.shape[1] > LATENT_CHANNELS


def _dims(shape: Shape) -> str:
    return "x".join(str(number) if number else "?" for number in shape)


def _role(role: str, flavour: str) -> str:
    return "diff" if flavour == "diff" else role


def _factor(weights: WeightFile, name: str, device: torch.device) -> Tensor:
    if weights.dtypes[name] not in FLOATS and not name.endswith("on_input"):
        sentence = f"{printable(name)} is of type {weights.dtypes[name]}. Upload the LoRA as fp16, bf16 or fp32."
        raise FormatError("render:element-type", sentence, where=printable(name))
    return weights.tensor(name, device)


def _scale(weights: WeightFile, names: Mapping[str, str], module: str, rank: int, alphas: Alphas) -> float:
    """alpha / rank; a stored `scale` stands for the whole, and without alpha or rank it is 1 (A1111's network.py)."""
    if "scale" in names:
        return _number(weights, names["scale"])
    if not rank:
        return 1.0
    alpha = _number(weights, names["alpha"]) if "alpha" in names else alphas.of(module, rank)
    return 1.0 if alpha is None else alpha / rank


def _constraint(weights: WeightFile, names: Mapping[str, str], target: Target) -> float:
    """How far rotations may go at most: alpha for each row, 0 where there is no bound."""
    return max(0.0, _number(weights, names["alpha"])) * target.shape[0] if "alpha" in names else 0.0


def _number(weights: WeightFile, name: str) -> float:
    value = float(weights.tensor(name).reshape(-1)[0]) if prod(weights.shapes[name]) == 1 else float("nan")
    if not isfinite(value):
        raise FormatError("render:lora", f"{printable(name)} is no number. The file is damaged.", where=printable(name))
    return value


def _check_share(share: Share, modules: Mapping[str, object]) -> None:
    if share.applied < LEAST_SHARE * len(modules):
        sentence = (
            f"The LoRA was made for another family of models: {share.modules - share.applied} of its {share.modules} modules have no place "
            f"in this one ({', '.join(share.missed)}). Choose a base that it was trained on."
        )
        raise FormatError("render:other-family", sentence)


def _check_finite(changes: list[Change]) -> None:
    """Raises FormatError where a factor holds NaN or infinity. The device is asked once, for all of them."""
    flags = [factor.float().isfinite().all() for change in changes for factor in change.factors.values()]
    if flags and not bool(torch.stack(flags).all()):
        bad = next(change for change in changes if not all(bool(one.float().isfinite().all()) for one in change.factors.values()))
        sentence = f"The LoRA holds numbers that are none (NaN or infinity), first for {printable(bad.name)}. Its training went wrong."
        raise FormatError("render:lora", sentence, where=printable(bad.name))
