"""Which weight of a model an add-on's module means, whoever named it: kohya, diffusers, PEFT, LyCORIS, ldm, sgm or ComfyUI. Names and
shapes only; nothing is read, and whether factors fit is asked in `fitting`.

How it is used: `adapternames.adapters(names of the LoRA)` gives the modules with their factors; `Targets(shapes of the checkpoint)` is
made once, and `targets.find(module)` answers with the name *in the checkpoint* and the rows of that weight which the module means:

    targets = Targets({name: entry.shape for name, entry in unwrap(directory).tensors.items()})
    for module, factors in adapters(names).items():
        target = targets.find(module)   # None: this checkpoint has no such layer

Both sides are made one spelling, dots as underscores (kohya's names have lost theirs), under the part of the model that they belong to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from registry.identify.modulenames import clip_pieces, diffusers_pieces
from registry.identify.unetnames import DiffusersUnet, LdmUnet

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """A weight of the checkpoint, and the rows of it that are meant: `rows` from `start` on along dimension 0, or all (None)."""

    name: str
    shape: Shape
    start: int = 0
    rows: int | None = None

    @property
    def part_shape(self) -> Shape:
        """Shape of the rows that are meant."""
        return self.shape if self.rows is None else (self.rows, *self.shape[1:])


MODEL_PREFIXES: tuple[str, ...] = ("model.diffusion_model.", "diffusion_model.", "unet.", "transformer.", "prior.", "model.", "net.")
"""What stands before the diffusion model's own names in a checkpoint, the longest first; a file of the model alone has none."""

ENCODERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("cond_stage_model.transformer.", ("te", "te1")),
    ("cond_stage_model.model.transformer.", ("te", "te1")),
    ("conditioner.embedders.0.transformer.", ("te1", "te")),
    ("conditioner.embedders.1.model.transformer.", ("te2",)),
    ("conditioner.embedders.0.model.transformer.", ("te", "te1", "te2")),
    ("text_encoders.clip_l.transformer.", ("te1", "te")),
    ("text_encoders.clip_h.transformer.", ("te1", "te")),
    ("text_encoders.clip_g.transformer.", ("te2",)),
    ("text_encoders.t5xxl.transformer.", ("te3",)),
    ("text_encoder.", ("te", "te1")),
    ("text_encoder_2.", ("te2",)),
    ("text_encoder_3.", ("te3",)),
)
"""Prefix of a text encoder in a checkpoint -> the parts by which add-ons call it. The refiner has OpenCLIP alone."""

OTHER_PARTS = ("first_stage_model.", "vae.", "model_ema.", "control_model.", "depth_model.", "embedder.", "audio_vae.", "vocoder.")
"""Prefixes of what no adapter changes."""

ADDRESSES: tuple[tuple[str, str], ...] = (
    ("lora_unet_", "unet"),
    ("lora_transformer_", "unet"),
    ("lora_prior_unet_", "unet"),
    ("lycoris_", "unet"),
    ("oft_unet_", "unet"),
    ("unet.base_model.model.", "unet"),
    ("base_model.model.diffusion_model.", "unet"),
    ("base_model.model.", "unet"),
    ("model.diffusion_model.", "unet"),
    ("diffusion_model.", "unet"),
    ("unet.", "unet"),
    ("transformer.", "unet"),
    ("lora_te1_", "te1"),
    ("lora_te2_", "te2"),
    ("lora_te3_", "te3"),
    ("lora_te_", "te"),
    ("lora_prior_te_", "te2"),
    ("text_encoder.", "te"),
    ("text_encoder_2.", "te2"),
    ("text_encoder_3.", "te3"),
    ("text_encoders.clip_l.transformer.", "te1"),
    ("text_encoders.clip_g.transformer.", "te2"),
    ("text_encoders.t5xxl.transformer.", "te3"),
)
"""How an add-on's module names begin, and the part of the model that they speak of. A name that begins otherwise is the model's own."""


def address(module: str) -> tuple[str, str]:
    """(part, the rest in one spelling) of an add-on's module; part is "unet" (any diffusion model), "te", "te1", "te2" or "te3"."""
    if not module.startswith(_STARTS):
        return "unet", loose(module)
    prefix, part = next(row for row in ADDRESSES if module.startswith(row[0]))
    return part, loose(module[len(prefix) :])


