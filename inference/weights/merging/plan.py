"""Which tensors a merge makes, of what, and what it leaves out and why. Decides before a byte of any tensor is read.

The rules are those of A1111's Checkpoint Merger (modules/extras.py `run_modelmerger`, 1.10), except that whole numbers and position ids
are always copied from A, where A1111 skips one name and lets the others become fractions; and that a model whose names never hold
"model", its sign of what to merge (Flux and others are published without prefixes), is merged whole.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Literal

from inference.weights.merging.blocks import block_weights
from inference.weights.merging.discard import Discard
from inference.weights.merging.inputs import LATENT_CHANNELS, SPECIAL_CHANNELS, check_families, named_tensors, need_roles
from inference.weights.merging.lora import Adapted, Baking, LoraReport, check_together, plan_lora
from inference.weights.merging.recipe import MergeRecipe
from inference.weights.merging.vae import vae_tensors
from inference.weights.plan import CASTABLE, Dropped, Planned
from inference.weights.recipe import DTYPES, stays_exact
from registry.formats.directory import TensorDirectory, TensorEntry
from registry.formats.dtypes import WRITE_ORDER
from registry.formats.errors import FormatError
from registry.formats.plaintext import printable

WIDTHS: tuple[str, ...] = ("F16", "BF16", "F32", "F64")
SIGN = "model"
"""What the name of a tensor must hold for A1111 to merge it."""

TORCH_PAYS = 256 << 20
"""Bytes of 16-bit results to merge from which opening torch's library (0.16 s of CPU, 100 MB) is cheaper than doing without it."""

Source = Literal["a", "vae"]


@dataclass(frozen=True, slots=True)
class Made:
    """One tensor of the result.

    `how`: merged, copied (then `why` says why) or baked. `source` and `entry` are where its own bytes are, `b` and `c` what is merged in;
    a merged tensor of add_difference without `c` has difference 0. `channels`: only so many of dimension 1 are merged (0: all).
    `natural` is the type that the method gives, `dtype` the one that is written. `bakings` are added after merging.
    """

    name: str
    dtype: str
    how: Literal["merged", "copied", "baked"]
    source: Source
    entry: TensorEntry
    natural: str
    why: str = ""
    b: TensorEntry | None = None
    c: TensorEntry | None = None
    multiplier: float = 0.0
    channels: int = 0
    bakings: tuple[Baking, ...] = ()

    @property
    def planned(self) -> Planned:
        """As the header writer wants it."""
        return Planned(self.name, self.dtype, self.entry)


@dataclass(slots=True)
class MergePlan:
    """The result's tensors in writing order; what is dropped, by reason; what each LoRA found; remarks for the report."""

    recipe: MergeRecipe
    tensors: list[Made]
    dropped: dict[str, Dropped]
    loras: list[LoraReport]
    notes: list[str]
    is_inpainting: bool = False
    is_pix2pix: bool = False
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def data_bytes(self) -> int:
        return sum(item.planned.nbytes for item in self.tensors)

    @property
    def small_bytes(self) -> int:
        """Those that the arithmetic gives in 16 bits, which numpy is slow at."""
        return sum(item.planned.nbytes for item in self.tensors if item.how == "merged" and item.natural in ("F16", "BF16"))


def plan_merge(directories: dict[str, TensorDirectory], recipe: MergeRecipe) -> MergePlan:
    """What `recipe` makes of the inputs. `directories`: role ("a", "b", "c", "vae", "lora0" ...) -> where that file's tensors lie.

    Raises FormatError: `merge:missing-input`, `merge:quantised`, `merge:families`, `merge:channels`, `merge:shape`,
    `merge:nothing-in-common`, `merge:blocks`, `merge:vae`, `merge:lora`, `merge:nothing-left`, `weights:duplicate-name`.
    """
    need_roles(directories, recipe)
    notes = check_families(directories, recipe)
    models = {role: named_tensors(role, directories[role]) for role in recipe.roles if role in ("a", "b", "c")}
    tensors = _merge_rows(models, recipe)
    plan = MergePlan(recipe, [], {}, [], notes)
    _note_specials(tensors, plan)
    if recipe.vae:
        _bake_vae(tensors, vae_tensors(directories["vae"], models["a"]), recipe, plan)
    _bake_loras(tensors, directories, recipe, plan)
    _drop(tensors, models, recipe, plan)
    plan.tensors = sorted(tensors.values(), key=lambda item: (WRITE_ORDER.index(item.dtype), item.name))
    plan.counts = dict(Counter(item.how if item.how != "copied" else f"copied: {item.why}" for item in plan.tensors))
    return plan


def _merge_rows(models: dict[str, dict[str, TensorEntry]], recipe: MergeRecipe) -> dict[str, Made]:
    a, b, c = models["a"], models.get("b", {}), models.get("c", {})
    weights = block_weights(list(a), recipe.blocks, recipe.multiplier)
    sign = SIGN if any(SIGN in name for name in a) else ""
    made = {}
    for name, entry in a.items():
        why = _why_copied(name, entry, b.get(name), weights[name], recipe, sign)
        if why:
            exact = recipe.copied_too and stays_exact(name)
            dtype = entry.dtype if exact else _final(entry.dtype, recipe, touched=recipe.method == "no_interpolation")
            made[name] = Made(name, dtype, "copied", "a", entry, entry.dtype, why)
        else:
            made[name] = _merged(name, entry, b[name], c.get(name), weights[name], recipe)
    if recipe.method != "no_interpolation" and not any(name in b and sign in name for name in a):
        raise FormatError(
            "merge:nothing-in-common", "Models A and B have no tensor in common that could be merged. Choose two checkpoints."
        )
    return made


