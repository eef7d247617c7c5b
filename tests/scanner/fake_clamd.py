"""A stand-in for a ClamAV daemon: really speaks its protocol over a unix socket, and judges streams by what is in them."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MARK = b"!the mark that this stand-in calls a virus!"
VERSION = b"ClamAV 1.4.6/27500/Fri Nov 20 09:00:00 2026\0"


class FakeClamd:
    """Listens until closed. `stream_limit` and `read_limit` are StreamMaxLength and MaxFileSize in bytes, the latter with
    AlertExceedsMax. `misbehave` may take the line over for a stream, before any of it is read.
    """

    def __init__(self, *, stream_limit: int = 1 << 40, read_limit: int = 1 << 40, version: bytes = VERSION) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="clamd")
        self.path = str(Path(self._folder.name) / "clamd.sock")
        self.stream_limit, self.read_limit, self.version = stream_limit, read_limit, version
        self.misbehave: Callable[[socket.socket], None] | None = None
        self.streams: list[bytes] = []
        self.problems: list[str] = []
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(self.path)
        self._server.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)
        self._folder.cleanup()

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(line,), daemon=True).start()

    def _answer(self, line: socket.socket) -> None:
        with line, suppress(OSError):
            line.settimeout(10)
            command = self._until_nul(line)
            if command == b"zVERSION":
                line.sendall(self.version)
            elif command == b"zINSTREAM" and self.misbehave:
                self.misbehave(line)
            elif command == b"zINSTREAM":
                line.sendall(self._judge(line))
            else:
                self.problems.append(f"unknown command {command!r}")
                line.sendall(b"UNKNOWN COMMAND\0")

    def _until_nul(self, line: socket.socket) -> bytes:
        command = b""
        while not command.endswith(b"\0") and len(command) < 100:
            command += line.recv(1)
        return command[:-1]

    def _judge(self, line: socket.socket) -> bytes:
        content = bytearray()
        while size := int.from_bytes(self._exactly(line, 4), "big"):
            if len(content) + size > self.stream_limit:
                return b"INSTREAM size limit exceeded. ERROR\0"
            content += self._exactly(line, size)
        self.streams.append(bytes(content))
        if MARK in content[: self.read_limit]:
            return b"stream: Test.Mark-1 FOUND\0"
        if len(content) > self.read_limit:
            return b"stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND\0"
        return b"stream: OK\0"

    def _exactly(self, line: socket.socket, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            part = line.recv(min(size - len(data), 1 << 20))
            if not part:
                self.problems.append("a frame was cut")
                raise ConnectionError
            data += part
        return bytes(data)


@contextmanager
def fake_clamd(**options: object) -> Iterator[FakeClamd]:
    daemon = FakeClamd(**options)  # type: ignore[arg-type]
    try:
        yield daemon
    finally:
        daemon.close()