_STARTS = tuple(prefix for prefix, _ in ADDRESSES)


def loose(name: str) -> str:
    """Dots as underscores; diffusers' processors and its old `to_out` are spelled as the layers that they stand for."""
    if "." not in name:
        return name
    spelled = name.replace(".processor.", ".")
    return (f"{spelled}.0" if spelled.endswith(".to_out") else spelled).replace(".", "_")


class Targets:
    """All weights of a checkpoint by every name that add-ons know them by. `shapes`: the file's own names (roots unwrapped)."""

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self._found: dict[tuple[str, str], Target] = {}
        model: dict[str, str] = {}
        bare = not any(name.startswith(MODEL_PREFIXES) for name in shapes)
        for name in shapes:
            parts, inner = _place(name, bare)
            if parts == ("unet",):
                model[inner] = name
            elif parts:
                self._add_encoder(parts, inner, name, shapes[name])
        self._add_model(model, shapes)

    def find(self, module: str) -> Target | None:
        """The weight that an add-on's module means, or None where the checkpoint has no such layer."""
        return self._found.get(address(module))

    def bias(self, module: str) -> Target | None:
        """The bias of the same layer, for full differences (`diff_b`)."""
        part, name = address(module)
        return self._found.get((part, f"{name} bias"))

    def __len__(self) -> int:
        return len({target.name for target in self._found.values()})

    def parts(self) -> set[str]:
        """Parts of the model that the checkpoint has: "unet", "te", "te1" ..."""
        return {part for part, _ in self._found}

    def _add_model(self, model: dict[str, str], shapes: Mapping[str, Shape]) -> None:
        ldm, diffusers = LdmUnet(model), DiffusersUnet(model)
        for inner, name in model.items():
            module, ending = _own(inner)
            if not module:
                continue
            whole = Target(name, shapes[name])
            self._put("unet", module, ending, whole)
            other = ldm.diffusers(module) or diffusers.ldm(module)
            if other is not None:
                self._put("unet", other, ending, whole)
            for piece, part, of in diffusers_pieces(module):
                self._put("unet", piece, ending, _rows(whole, part, of, 4 if piece.endswith("proj_mlp") else 1))

    def _add_encoder(self, slots: tuple[str, ...], inner: str, name: str, shape: Shape) -> None:
        inner = inner if "resblocks." in inner or inner.startswith(("text_model.", "encoder.block.", "shared.")) else f"text_model.{inner}"
        module, ending = _own(inner)
        for slot in slots if module else ():
            self._put(slot, module, ending, Target(name, shape))
            for piece, part, of in clip_pieces(module):
                self._put(slot, piece, ending, _rows(Target(name, shape), part, of, 1))

    def _put(self, part: str, module: str, ending: str, target: Target) -> None:
        key = (part, loose(module) + (" bias" if ending == "bias" else ""))
        self._found.setdefault(key, target)


def _own(inner: str) -> tuple[str, str]:
    """(module, "weight" or "bias") of a parameter's name; ("", "") for other tensors."""
    for ending in ("weight", "bias"):
        if inner.endswith((f".{ending}", f"in_proj_{ending}")):
            return inner[: -len(ending) - 1], ending
    return "", ""


def _place(name: str, bare: bool) -> tuple[tuple[str, ...], str]:
    """(parts, name within the part) of a checkpoint's tensor; no parts where nothing adapts it."""
    for prefix, parts in ENCODERS:
        if name.startswith(prefix):
            return parts, name[len(prefix) :]
    if name.startswith(OTHER_PARTS):
        return (), name
    for prefix in MODEL_PREFIXES:
        if name.startswith(prefix):
            return ("unet",), name[len(prefix) :]
    return (("unet",), name) if bare else ((), name)


def _rows(whole: Target, part: int, of: int, count: int) -> Target:
    """The rows from equal part `part` of `of` on, `count` parts of them; the whole weight where its rows cannot be divided so."""
    if of == 1 or not whole.shape or whole.shape[0] % of:
        return whole
    share = whole.shape[0] // of
    return Target(whole.name, whole.shape, part * share, share * count)
