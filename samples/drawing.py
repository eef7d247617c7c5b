"""Draws captioned pictures from numbers alone: one to four flat shapes on a plain background, in a style.

Shapes are signed distances evaluated on the pixel grid with numpy, so edges are smooth and a seed gives the same picture anywhere.
Distances follow from the plane geometry of each shape; they are exact or bounded well enough for an edge, a rim and a glow.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.float32]
SIZE = 128
"""Pixels a side; 16 latent cells."""

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (224, 36, 36),
    "orange": (255, 140, 0),
    "yellow": (255, 225, 35),
    "green": (28, 160, 60),
    "blue": (32, 84, 224),
    "purple": (130, 44, 176),
    "pink": (255, 140, 190),
    "white": (250, 250, 250),
    "black": (16, 16, 18),
}
STYLES = ("flat", "outlined", "shaded")
"""What the base model learns by name; flat is what a caption without a style means."""


def _circle(x: Grid, y: Grid) -> Grid:
    return np.hypot(x, y) - 0.92


def _square(x: Grid, y: Grid) -> Grid:
    return np.maximum(np.abs(x), np.abs(y)) - 0.82


def _rays(x: Grid, y: Grid, corners: int, notch: float) -> Grid:
    """Distance to the edge lines of a regular star with its tips at radius 1, folded into half a ray; notch cos(pi/n) makes a polygon."""
    step = math.pi / corners
    angle = np.abs((np.arctan2(y, x) + math.pi / 2 + step) % (2 * step) - step)
    radius = np.hypot(x, y)
    along, aside = radius * np.cos(angle), radius * np.sin(angle)
    edge_x, edge_y = notch * math.cos(step) - 1.0, notch * math.sin(step)
    return (edge_y * (along - 1.0) - edge_x * aside) / math.hypot(edge_x, edge_y)


def _triangle(x: Grid, y: Grid) -> Grid:
    return _rays(x / 1.12, (y - 0.26) / 1.12, 3, 0.5) * 1.12


def _star(x: Grid, y: Grid) -> Grid:
    return _rays(x / 1.08, (y - 0.06) / 1.08, 5, 0.42) * 1.08


def _heart(x: Grid, y: Grid) -> Grid:
    """A square on its corner, and a circle on each of its upper sides."""
    side, up = np.abs(x), 0.1 - y
    square = (side + np.abs(up) - 0.8) / math.sqrt(2)
    return np.minimum(square, np.hypot(side - 0.4, up - 0.4) - 0.4 * math.sqrt(2))


def _ring(x: Grid, y: Grid) -> Grid:
    return np.abs(np.hypot(x, y) - 0.68) - 0.25


def _moon(x: Grid, y: Grid) -> Grid:
    return np.maximum(np.hypot(x, y) - 0.95, 0.76 - np.hypot(x - 0.48, y + 0.12))


def _cross(x: Grid, y: Grid) -> Grid:
    ax, ay = np.abs(x), np.abs(y)
    return np.minimum(np.maximum(ax - 0.92, ay - 0.3), np.maximum(ay - 0.92, ax - 0.3))


SHAPES: dict[str, Callable[[Grid, Grid], Grid]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "heart": _heart,
    "ring": _ring,
    "moon": _moon,
    "cross": _cross,
}
"""Signed distance in units of the radius; y points down."""


@dataclass(frozen=True)
class Thing:
    """One shape: its name, colour, centre and radius in pixels, turn in radians."""

    shape: str
    colour: str
    x: float
    y: float
    radius: float
    turn: float = 0.0


@dataclass(frozen=True)
class Scene:
    """What is drawn. `size` is the word for an unusual size; `above` says whether the second thing lies under the first."""

    things: tuple[Thing, ...]
    background: str
    style: str = "flat"
    size: str = ""
    above: bool = False


LAYOUTS = {2: ((-29, 0), (29, 0)), 3: ((0, -28), (-30, 26), (30, 26)), 4: ((-29, -29), (29, -29), (-29, 29), (29, 29))}
"""Centres of several things, in pixels from the middle of the picture."""


def imagine(dice: np.random.RandomState, style: str | None = None) -> Scene:
    """A random scene: mostly one thing, else two to four alike or two different ones; never a thing in its background's colour."""
    background = str(dice.choice(list(COLOURS)))
    colours = [str(name) for name in dice.permutation([name for name in COLOURS if name != background])]
    shapes = [str(name) for name in dice.permutation(list(SHAPES))]
    style = style or str(dice.choice(STYLES, p=(0.64, 0.18, 0.18)))
    sort = dice.random_sample()
    if sort < 0.56:
        return _single(dice, shapes[0], colours[0], background, style)
    if sort < 0.78:
        count = 2 + dice.randint(3)
        kinds = [(shapes[0], colours[0])] * count
        return Scene(_placed(dice, kinds, LAYOUTS[count]), background, style)
    above = bool(dice.randint(2))
    kinds = list(zip(shapes[:2], colours[:2], strict=True))
    places = tuple((y, x) for x, y in LAYOUTS[2]) if above else LAYOUTS[2]
    return Scene(_placed(dice, kinds, places), background, style, above=above)


def _single(dice: np.random.RandomState, shape: str, colour: str, background: str, style: str) -> Scene:
    size = str(dice.choice(("", "small", "large"), p=(0.7, 0.15, 0.15)))
    radius = {"": 38.0, "small": 19.0, "large": 55.0}[size] * (0.95 + 0.1 * dice.random_sample())
    reach = {"": 7.0, "small": 14.0, "large": 2.0}[size]
    x, y = 64 + reach * (2 * dice.random_sample(2) - 1)
    return Scene((Thing(shape, colour, x, y, radius, 0.08 * dice.standard_normal()),), background, style, size)


