"""Frames between a render worker and its child: a JSON object, some bytes, and open files, over a stream socket. It gives them no meaning.

A frame is two lengths, the object, the bytes; descriptors travel with the lengths (SCM_RIGHTS). Both sides bound what they take.
Free of torch.
"""

from __future__ import annotations

import array
import json
import math
import os
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

LENGTHS = struct.Struct("<II")

MAX_ORDER = 16 << 20
"""Bytes of a job's JSON: a thousand shots with prompts of 10 kB."""

MAX_NEWS = 1 << 20
"""Bytes of JSON that a child may say at once."""

MAX_PICTURE = 64 << 20
"""Bytes of a picture: those of 4096 x 4096 pixels in RGB are 48 MiB before they are packed."""

MAX_FILES = 64
"""Open files of one frame. The kernel takes 253 (SCM_MAX_FD)."""


class Broken(ValueError):
    """The other side does not keep to the frames, or has ended in the middle of one."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message. Descriptors are the receiver's to close."""

    header: dict[str, Any]
    blob: bytes = b""
    fds: list[int] = field(default_factory=list)


def send(sock: socket.socket, header: dict[str, Any], blob: bytes = b"", fds: Sequence[int] = ()) -> None:
    """Raises OSError where the other side is gone, `ValueError` for what no frame may carry (NaN in JSON, too many files)."""
    text = json.dumps(header, allow_nan=False, separators=(",", ":")).encode()
    if len(text) > MAX_ORDER or len(blob) > MAX_PICTURE or len(fds) > MAX_FILES:
        raise ValueError("too much for one frame")
    lengths = LENGTHS.pack(len(text), len(blob))
    sent = socket.send_fds(sock, [lengths], list(fds))
    sock.sendall(lengths[sent:] + text)
    if blob:
        sock.sendall(blob)


def receive(sock: socket.socket, *, most: int = MAX_ORDER, most_blob: int = 0, files: int = MAX_FILES) -> Frame | None:
    """The next frame, waited for as long as the socket waits, for the whole of it once more; None where the other side ended between two.

    Raises `Broken` for a frame over these bounds, for what is no JSON object, or an end inside; `TimeoutError` and OSError as the socket.
    """
    first, fds, flags = _first(sock, files)
    try:
        if not first:
            return None
        if flags & socket.MSG_CTRUNC:
            raise Broken("more files than are taken")
        patience = sock.gettimeout()
        end = math.inf if patience is None else time.monotonic() + patience
        length, size = LENGTHS.unpack(first + _exactly(sock, LENGTHS.size - len(first), end))
        if length > most or size > most_blob:
            raise Broken(f"a frame of {length} and {size} bytes")
        header = _object(_exactly(sock, length, end))
        return Frame(header, _exactly(sock, size, end), fds)
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise


def _first(sock: socket.socket, files: int) -> tuple[bytes, list[int], int]:
    """(the lengths or a part of them, descriptors that no other program inherits, flags): `socket.recv_fds` forgets its flags."""
    fds = array.array("i")
    first, told, flags, _ = sock.recvmsg(LENGTHS.size, socket.CMSG_LEN(files * fds.itemsize), socket.MSG_CMSG_CLOEXEC)
    for level, kind, data in told:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    return first, list(fds), flags


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise Broken("no JSON") from error
    if not isinstance(found, dict):
        raise Broken("no object")
    return found


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    """1e999 is JSON, and infinite here: no database could hold it."""
    number = float(text)
    return number if math.isfinite(number) else _no_number(text[:40])


def _exactly(sock: socket.socket, size: int, end: float) -> bytes:
    """So many bytes, taken piece by piece: memory grows with what has come, not with what was announced."""
    data = bytearray()
    while len(data) < size:
        part = sock.recv(min(size - len(data), 1 << 20))
        if not part:
            raise Broken("an end inside a frame")
        if time.monotonic() > end:
            raise TimeoutError("a frame that does not end")
        data += part
    return bytes(data)
