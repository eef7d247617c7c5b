"""Tries the locks from inside, and tells which of them hold on this machine. It reads no file."""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from registry.sandbox.child import orders, say
from registry.sandbox.locks import lock
from registry.sandbox.parent import run_child

ENTRY = "registry.sandbox.canary:main"
_FORK = 17
"""SIGCHLD, as the whole of clone's flags: what fork asks for."""


def probe(timeout: float = 20, *, threads: bool = False) -> dict[str, Any]:
    """Which layers a child gets here and what they refuse: {"sandbox": [...], "canary": {"open": "EPERM", ...}}; {} if it died.

    With `threads` it is locked as one that writes files and starts threads, and "thread" tells what is refused in one started later.
    """
    with open(os.devnull, "rb") as file:
        _, answer = run_child(ENTRY, file.fileno(), ["threads"] if threads else [], timeout=timeout)
    with suppress(ValueError):
        found = json.loads(answer or b"")
        return found if isinstance(found, dict) else {}
    return {}


def main() -> None:
    """The child: every attempt is answered "EPERM", with another error's name, or "ALLOWED"."""
    given = orders()
    threads = "threads" in given.arguments
    attempts = _attempts()
    layers = lock(cpu_seconds=given.seconds, memory_bytes=given.memory_bytes, threads=threads, writing=threads)
    answer: dict[str, object] = {"sandbox": layers}
    if threads:
        later = threading.Thread(target=lambda: answer.update(thread={name: _try(attempt) for name, attempt in attempts.items()}))
        later.start()
        later.join()
    answer["canary"] = {name: _try(attempt) for name, attempt in attempts.items()}
    say(answer)


def _attempts() -> dict[str, Callable[[], object]]:
    libc = ctypes.CDLL(None, use_errno=True)
    page = mmap.mmap(-1, mmap.PAGESIZE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    clone = {"x86_64": 56, "aarch64": 220}.get(os.uname().machine, -1)

    def by_number(*arguments: int) -> int:
        result: int = libc.syscall(*map(ctypes.c_long, arguments))
        if result < 0:
            raise OSError(ctypes.get_errno(), "refused")
        return result

    def protect() -> None:
        if libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(mmap.PAGESIZE), 1 | 4) < 0:
            raise OSError(ctypes.get_errno(), "refused")

    return {
        "open": lambda: os.open("/etc/passwd", os.O_RDONLY),
        "create": lambda: os.open("canary", os.O_WRONLY | os.O_CREAT),
        "socket": lambda: socket.socket(),
        "fork": lambda: os.fork() or os._exit(0),
        "clone": lambda: by_number(clone, _FORK, 0, 0, 0, 0) or os._exit(0),
        "exec": lambda: os.execv("/bin/true", ["true"]),  # noqa: S606 - the point is that it is refused
        "kill": lambda: os.kill(os.getppid(), 0),
        "stat": lambda: os.stat("/etc"),
        "code": lambda: mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_EXEC),
        "code later": protect,
        "x32": lambda: by_number(1 << 30 | 39),  # getpid in the numbering of x32
    }


def _try(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return "EPERM" if isinstance(error, PermissionError) else type(error).__name__
    return "ALLOWED"
