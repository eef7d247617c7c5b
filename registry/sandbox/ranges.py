"""Byte ranges over a pair of pipes: a child that can open nothing reads, through its parent, what lies on another machine.

A request is an offset and a size, the answer that many bytes; nothing else passes, and the parent answers for one file alone.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import threading
from contextlib import suppress
from typing import Any

from registry.formats.reader import Reader, cut_short

_REQUEST = struct.Struct("<QQ")
PIECE = 1 << 20
"""Most bytes of one request: what is in flight, and what either side holds beside the caller's own memory."""


class Serving:
    """The parent's side. Inside the context `fds` are what the child is given for `Ranges`, and a thread answers from `reader`.

    `trouble` is what `reader` raised, or None; the child has seen an end of the bytes then.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.size = reader.size
        self.trouble: BaseException | None = None

    def __enter__(self) -> Serving:
        self._asked, given_out = os.pipe()
        given_in, self._answers = os.pipe()
        self.fds = (given_out, given_in)
        with suppress(OSError):  # a larger pipe is faster, and not always allowed
            fcntl.fcntl(self._answers, fcntl.F_SETPIPE_SZ, PIECE)
        self._thread = threading.Thread(target=self._serve, name="serve-ranges", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        """With the child gone and its ends closed here, the thread meets an end of its own; at the latest when `reader` gives up."""
        for fd in self.fds:
            os.close(fd)
        self._thread.join()

    def _serve(self) -> None:
        buffer = memoryview(bytearray(PIECE))
        try:
            while request := _exactly(self._asked, _REQUEST.size):
                offset, size = _REQUEST.unpack(request)
                if size > PIECE or offset + size > self.size:
                    return
                self._reader.read_into(offset, buffer[:size])
                _send(self._answers, buffer[:size])
        except BrokenPipeError:
            return  # the child is gone
        except BaseException as trouble:
            self.trouble = trouble
        finally:
            os.close(self._asked)
            os.close(self._answers)


class Ranges:
    """The child's side: a `Reader`. Threads may share it; their requests queue."""

    def __init__(self, asking: int, answers: int, size: int) -> None:
        self._asking, self._answers, self.size = asking, answers, size
        self._lock = threading.Lock()

    def read_into(self, offset: int, view: memoryview) -> None:
        """As `Reader`; OSError where the parent has given up."""
        if offset < 0 or offset + len(view) > self.size:
            raise cut_short(offset)
        with self._lock:
            while view:
                piece = view[:PIECE]
                _send(self._asking, memoryview(_REQUEST.pack(offset, len(piece))))
                self._receive(piece)
                view, offset = view[len(piece) :], offset + len(piece)

    def _receive(self, view: memoryview) -> None:
        while view:
            got = os.readv(self._answers, [view])
            if not got:
                raise OSError(errno.EIO, "the bytes of the source can no longer be read")
            view = view[got:]


def _exactly(fd: int, size: int) -> bytes:
    """So many bytes of a pipe; b"" where it ends before."""
    data = b""
    while len(data) < size:
        part = os.read(fd, size - len(data))
        if not part:
            return b""
        data += part
    return data


def _send(fd: int, view: memoryview) -> None:
    while view:
        view = view[os.write(fd, view) :]
