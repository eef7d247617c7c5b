"""Locks the running process in: no files, no network, no children, little memory. Linux only, standard library only, for good.

Import everything and open every file first; afterwards only reading what is open, writing to open pipes, and ending are left.
A program for `scanner.run.run_child` is a function that takes `orders()`, imports, calls `watch` and `lock`, works, and ends with `say`.
"""

from __future__ import annotations

import ctypes
import errno
import json
import math
import os
import platform
import resource
import signal
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn


@dataclass(frozen=True, slots=True)
class Orders:
    """What `run_child` tells its child on the command line: an open descriptor, seconds of wall and CPU time, bytes of memory."""

    fd: int
    seconds: float
    memory_bytes: int
    arguments: list[str]


def orders() -> Orders:
    """The orders of this process; raises `ValueError` where it was not started by `run_child`."""
    fd, seconds, memory, *arguments = sys.argv[1:]
    return Orders(int(fd), float(seconds), int(memory), arguments)


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


def say(answer: dict[str, object]) -> NoReturn:
    """Write one JSON object to standard output and end the process at once, with exit code 0."""
    data = memoryview(json.dumps(answer).encode())
    while data:
        data = data[os.write(1, data) :]
    os._exit(0)


_CALLS: dict[str, tuple[int, int]] = {
    "read": (0, 63), "write": (1, 64), "pread64": (17, 67), "lseek": (8, 62), "fstat": (5, 80), "close": (3, 57),
    "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "mremap": (25, 216), "madvise": (28, 233), "brk": (12, 214),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132),
    "getpid": (39, 172), "gettid": (186, 178), "futex": (202, 98), "clock_gettime": (228, 113), "getrandom": (318, 278),
    "exit": (60, 93), "exit_group": (231, 94),
}  # fmt: skip
"""All a parser needs: name -> numbers on x86_64 and aarch64 (Linux's syscall_64.tbl, asm-generic/unistd.h)."""

_NO_CODE = ("mmap", "mprotect")
"""Calls that are refused when their third argument asks for executable memory."""

_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""machine -> (AUDIT_ARCH, column of `_CALLS`)."""

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
_PROT_EXEC = 4
_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446
"""The same on every architecture (asm-generic numbering since Linux 5.x)."""

_LOAD, _JUMP_EQUAL, _JUMP_IF_BITS, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _THIRD_ARGUMENT = 0, 4, 32
"""Where struct seccomp_data has the call's number, the architecture and the low half of argument 2 (both machines are little-endian)."""

_ALLOW, _KILL_PROCESS, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM


def lock(*, cpu_seconds: float = 60, memory_bytes: int = 1 << 30, answer_bytes: int = 0) -> list[str]:
    """Close every door that can be closed; returns the layers now active, of "rlimit", "landlock<ABI>" and "seccomp".

    At `cpu_seconds` the process gets SIGXCPU (see `watch`), two seconds later it is ended. `answer_bytes` may be written to a file
    that is open already (0: to none). Raises nothing for a missing layer: the caller decides which ones it insists on. For good.
    """
    layers = []
    if _limit(math.ceil(cpu_seconds), memory_bytes, answer_bytes):
        layers.append("rlimit")
    if not sys.platform.startswith("linux"):
        return layers
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        abi = _landlock(libc)
        if abi:
            layers.append(f"landlock{abi}")
        if _seccomp(libc):
            layers.append("seccomp")
    return layers


def _limit(cpu_seconds: int, memory_bytes: int, answer_bytes: int) -> bool:
    bounds = {
        resource.RLIMIT_CPU: (cpu_seconds, cpu_seconds + 2),
        resource.RLIMIT_AS: (memory_bytes, memory_bytes),
        resource.RLIMIT_FSIZE: (answer_bytes, answer_bytes),
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_NPROC: (0, 0),
    }
    done = 0
    for kind, wanted in bounds.items():
        most = resource.getrlimit(kind)[1]
        soft, hard = (bound if most == resource.RLIM_INFINITY else min(bound, most) for bound in wanted)
        with suppress(OSError, ValueError):
            resource.setrlimit(kind, (soft, hard))
            done += 1
    return done == len(bounds)


def _landlock(libc: ctypes.CDLL) -> int:
    """Deny every path, port and scope that this kernel's Landlock knows; returns its ABI, 0 where there is none."""
    abi: int = libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)
    if abi <= 0:
        return 0
    rights = {1: 13, 2: 14, 3: 15, 4: 15}.get(abi, 16)  # file rights by ABI: linux/landlock.h
    fields = [(1 << rights) - 1]
    if abi >= 4:
        fields.append(3)  # TCP bind and connect
    if abi >= 6:
        fields.append(3)  # abstract sockets and signals
    attributes = ctypes.create_string_buffer(struct.pack(f"={len(fields)}Q", *fields), 8 * len(fields))
    ruleset = libc.syscall(_LANDLOCK_CREATE, attributes, ctypes.c_size_t(8 * len(fields)), 0)
    if ruleset < 0:
        return 0
    refused = libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0)
    os.close(ruleset)
    return 0 if refused else abi


def _seccomp(libc: ctypes.CDLL) -> bool:
    """Allow the system calls of `_CALLS` and answer every other with EPERM; a foreign architecture's call ends the process."""
    if platform.machine() not in _ARCHITECTURES:
        return False
    architecture, column = _ARCHITECTURES[platform.machine()]
    program = _filter(architecture, {name: pair[column] for name, pair in _CALLS.items()})
    code = ctypes.create_string_buffer(b"".join(program), 8 * len(program))
    header = ctypes.create_string_buffer(struct.pack("@HxxxxxxP", len(program), ctypes.addressof(code)), 16)
    return bool(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0) == 0)


def _filter(architecture: int, numbers: dict[str, int]) -> list[bytes]:
    """The filter's instructions. Numbers are compared whole, so x32's (bit 30 set, same architecture) equal none of them."""
    plain = [number for name, number in numbers.items() if name not in _NO_CODE]
    checked = [numbers[name] for name in _NO_CODE]
    after = len(plain) + len(checked)  # the refusal comes next, then: load argument, test it, refuse, allow
    return [
        struct.pack("=HBBI", _LOAD, 0, 0, _ARCHITECTURE),
        struct.pack("=HBBI", _JUMP_EQUAL, 1, 0, architecture),
        struct.pack("=HBBI", _RETURN, 0, 0, _KILL_PROCESS),
        struct.pack("=HBBI", _LOAD, 0, 0, _NUMBER),
        *(struct.pack("=HBBI", _JUMP_EQUAL, after - index + 3, 0, number) for index, number in enumerate(plain)),
        *(struct.pack("=HBBI", _JUMP_EQUAL, len(checked) - index, 0, number) for index, number in enumerate(checked)),
        struct.pack("=HBBI", _RETURN, 0, 0, _REFUSE),
        struct.pack("=HBBI", _LOAD, 0, 0, _THIRD_ARGUMENT),
        struct.pack("=HBBI", _JUMP_IF_BITS, 0, 1, _PROT_EXEC),
        struct.pack("=HBBI", _RETURN, 0, 0, _REFUSE),
        struct.pack("=HBBI", _RETURN, 0, 0, _ALLOW),
    ]
