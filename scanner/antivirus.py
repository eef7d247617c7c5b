"""Asks a ClamAV daemon about a file, over its unix socket: whole up to 200 MB, of larger ones only what is not tensor data.

It knows no Django and says "success" only where the daemon read every byte. A daemon that is away, slow or talks nonsense is trouble
of ours (`Unreachable`), not an answer about the file. Protocol: clamd(8), commands with a "z" prefix end in NUL.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from registry.formats.errors import FormatError
from registry.formats.plaintext import printable
from registry.formats.strictzip import read_archive
from registry.formats.torchzip import holds_numbers
from registry.formats.window import Window

WHOLE = 200 * 10**6
"""Bytes up to which a file is sent whole: five seconds at the 40 MB/s that clamd 1.4.6 was measured at (630 MB in 15.6 s)."""

SMALL = 25 * 10**6
"""Bytes of one part of a larger file that is sent: the StreamMaxLength of Debian's clamd.conf."""

TOTAL_SECONDS = 180.0
"""For all that is asked about one file; a busy daemon lets its callers wait."""

CHUNK = 256 << 10
MAX_REPLY = 4096

_REPLY = re.compile(r"stream: (?:(?P<clean>OK)|(?P<signature>.+) FOUND)")
_TOO_LARGE = "INSTREAM size limit exceeded. ERROR"
_LIMIT = "Heuristics.Limits.Exceeded"

CLEAN, FOUND, BEYOND = "clean", "found", "beyond"
"""A stream was read whole and is clean; holds what `Reply.signature` names; passes a limit of the daemon, so was not read whole."""


class Unreachable(ConnectionError):
    """The daemon gave no answer that can be understood. Trying again may help; the file is not to blame."""

    sentence = "The virus scanner did not answer, so this file counts as not scanned. Try again, or tell the admin."


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of one stream."""

    outcome: str
    signature: str = ""


class Daemon:
    """One clamd behind a unix socket; each question is a connection of its own. `seconds` bounds all questions together.

    Every method raises `Unreachable`.
    """

    def __init__(self, path: str, seconds: float = TOTAL_SECONDS) -> None:
        self._path = path
        self._until = time.monotonic() + seconds

    def version(self) -> str:
        """Engine and signature database, as "ClamAV 1.4.6/27500/Fri Nov 20 ..."."""
        reply = self._talk(b"zVERSION\0", iter(()))
        if not reply.startswith("ClamAV "):
            raise Unreachable(f"not a version: {printable(reply, 80)}")
        return printable(reply, 120)

    def search(self, chunks: Iterator[bytes]) -> Reply:
        """Stream `chunks` to the daemon and return what it found; every byte was read only where the outcome is "clean"."""
        reply = self._talk(b"zINSTREAM\0", _framed(chunks))
        if reply == _TOO_LARGE:
            return Reply(BEYOND)
        match = _REPLY.fullmatch(reply)
        if match is None:
            raise Unreachable(f"not an answer: {printable(reply, 80)}")
        if match["clean"]:
            return Reply(CLEAN)
        signature = printable(match["signature"], 120)
        return Reply(BEYOND) if signature.startswith(_LIMIT) else Reply(FOUND, signature)

    def _talk(self, command: bytes, frames: Iterator[bytes]) -> str:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
                line.settimeout(min(5.0, self._left()))
                line.connect(self._path)
                complete = self._send(line, command, frames)
                return self._receive(line, complete)
        except Unreachable:
            raise
        except OSError as error:
            raise Unreachable(f"{type(error).__name__}: {error}") from error

    def _send(self, line: socket.socket, command: bytes, frames: Iterator[bytes]) -> bool:
        """Whether all was taken: a daemon that has enough closes its end, and has said why."""
        line.sendall(command)
        for frame in frames:
            line.settimeout(self._left())
            try:
                line.sendall(frame)
            except (BrokenPipeError, ConnectionResetError):
                return False
        return True

    def _receive(self, line: socket.socket, complete: bool) -> str:
        reply = b""
        while not reply.endswith(b"\0"):
            line.settimeout(self._left())
            part = line.recv(MAX_REPLY)
            reply += part
            if not part or len(reply) > MAX_REPLY:
                raise Unreachable("the line was cut in the middle of an answer")
        text = reply[:-1].decode("utf-8", "replace").strip()
        if not complete and text.endswith("OK"):
            raise Unreachable("it calls bytes clean that it did not take")
        return text

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise Unreachable("it took too long")
        return left


def _framed(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """INSTREAM's frames: a length as four big-endian bytes, then as many bytes; a length of 0 ends the stream."""
    for chunk in chunks:
        if chunk:
            yield len(chunk).to_bytes(4, "big") + chunk
    yield bytes(4)


