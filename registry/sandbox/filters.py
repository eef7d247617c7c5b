"""The system-call filter as a program for the kernel: which calls a locked process may make, and how. It applies nothing."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable, Mapping

CALLS: dict[str, tuple[int, int]] = {
    "read": (0, 63), "write": (1, 64), "pread64": (17, 67), "lseek": (8, 62), "fstat": (5, 80), "close": (3, 57),
    "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "mremap": (25, 216), "madvise": (28, 233), "brk": (12, 214),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132),
    "getpid": (39, 172), "gettid": (186, 178), "futex": (202, 98), "clock_gettime": (228, 113), "getrandom": (318, 278),
    "exit": (60, 93), "exit_group": (231, 94),
}  # fmt: skip
"""All a parser needs: name -> numbers on x86_64 and aarch64 (Linux's syscall_64.tbl, asm-generic/unistd.h)."""

THREADS: dict[str, tuple[int, int]] = {
    "clone": (56, 220), "clone3": (435, 435), "set_robust_list": (273, 99), "rseq": (334, 293),
}  # fmt: skip
"""What glibc calls for a new thread. Without `rseq` it ends the whole process (nptl/pthread_create.c, start_thread)."""

WRITING: dict[str, tuple[int, int]] = {
    "pwrite64": (18, 68), "preadv": (295, 69), "preadv2": (327, 286), "readv": (19, 65), "fallocate": (285, 47),
    "ftruncate": (77, 46), "fsync": (74, 82), "fadvise64": (221, 223),
}  # fmt: skip
"""What is needed beside `CALLS` to fill a file that is open already, and to read into memory that is there (preadv2 by glibc, preadv
elsewhere).
"""

ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""machine -> (AUDIT_ARCH, column of the tables above)."""

_PROT_EXEC = 4
_CLONE_THREAD = 0x10000
_OF_THREADS = 0x7D0F00
"""Every flag that glibc or musl sets for a new thread; namespaces, and whatever else there is, are none of them (linux/sched.h)."""

_LOAD, _JUMP_EQUAL, _JUMP_IF_BITS, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT, _THIRD_ARGUMENT = 0, 4, 16, 32
"""Where struct seccomp_data has the call's number, the architecture and the low halves of arguments (both machines are little-endian)."""

_ALLOW, _KILL_PROCESS, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000


def program(machine: str, *, threads: bool, writing: bool) -> list[bytes]:
    """The filter's instructions: listed calls are allowed, others answered with EPERM, a foreign architecture's end the process.

    Numbers are compared whole, so x32's (bit 30 set, same architecture) equal none of them. Raises `KeyError` for an unknown machine.
    """
    column = ARCHITECTURES[machine][1]
    tables = (CALLS, THREADS if threads else {}, WRITING if writing else {})
    return assemble(machine, {name: pair[column] for table in tables for name, pair in table.items()}, _CONDITIONS)


def assemble(machine: str, numbers: Mapping[str, int], conditions: Mapping[str, Iterable[bytes]]) -> list[bytes]:
    """A program that allows these calls, those with conditions as their steps answer, and refuses the rest; see `program`."""
    checked = [_checked(numbers[name], steps) for name, steps in conditions.items() if name in numbers]
    plain = [number for name, number in numbers.items() if name not in conditions]
    return [
        *head(machine),
        *(step for steps in checked for step in steps),
        *(_step(_JUMP_EQUAL, len(plain) - index, 0, number) for index, number in enumerate(plain)),
        _step(_RETURN, 0, 0, _ERROR | errno.EPERM),
        _step(_RETURN, 0, 0, _ALLOW),
    ]


def head(machine: str) -> list[bytes]:
    """The first steps of every program: end the process in a foreign architecture, then look at the call's number."""
    return [
        _step(_LOAD, 0, 0, _ARCHITECTURE),
        _step(_JUMP_EQUAL, 1, 0, ARCHITECTURES[machine][0]),
        _step(_RETURN, 0, 0, _KILL_PROCESS),
        _step(_LOAD, 0, 0, _NUMBER),
    ]


def _step(code: int, if_true: int, if_false: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _checked(number: int, steps: Iterable[bytes]) -> list[bytes]:
    """The steps for one call, which end in an answer; skipped for every other call."""
    wanted = list(steps)
    return [_step(_JUMP_EQUAL, 0, len(wanted), number), *wanted]


_NO_CODE = (
    _step(_LOAD, 0, 0, _THIRD_ARGUMENT),
    _step(_JUMP_IF_BITS, 0, 1, _PROT_EXEC),
    _step(_RETURN, 0, 0, _ERROR | errno.EPERM),
    _step(_RETURN, 0, 0, _ALLOW),
)
_ONLY_THREADS = (
    _step(_LOAD, 0, 0, _FIRST_ARGUMENT),
    _step(_JUMP_IF_BITS, 2, 0, 0xFFFFFFFF & ~_OF_THREADS),
    _step(_JUMP_IF_BITS, 0, 1, _CLONE_THREAD),
    _step(_RETURN, 0, 0, _ALLOW),
    _step(_RETURN, 0, 0, _ERROR | errno.EPERM),
)
_UNKNOWN = (_step(_RETURN, 0, 0, _ERROR | errno.ENOSYS),)

_CONDITIONS = {"mmap": _NO_CODE, "mprotect": _NO_CODE, "clone": _ONLY_THREADS, "clone3": _UNKNOWN}
"""Calls that are answered by their arguments: no executable memory, threads and no processes.

The flags of `clone3` lie in memory, where a filter cannot look, so it "does not exist" and glibc takes `clone`.
"""
