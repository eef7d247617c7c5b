"""The process that reads hostile bytes: imports all it needs, locks itself in, scans one open file, prints JSON, ends.

Started by `scanner.run` only; it never opens a file itself and never returns to a caller.
"""

from __future__ import annotations

import ctypes
import encodings.ascii
import encodings.idna
import encodings.latin_1
import encodings.raw_unicode_escape
import encodings.utf_8
import gc
import json
import mmap
import os
import socket
import zlib
from collections.abc import Callable

from registry.formats.window import Window
from scanner.pickles import scan
from scanner.pickles.limits import OutOfTime
from scanner.pickles.templates import prepare
from scanner.sandbox import lock, orders, say, watch

PRELOADED = (encodings.ascii, encodings.idna, encodings.latin_1, encodings.raw_unicode_escape, encodings.utf_8, zlib)
"""Modules that are otherwise imported on first use, when nothing can be opened any more."""


def main() -> None:
    """Orders' arguments: the file's name, "tensors" or "plain", and the folder where jinja2 lies ("" where there is none)."""
    gc.disable()  # one short life: looking for cycles among a million values would take most of it
    given = orders()
    name, tensors, jinja2 = given.arguments
    window = Window(given.fd)
    prepare(window, name, jinja2)
    json.loads(json.dumps({"warm": [1.5, "ü"]}))
    finish = watch(given.seconds, OutOfTime)
    layers = lock(cpu_seconds=given.seconds, memory_bytes=given.memory_bytes)
    report = scan(window, name=name)
    finish()
    report.sandbox = layers
    say(report.to_json(tensors=tensors == "tensors"))


def canary() -> None:
    """Try the locks instead of scanning: {"sandbox": layers, "canary": {what was tried: "EPERM", another error's name, or "ALLOWED"}}."""
    given = orders()
    libc = ctypes.CDLL(None, use_errno=True)
    page = mmap.mmap(-1, mmap.PAGESIZE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    layers = lock(cpu_seconds=given.seconds, memory_bytes=given.memory_bytes)

    def by_number(*arguments: int) -> None:
        if libc.syscall(*map(ctypes.c_long, arguments)) < 0:
            raise OSError(ctypes.get_errno(), "refused")

    def protect() -> None:
        if libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(mmap.PAGESIZE), 1 | 4) < 0:
            raise OSError(ctypes.get_errno(), "refused")

    attempts: dict[str, Callable[[], object]] = {
        "open": lambda: os.open("/etc/passwd", os.O_RDONLY),
        "create": lambda: os.open("canary", os.O_WRONLY | os.O_CREAT),
        "socket": lambda: socket.socket(),
        "fork": lambda: os.fork() or os._exit(0),
        "exec": lambda: os.execv("/bin/true", ["true"]),  # noqa: S606 - the point is that it is refused
        "kill": lambda: os.kill(os.getppid(), 0),
        "stat": lambda: os.stat("/etc"),
        "code": lambda: mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_EXEC),
        "code later": protect,
        "x32": lambda: by_number(1 << 30 | 39),  # getpid in the numbering of x32
    }
    say({"sandbox": layers, "canary": {name: _answer(attempt) for name, attempt in attempts.items()}})


def _answer(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return "EPERM" if isinstance(error, PermissionError) else type(error).__name__
    return "ALLOWED"
