"""What a process finds that was started by `parent.run_child`: its orders, its deadline, and how to speak. It locks nothing by itself.

Such a program is a function that takes `orders()`, imports, calls `watch` and `locks.lock`, works, `tell`s how far it is, ends with `say`.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Orders:
    """What `run_child` tells its child: open descriptors, seconds of wall and CPU time, bytes of memory and of a file that it writes."""

    fds: tuple[int, ...]
    seconds: float
    memory_bytes: int
    file_bytes: int
    arguments: list[str]

    @property
    def fd(self) -> int:
        """The first descriptor; for most the only one."""
        return self.fds[0]


def orders() -> Orders:
    """The orders of this process, which from now on ends with its parent; raises `ValueError` where `run_child` did not start it."""
    fds, seconds, memory, size, *arguments = sys.argv[1:]
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    return Orders(tuple(map(int, fds.split(","))), float(seconds), int(memory), int(size), arguments)


def told() -> bytes:
    """The rest of the orders, where `run_child` was given any: bytes of any length. Whose they are decides how to read them."""
    parts = []
    while part := os.read(0, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def watch(seconds: float, ended: type[BaseException]) -> Callable[[], None]:
    """Raise `ended` here after `seconds` of wall time, or of CPU time where `lock` limits that; returns what calls it off.

    To be called before `lock`, in the main thread. It is raised again every second until called off, in case something swallows it.
    """
    state = {"over": False, "last": -math.inf}

    def end(_number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if state["over"] or now - state["last"] < 1:
            return
        state["last"] = now
        raise ended

    signal.signal(signal.SIGALRM, end)
    signal.signal(signal.SIGXCPU, end)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1)
    return lambda: state.update(over=True)


def tell(news: object) -> None:
    """Write one short line of JSON, for the parent's `heard`, which gets the newest of those that wait."""
    _write(json.dumps(news).encode() + b"\n")


def say(answer: dict[str, object]) -> NoReturn:
    """Write one JSON object to standard output and end the process at once, with exit code 0."""
    _write(json.dumps(answer).encode())
    os._exit(0)


def _write(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]
