"""What the children of these tests run: small programs that lock themselves in as real ones do. No tests of their own."""

from __future__ import annotations

import concurrent.futures.thread
import hashlib
import os
import threading
import time

import registry.sandbox.ranges
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