def search(fd: int, report: dict[str, Any], socket_path: str, *, seconds: float = TOTAL_SECONDS) -> dict[str, Any]:
    """What the daemon says of the open file `fd`, of which the scan found `report` (`Report.to_json` with its "directory").

    {"verdict": "success"|"danger"|"error"|"partial", "message", "signature", "scanned_bytes", "total_bytes", "engine"}.
    Raises `Unreachable` where there is no answer, `OSError` where the file cannot be read.
    """
    window = Window(fd)
    daemon = Daemon(socket_path, seconds)
    engine = daemon.version()
    if window.size <= WHOLE:
        reply = daemon.search(_pieces(window, 0, window.size))
        if reply.outcome != BEYOND:
            return _told(reply, window.size, window.size, engine)
    return _search_parts(daemon, window, report, engine)


def unanswered(size: int) -> dict[str, Any]:
    """The entry of a report whose file is refused anyway, while the daemon was away."""
    return _entry("error", Unreachable.sentence, "", 0, size, "")


def _search_parts(daemon: Daemon, window: Window, report: dict[str, Any], engine: str) -> dict[str, Any]:
    scanned = 0
    for chunks, size in _parts(window, report):
        reply = daemon.search(chunks)
        if reply.outcome == FOUND:
            return _told(reply, scanned + size, window.size, engine)
        if reply.outcome == BEYOND:
            sentence = (
                "The virus scanner is set to take less than a small part of this file. "
                "An administrator must raise its limits (deploy/clamd.conf) and have the file scanned again."
            )
            return _entry("error", sentence, "", scanned, window.size, engine)
        scanned += size
    return _told(Reply(CLEAN), scanned, window.size, engine)


def _parts(window: Window, report: dict[str, Any]) -> Iterator[tuple[Iterator[bytes], int]]:
    """(content in chunks, bytes of the file that it takes) of each small part that is not tensor data.

    Only an archive that was judged sound is opened; of everything else it is what stands before the first tensor.
    """
    if report.get("verdict") in ("success", "suspicious") and window.read(0, min(4, window.size)) == b"PK\3\4":
        archive = read_archive(window)
        for member in archive.members:
            if 0 < member.size <= SMALL and not holds_numbers(member.name):
                yield iter((archive.read(member, SMALL),)), member.packed
        return
    storages = (report.get("directory") or {}).get("storages") or []
    first = min((int(row[1]) for row in storages), default=window.size)
    head = min(first, SMALL, window.size)
    yield _pieces(window, 0, head), head


def _pieces(window: Window, start: int, end: int) -> Iterator[bytes]:
    for at in range(start, end, CHUNK):
        try:
            yield window.read(at, min(CHUNK, end - at))
        except FormatError as error:  # it was this long a moment ago: stored bytes never change, so the disk does
            raise OSError("the file became shorter while it was read") from error


def _told(reply: Reply, scanned: int, total: int, engine: str) -> dict[str, Any]:
    if reply.outcome == FOUND:
        return _entry("danger", f"ClamAV found {reply.signature} in this file.", reply.signature, scanned, total, engine)
    if scanned >= total:
        return _entry("success", "ClamAV read the whole file and found nothing.", "", total, total, engine)
    message = f"ClamAV found nothing in the {_size(scanned)} that it read; weights not AV-scanned ({_size(total - scanned)})."
    return _entry("partial", message, "", scanned, total, engine)


def _entry(verdict: str, message: str, signature: str, scanned: int, total: int, engine: str) -> dict[str, Any]:
    return {
        "verdict": verdict,
        "message": message,
        "signature": signature,
        "scanned_bytes": scanned,
        "total_bytes": total,
        "engine": engine,
    }


def _size(count: int) -> str:
    for unit, bound in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= bound:
            return f"{count / bound:.1f} {unit}"
    return f"{count} bytes"
