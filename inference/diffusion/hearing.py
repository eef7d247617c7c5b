"""What a worker believes of its render child: events that fit the job, each picture once, of the size that was asked for. Free of torch.

The child has read hostile files; if it was broken into, whatever it says comes from the file. Nothing here decodes pixels with a library.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from typing import Any, TypeGuard

from inference.diffusion.jobs import CHECKPOINT, ROLES, Event, Job, Shot
from inference.diffusion.wire import MAX_FILES, Broken, Frame
from registry.formats.errors import FormatError
from registry.formats.pictures import check_picture
from registry.formats.plaintext import printable
from registry.formats.window import Window

KINDS = ("loading", "step", "picture", "unfit", "note", "done")
MAX_SHOTS = 1024
MAX_SIDE = 4096
"""Pixels of a side, and the square of it of a picture."""
MAX_STEPS = 10_000
MAX_NOTE = 2000
MAX_NOTES, CALLS_A_STEP = 4000, 4
"""Words of a child on one job, beside so many for each step of a shot: more are not believed."""
ROUNDING = 64
"""A picture may be this much smaller than was asked for, less one: latents have whole pixels of 8, some models of 64."""

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_.-]{0,59}|")
_HEADER = struct.Struct(">IIBBBBB")
_CHANNELS = {0: 1, 2: 3}
"""PNG colour types that a preview may have (grey, RGB) and their samples a pixel (ISO/IEC 15948, table 11.1)."""


def check_job(job: Job) -> None:
    """Raises `ValueError` for a job that nobody may send: it was made by the hub, so that is a mistake of ours."""
    if not 1 <= len(job.files) <= MAX_FILES or job.files[0].role != CHECKPOINT or any(file.role not in ROLES for file in job.files):
        raise ValueError("a job has a checkpoint first, and at most 63 files beside it")
    if not 1 <= len(job.shots) <= MAX_SHOTS:
        raise ValueError(f"a job has 1 to {MAX_SHOTS} shots")
    for shot in job.shots:
        if not (8 <= shot.width <= MAX_SIDE and 8 <= shot.height <= MAX_SIDE and 1 <= shot.steps <= MAX_STEPS):
            raise ValueError("a shot is out of bounds")
        if any(not 0 < addon.file < len(job.files) for addon in shot.addons):
            raise ValueError("a shot names a file that the job has not")


class Hearing:
    """One job's events, as they come. `Broken` is raised for what cannot be true; the child is to be ended then."""

    def __init__(self, job: Job) -> None:
        self._shots = job.shots
        self._answered: set[int] = set()
        self._words = MAX_NOTES + CALLS_A_STEP * sum(shot.steps for shot in job.shots)
        self.done = False

    @property
    def complete(self) -> bool:
        """Every shot has its picture or its reason, and the end was told."""
        return self.done and len(self._answered) == len(self._shots)

    def event(self, frame: Frame) -> Event:
        """The event that a frame holds, which may be handed on."""
        told = frame.header
        kind, shots = told.get("kind"), told.get("shots", [])
        if kind not in KINDS or not isinstance(shots, list) or not all(_whole(place, len(self._shots) - 1) for place in shots):
            raise Broken("no event")
        step, steps, data = told.get("step", 0), told.get("steps", 0), told.get("data", {})
        if not _whole(steps, MAX_STEPS) or not _whole(step, steps) or not isinstance(data, dict) or len(set(shots)) < len(shots):
            raise Broken("no event")
        note, code = _text(told.get("note", "")), told.get("code", "")
        if not isinstance(code, str) or not _CODE.fullmatch(code) or self.done:
            raise Broken("no event")
        if kind in ("picture", "unfit"):
            self._answer(shots)
        if kind == "picture":
            check_png(frame.blob, self._shots[shots[0]])
        elif frame.blob:
            raise Broken("bytes without a picture")
        self._words -= 1
        if self._words < 0:
            raise Broken("too many words")
        self.done = kind == "done"
        return Event(kind, tuple(shots), step, steps, note, code, frame.blob, data)

    def _answer(self, shots: list[int]) -> None:
        if len(shots) != 1 or shots[0] in self._answered:
            raise Broken("a picture twice, or of no shot")
        self._answered.add(shots[0])


def refusal(told: dict[str, Any]) -> FormatError:
    """The child's answer about a file, in bounds. Raises `Broken` where it is none."""
    code, sentence = told.get("code"), told.get("sentence")
    if not isinstance(code, str) or not code or not _CODE.fullmatch(code) or not isinstance(sentence, str) or not sentence:
        raise Broken("no answer")
    return FormatError(code, _text(sentence), where=_text(told.get("where", "")))


def _whole(number: object, most: int) -> TypeGuard[int]:
    return type(number) is int and 0 <= number <= most


def _text(text: object) -> str:
    if not isinstance(text, str):
        raise Broken("no text")
    return printable(text, MAX_NOTE)


def check_png(data: bytes, shot: Shot) -> None:
    """A PNG of one plain picture and nothing else: 8 bits, grey or RGB, not interlaced, without text, of about the size of the shot.

    Every chunk is walked, every row of the packed pixels counted. Raises `Broken`.
    """
    try:
        check_picture(Window(io.BytesIO(data)))
    except FormatError as error:
        raise Broken(str(error)) from error
    chunks = list(_chunks(data))
    kinds = [kind for kind, _ in chunks]
    if kinds[0] != b"IHDR" or kinds[-1] != b"IEND" or len(kinds) < 3 or set(kinds[1:-1]) != {b"IDAT"} or len(chunks[0][1]) != 13:
        raise Broken("a PNG with more in it than a picture")
    width, height, depth, colour, *methods = _HEADER.unpack(chunks[0][1])
    if depth != 8 or colour not in _CHANNELS or any(methods):
        raise Broken("a PNG of another sort")
    for side, wanted in ((width, shot.width), (height, shot.height)):
        if not 0 < side <= wanted < side + ROUNDING:
            raise Broken("a picture of another size")
    _check_rows([part for kind, part in chunks if kind == b"IDAT"], 1 + width * _CHANNELS[colour], height)


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 8
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    return found


def _check_rows(parts: list[bytes], row: int, height: int) -> None:
    """The packed bytes are one zlib stream of exactly so many rows, each with one of the five filters; no more is unpacked than that."""
    unpack = zlib.decompressobj()
    try:
        pixels = unpack.decompress(b"".join(parts), row * height + 1)
    except zlib.error as error:
        raise Broken("a damaged PNG") from error
    if len(pixels) != row * height or not unpack.eof or unpack.unused_data or max(pixels[::row]) > 4:
        raise Broken("a PNG with another number of pixels")
