"""Locks in a process that stays: it reads the installed libraries and the descriptors it is sent, computes in threads, and that is all.

Beside `locks`, whose children have everything imported and open nothing: a library as big as torch opens its own parts late. For good.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct
import sys
import sysconfig
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from registry.sandbox import computecalls, filters, locks

_LANDLOCK_ADD_RULE, _RULE_PATH_BENEATH = 445, 1
_WRITE_FILE, _READ_FILE, _READ_DIR, _IOCTL_DEV = 1 << 1, 1 << 2, 1 << 3, 1 << 15
"""Rights of linux/landlock.h; `execute` is none of those given to anything. Ioctls of devices are a right of their own from ABI 5 on."""

SYSTEM = (
    "/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d",
    "/usr/share/zoneinfo", "/etc/localtime", "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system", "/dev/urandom", "/dev/null",
)  # fmt: skip
GPU_READABLE = (
    "/sys",
    "/proc/driver",
    "/proc/devices",
    "/proc/modules",
    "/proc/sys",
    "/usr/local/cuda",
    "/usr/share/nvidia",
    "/etc/nvidia",
)
GPU_WRITABLE = ("/dev/shm", "/dev/null", "/dev/nvidia-caps", "/dev/nvidia-uvm-tools")  # noqa: S108 - shared memory, not a temporary file

OPEN_FILES = 4096


def readable_libraries() -> list[str]:
    """Where this interpreter and its packages lie; never the folder of the project itself, in which a hub may keep its data."""
    found = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    found += [str(Path(sys.base_prefix, "lib")), str(Path(sys.prefix, "lib"))]
    return sorted({os.path.realpath(path) for path in found if path and os.path.isdir(path)} | set(SYSTEM))


def lock_computing(readable: Sequence[str], *, data_bytes: int = 0, gpu: bool = False) -> list[str]:
    """Close every door but those; returns the layers now active, of "rlimit", "landlock<ABI>" and "seccomp".

    `readable` are files and folders beside the libraries. `data_bytes` bounds memory that is written to (0: no bound): not the address
    space, since maps of files and of a GPU are as large as they are. With `gpu` the driver must be set up before: its devices stay open to
    it, and its own threads, which are there already, get the filter but not Landlock. Without Landlock a process on processors opens
    nothing by name at all. Raises nothing for a missing layer: the caller decides which ones it insists on.
    """
    layers = ["rlimit"] if _limit(data_bytes) else []
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(locks.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return layers
    abi = _landlock(libc, [*readable_libraries(), *readable, *(GPU_READABLE if gpu else ())], _devices() if gpu else [])
    if abi:
        layers.append(f"landlock{abi}")
    machine = platform.machine()
    if machine in filters.ARCHITECTURES:
        steps = computecalls.on_gpu(machine) if gpu else computecalls.on_processors(machine, opening=bool(abi))
        header, _code = locks.filter_header(steps)
        if locks.filter_all_threads(libc, machine, header):
            layers.append("seccomp")
    return layers


def no_network(layers: Sequence[str]) -> bool:
    """Whether these layers keep a process off the network: the filter refuses every socket, Landlock from ABI 4 on those of TCP."""
    return "seccomp" in layers or any(int(name.removeprefix("landlock")) >= 4 for name in layers if name.startswith("landlock"))


def _limit(data_bytes: int) -> bool:
    bounds = {resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0, resource.RLIMIT_NOFILE: OPEN_FILES}
    if data_bytes:
        bounds[resource.RLIMIT_DATA] = data_bytes
    done = 0
    for kind, wanted in bounds.items():
        most = resource.getrlimit(kind)[1]
        bound = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        with suppress(OSError, ValueError):
            resource.setrlimit(kind, (bound, bound))
            done += 1
    return done == len(bounds)


def _devices() -> list[str]:
    cards = sorted(str(path) for path in Path("/dev").glob("nvidia[0-9]*"))
    return [*cards, "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-modeset", "/dev/dxg", *GPU_WRITABLE]


def _landlock(libc: ctypes.CDLL, readable: Sequence[str], writable: Sequence[str]) -> int:
    """Deny every path, port and scope that this kernel's Landlock knows, but for these; returns its ABI, 0 where there is none."""
    ruleset, abi = locks.landlock_ruleset(libc)
    if not abi:
        return 0
    try:
        ioctl = _IOCTL_DEV if abi >= 5 else 0
        for path in readable:
            _allow(libc, ruleset, path, _READ_FILE, _READ_DIR)
        for path in writable:
            _allow(libc, ruleset, path, _READ_FILE | _WRITE_FILE | ioctl, _READ_DIR)
        return 0 if libc.syscall(locks.LANDLOCK_RESTRICT, ruleset, 0) else abi
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, rights: int, of_folders: int) -> None:
    """What is not there, or cannot be named in a rule, stays refused."""
    with suppress(OSError):
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            allowed = rights | (of_folders if os.path.isdir(path) else 0)
            rule = ctypes.create_string_buffer(struct.pack("=Qi", allowed, fd), 12)
            libc.syscall(_LANDLOCK_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0)
        finally:
            os.close(fd)
