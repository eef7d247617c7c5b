"""Whether an add-on fits a checkpoint, and how much of it would apply: names mapped, shapes compared. No number is read.

The module that says which weight a name means is `names`; what an adapter's factors make is in `factors`. Rules of loading follow
A1111 (Lora/networks.py, textual_inversion.py, hypernetwork.py, sd_vae.py) and ComfyUI (lora.py, controlnet.py): a layer that the checkpoint
does not have, or has in another shape, is left out there, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from registry.formats.directory import TensorDirectory
from registry.formats.plaintext import printable
from registry.identify.adapternames import adapters
from registry.identify.agreement import same_family
from registry.identify.canonical import spelled
from registry.identify.detect import Detection, identify
from registry.identify.factors import FACTORS, extent, fits_shape
from registry.identify.facts import quoted
from registry.identify.keys import EMA, unwrap
from registry.identify.names import Target, Targets, address

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
MAX_MISSES = 10
ENOUGH = 0.99
"""Share from which on an add-on is said to fit; below it some layers would silently do nothing."""

MODELS = {"checkpoint", "unet"}


@dataclass(frozen=True, slots=True)
class Fit:
    """`fits`: True, False, or None where names and shapes cannot say. `share` is of the add-on's parts (0..1) that would apply, `applied`
    of `parts`; `misses` are up to ten that would not, each with the reason. `sentence` says it for people.
    """

    fits: bool | None
    sentence: str
    share: float = 0.0
    applied: int = 0
    parts: int = 0
    misses: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def fits(addon: TensorDirectory, checkpoint: TensorDirectory) -> Fit:
    """Whether `addon` (LoRA of any flavour, embedding, hypernetwork, VAE, ControlNet, T2I- or IP-adapter, motion module) can be used
    with `checkpoint`. Raises FormatError `weights:duplicate-name` as `identify` does.
    """
    model = identify(checkpoint)
    if model.kind not in MODELS:
        return Fit(None, f"{_article(_words(model))} is no checkpoint to fit anything to.")
    small, whole = _shapes(addon), _shapes(checkpoint)
    found = identify(addon)
    if found.kind == "lora":
        return _adapter(small, whole, found, model)
    look = {"embedding": _embedding, "vae": _vae, "hypernetwork": _hypernetwork}.get(found.kind)
    if look is not None:
        return look(small, whole, found, model)
    if found.kind in {"controlnet", "t2i_adapter", "ip_adapter", "motion_module"}:
        return _by_family(found, model)
    return Fit(None, f"{_article(_words(found))} is nothing that is added to a checkpoint.")


def _shapes(directory: TensorDirectory) -> dict[str, Shape]:
    return {name: entry.shape for name, entry in unwrap(directory).tensors.items() if not name.startswith(EMA)}


def _words(found: Detection) -> str:
    """What a file is, in a few words: "LoRA for SD 1.5", "SDXL checkpoint"."""
    names = {"controlnet": "ControlNet", "vae": "VAE", "unet": "diffusion model", "lora": "LoRA"}
    kind = found.flavour or names.get(found.kind, found.kind.replace("_", " "))
    base = found.base or found.family
    return f"{base} {kind}".strip() if found.kind in MODELS else f"{kind} for {base}" if base else kind


def _article(words: str) -> str:
    return f"{'An' if words[:1] in 'AEIOUaeiou' else 'A'} {words}"


def _adapter(small: Shapes, whole: Shapes, found: Detection, model: Detection) -> Fit:
    targets = Targets(whole)
    modules = {module: roles for module, roles in adapters(dict(small)).items() if FACTORS & roles.keys()}
    reasons = {module: reason for module, roles in modules.items() if (reason := _refusal(module, roles, small, targets))}
    applied, parts = len(modules) - len(reasons), len(modules)
    misses = [printable(f"{module}: {reason}") for module, reason in sorted(reasons.items())[:MAX_MISSES]]
    share = applied / parts if parts else 0.0
    text = f"{applied} of {parts} adapted layers ({share:.0%})"
    if share >= ENOUGH:
        return Fit(True, f"This {_words(found)} fits: {text} apply.", share, applied, parts, misses)
    if model.kind == "unet" and applied and all(address(module)[0] != "unet" for module in reasons):
        sentence = f"This {_words(found)} fits the model; {text} apply, the rest changes text encoders, which this file does not hold."
        return Fit(True, sentence, share, applied, parts, misses)
    if not applied or same_family(found.family, model.family) is False:
        return Fit(False, f"This {_words(found)} does not fit this {_words(model)}: {text} apply.", share, applied, parts, misses)
    return Fit(False, f"This {_words(found)} fits in part only: {text} apply, the others would do nothing.", share, applied, parts, misses)


def _refusal(module: str, roles: Mapping[str, str], small: Shapes, targets: Targets) -> str:
    """Why a module would not apply; "" where it would."""
    target = targets.find(module)
    if target is None:
        return "no such layer"
    shapes = {role: small[name] for role, name in roles.items()}
    made = extent(shapes)
    if made is None:
        bias = shapes.get("diff_b") or shapes.get("b_norm")
        return "" if bias and _bias_fits(module, bias, targets) else "its factors do not belong together"
    if "ia3" in shapes:
        return "" if _numbers(shapes["ia3"]) in target.part_shape[:2] else f"its factor has {_numbers(shapes['ia3'])} numbers"
    return "" if fits_shape(made, target.part_shape) else f"it is made for {_dims(made)}, the layer is {_layer(target)}"


def _bias_fits(module: str, shape: Shape, targets: Targets) -> bool:
    target = targets.bias(module)
    return target is not None and target.part_shape == shape


def _numbers(shape: Shape) -> int:
    total = 1
    for number in shape:
        total *= number
    return total


def _dims(shape: Shape) -> str:
    return "x".join(str(number) if number else "?" for number in shape)


def _layer(target: Target) -> str:
    return quoted(target.name, target.part_shape)


TOKENS: tuple[tuple[str, str], ...] = (
    ("clip_l", "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"),
    ("clip_l", "cond_stage_model.transformer.embeddings.token_embedding.weight"),
    ("clip_l", "cond_stage_model.model.token_embedding.weight"),
    ("clip_l", "conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight"),
    ("clip_g", "conditioner.embedders.1.model.token_embedding.weight"),
    ("clip_g", "conditioner.embedders.0.model.token_embedding.weight"),
    ("clip_l", "text_encoders.clip_l.transformer.text_model.embeddings.token_embedding.weight"),
    ("clip_g", "text_encoders.clip_g.transformer.text_model.embeddings.token_embedding.weight"),
)
"""Which encoder reads an embedding's vectors, and the table of words whose width they must have."""


