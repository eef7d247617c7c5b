"""The drawn picture of a model as a PNG of the size that other sites show, as they show no SVG. The drawing is `art.py`'s."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from math import cos, radians, sin

from django.http import Http404, HttpRequest, HttpResponse
from PIL import Image, ImageColor, ImageDraw

from hub.web import art
from registry import queries

WIDTH, HEIGHT = 1200, 630
"""Pixels, as OpenGraph's readers cut pictures."""
VERSION = art.VERSION
FINE = 2
"""Drawn so many times larger and shrunk: lines without steps."""
SCALE = FINE * WIDTH / art.WIDTH
_SHAPE = re.compile(r"<(path|circle|rect)( [^>]*)/>")
_ATTRIBUTE = re.compile(r' ([a-z]+)="([^"]*)"')
_COLOUR = re.compile(r"hsl\((\d+) (\d+)% (\d+)%\)")
_TURN = re.compile(r"rotate\((-?[\d.]+)")

Point = tuple[float, float]


def png(seed: str, kind: str) -> bytes:
    """The same lines and colours as `art.picture`, cut to the middle."""
    svg = art.picture(seed, kind)
    dark, _, ink = (ImageColor.getrgb("hsl({}, {}%, {}%)".format(*found)) for found in (_COLOUR.findall(svg)[n] for n in (0, 1, 3)))
    canvas = Image.new("RGB", (FINE * WIDTH, FINE * HEIGHT), dark)
    draw = ImageDraw.Draw(canvas)
    colour = tuple((2 * part + ground) // 3 for part, ground in zip(ink, dark, strict=True))
    group = svg[svg.index("<g ") :]
    turn = float(_TURN.search(group)[1])  # type: ignore[index]  (written by `art.picture`)
    for line in _lines(group):
        draw.line([_placed(point, turn) for point in line], fill=colour, width=FINE * 2, joint="curve")
    target = io.BytesIO()
    canvas.reduce(FINE).save(target, "PNG", compress_level=4)
    return target.getvalue()


def _lines(group: str) -> Iterator[list[Point]]:
    """The shapes as lines of points, in units of the drawing."""
    for name, told in _SHAPE.findall(group):
        shape = dict(_ATTRIBUTE.findall(told))
        if name == "path":
            points = [(float(x), float(y)) for x, y in (pair.split() for pair in shape["d"].strip("MZ").split("L"))]
            yield [*points, points[0]] if shape["d"].endswith("Z") else points
        elif name == "circle":
            x, y, r = (float(shape[part]) for part in ("cx", "cy", "r"))
            yield [(x + r * cos(radians(at)), y + r * sin(radians(at))) for at in range(0, 361, 6)]
        else:
            half, turn = float(shape["width"]) / 2, float(_TURN.search(shape["transform"])[1])  # type: ignore[index]
            corners = [(-half, -half), (half, -half), (half, half), (-half, half), (-half, -half)]
            yield [(x + art.WIDTH / 2, y + art.HEIGHT / 2) for x, y in (_turned(corner, turn) for corner in corners)]


def _placed(point: Point, turn: float) -> Point:
    """On the canvas: turned around the middle of the drawing, then scaled."""
    x, y = _turned((point[0] - art.WIDTH / 2, point[1] - art.HEIGHT / 2), turn)
    return x * SCALE + FINE * WIDTH / 2, y * SCALE + FINE * HEIGHT / 2


def _turned(point: Point, degrees: float) -> Point:
    angle = radians(degrees)
    return point[0] * cos(angle) - point[1] * sin(angle), point[0] * sin(angle) + point[1] * cos(angle)


def show(request: HttpRequest, version: str, kind: str, seed: str) -> HttpResponse:
    """Of models of this hub alone: a drawing takes a tenth of a second, and nobody may ask for endless ones."""
    if version != VERSION or not queries.listed().filter(kind=kind, slug=seed).exists():
        raise Http404
    response = HttpResponse(png(seed, kind), content_type="image/png")
    response["Cache-Control"] = "public, max-age=31536000, immutable"
    return response
