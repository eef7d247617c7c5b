"""Spherical interpolation of two tensors taken as vectors (Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985).

out = sin((1 - m) t) / sin(t) * a + sin(m t) / sin(t) * b, where cos(t) = <a, b> / (|a| |b|). The sums run in float64 in an order that is
fixed, and the functions are computed in decimals, so the result depends on no processor and no mathematical library.
"""

from __future__ import annotations

import decimal
import math
from decimal import Decimal

import numpy as np

from inference.weights.cast import Array
from inference.weights.merging.values import fold

PARALLEL = 0.9995
"""Above this |cosine| the formula loses its digits (sin t is small), so the weighted sum is taken, as mergekit's and others' slerp do."""
LANES = 8192
"""Partial sums kept side by side; vectors are added row by row of so many, which stay in the cache."""
DIGITS = 32


class Angle:
    """Sums up two vectors piece by piece; pieces are float32, of a multiple of `LANES` numbers but for the last."""

    def __init__(self) -> None:
        self._sums = np.zeros((3, LANES), np.float64)
        self._rows = np.empty((3, LANES), np.float64)

    def add(self, a: Array, b: Array) -> None:
        for at in range(0, a.size, LANES):
            count = min(LANES, a.size - at)
            row_a, row_b, product = self._rows[:, :count]
            row_a[...], row_b[...] = a[at : at + count], b[at : at + count]
            for sums, left, right in zip(self._sums[:, :count], (row_a, row_a, row_b), (row_b, row_a, row_b), strict=True):
                np.multiply(left, right, out=product)
                sums += product

    def coefficients(self, multiplier: float) -> tuple[float, float, bool]:
        """(factor of a, factor of b, whether they are the formula's): (1 - m, m, False) for vectors nearly parallel, zero or not finite."""
        between, of_a, of_b = (float(fold(sums)) for sums in self._sums)
        norms = math.sqrt(of_a) * math.sqrt(of_b) if of_a >= 0 and of_b >= 0 else 0.0
        cosine = between / norms if norms > 0 else math.nan
        if not abs(cosine) <= PARALLEL:
            return 1 - multiplier, multiplier, False
        with decimal.localcontext() as context:
            context.prec = DIGITS
            angle = arccos(Decimal(cosine))
            share = Decimal(multiplier)
            below = sine(angle)
            return float(sine((1 - share) * angle) / below), float(sine(share * angle) / below), True


def interpolate(a: Array, b: Array, factor_a: float, factor_b: float) -> Array:
    """factor_a * a + factor_b * b in float32."""
    return np.asarray(a * np.float32(factor_a) + b * np.float32(factor_b))


def sine(x: Decimal) -> Decimal:
    """Its power series; |x| is at most a few tens (|multiplier| times pi), so digits are to spare."""
    term, total, number = x, x, 1
    while abs(term) > Decimal(10) ** -DIGITS:
        number += 2
        term = -term * x * x / (number * (number - 1))
        total += term
    return total


def _cosine(x: Decimal) -> Decimal:
    term = total = Decimal(1)
    number = 0
    while abs(term) > Decimal(10) ** -DIGITS:
        number += 2
        term = -term * x * x / (number * (number - 1))
        total += term
    return total


def arccos(x: Decimal) -> Decimal:
    """Newton's steps on cos(t) = x from a float's answer: each doubles its 15 digits, whatever the last of them were."""
    angle = Decimal(math.acos(float(x)))
    for _ in range(2):
        angle += (_cosine(angle) - x) / sine(angle)
    return angle