def _embedding(small: Shapes, whole: Shapes, found: Detection, model: Detection) -> Fit:
    widths = {encoder: whole[name][-1] for encoder, name in TOKENS if whole.get(name)}
    if not widths:
        return _by_family(found, model)
    rows = {name: shape[-1] for name, shape in small.items() if shape}
    wanted = {name: {widths[name]} if name in widths else set() if name in {"clip_l", "clip_g"} else set(widths.values()) for name in rows}
    misses = [
        f"{name}: {width} wide, the text encoder reads {_any(wanted[name])}" for name, width in rows.items() if width not in wanted[name]
    ]
    applied, missing = len(rows) - len(misses), sorted(widths.keys() - rows.keys()) if len(widths) > 1 else []
    share = applied / len(rows) if rows else 0.0
    lines = [printable(line) for line in misses[:MAX_MISSES]]
    if misses:
        return Fit(
            False,
            f"This {_words(found)} does not fit: its vectors have another width than the text encoder.",
            share,
            applied,
            len(rows),
            lines,
        )
    if missing:
        return Fit(
            False,
            f"This {_words(found)} lacks vectors for {' and '.join(missing)}, which this checkpoint reads as well.",
            share,
            applied,
            len(rows),
        )
    return Fit(True, f"This {_words(found)} fits: its vectors are as wide as the text encoder.", share, applied, len(rows))


def _any(numbers: set[int]) -> str:
    return " or ".join(map(str, sorted(numbers))) or "nothing of this name"


def _vae(small: Shapes, whole: Shapes, found: Detection, model: Detection) -> Fit:
    """A VAE takes the place of the checkpoint's own: every tensor of that must be there in the same shape."""
    own, new = _part(whole, "vae."), _part(small, "vae.")
    if not own:
        return _by_family(found, model)
    new = {name: shape for name, shape in new.items() if not name.startswith(("vae.loss.", "vae.model_ema."))}
    wrong = [name for name in sorted(own) if name not in new or _squeezed(new[name]) != _squeezed(own[name])]
    misses = [printable(f"{name[4:]}: {_dims(new.get(name, ())) or 'missing'}, not {_dims(own[name])}") for name in wrong[:MAX_MISSES]]
    applied = len(own) - len(wrong)
    verdict = (
        "fits: it has every tensor of the checkpoint's own"
        if not wrong
        else "does not fit: it is built otherwise than the checkpoint's own"
    )
    return Fit(not wrong, f"This VAE {verdict}.", applied / len(own), applied, len(own), misses)


def _part(shapes: Shapes, prefix: str) -> dict[str, Shape]:
    return {name: shapes[original] for name, original in spelled(shapes.keys()).items() if name.startswith(prefix)}


def _squeezed(shape: Shape) -> Shape:
    """Attention's 1x1 convolutions are linear layers in some files."""
    return shape[:2] if len(shape) == 4 and shape[2:] == (1, 1) else shape


def _hypernetwork(small: Shapes, whole: Shapes, found: Detection, model: Detection) -> Fit:
    """A hypernetwork changes what cross-attention reads: it is asked for by the widths of its inputs."""
    targets = Targets(whole)
    reads = {shape[1] for name, shape in whole.items() if name.endswith((".attn1.to_k.weight", ".attn2.to_k.weight")) and len(shape) == 2}
    widths = sorted({int(head) for name in small if (head := name.split(".")[0]).isdigit() and len(head) < 6})
    misses = [f"{width}: no attention of this checkpoint reads vectors of this width" for width in widths if width not in reads]
    applied = len(widths) - len(misses)
    if not len(targets) or not widths:
        return _by_family(found, model)
    verdict = "fits: the checkpoint has attention of all its widths" if not misses else "does not fit: it is made for other widths"
    return Fit(not misses, f"This hypernetwork {verdict}.", applied / len(widths), applied, len(widths), misses[:MAX_MISSES])


def _by_family(found: Detection, model: Detection) -> Fit:
    same = same_family(found.family, model.family)
    if same is None:
        return Fit(None, f"Whether this {_words(found)} fits cannot be told from names and shapes.")
    verdict = "fits" if same else "does not fit"
    return Fit(same, f"This {_words(found)} {verdict} this {_words(model)}.", float(same), int(same), 1)
