"""Locks the running process in: no files, no network, no other processes, bounded memory and time. Linux only, for good.

Import everything and open every file first; afterwards only reading and writing what is open, threads where wanted, and ending are left.
"""

from __future__ import annotations

import ctypes
import math
import os
import platform
import resource
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress

from registry.sandbox import filters

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
_LANDLOCK_CREATE, LANDLOCK_RESTRICT = 444, 446
"""The same on every architecture (asm-generic numbering since Linux 5.x)."""

_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SET_MODE_FILTER, _ALL_THREADS = 1, 1
"""SECCOMP_SET_MODE_FILTER and SECCOMP_FILTER_FLAG_TSYNC: threads that a library has started at its import get the filter as well."""


def lock(
    *, cpu_seconds: float = 60, memory_bytes: int = 1 << 30, file_bytes: int = 0, threads: bool = False, writing: bool = False
) -> list[str]:
    """Close every door that can be closed; returns the layers now active, of "rlimit", "landlock<ABI>" and "seccomp".

    At `cpu_seconds`, of all threads together, the process gets SIGXCPU (see `child.watch`), two seconds later it is ended. With `threads`
    it may start threads, which inherit every lock, and never a process. With `writing` it may fill files that are open already, by offset
    and lastingly; none may become longer than `file_bytes`. Raises nothing for a missing layer: the caller decides which ones it insists
    on. For good.
    """
    layers = []
    if _limit(math.ceil(cpu_seconds), memory_bytes, file_bytes, threads):
        layers.append("rlimit")
    if not sys.platform.startswith("linux"):
        return layers
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        abi = _landlock(libc)
        if abi:
            layers.append(f"landlock{abi}")
        if _seccomp(libc, threads, writing):
            layers.append("seccomp")
    return layers


def _limit(cpu_seconds: int, memory_bytes: int, file_bytes: int, threads: bool) -> bool:
    """Threads count among all processes of the user: where they are wanted, the filter alone forbids processes."""
    bounds = {
        resource.RLIMIT_CPU: (cpu_seconds, cpu_seconds + 2),
        resource.RLIMIT_AS: (memory_bytes, memory_bytes),
        resource.RLIMIT_FSIZE: (file_bytes, file_bytes),
        resource.RLIMIT_CORE: (0, 0),
        **({} if threads else {resource.RLIMIT_NPROC: (0, 0)}),
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
    ruleset, abi = landlock_ruleset(libc)
    if not abi:
        return 0
    refused = libc.syscall(LANDLOCK_RESTRICT, ruleset, 0)
    os.close(ruleset)
    return 0 if refused else abi


def landlock_ruleset(libc: ctypes.CDLL) -> tuple[int, int]:
    """(descriptor of a ruleset that denies all of that, the ABI); (-1, 0) where there is none. It restricts nothing yet."""
    abi: int = libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)
    if abi <= 0:
        return -1, 0
    rights = {1: 13, 2: 14, 3: 15, 4: 15}.get(abi, 16)  # file rights by ABI: linux/landlock.h
    fields = [(1 << rights) - 1]
    if abi >= 4:
        fields.append(3)  # TCP bind and connect
    if abi >= 6:
        fields.append(3)  # abstract sockets and signals
    attributes = ctypes.create_string_buffer(struct.pack(f"={len(fields)}Q", *fields), 8 * len(fields))
    ruleset: int = libc.syscall(_LANDLOCK_CREATE, attributes, ctypes.c_size_t(8 * len(fields)), 0)
    return (-1, 0) if ruleset < 0 else (ruleset, abi)


def _seccomp(libc: ctypes.CDLL, threads: bool, writing: bool) -> bool:
    """Have the kernel ask the program of `filters` before every call of every thread."""
    machine = platform.machine()
    if machine not in filters.ARCHITECTURES:
        return False
    header, _code = filter_header(filters.program(machine, threads=threads, writing=writing))
    if filter_all_threads(libc, machine, header):
        return True
    return bool(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0) == 0)  # an older door, for this thread alone


def filter_header(steps: Sequence[bytes]) -> tuple[ctypes.Array[ctypes.c_char], ctypes.Array[ctypes.c_char]]:
    """(struct sock_fprog of a program, the memory that it points to and that must outlive it)."""
    code = ctypes.create_string_buffer(b"".join(steps), 8 * len(steps))
    return ctypes.create_string_buffer(struct.pack("@HxxxxxxP", len(steps), ctypes.addressof(code)), 16), code


def filter_all_threads(libc: ctypes.CDLL, machine: str, header: ctypes.Array[ctypes.c_char]) -> bool:
    """Whether the kernel now asks this program before every call of every thread of the process."""
    return bool(libc.syscall(_SECCOMP[machine], _SET_MODE_FILTER, _ALL_THREADS, header) == 0)
