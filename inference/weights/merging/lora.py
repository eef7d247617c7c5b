"""Which weights of a checkpoint a LoRA changes and by which of its tensors, checked by shape before anything is read. It computes nothing.

Formulas that can be baked: LoRA and LoCon (also with a Tucker core), LoHa, LoKr, full differences, and DoRA's magnitude on any of them.
Names are read by `registry.identify.names`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from math import prod

from inference.weights.merging.inputs import LATENT_CHANNELS, SPECIAL_CHANNELS, check_number, label
from inference.weights.merging.peft import Alphas
from inference.weights.plan import CASTABLE
from registry.formats.directory import TensorDirectory, TensorEntry
from registry.formats.errors import FormatError
from registry.formats.plaintext import printable
from registry.identify.adapternames import adapters
from registry.identify.keys import unwrap
from registry.identify.names import Target, Targets

Shape = tuple[int, ...]
SCALARS = frozenset({"alpha", "scale"})
BIASES = ("diff_b", "b_norm")
WEIGHTS = ("diff", "w_norm")
FIRST_LAYERS = ("input_blocks.0.0.weight", "conv_in.weight")
"""What sees more channels in an inpainting model; A1111 (Lora/networks.py) pads what a LoRA of a normal one adds to it with zeros."""
MAX_FACTORS = 64 << 20
"""Numbers that the factors of one layer may hold, those of all LoRAs together; SDXL's largest weight has 14 million."""
MAX_WHOLE = 16 << 20
"""Numbers of the largest weight that DoRA may rescale: its norms need the whole weight at hand."""
MAX_RANK = 4096
MAX_WIDTH = 1 << 20
"""Numbers in a row of a weight, which are made together; the widest rows known have 46,080."""
LISTED = 5


@dataclass(frozen=True, slots=True)
class Baking:
    """What one LoRA adds to `rows` rows of a weight, from row `start` on, each of `width` numbers. Its factors may give fewer numbers:
    then those are for the first ones of each row (a LoRA of a normal model in the first layer of an inpainting model).

    `flavour` is "lora", "loha", "lokr" or "diff"; `parts` are its tensors by their roles (`registry.identify.adapternames.ROLES`).
    `rank` divides alpha, None where the flavour has no rank. `alpha` is what the file's metadata says where no tensor does.
    """

    role: str
    flavour: str
    parts: dict[str, TensorEntry]
    strength: float
    start: int
    rows: int
    width: int
    rank: int | None
    alpha: float | None = None


@dataclass(frozen=True, slots=True)
class Adapted:
    """A baking and the name of the weight that it goes into."""

    target: str
    baking: Baking


@dataclass(slots=True)
class LoraReport:
    """How much of a LoRA applies: layers baked, layers that the checkpoint does not have, tensors that are not understood (first names)."""

    strength: float
    baked: int = 0
    unmatched: int = 0
    not_understood: int = 0
    examples: list[str] = field(default_factory=list)

    def miss(self, name: str) -> None:
        if len(self.examples) < LISTED:
            self.examples.append(printable(name))


def plan_lora(role: str, directory: TensorDirectory, shapes: dict[str, Shape], strength: float) -> tuple[LoraReport, list[Adapted]]:
    """What of this LoRA goes where. `shapes`: of the checkpoint's tensors that hold fractions.

    Raises FormatError `merge:lora` where nothing applies, or where a factor has not the shape that the weight needs.
    """
    tensors = unwrap(directory).tensors
    targets = Targets(shapes)
    report, used, alphas = LoraReport(strength), set(), Alphas(directory.metadata)
    found: list[Adapted] = []
    for module, names in adapters(tensors).items():
        used |= set(names.values())
        parts = {part: tensors[name] for part, name in names.items()}
        for name in names.values():
            check_number(role, name, tensors[name])
        _plan_module(role, module, parts, targets, strength, alphas, report, found)
    for name in tensors:
        if name not in used:
            report.not_understood += 1
            report.miss(name)
    if not found:
        reason = f"{report.unmatched} layers are not in model A, {report.not_understood} tensors are of a form that cannot be baked"
        raise FormatError("merge:lora", f"{label(role)} changes nothing in this model: {reason}. Choose a LoRA for this family of models.")
    return report, found


