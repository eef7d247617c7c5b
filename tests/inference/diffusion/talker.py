"""A renderer without torch for tests of the child and the engine: it does what prompts tell, and draws noise. No tests here."""

from __future__ import annotations

import ctypes
import io
import os
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image, PngImagePlugin

from inference.diffusion import server
from inference.diffusion.jobs import Event, Job, Shot
from registry.formats.errors import FormatError

KEPT: list[Any] = []


class Talker:
    """Each shot is a step, then a picture; its prompt may be the name of a method here, with the rest of it as the argument."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.done = 0

    def render(self, job: Job, fds: Sequence[int], emit: Callable[[Event], None], cancelled: Callable[[], bool]) -> None:
        found: dict[str, Any] = {}
        for place, shot in enumerate(job.shots):
            word, _, rest = shot.prompt.partition(" ")
            act = getattr(self, f"do_{word}", None)
            if act is not None:
                found.update(act(rest, fds, emit, cancelled) or {})
            if cancelled():
                return
            emit(Event("step", (place,), 1, shot.steps))
            emit(Event("picture", (place,), png=picture(shot), data={"width": shot.width, "height": shot.height}))
        self.done += 1
        emit(Event("done", data={"device": self.device, "jobs": self.done, "pid": os.getpid(), "found": found}))

    def do_wait(self, rest: str, fds: Sequence[int], emit: Any, cancelled: Callable[[], bool]) -> None:
        """Works so many seconds, and stops when it is told."""
        end = time.monotonic() + float(rest)
        while time.monotonic() < end and not cancelled():
            emit(Event("note", note="still at it"))
            time.sleep(0.05)

    def do_hang(self, rest: str, fds: Sequence[int], emit: Any, cancelled: Any) -> None:
        emit(Event("note", note="hanging"))
        time.sleep(float(rest))

    def do_refuse(self, rest: str, *_: Any) -> None:
        raise FormatError("render:refused", "This file is not\x1b[31m what it says.", where=rest)

    def do_fail(self, *_: Any) -> None:
        raise LookupError("nothing there")

    def do_die(self, *_: Any) -> None:
        print("last words", flush=True)
        os._exit(3)

    def do_crash(self, *_: Any) -> None:
        ctypes.string_at(0)

    def do_device(self, *_: Any) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    def do_keep(self, rest: str, *_: Any) -> None:
        KEPT.append(bytearray(b"\1" * int(rest)))

    def do_swell(self, rest: str, *_: Any) -> None:
        self.do_keep(rest)
        time.sleep(30)

    def do_say(self, rest: str, fds: Sequence[int], emit: Callable[[Event], None], cancelled: Any) -> None:
        """Events that cannot be."""
        small = Shot("", width=8, height=8)
        lies = {
            "twice": [Event("picture", (0,), png=picture(Shot("", width=64, height=64)))] * 2,
            "elsewhere": [Event("step", (7,), 1, 2)],
            "small": [Event("picture", (0,), png=picture(small))],
            "bytes": [Event("picture", (0,), png=b"GIF89a")],
            "text": [Event("picture", (0,), png=picture(Shot("", width=64, height=64), text="parameters"))],
            "huge": [Event("note", note="x" * (2 << 20))],
            "end": [Event("done")],
        }
        for event in lies[rest]:
            emit(event)


def picture(shot: Shot, text: str = "") -> bytes:
    """Noise of the shot's seed, as a PNG."""
    noise = random.Random(shot.seed).randbytes(3 * shot.width * shot.height)
    info = PngImagePlugin.PngInfo()
    if text:
        info.add_text(text, "hidden")
    target = io.BytesIO()
    Image.frombytes("RGB", (shot.width, shot.height), noise).save(target, "PNG", pnginfo=info)
    return target.getvalue()


def main() -> None:
    """A child as the engine starts it, behind the same locks, but without torch: it is there in a moment."""
    server.set_up = quickly
    server.main()


def quickly(orders: server.Orders) -> tuple[Talker, dict[str, Any]]:
    """`server.set_up` of it."""
    return Talker("cpu"), {"device": "cpu", "device_name": "a\x1b[31m processor", "sandbox": server.locked(orders, "cpu"), "threads": 1}
