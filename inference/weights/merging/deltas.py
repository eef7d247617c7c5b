"""What LoRAs add to a weight, computed row by row in float32, in one fixed order of operations. It reads factors and writes nothing.

Only elementwise multiplications and additions are used, each rounded by IEEE 754, and no library's matrix product: those sum in an order
that depends on the processor and the number of threads. So the same factors give the same bits on any machine.
"""

from __future__ import annotations

from math import prod

import numpy as np

from inference.weights.cast import Array
from inference.weights.merging.lora import MAX_WHOLE, Baking
from inference.weights.merging.values import Reader, fold, to_float
from registry.formats.errors import FormatError

TILE = 1 << 15
"""Numbers of a product that are summed at once: 128 KiB with their addends, which stay in the cache."""
EPSILON = float(np.finfo(np.float32).eps)
"""Added to norms, as LyCORIS does, so that a column of zeros stays one."""


class Delta:
    """The unscaled difference that one baking makes; `scale` is what it is multiplied by: strength * alpha / rank."""

    def __init__(self, baking: Baking, reader: Reader) -> None:
        self.baking, self._reader = baking, reader
        self._diff = baking.parts.get("diff")
        parts = {
            part: to_float(reader.whole(baking.role, entry), entry.dtype).reshape(entry.shape)
            for part, entry in baking.parts.items()
            if part != "diff"
        }
        self.magnitude = parts.pop("dora", None)
        self.alpha_scale = _alpha_scale(baking, parts)
        self.scale = np.float32(baking.strength * self.alpha_scale)
        self._pairs = _pairs(parts, baking.flavour)
        self._kron = _kronecker(parts) if baking.flavour == "lokr" else None

    def rows(self, first: int, last: int) -> Array:
        """Rows [first, last) of the difference, as a float32 matrix; zeros for the numbers of a row that are not changed."""
        made = self._made(first, last)
        if made.shape[1] == self.baking.width:
            return made
        padded = np.zeros((last - first, self.baking.width), np.float32)
        padded[:, : made.shape[1]] = made
        return padded

    def _made(self, first: int, last: int) -> Array:
        if self._diff is not None:
            width = self._diff.numel // self.baking.rows
            piece = self._reader.read(self.baking.role, self._diff, first * width, (last - first) * width, "diff")
            return to_float(piece, self._diff.dtype).reshape(last - first, width)
        if self._kron is not None:
            return _kron_rows(*self._kron, first, last)
        products = [product(left[first:last], right) for left, right in self._pairs]
        out = products[0]
        for other in products[1:]:
            np.multiply(out, other, out=out)
        return out


def _alpha_scale(baking: Baking, parts: dict[str, Array]) -> float:
    """kohya's alpha / rank; a stored `scale` stands for the whole, and without alpha or rank it is 1 (A1111's network.py)."""
    said = float(parts.pop("alpha").reshape(-1)[0]) if "alpha" in parts else baking.alpha
    scale = said / baking.rank if said is not None and baking.rank else 1.0
    if "scale" in parts:
        scale = float(parts.pop("scale").reshape(-1)[0])
    if not np.isfinite(scale):
        raise FormatError("merge:lora", "A LoRA's alpha is not a number. Its file is damaged.")
    return scale


