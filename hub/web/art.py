"""Draws the picture of a model that has none: line work like the engraving on a certificate, always the same for the same model.
Plain Python; knows no database."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from math import cos, pi, radians, sin, tau
from typing import NamedTuple, TypeAlias

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.gzip import gzip_page

WIDTH, HEIGHT = 480, 320
VERSION = "2"
"""Part of every address, so that browsers may keep a picture for ever and still see a new drawing."""


Point: TypeAlias = tuple[float, float]


class Line(NamedTuple):
    """A stroke through these points, in units of the drawing."""

    points: tuple[Point, ...]
    closed: bool = False

    def path(self) -> str:
        return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in self.points) + "Z" * self.closed

    def along(self) -> Iterator[Point]:
        yield from self.points
        if self.closed:
            yield self.points[0]


class Ring(NamedTuple):
    """A circle."""

    x: float
    y: float
    radius: float

    def path(self) -> str:
        across, half = 2 * self.radius, f"{self.radius:.1f} {self.radius:.1f} 0 1 0"
        return f"M{self.x - self.radius:.1f} {self.y:.1f}a{half} {across:.1f} 0a{half} {-across:.1f} 0Z"

    def along(self) -> Iterator[Point]:
        for angle in range(0, 361, 6):
            yield self.x + self.radius * cos(radians(angle)), self.y + self.radius * sin(radians(angle))


Shapes: TypeAlias = Iterable[Line | Ring]


class Drawing(NamedTuple):
    """`hue` colours it; `turn` are degrees around its middle."""

    hue: int
    turn: int
    shapes: tuple[Line | Ring, ...]


class Dice:
    """Numbers in [0, 1) that depend on the seed alone."""

    def __init__(self, seed: str) -> None:
        self._numbers = self._stream(seed)

    @staticmethod
    def _stream(seed: str) -> Iterator[float]:
        block = hashlib.blake2b(seed.encode(), digest_size=32).digest()
        while True:
            yield from (byte / 256 for byte in block)
            block = hashlib.blake2b(block, digest_size=32).digest()

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * next(self._numbers)

    def pick(self, low: int, high: int) -> int:
        return low + int(next(self._numbers) * (high - low + 1))


def drawing(seed: str, kind: str) -> Drawing:
    """What is drawn for a model of this kind."""
    dice = Dice(f"{kind}/{seed}")
    hue = dice.pick(0, 359)
    shapes = tuple(MOTIFS.get(kind, stripes)(dice))
    return Drawing(hue, dice.pick(-40, 40), shapes)


def picture(seed: str, kind: str) -> str:
    """An SVG of 480 x 320. All strokes are one path: a browser keeps a document for every SVG that it shows, and its nodes with it."""
    hue, turn, shapes = drawing(seed, kind)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">'
        f'<linearGradient id="g" x1="0" y1="0" x2="1" y2="1"><stop offset="0" stop-color="hsl({hue} 38% 24%)"/>'
        f'<stop offset="1" stop-color="hsl({(hue + 34) % 360} 44% 13%)"/></linearGradient>'
        f'<radialGradient id="l" cx=".32" cy=".2" r=".9"><stop offset="0" stop-color="hsl({(hue + 50) % 360} 70% 62%)" stop-opacity=".38"/>'
        '<stop offset="1" stop-opacity="0" stop-color="#000"/></radialGradient>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="url(#g)"/><rect width="{WIDTH}" height="{HEIGHT}" fill="url(#l)"/>'
        f'<path fill="none" stroke="hsl({(hue + 42) % 360} 72% 82%)" stroke-opacity=".66" stroke-width=".9" '
        f'transform="rotate({turn} {WIDTH / 2} {HEIGHT / 2})" d="{"".join(shape.path() for shape in shapes)}"/></svg>'
    )


def rosette(dice: Dice) -> Shapes:
    """Checkpoint: a guilloche, the figure that a rose engine cuts."""
    petals, waves, depth = dice.pick(5, 13), dice.pick(2, 4), dice.between(0.16, 0.34)

    def ring(radius: float, phase: float) -> Iterator[tuple[float, float]]:
        for step in range(181):
            angle = tau * step / 180
            reach = radius * (1 + depth * sin(petals * angle + phase) * cos(waves * angle - phase))
            yield WIDTH / 2 + reach * cos(angle), HEIGHT / 2 + reach * sin(angle)

    return (Line(tuple(ring(28 + 11 * n, n * pi / petals)), closed=True) for n in range(13))


def weave(dice: Dice) -> Shapes:
    """LoRA: two thin families of waves laid over each other."""
    first, second, lift = dice.between(1.2, 2.6), dice.between(2.8, 4.6), dice.between(22, 46)

    def wave(row: int, turns: float, shift: float) -> Iterator[tuple[float, float]]:
        for step in range(61):
            x = -60 + 600 * step / 60
            yield x, 10 + row * 15 + lift * sin(tau * turns * step / 60 + shift + row * 0.21)

    rows = range(-3, 24)
    waves = [wave(row, first, 0) for row in rows] + [wave(row, second, 2) for row in rows[::2]]
    return (Line(tuple(points)) for points in waves)


def constellation(dice: Dice) -> Shapes:
    """Embedding: few points in a wide space, and the lines between neighbours."""
    points = [(dice.between(20, WIDTH - 20), dice.between(10, HEIGHT - 10)) for _ in range(34)]
    for x, y in points:
        near = sorted(points, key=lambda p: (p[0] - x) ** 2 + (p[1] - y) ** 2)[1:4]
        yield from (Line(((x, y), other)) for other in near)
    for x, y in points:
        yield Ring(x, y, dice.between(1.5, 6))


def hourglass(dice: Dice) -> Shapes:
    """VAE: wide, narrow, wide again."""
    waist, bend = dice.between(14, 34), dice.between(1.5, 2.8)

    def strand(n: int) -> Iterator[tuple[float, float]]:
        for step in range(49):
            t = step / 24 - 1
            yield WIDTH / 2 + 300 * t, HEIGHT / 2 + (n - 15) * (waist / 30 + abs(t) ** bend * 12)

    return (Line(tuple(strand(n))) for n in range(31))


def arcs(dice: Dice) -> Shapes:
    """Hypernetwork: nested arches from two feet."""
    left, right = dice.between(90, 160), dice.between(320, 390)
    return (Ring(x, HEIGHT * 0.72, 14 + n * 13) for n in range(20) for x in (left, right))


def contours(dice: Dice) -> Shapes:
    """ControlNet: height lines of a small mountain."""
    bumps, phase = dice.pick(2, 4), dice.between(0, tau)
    cx, cy = dice.between(180, 300), dice.between(120, 200)

    def line(radius: float) -> Iterator[tuple[float, float]]:
        for step in range(121):
            angle = tau * step / 120
            reach = radius * (1 + 0.22 * sin(bumps * angle + phase) + 0.11 * sin((bumps + 3) * angle - phase * radius / 90))
            yield cx + 1.4 * reach * cos(angle), cy + reach * sin(angle)

    return (Line(tuple(line(10 + 13 * n)), closed=True) for n in range(19))


def growth(dice: Dice) -> Shapes:
    """Upscaler: the same square, larger and larger."""
    ratio, turn = dice.between(1.13, 1.2), dice.between(3, 8)
    for n in range(24):
        reach, angle = 9 * ratio**n * 2**0.5, radians(turn * n)
        corners = (angle + pi / 4 + quarter * pi / 2 for quarter in range(4))
        yield Line(tuple((WIDTH / 2 + reach * cos(corner), HEIGHT / 2 + reach * sin(corner)) for corner in corners), closed=True)


def stripes(dice: Dice) -> Shapes:
    """Anything else: ruled lines of uneven distance."""
    x = -120.0
    while x < WIDTH + 120:
        yield Line(((x, -80.0), (x + 60, HEIGHT + 80.0)))
        x += dice.between(5, 22)


MOTIFS: dict[str, Callable[[Dice], Shapes]] = {
    "checkpoint": rosette,
    "lora": weave,
    "embedding": constellation,
    "vae": hourglass,
    "hypernetwork": arcs,
    "controlnet": contours,
    "upscaler": growth,
}


def address(kind: str, seed: str) -> str:
    """Where `art` answers with the drawing of today."""
    return reverse("art", args=[VERSION, kind, seed])


@gzip_page
def art(request: HttpRequest, version: str, kind: str, seed: str) -> HttpResponse:
    """The drawing as a picture of its own: cached by browsers, and the page stays small."""
    response = HttpResponse(picture(seed, kind), content_type="image/svg+xml")
    response["Cache-Control"] = "public, max-age=31536000, immutable"
    return response
