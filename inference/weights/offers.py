"""Which variants of a file can be made, what each would weigh, and which the hub makes unasked. From the directory alone, no bytes read.

Two variants with the same tensors are one: what would equal the file itself, its safetensors twin or another variant is never offered.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from inference.weights.header import header_bytes
from inference.weights.metadata import derived_metadata, made_by
from inference.weights.plan import CASTABLE, Dropped, Plan, make_plan
from inference.weights.quantised import quantised_by
from inference.weights.recipe import DTYPES, WIDE, Precision, Recipe, stays_exact, twin_recipe
from registry.formats.directory import TensorDirectory
from registry.formats.errors import FormatError, LimitExceeded
from registry.formats.plaintext import printable
from registry.identify.detect import identify
from registry.identify.keys import Named, unwrap

RECIPES: tuple[Recipe, ...] = tuple(
    Recipe(keep, precision) for keep in ("weights", "ema", "all") for precision in ("keep", "fp16", "bf16", "fp32")
)
"""Tried in this order: of recipes that give the same tensors the first is the one that is offered."""

MAX_TENSORS = 20_000
"""Tensors of a file beyond which no variants are worked out: the largest published models have about 4,000 with their averages."""
WORTH = 0.1
"""Share of the bytes that a cast must save before the hub makes it unasked."""
WHOLE_MODELS = frozenset({"checkpoint", "unet"})
NOT_BY_ITSELF: dict[str, str] = {
    "vae": "Some autoencoders give black pictures in half precision, so the hub makes no variants of them by itself.",
    "lora": "A LoRA is small already, so the hub makes no variants of it by itself.",
}
SMALL_PART = "The hub makes variants of whole models by itself, of everything else when it is asked."
NO_QUANTISED = "The numbers of this file are quantised ({why}). Casting them again would ruin them, so there are no variants of it."
DTYPE_WORDS = {"F64": "fp64", "F32": "fp32", "F16": "fp16", "BF16": "bf16"}


@dataclass(frozen=True, slots=True)
class Offer:
    """A variant that can be made: its size in bytes as it will be written, how many tensors it holds, what it leaves out by reason.

    `worthwhile`: the hub makes it unasked. `reason` says why, or why not, in a sentence for its owner.
    """

    recipe: Recipe
    size_bytes: int
    tensors: int
    dropped: dict[str, Dropped]
    worthwhile: bool
    reason: str


@dataclass(slots=True)
class Choices:
    """`offers`; of the recipes that are none, `same` says which other gives the same tensors (the twin's: the file itself has them),
    and `refused` why the rest cannot be made or would be of no use.
    """

    offers: list[Offer] = field(default_factory=list)
    same: dict[Recipe, Recipe] = field(default_factory=dict)
    refused: dict[Recipe, FormatError] = field(default_factory=dict)


def worthwhile(directory: TensorDirectory) -> list[Recipe]:
    """The variants that the hub makes unasked: half the size, or free of what making pictures does not read. Whole models only."""
    try:
        whole = identify(directory).kind in WHOLE_MODELS
        return [offer.recipe for offer in possible(directory) if offer.worthwhile] if whole else []
    except FormatError:
        return []


def possible(directory: TensorDirectory) -> list[Offer]:
    """Every variant that can be made of this file and differs from it and from the others. Raises as `choices` does."""
    return choices(directory).offers


def choices(directory: TensorDirectory) -> Choices:
    """An answer to every recipe.

    Raises FormatError `weights:duplicate-name` for a file whose tensors have no names of their own, and LimitExceeded
    `variants:too-many-tensors`.
    """
    if len(directory.tensors) > MAX_TENSORS:
        sentence = f"This file holds {len(directory.tensors):,} tensors. Variants are made of files with at most {MAX_TENSORS:,}."
        raise LimitExceeded("variants:too-many-tensors", sentence)
    named, found = unwrap(directory), Choices()
    why = _quantised(named)
    if why:
        found.refused = {recipe: FormatError("variants:quantised", NO_QUANTISED.format(why=why)) for recipe in RECIPES}
        return found
    metadata = derived_metadata(directory, twin_recipe(), source_sha256="0" * 64)
    model = _Model(identify(directory).kind, named.has_ema, MERGED in directory.metadata, metadata)
    plans = {recipe: _planned(directory, recipe, model, found) for recipe in [twin_recipe(), *RECIPES]}
    first: dict[Contents, Recipe] = {}
    for recipe, plan in plans.items():
        exact = plans[Recipe(recipe.keep, "keep")]
        if plan is None or exact is None:
            continue
        same = first.setdefault(_contents(plan), recipe)
        if same != recipe or recipe == twin_recipe():
            found.same[recipe] = same
        else:
            _judge(recipe, plan, exact, model, found)
    _follow(found)
    return found


MERGED = "sd_merge_recipe"
"""The entry of a file's metadata that A1111's merger and ours write."""
OF_ONE_PARENT = "This file was merged, and its averages may be those of one parent alone: pictures may show nothing of the merge."


@dataclass(frozen=True, slots=True)
class _Model:
    """What is asked of a file again and again: its kind, whether it has averages, was merged, and what its twin's metadata says."""

    kind: str
    has_ema: bool
    merged: bool
    metadata: dict[str, str]


Contents = tuple[tuple[object, ...], ...]


def _planned(directory: TensorDirectory, recipe: Recipe, model: _Model, found: Choices) -> Plan | None:
    try:
        return make_plan(directory, recipe, model.metadata)
    except FormatError as refusal:
        found.refused[recipe] = refusal
        return None


def _contents(plan: Plan) -> Contents:
    """What tells two plans of one directory apart: each name, its type, and the very bytes that it is read from."""
    rows = [(item, item.entry) for item in plan.tensors]
    aliases = sorted(plan.aliases.items())
    return (*aliases, *((item.name, item.dtype, at.dtype, at.storage, at.offset, at.shape, at.stride) for item, at in rows))


def _follow(found: Choices) -> None:
    """A recipe that gives the same tensors as a refused one is refused in its words."""
    for recipe, same in list(found.same.items()):
        if same in found.refused:
            del found.same[recipe]
            found.refused[recipe] = found.refused[same]


def _quantised(named: Named) -> str:
    """What shows that the weights are quantised (an 8-bit float type, scales or tables beside them); "" where nothing does."""
    for name, entry in named.tensors.items():
        if entry.dtype.startswith("F8_"):
            return f"{printable(name, 80)} is {entry.dtype}"
    found = quantised_by(named.tensors)
    return f"{found[0]}, {printable(found[1], 80)}" if found else ""


def _judge(recipe: Recipe, plan: Plan, exact: Plan, model: _Model, found: Choices) -> None:
    """Offers a plan that gives tensors of its own, or says of what use it is not. `exact` keeps the same tensors as they are."""
    main, before, after = _main(exact), _data_bytes(exact), _data_bytes(plan)
    useless = _useless(recipe.precision, main, before, after) if recipe.precision != "keep" else ""
    if useless:
        found.refused[recipe] = FormatError("variants:no-use", useless)
        return
    unasked, reason = _standing(recipe, main, 1 - after / max(before, 1), model.has_ema)
    if recipe.keep == "ema" and model.merged:
        unasked, reason = False, OF_ONE_PARENT
    if model.kind not in WHOLE_MODELS:
        unasked, reason = False, NOT_BY_ITSELF.get(model.kind, SMALL_PART)
    found.offers.append(Offer(recipe, _size(recipe, plan, model), len(plan.tensors), plan.dropped, unasked, reason))


def _size(recipe: Recipe, plan: Plan, model: _Model) -> int:
    """Bytes of the whole file. CLIP's position ids that are floats are taken to count from 0: then they are written as I64 again."""
    for number, item in enumerate(plan.tensors):
        if item.name.endswith("position_ids") and item.entry.dtype in CASTABLE:
            plan.tensors[number] = replace(item, dtype="I64")
    plan.sort()
    return len(header_bytes(plan.tensors, {**model.metadata, **made_by(recipe)}, plan.aliases)) + _data_bytes(plan)


def _useless(precision: Precision, main: str, before: int, after: int) -> str:
    """Why nobody wants a cast of a file that is mostly `main` and shrinks from `before` to `after` bytes; "" where somebody may."""
    word = DTYPE_WORDS.get(main, main)
    if main == DTYPES[precision]:
        change = "saved" if after < before else "added"
        return f"Most of this file is {word} already: {abs(before - after):,} bytes of {before:,} would be {change}."
    if main == "BF16" or after < before:
        return ""
    if after == before:
        return f"This file is {word} already: {precision} would save nothing and cost exact digits."
    return f"{word} numbers written as {precision} take more room and gain not one digit. Every program reads {word}."


def _main(plan: Plan) -> str:
    """The type that most bytes of a plan are in, of those that a precision applies to; "" where there are none."""
    census: Counter[str] = Counter()
    for item in plan.tensors:
        if item.entry.dtype in CASTABLE and not stays_exact(item.name):
            census[item.entry.dtype] += item.nbytes
    return max(census.items(), key=lambda found: (found[1], found[0]), default=("", 0))[0]


def _data_bytes(plan: Plan) -> int:
    return sum(item.nbytes for item in plan.tensors)


def _standing(recipe: Recipe, main: str, saved: float, has_ema: bool) -> tuple[bool, str]:
    """Whether the hub makes this variant of a whole model unasked, and why. `saved`: share of the bytes that the cast saves."""
    if recipe.keep == "all" and has_ema:
        return False, "It keeps the averages beside the weights, which is for training on. Pictures are made without them."
    if recipe.precision == "keep" and main in WIDE:
        return False, "Every bit as it was, for training and merging. For pictures fp16 does as well at half the size."
    if recipe.precision == "keep":
        return True, "The numbers stay as they are; what making pictures does not read is left out."
    if recipe.precision == "bf16":
        return False, "As small as fp16 with fewer exact digits, but nothing can become too large: for programs that compute in bf16."
    if recipe.precision == "fp32":
        return False, "Twice the size with every number exact, for programs that read no bf16."
    if main == "BF16":
        return False, "bf16 numbers reach further than fp16's: some may become infinite or zero. For programs that read no bf16."
    if saved < WORTH:
        return False, f"It would be only {saved:.0%} smaller, so the hub does not make it by itself."
    return True, f"{saved:.0%} smaller, and the pictures are the same for nearly everyone."
