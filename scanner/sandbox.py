"""Locks the running process in: no files, no network, no children, little memory. Linux only, standard library only, for good.

Import everything and open every file first; afterwards only reading what is open, writing to open pipes, and ending are left.
It knows nothing of what the process then does. Layers this kernel lacks are left out, and the answer says which are on.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
from contextlib import suppress

_CALLS: dict[str, tuple[int, int]] = {
    "read": (0, 63), "write": (1, 64), "pread64": (17, 67), "lseek": (8, 62), "fstat": (5, 80), "close": (3, 57),
    "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "mremap": (25, 216), "madvise": (28, 233), "brk": (12, 214),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132),
    "getpid": (39, 172), "gettid": (186, 178), "futex": (202, 98), "clock_gettime": (228, 113), "getrandom": (318, 278),
    "exit": (60, 93), "exit_group": (231, 94),
}  # fmt: skip
"""All a parser needs: name -> numbers on x86_64 and aarch64 (Linux's syscall_64.tbl, asm-generic/unistd.h)."""

_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""machine -> (AUDIT_ARCH, column of `_CALLS`)."""

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446
"""The same on every architecture (asm-generic numbering since Linux 5.x)."""

_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _KILL_PROCESS, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM


def lock(*, cpu_seconds: int = 60, memory_bytes: int = 1 << 30) -> list[str]:
    """Close every door that can be closed; returns the layers now active, of "rlimit", "landlock<ABI>" and "seccomp".

    Raises nothing for a missing layer: the caller decides which ones it insists on. It cannot be undone.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    layers = []
    if _limit(cpu_seconds, memory_bytes):
        layers.append("rlimit")
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        abi = _landlock(libc)
        if abi:
            layers.append(f"landlock{abi}")
        if _seccomp(libc):
            layers.append("seccomp")
    return layers


def _limit(cpu_seconds: int, memory_bytes: int) -> bool:
    bounds = {
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 0,
    }
    done = 0
    for kind, bound in bounds.items():
        hard = resource.getrlimit(kind)[1]
        wanted = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(kind, (wanted, wanted))
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
    numbers = [pair[column] for pair in _CALLS.values()]
    program = [
        struct.pack("=HBBI", _LOAD, 0, 0, 4),
        struct.pack("=HBBI", _JUMP_EQUAL, 1, 0, architecture),
        struct.pack("=HBBI", _RETURN, 0, 0, _KILL_PROCESS),
        struct.pack("=HBBI", _LOAD, 0, 0, 0),
        *(struct.pack("=HBBI", _JUMP_EQUAL, len(numbers) - index, 0, number) for index, number in enumerate(numbers)),
        struct.pack("=HBBI", _RETURN, 0, 0, _REFUSE),
        struct.pack("=HBBI", _RETURN, 0, 0, _ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(program), 8 * len(program))
    header = ctypes.create_string_buffer(struct.pack("@HxxxxxxP", len(program), ctypes.addressof(code)), 16)
    return bool(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0) == 0)
