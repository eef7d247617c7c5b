"""Starts a child that is to lock itself in, gives it its orders, listens to it, and ends it in time. It believes nothing that it hears."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = str(Path(__file__).resolve().parents[2])
START = f"""import importlib, sys, traceback
sys.path.insert(0, {ROOT!r})
module, _, function = sys.argv.pop(1).partition(":")
try:
    getattr(importlib.import_module(module), function)()
except Exception:
    sys.exit(print(repr(traceback.format_exc()[-4000:]), end="") or 1)"""

MAX_ANSWER = 64 << 20
"""Bytes of an answer that are read from a child; the tensor directory of an SDXL checkpoint is about 0.4 MB."""

MAX_NEWS = 4096
"""Bytes of a line that a child may say on the way; longer ones are not heard."""

MEMORY = 1 << 30
"""Bytes of address space a child may have."""

GRACE = 2.0
"""Seconds that a child has, after its own time ran out, to say so before it is killed."""

TO_END = 5.0
"""Seconds that a child has to end once it has closed its mouth, before it is killed."""

ASK_EVERY = 0.1
"""Seconds between two questions whether the work is still wanted."""

Heard = Callable[[Any], None]


class Cancelled(Exception):
    """The work is no longer wanted; the child is dead."""


def run_child(
    entry: str,
    fds: int | Sequence[int],
    arguments: Sequence[str],
    *,
    timeout: float,
    site_packages: bool = False,
    memory_bytes: int = MEMORY,
    file_bytes: int = 0,
    told: bytes | None = None,
    environment: Mapping[str, str] | None = None,
    heard: Heard | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[int | None, bytes | None]:
    """(exit code, or None where it had to be killed; what it said, or None where that was over `MAX_ANSWER`) of a child of its own.

    `entry` is "module:function" of this project: it starts with an empty environment but for what `environment` (of libraries, never of
    secrets) says, with `fds` and nothing else open, and finds its orders by `child.orders()`; to lock itself in is its own duty. `told` are
    further orders of any length, for `child.told()`. `timeout` is in seconds, after which it is to end by itself (`child.watch`); it is
    killed `GRACE` later. Without `site_packages` it has the standard library alone. With `heard`, all but the last line that it says is
    handed over on the way, as JSON, and what it said is the last line. `cancelled` is asked every `ASK_EVERY` seconds.
    A program that raises ends with 1 and says its traceback, as one line.
    Raises `Cancelled`, and `ValueError` for an odd `entry`. Whatever is raised here, the child is dead.
    """
    module, colon, function = entry.partition(":")
    if not colon or not function.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise ValueError(f"{entry!r} is not module:function")
    given = [fds] if isinstance(fds, int) else list(fds)
    flags = ["-I", "-B", "-Xutf8", *([] if site_packages else ["-S"])]
    orders = [entry, ",".join(map(str, given)), repr(float(timeout)), str(memory_bytes), str(file_bytes), *arguments]
    with _as_file(told) as stdin:
        child = subprocess.Popen(
            [sys.executable, *flags, "-c", START, *orders],
            pass_fds=given,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environment or {}),
            cwd="/",
            start_new_session=True,
        )
    answer: bytes | None = b""
    try:
        answer, ended = _listen(child, time.monotonic() + timeout + GRACE, heard, cancelled)
        if answer is None or not ended:
            return None, answer
        return child.wait(timeout=TO_END), answer
    except subprocess.TimeoutExpired:
        return None, answer
    finally:
        _end(child)


@contextmanager
def _as_file(told: bytes | None) -> Iterator[int]:
    """A descriptor from which these bytes can be read: of memory, since a pipe would have to be fed."""
    if told is None:
        yield subprocess.DEVNULL
        return
    fd = os.memfd_create("orders")
    try:
        view = memoryview(told)
        while view:
            view = view[os.write(fd, view) :]
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


def _end(child: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    if child.stdout is not None:
        child.stdout.close()


def _listen(
    child: subprocess.Popen[bytes], deadline: float, heard: Heard | None, cancelled: Callable[[], bool] | None
) -> tuple[bytes | None, bool]:
    """(what was said, or None where it was too much; whether it ended before the deadline). Raises `Cancelled`."""
    if child.stdout is None:
        return None, False
    pipe = child.stdout.fileno()
    said = bytearray()
    poll = select.poll()
    poll.register(pipe, select.POLLIN | select.POLLHUP)
    while True:
        if cancelled is not None and cancelled():
            raise Cancelled("the work is no longer wanted")
        left = deadline - time.monotonic()
        if left <= 0:
            return bytes(said), False
        if not poll.poll(1000 * (left if cancelled is None else min(left, ASK_EVERY))):
            continue
        part = os.read(pipe, 1 << 20)
        if not part:
            return bytes(said), True
        said += part  # one buffer: byte by byte, pieces would cost forty times their size, and counting them the square of it
        if heard is not None and b"\n" in part:
            lines, _, last = bytes(said).rpartition(b"\n")
            said = bytearray(last)
            _hand_over(lines.rpartition(b"\n")[2], heard)
        if len(said) > MAX_ANSWER:
            return None, True


def _hand_over(line: bytes, heard: Heard) -> None:
    if len(line) > MAX_NEWS:
        return
    try:
        news = json.loads(line)
    except (ValueError, RecursionError):
        return
    heard(news)
