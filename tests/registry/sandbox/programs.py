"""What the children of these tests run: small programs that lock themselves in as real ones do. No tests of their own."""

from __future__ import annotations

import concurrent.futures.thread
import ctypes
import hashlib
import json
import mmap
import os
import socket
import sysconfig
import threading
import time
from collections.abc import Callable

import registry.sandbox.ranges
from registry.sandbox import computing
from registry.sandbox.child import orders, say, tell, told, watch
from registry.sandbox.locks import lock

PRELOADED = (concurrent.futures.thread, hashlib)


class Over(BaseException):
    """Time is up."""


def echo() -> None:
    """Says how long its further orders are, their digest, and what environment it has."""
    orders()
    data = told()
    say({"size": len(data), "digest": hashlib.sha256(data).hexdigest(), "environment": dict(os.environ)})


def talk() -> None:
    """Tells as many pieces of news as its argument says, some of them too long or no JSON, then says so."""
    given = orders()
    for number in range(int(given.arguments[0])):
        tell({"number": number})
        time.sleep(0.02)
    os.write(1, b"not json\n")
    time.sleep(0.02)
    tell({"long": "x" * 10_000})
    time.sleep(0.02)
    say({"told": int(given.arguments[0])})


def sleep() -> None:
    orders()
    tell({"pid": os.getpid()})
    time.sleep(60)
    say({})


def fill() -> None:
    """Writes its argument's bytes into the descriptor, from two threads, in the way that output files are written."""
    given = orders()
    size = int(given.arguments[0])
    finish = watch(given.seconds, Over)
    layers = lock(cpu_seconds=given.seconds, memory_bytes=given.memory_bytes, file_bytes=given.file_bytes, threads=True, writing=True)
    try:
        os.posix_fallocate(given.fd, 0, size)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            done = [pool.submit(os.pwrite, given.fd, b"\x07" * (size // 2), at) for at in (0, size // 2)]
            written = sum(future.result() for future in done)
        os.fsync(given.fd)
    except OSError as error:
        finish()
        say({"errno": error.errno, "layers": layers})
    finish()
    say({"written": written, "layers": layers})


def read_ranges() -> None:
    """Reads what its parent serves: all of it from two threads, and something behind the end."""
    given = orders()
    size = int(given.arguments[0])
    source = registry.sandbox.ranges.Ranges(*given.fds, size)
    lock(cpu_seconds=given.seconds, memory_bytes=given.memory_bytes, threads=True, writing=True)
    data = bytearray(size)
    middle = size // 3
    halves = [(0, memoryview(data)[:middle]), (middle, memoryview(data)[middle:])]
    threads = [threading.Thread(target=source.read_into, args=half) for half in halves]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        source.read_into(size - 1, memoryview(bytearray(2)))
    except Exception as error:
        say({"digest": hashlib.sha256(data).hexdigest(), "behind": str(error)})
    say({})


def read_what_fails() -> None:
    given = orders()
    source = registry.sandbox.ranges.Ranges(*given.fds, int(given.arguments[0]))
    try:
        source.read_into(0, memoryview(bytearray(10)))
    except OSError as error:
        say({"errno": error.errno})
    say({})


def ask_behind_the_end() -> None:
    """A hostile child: it asks, past its own reader's check, for what does not belong to it."""
    given = orders()
    os.write(given.fds[0], registry.sandbox.ranges._REQUEST.pack(int(given.arguments[0]), 1))
    say({"answer": os.read(given.fds[1], 10).hex()})


def raise_something() -> None:
    raise LookupError("nothing there")


def compute() -> None:
    """Locks itself in as one that stays and computes, on processors or with a GPU, and tries what it can do then."""
    given = orders()
    how, folder = given.arguments
    libc = ctypes.CDLL(None, use_errno=True)
    ptrace, uring, process_vm = {"x86_64": (101, 425, 310), "aarch64": (117, 425, 270)}[os.uname().machine]

    def by_number(*arguments: int) -> None:
        if libc.syscall(*map(ctypes.c_long, arguments)) < 0:
            raise OSError(ctypes.get_errno(), "refused")

    def unshared() -> None:
        if libc.unshare(0x10000000) < 0:
            raise OSError(ctypes.get_errno(), "refused")

    doors: dict[str, Callable[[], object]] = {
        "inet": socket.socket,
        "unix": lambda: socket.socket(socket.AF_UNIX),
        "fork": lambda: os.fork() or os._exit(0),
        "exec": lambda: os.execv("/bin/true", ["true"]),  # noqa: S606 - the point is that it is refused
        "kill": lambda: os.kill(os.getppid(), 0),
        "ptrace": lambda: by_number(ptrace, 16, os.getppid(), 0, 0),
        "uring": lambda: by_number(uring, 4, 0),
        "namespace": unshared,
        "memory of others": lambda: by_number(process_vm, os.getppid(), 0, 0, 0, 0, 0),
        "passwd": lambda: os.open("/etc/passwd", os.O_RDONLY),
        "root": lambda: os.open("/", os.O_RDONLY),
        "parent": lambda: os.open(f"/proc/{os.getppid()}/environ", os.O_RDONLY),
        "write": lambda: os.open(os.path.join(folder, "new"), os.O_WRONLY | os.O_CREAT),
        "list": lambda: os.listdir("/etc"),
        "library": lambda: os.open(os.path.join(sysconfig.get_path("stdlib"), "wave.py"), os.O_RDONLY),
        "named": lambda: os.open(os.path.join(folder, "allowed"), os.O_RDONLY),
        "code": lambda: mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC),
        "more memory": lambda: bytearray(600 << 20),
    }
    if "no landlock" in how:
        computing._landlock = lambda *_: 0
    gpu = how == "gpu"
    layers = computing.lock_computing([folder], data_bytes=0 if gpu else 500 << 20, gpu=gpu)
    answer: dict[str, object] = {"layers": layers}
    later = threading.Thread(target=lambda: answer.update(later={name: _tried(door) for name, door in doors.items()}))
    later.start()
    later.join()
    say({**answer, "own": {name: _tried(door) for name, door in doors.items()}})


def _tried(door: Callable[[], object]) -> str:
    try:
        door()
    except OSError as error:
        return {1: "EPERM", 13: "EACCES"}.get(error.errno or 0, type(error).__name__)
    except MemoryError:
        return "MemoryError"
    return "ALLOWED"


def stay() -> None:
    """Says what it is, then answers letters: m takes 50 MB of memory, p prints much. It ends with its socket."""
    given = orders()
    line = socket.socket(fileno=given.fd)
    told = {"arguments": given.arguments, "environment": dict(os.environ), "pid": os.getpid(), "session": os.getsid(0)}
    line.send(json.dumps(told).encode())
    kept = []
    while letter := line.recv(1):
        if letter == b"m":
            kept.append(b"m" * (50 << 20))
        if letter == b"p":
            print("x" * 20_000, "the end \x1b[31m", flush=True)
        line.send(letter)


def deaf() -> None:
    """Does not look at its socket."""
    given = orders()
    socket.socket(fileno=given.fd).send(b"here")
    time.sleep(60)
