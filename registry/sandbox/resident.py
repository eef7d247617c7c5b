"""Starts a child that stays: many pieces of work over one socket, one process for all. What is said on the socket is others' business.

Beside `parent.run_child`, whose children live for one file. The child closes its own doors (`computing`); this side starts it with an
empty environment, looks after what it takes, keeps the last that it printed, and ends it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from registry.sandbox.parent import START

TAIL = 8 << 10
"""Bytes of printed words that are kept; more of it is read and forgotten."""

PAGE = os.sysconf("SC_PAGE_SIZE")


class Resident:
    """A running child and the two ends of it that this side holds: `socket` (a stream, blocking) and `output` (a descriptor, not blocking).

    It dies with the thread that started it (PR_SET_PDEATHSIG counts threads), so one thread of its own starts it and lives as long.
    """

    def __init__(self, entry: str, arguments: Sequence[str], *, environment: Mapping[str, str], pass_fds: Sequence[int] = ()) -> None:
        """`entry` is "module:function", which finds its orders by `child.orders()`: the socket is its first descriptor. It may not start:
        then the socket ends at once. Raises OSError where no process can be started.
        """
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="resident")
        self._tail = bytearray()
        self._over = False
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            orders = [entry, ",".join(map(str, (theirs.fileno(), *pass_fds))), "0", "0", "0", *arguments]
            self._process = self._start(orders, environment, (theirs.fileno(), *pass_fds)).result()
        except BaseException:
            self.socket.close()
            self._starter.shutdown()
            raise
        finally:
            theirs.close()
        assert self._process.stdout is not None  # noqa: S101 - as asked for below
        self.output = self._process.stdout.fileno()
        os.set_blocking(self.output, False)

    def _start(self, orders: Sequence[str], environment: Mapping[str, str], fds: tuple[int, ...]) -> Future[subprocess.Popen[bytes]]:
        return self._starter.submit(
            subprocess.Popen,
            # No -B: it imports before it locks itself in, and without bytecode that takes twice as long at every start.
            [sys.executable, "-I", "-Xutf8", "-c", START, *orders],
            pass_fds=fds,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd="/",
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def drain(self) -> None:
        """Read what it printed, so that the child never waits for us."""
        with suppress(BlockingIOError):
            while not self._over and (part := os.read(self.output, 1 << 16)):
                self._tail = (self._tail + part)[-TAIL:]

    def last_words(self) -> str:
        """The end of what it printed, with control characters made harmless."""
        self.drain()
        text = self._tail.decode("utf-8", "replace")
        return "".join(letter if letter.isprintable() or letter == "\n" else "\ufffd" for letter in text).strip()

    def private_bytes(self) -> int:
        """Memory that is its alone, in bytes: not mapped files, which the kernel takes back when it likes. 0 where it is gone."""
        try:
            resident, shared = Path(f"/proc/{self.pid}/statm").read_text().split()[1:3]
        except (OSError, ValueError):
            return 0
        return max(0, int(resident) - int(shared)) * PAGE

    def wait(self, seconds: float) -> int | None:
        """Its exit code, None where it has not ended by then."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def disown(self) -> None:
        """In a process that was forked off: let go of the ends that are held here, and of nothing else."""
        self._over = True
        self.socket.close()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def end(self) -> int:
        """Kill it and all it may have started; its exit code, negative for a signal."""
        with suppress(ProcessLookupError, PermissionError):
            if self._process.poll() is None:
                os.killpg(self.pid, signal.SIGKILL)
        code = self._process.wait()
        self.drain()
        if not self._over and self._process.stdout is not None:
            self._over = True
            self.socket.close()
            self._process.stdout.close()
            self._starter.shutdown(wait=False)
        return code
