"""Dying with one's parent: the kernel's parent-death signal, for processes that must not outlive the launcher.
It reaches direct children only; `guardian` sees to what those started."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1  # prctl(2)
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Ask the kernel to send this process signal `number` when the thread that started it ends; lost on a change of credentials."""
    _libc.prctl(_PR_SET_PDEATHSIG, int(number))


def die_with(parent_pid: int) -> None:
    """Like `die_with_parent`, to be run right after fork; leaves at once when the parent is gone already."""
    die_with_parent()
    if os.getppid() != parent_pid:
        os._exit(1)