def product(left: Array, right: Array) -> Array:
    """left @ right in float32, summed from the first rank to the last."""
    rows, width = left.shape[0], right.shape[1]
    out = np.zeros((rows, width), np.float32)
    step = max(1, TILE // max(width, 1))
    for at in range(0, rows, step):
        tile = out[at : at + step]
        scratch = np.empty_like(tile)
        for rank in range(right.shape[0]):
            np.multiply(left[at : at + step, rank : rank + 1], right[rank], out=scratch)
            np.add(tile, scratch, out=tile)
    return out


def _flat(array: Array) -> Array:
    return np.ascontiguousarray(array.reshape(array.shape[0], prod(array.shape[1:])))


def _pairs(parts: dict[str, Array], flavour: str) -> list[tuple[Array, Array]]:
    """Pairs of factors whose products, multiplied elementwise, are the difference."""
    if flavour == "lora":
        up, down = _flat(parts["up"]), _flat(parts["down"])
        return [(up, _through(parts["mid"], down) if "mid" in parts else down)]
    if flavour != "loha":
        return []
    pairs = []
    for number in "12":
        left, right, core = parts[f"hada_w{number}_a"], parts[f"hada_w{number}_b"], parts.get(f"hada_t{number}")
        if core is not None:
            pairs.append((np.ascontiguousarray(left.T), _through(core, _flat(right))))
        else:
            pairs.append((_flat(left), _flat(right)))
    return pairs


def _through(core: Array, right: Array) -> Array:
    """A Tucker core [i, j, ...] with right [j, in] as a matrix [i, in * ...]: sum over j, laid out like a convolution's weight."""
    outer, inner, places = core.shape[0], core.shape[1], prod(core.shape[2:])
    flat = core.reshape(outer, inner, places).transpose(0, 2, 1).reshape(outer * places, inner)
    mixed = product(np.ascontiguousarray(flat), right).reshape(outer, places, right.shape[1])
    return np.ascontiguousarray(mixed.transpose(0, 2, 1)).reshape(outer, right.shape[1] * places)


def _kronecker(parts: dict[str, Array]) -> tuple[Array, Array]:
    """The two factors of a Kronecker product as matrices."""
    both = []
    for name, core_name in (("lokr_w1", "lokr_t1"), ("lokr_w2", "lokr_t2")):
        if name in parts:
            both.append(_flat(parts[name]))
        elif core_name in parts:
            both.append(product(np.ascontiguousarray(parts[f"{name}_a"].T), _through(parts[core_name], _flat(parts[f"{name}_b"]))))
        else:
            both.append(product(_flat(parts[f"{name}_a"]), _flat(parts[f"{name}_b"])))
    return both[0], both[1]


def _kron_rows(first: Array, second: Array, start: int, stop: int) -> Array:
    """Rows of kron(first, second): row i1 * r + i2 is every number of first's row i1 times second's row i2."""
    high, low = np.divmod(np.arange(start, stop), second.shape[0])
    rows: Array = first[high][:, :, None] * second[low][:, None, :]
    return rows.reshape(stop - start, first.shape[1] * second.shape[1])


def add(values: Array, first: int, width: int, deltas: list[Delta]) -> None:
    """Adds to `values`, float numbers of a weight from its element `first` on, what each delta gives for them."""
    top, bottom = first // width, -(-(first + values.size) // width)
    for delta in deltas:
        baking = delta.baking
        low, high = max(top, baking.start), min(bottom, baking.start + baking.rows)
        if low >= high:
            continue
        flat = np.multiply(delta.rows(low - baking.start, high - baking.start), delta.scale).reshape(-1)
        at = low * width - first
        begin, end = max(at, 0), min(at + flat.size, values.size)
        values[begin:end] += flat[begin - at : end - at]


def rescale(weight: Array, delta: Delta) -> None:
    """Bakes a DoRA into a whole float32 weight, in place: W + strength * (m * V / |V| - W) where V = W + alpha / rank * difference.

    Liu et al., "DoRA: Weight-Decomposed Low-Rank Adaptation" (2024), (5); norms over each row, or over each input channel where the
    magnitudes are stored so (LyCORIS). Norms are summed in float64.
    """
    baking, magnitude = delta.baking, delta.magnitude
    if magnitude is None or weight.size > MAX_WHOLE:
        raise FormatError("merge:lora", "A DoRA changes a weight that is too large to be rescaled.")
    part = weight.reshape(-1, baking.width)[baking.start : baking.start + baking.rows]
    changed = delta.rows(0, baking.rows) * np.float32(delta.alpha_scale)
    np.add(changed, part, out=changed)
    if magnitude.shape[0] == 1 and magnitude.size > 1:
        squares = np.zeros(baking.width, np.float64)
        for row in changed:
            squares += np.square(row, dtype=np.float64)
        norms = np.sqrt(fold(squares.reshape(magnitude.size, -1).T))
        factors = np.repeat(magnitude.reshape(-1) / (norms + EPSILON), baking.width // magnitude.size).astype(np.float32)
        changed *= factors
    else:
        norms = np.array([np.sqrt(fold(np.square(row, dtype=np.float64))) for row in changed])
        changed *= (magnitude.reshape(-1) / (norms + EPSILON)).astype(np.float32)[:, None]
    part += np.float32(baking.strength) * (changed - part)