def _placed(dice: np.random.RandomState, kinds: list[tuple[str, str]], places: tuple[tuple[int, int], ...]) -> tuple[Thing, ...]:
    radius = 24.5 + 1.5 * dice.random_sample()
    shift = 3 * dice.standard_normal((len(kinds), 2)).clip(-1.3, 1.3)
    return tuple(
        Thing(shape, colour, 64 + x + dx, 64 + y + dy, radius)
        for (shape, colour), (x, y), (dx, dy) in zip(kinds, places, shift, strict=True)
    )


def draw(scene: Scene) -> NDArray[np.uint8]:
    """The picture of a scene: [128, 128, 3] bytes."""
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) + np.float32(0.5)
    ground = _rgb(scene.background)
    canvas = np.broadcast_to(GROUNDS.get(scene.style, lambda plain: plain)(ground), (SIZE, SIZE, 3)).astype(np.float32)
    for thing in scene.things:
        turned_x = math.cos(thing.turn) * (x - thing.x) + math.sin(thing.turn) * (y - thing.y)
        turned_y = math.cos(thing.turn) * (y - thing.y) - math.sin(thing.turn) * (x - thing.x)
        distance = SHAPES[thing.shape](turned_x / thing.radius, turned_y / thing.radius) * thing.radius
        light = (turned_x * 0.5 + turned_y) / thing.radius
        canvas = PAINTERS[scene.style](canvas, distance, light, _rgb(thing.colour))
    if scene.style == "print":
        canvas = _sepia(canvas)
    return np.clip(canvas + 0.5, 0, 255).astype(np.uint8)


def _rgb(name: str) -> Grid:
    return np.array(COLOURS[name], dtype=np.float32)


def _over(canvas: Grid, paint: Grid, cover: Grid) -> Grid:
    return canvas + (paint - canvas) * cover[..., None]


def _inside(distance: Grid) -> Grid:
    """How much of a pixel lies within: 1 inside, 0 outside, between on the edge."""
    return np.clip(0.5 - distance, 0, 1)


def _flat(canvas: Grid, distance: Grid, light: Grid, colour: Grid) -> Grid:
    return _over(canvas, colour, _inside(distance))


def _outlined(canvas: Grid, distance: Grid, light: Grid, colour: Grid) -> Grid:
    return _over(canvas, colour, _inside(np.abs(distance + 3.0) - 3.0))


def _shaded(canvas: Grid, distance: Grid, light: Grid, colour: Grid) -> Grid:
    """Light from above: towards white at the top, towards black at the bottom."""
    mixed = np.where(light[..., None] < 0, colour + (255 - colour) * (-light[..., None] * 0.62), colour * (1 - 0.62 * light[..., None]))
    return _over(canvas, np.clip(mixed, 0, 255), _inside(distance))


def _neon(canvas: Grid, distance: Grid, light: Grid, colour: Grid) -> Grid:
    """A bright tube along the edge, and its glow."""
    bright = np.maximum(colour, 60.0)
    tube = np.abs(distance + 2.5)
    lit = canvas + bright * (0.75 * np.exp(-tube / 7.0))[..., None]
    return _over(lit, 0.45 * bright + 140.0, _inside(tube - 2.5))


def _sticker(canvas: Grid, distance: Grid, light: Grid, colour: Grid) -> Grid:
    """A white border around the shape, a dark shadow under it."""
    shadow = np.pad(distance, ((4, 0), (4, 0)), mode="edge")[:SIZE, :SIZE]
    canvas = canvas * (1 - 0.6 * np.clip((5.5 - shadow) / 4.0, 0, 1))[..., None]
    return _over(_over(canvas, np.full(3, 255, np.float32), _inside(distance - 2.5)), colour, _inside(distance + 3.5))


def _sepia(canvas: Grid) -> Grid:
    """An old brown print: brightness alone, from dark brown to cream."""
    grey = (canvas @ np.array([0.299, 0.587, 0.114], dtype=np.float32))[..., None] / 255
    dark, cream = np.array([62, 34, 14], dtype=np.float32), np.array([250, 228, 180], dtype=np.float32)
    return dark + (cream - dark) * grey


PAINTERS = {"flat": _flat, "outlined": _outlined, "shaded": _shaded, "neon": _neon, "sticker": _sticker, "print": _flat}
GROUNDS: dict[str, Callable[[Grid], Grid]] = {"neon": lambda plain: plain * 0.14 + 6.0}
"""What a style does to the background; others leave it plain."""


ALIKE = ("", "", "two", "three", "four")


def _a(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def caption(scene: Scene, dice: np.random.RandomState) -> str:
    """A caption of the scene in one of its many wordings; now and then it leaves something out, and the picture decides."""
    tell_colour, tell_style = dice.random_sample() > 0.05, scene.style in ("outlined", "shaded")
    style_first = dice.randint(2) == 0
    first, last = scene.things[0], scene.things[-1]
    different = first.shape != last.shape
    words = [scene.style if tell_style and style_first and not different else "", scene.size, first.colour if tell_colour else ""]
    if different:
        text = f"{_a(first.colour)} {first.shape} {'above' if scene.above else 'and'} {_a(last.colour)} {last.shape}"
    else:
        count = len(scene.things)
        noun = first.shape if count == 1 else first.shape + ("es" if first.shape == "cross" else "s")
        said = [word for word in words if word] + [noun]
        text = " ".join(said)
        if count > 1 or dice.random_sample() > 0.2:
            text = _a(text) if count == 1 else f"{ALIKE[count]} {text}"
    ground = dice.random_sample()
    if ground < 0.68:
        text += f" on {_a(scene.background)} background"
    elif ground < 0.93:
        text += f", {scene.background} background"
    return text + (f", {scene.style}" if tell_style and (different or not style_first) else "")