def _why_copied(name: str, entry: TensorEntry, other: TensorEntry | None, weight: float, recipe: MergeRecipe, sign: str) -> str:
    """Why A's tensor stays as it is, or "" for one that is merged; `sign` is what the names of those hold."""
    if recipe.method == "no_interpolation":
        return "no interpolation"
    if other is None:
        return "only in A"
    if sign not in name:
        return "not part of the model"
    if name.endswith("position_ids"):
        return "position ids"
    if entry.dtype not in CASTABLE or other.dtype not in CASTABLE:
        return "whole numbers"
    return "block weight 0" if recipe.blocks and weight == 0 else ""


def _merged(name: str, a: TensorEntry, b: TensorEntry, c: TensorEntry | None, weight: float, recipe: MergeRecipe) -> Made:
    channels = _channels(name, a, b)
    if c is not None and (c.shape != b.shape or c.dtype not in CASTABLE):
        raise _shape_error(name, "B", b, "C", c)
    natural = a.dtype if channels else wider(a.dtype, wider(b.dtype, c.dtype if c is not None else b.dtype))
    return Made(name, _final(natural, recipe, touched=True), "merged", "a", a, natural, "", b, c, weight, channels)


def _channels(name: str, a: TensorEntry, b: TensorEntry) -> int:
    """0 for tensors of one shape, 4 where A takes more input channels than B; raises for everything else."""
    if a.shape == b.shape:
        return 0
    if len(a.shape) < 2 or len(a.shape) != len(b.shape) or a.shape[:1] + a.shape[2:] != b.shape[:1] + b.shape[2:]:
        raise _shape_error(name, "A", a, "B", b)
    if a.shape[1] in SPECIAL_CHANNELS and b.shape[1] == LATENT_CHANNELS:
        return LATENT_CHANNELS
    if a.shape[1] == LATENT_CHANNELS and b.shape[1] in SPECIAL_CHANNELS:
        what = SPECIAL_CHANNELS[b.shape[1]]
        raise FormatError("merge:channels", f"B is {what} and A is not. Swap them: only as A can it be merged with a normal one.")
    raise _shape_error(name, "A", a, "B", b)


def _shape_error(name: str, one: str, a: TensorEntry, other: str, b: TensorEntry) -> FormatError:
    sentence = (
        f"{printable(name)} is {a.dtype} {list(a.shape)} in {one} and {b.dtype} {list(b.shape)} in {other}, so these models "
        "cannot be merged. Choose models of one family."
    )
    return FormatError("merge:shape", sentence, where=printable(name))


def wider(one: str, other: str) -> str:
    """The type that torch gives to an operation between two: the wider, and F32 for F16 with BF16."""
    if {one, other} == {"F16", "BF16"}:
        return "F32"
    return max(one, other, key=WIDTHS.index)


def _final(natural: str, recipe: MergeRecipe, *, touched: bool) -> str:
    if recipe.precision == "keep" or natural not in CASTABLE or not (touched or recipe.copied_too):
        return natural
    return DTYPES[recipe.precision]


def _note_specials(tensors: dict[str, Made], plan: MergePlan) -> None:
    for item in tensors.values():
        if item.channels:
            plan.is_inpainting |= item.entry.shape[1] == 9
            plan.is_pix2pix |= item.entry.shape[1] == 8
    zero = [item.name for item in tensors.values() if item.how == "merged" and plan.recipe.method == "add_difference" and item.c is None]
    if zero:
        plan.notes.append(f"{len(zero)} tensors of B are missing in C, so their difference is 0 ({printable(zero[0])} ...).")


def _bake_vae(tensors: dict[str, Made], found: dict[str, TensorEntry], recipe: MergeRecipe, plan: MergePlan) -> None:
    for name, entry in found.items():
        tensors[name] = Made(name, _final(entry.dtype, recipe, touched=True), "baked", "vae", entry, entry.dtype)
    kept = sum(name.startswith("first_stage_model.") for name in tensors) - len(found)
    if kept:
        plan.notes.append(f"{kept} tensors of A's autoencoder are not in the baked VAE and stay A's.")


def _bake_loras(tensors: dict[str, Made], directories: dict[str, TensorDirectory], recipe: MergeRecipe, plan: MergePlan) -> None:
    shapes = {name: item.entry.shape for name, item in tensors.items() if item.natural in CASTABLE}
    for number, strength in enumerate(recipe.loras):
        role = f"lora{number}"
        report, found = plan_lora(role, directories[role], shapes, strength)
        plan.loras.append(report)
        for adapted in found:
            _adapt(tensors, adapted, recipe)


def _adapt(tensors: dict[str, Made], adapted: Adapted, recipe: MergeRecipe) -> None:
    item = tensors[adapted.target]
    bakings = (*item.bakings, adapted.baking)
    check_together(item.name, bakings)
    dtype = _final(item.natural, recipe, touched=True)
    tensors[item.name] = replace(item, dtype=dtype, bakings=bakings, why=item.why and "LoRA added")


def _drop(tensors: dict[str, Made], models: dict[str, dict[str, TensorEntry]], recipe: MergeRecipe, plan: MergePlan) -> None:
    """Takes out what the expression finds, and lists it with what only B has."""
    discard = Discard(recipe.discard)
    for name in [name for name in tensors if discard.finds(name)]:
        plan.dropped.setdefault("discarded", Dropped()).add(name, tensors.pop(name).entry)
    for name, entry in models.get("b", {}).items():
        if name not in models["a"]:
            plan.dropped.setdefault("only in B", Dropped()).add(name, entry)
    if not tensors:
        raise FormatError("merge:nothing-left", "The expression of what to discard finds every tensor, so nothing would be left.")