def _plan_module(
    role: str,
    module: str,
    parts: dict[str, TensorEntry],
    targets: Targets,
    strength: float,
    alphas: Alphas,
    report: LoraReport,
    found: list[Adapted],
) -> None:
    biases = {part: parts.pop(part) for part in BIASES if part in parts}
    done = []
    for entry in biases.values():
        done.append(_fitted(role, module, {"diff": entry}, targets.bias(module), strength, alphas))
    weights = [parts.pop(part) for part in WEIGHTS if part in parts]
    for entry in weights:
        done.append(_fitted(role, module, {"diff": entry}, targets.find(module), strength, alphas))
    if set(parts) - SCALARS:
        if flavour_of(parts) is None:
            report.not_understood += len(parts)
            report.miss(module)
            return
        done.append(_fitted(role, module, parts, targets.find(module), strength, alphas))
    found += [item for item in done if item is not None]
    if done and all(item is None for item in done):
        report.unmatched += 1
        report.miss(module)
    else:
        report.baked += bool(done)


def flavour_of(parts: Collection[str]) -> str | None:
    """The formula that these factors belong to, or None: a form that is not known, or one with parts that are not."""
    has = set(parts) - SCALARS - {"dora"}
    if {"down", "up"} <= has and has <= {"down", "up", "mid"}:
        return "lora"
    hada = {"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"}
    if has in (hada, hada | {"hada_t1", "hada_t2"}):
        return "loha"
    first = has & {"lokr_w1", "lokr_w1_a", "lokr_w1_b"}
    second = has - first
    if first in ({"lokr_w1"}, {"lokr_w1_a", "lokr_w1_b"}) and second in (
        {"lokr_w2"},
        {"lokr_w2_a", "lokr_w2_b"},
        {"lokr_w2_a", "lokr_w2_b", "lokr_t2"},
    ):
        return "lokr"
    return "diff" if has == {"diff"} else None


def _fitted(
    role: str, module: str, parts: dict[str, TensorEntry], target: Target | None, strength: float, alphas: Alphas
) -> Adapted | None:
    """The baking, or None where the checkpoint has no such layer. Raises FormatError `merge:lora` where the shapes do not fit."""
    if target is None or not target.part_shape:
        return None
    rows, width = target.part_shape[0], prod(target.part_shape[1:])
    flavour = flavour_of(parts) or ""
    shapes = {part: entry.shape for part, entry in parts.items()}
    sound = all(entry.dtype in CASTABLE for entry in parts.values()) and all(prod(shapes[part]) == 1 for part in SCALARS & set(parts))
    given = FITS[flavour](shapes, rows, width) if sound else None
    if given is None and sound and "dora" not in parts and _sees_more(target):
        given = FITS[flavour](shapes, rows, LATENT_CHANNELS * prod(target.part_shape[2:]))
    if given is None or not dora_fits(shapes.get("dora"), target.part_shape):
        sentence = (
            f"{label(role)} does not fit model A: its factors for {printable(module)} do not give a weight of {list(target.part_shape)}. "
            "It was made for another model."
        )
        raise FormatError("merge:lora", sentence, where=printable(module))
    rank = given or None
    if (rank or 0) > MAX_RANK or width > MAX_WIDTH:
        raise FormatError("merge:lora", f"{label(role)} is larger than a LoRA can be.", where=printable(module))
    if "dora" in parts and prod(target.shape) > MAX_WHOLE:
        sentence = f"{label(role)} is a DoRA of a weight that is too large to be rescaled ({list(target.shape)}). Use it without merging."
        raise FormatError("merge:lora", sentence, where=printable(module))
    alpha = alphas.of(module, rank) if rank and "alpha" not in parts else None
    return Adapted(target.name, Baking(role, flavour, parts, strength, target.start, rows, width, rank, alpha))


def _sees_more(target: Target) -> bool:
    return target.name.endswith(FIRST_LAYERS) and len(target.part_shape) == 4 and target.part_shape[1] in SPECIAL_CHANNELS


