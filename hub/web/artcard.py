"""The drawn picture of a model as a PNG of the size that other sites show, as they show no SVG. The drawing is `art.py`'s."""

from __future__ import annotations

import io
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


def png(seed: str, kind: str) -> bytes:
    """The same lines and colours as `art.picture`, cut to the middle."""
    drawn = art.drawing(seed, kind)
    dark = ImageColor.getrgb(f"hsl({drawn.hue}, 38%, 24%)")
    ink = ImageColor.getrgb(f"hsl({(drawn.hue + 42) % 360}, 72%, 82%)")
    canvas = Image.new("RGB", (FINE * WIDTH, FINE * HEIGHT), dark)
    draw = ImageDraw.Draw(canvas)
    colour = tuple((2 * part + ground) // 3 for part, ground in zip(ink, dark, strict=True))
    for shape in drawn.shapes:
        draw.line([_placed(point, drawn.turn) for point in shape.along()], fill=colour, width=FINE * 2, joint="curve")
    target = io.BytesIO()
    canvas.reduce(FINE).save(target, "PNG", compress_level=4)
    return target.getvalue()


def _placed(point: art.Point, turn: float) -> art.Point:
    """On the canvas: turned around the middle of the drawing, then scaled."""
    x, y = _turned((point[0] - art.WIDTH / 2, point[1] - art.HEIGHT / 2), turn)
    return x * SCALE + FINE * WIDTH / 2, y * SCALE + FINE * HEIGHT / 2


def _turned(point: art.Point, degrees: float) -> art.Point:
    angle = radians(degrees)
    return point[0] * cos(angle) - point[1] * sin(angle), point[0] * sin(angle) + point[1] * cos(angle)


def show(request: HttpRequest, version: str, kind: str, seed: str) -> HttpResponse:
    """Of models of this hub alone: a drawing takes a tenth of a second, and nobody may ask for endless ones."""
    if version != VERSION or not queries.listed().filter(kind=kind, slug=seed).exists():
        raise Http404
    response = HttpResponse(png(seed, kind), content_type="image/png")
    response["Cache-Control"] = "public, max-age=31536000, immutable"
    return response