def check_together(name: str, bakings: tuple[Baking, ...]) -> None:
    """Raises FormatError `merge:lora` where what is baked into one weight needs too much memory; whole differences are read in pieces."""
    factors = sum(entry.numel for baking in bakings for part, entry in baking.parts.items() if part != "diff")
    if factors > MAX_FACTORS:
        raise FormatError("merge:lora", f"The LoRAs for {printable(name)} are larger than LoRAs can be. Bake fewer of them at once.")


def _pair(left: Shape, right: Shape, rows: int, width: int) -> int | None:
    """Rank of a product that gives `rows` rows of `width` numbers, dimensions behind the second taken together; None where it does not."""
    fits = len(left) >= 2 and len(right) >= 2 and left[0] == rows and prod(left[1:]) == right[0] and prod(right[1:]) == width
    return right[0] if fits else None


def _fits_lora(shapes: dict[str, Shape], rows: int, width: int) -> int | None:
    up, down, mid = shapes["up"], shapes["down"], shapes.get("mid")
    if mid is None:
        return _pair(up, down, rows, width)
    if len(mid) < 3 or len(down) < 2 or len(up) < 2 or up[0] != rows:
        return None
    core = prod(up[1:]) == mid[0] and mid[1] == down[0] and prod(down[1:]) * prod(mid[2:]) == width
    return down[0] if core else None


def _fits_loha(shapes: dict[str, Shape], rows: int, width: int) -> int | None:
    ranks = set()
    for number in "12":
        left, right = shapes[f"hada_w{number}_a"], shapes[f"hada_w{number}_b"]
        core = shapes.get(f"hada_t{number}")
        if core is None:
            ranks.add(_pair(left, right, rows, width))
        else:
            ranks.add(_core_rank(core, left, right, rows, width))
    return None if None in ranks else shapes["hada_w1_b"][0]


def _core_rank(core: Shape, left: Shape, right: Shape, rows: int, width: int) -> int | None:
    """LyCORIS's Tucker form: core [i, j, ...], left [i, out], right [j, in]."""
    flat = len(core) >= 3 and len(left) == 2 and len(right) == 2 and core[0] == left[0] and core[1] == right[0]
    return right[0] if flat and left[1] == rows and right[1] * prod(core[2:]) == width else None


def _fits_lokr(shapes: dict[str, Shape], rows: int, width: int) -> int | None:
    """Rank, or 0 where both factors are whole; None where they do not fit."""
    first, rank = _factor(shapes, "lokr_w1")
    second, other = _factor(shapes, "lokr_w2")
    if first is None or second is None or first[0] * second[0] != rows or first[1] * second[1] != width:
        return None
    return other or rank or 0


def _factor(shapes: dict[str, Shape], name: str) -> tuple[tuple[int, int] | None, int]:
    """((rows, width) of one Kronecker factor or None, its rank or 0)."""
    whole = shapes.get(name)
    if whole is not None:
        return ((whole[0], prod(whole[1:])), 0) if len(whole) >= 2 else (None, 0)
    left, right, core = shapes[f"{name}_a"], shapes[f"{name}_b"], shapes.get(name.replace("w", "t"))
    if core is not None:
        rank = _core_rank(core, left, right, left[1], right[1] * prod(core[2:])) if len(left) == 2 == len(right) else None
        return ((left[1], right[1] * prod(core[2:])), right[0]) if rank is not None else (None, 0)
    rank = _pair(left, right, left[0], prod(right[1:])) if left else None
    return ((left[0], prod(right[1:])), right[0]) if rank is not None else (None, 0)


def _fits_diff(shapes: dict[str, Shape], rows: int, width: int) -> int | None:
    return 0 if prod(shapes["diff"]) == rows * width else None


FITS = {"lora": _fits_lora, "loha": _fits_loha, "lokr": _fits_lokr, "diff": _fits_diff}


def dora_fits(scale: Shape | None, shape: Shape) -> bool:
    """A magnitude for each output row ([out], [out, 1, ...]) or, in LyCORIS's older form, for each input channel ([1, in, ...])."""
    if scale is None:
        return True
    by_row = prod(scale) == shape[0] and scale[:1] == shape[:1]
    return by_row or (len(shape) > 1 and len(scale) > 1 and scale[0] == 1 and scale[1] == shape[1] == prod(scale))
