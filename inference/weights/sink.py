"""A new file that appears under its name only when it is complete: written block by block, hashed on the way, synced, renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from registry.formats.hashes import Hasher, Hashes, settle

BLOCK = 4 << 20
BLOCKS = 4
"""Blocks in flight: one being filled while others are hashed and written, 16 MiB in all."""


class Sink:
    """Writes beside `target` under a temporary name. `publish` moves it there; leaving the context without that removes it.

    OSError (a full disk, above all) is raised by whichever call meets it; the space is asked for at the start.
    """

    def __init__(self, target: Path, size: int) -> None:
        self.target = target
        self.temporary = target.parent / f".{target.name[:100]}.{secrets.token_hex(8)}.part"
        self._fd = os.open(self.temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self._hasher = Hasher()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="weights-write")
        self._free = deque(bytearray(BLOCK) for _ in range(BLOCKS))
        self._busy: deque[tuple[bytearray, list[Future[None]]]] = deque()
        self._block, self._filled, self._offset = self._free.popleft(), 0, 0
        self._size = size

    def __enter__(self) -> Sink:
        try:
            self._reserve()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._hasher.close()
        self._writer.shutdown()
        os.close(self._fd)
        with contextlib.suppress(FileNotFoundError):
            self.temporary.unlink()

    def _reserve(self) -> None:
        """Asks for the space now, so that a full disk is known before an hour of work. Not every file system can."""
        try:
            os.posix_fallocate(self._fd, 0, self._size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise

    def write(self, data: bytes | memoryview) -> None:
        """Adds bytes; they are copied, so the caller may reuse its memory at once."""
        view = memoryview(data).cast("B")
        while view:
            room = min(len(view), BLOCK - self._filled)
            self._block[self._filled : self._filled + room] = view[:room]
            self._filled += room
            view = view[room:]
            if self._filled == BLOCK:
                self._flush()

    def _flush(self) -> None:
        view = memoryview(self._block)[: self._filled]
        futures = [self._writer.submit(_pwrite, self._fd, view, self._offset), *self._hasher.feed(view)]
        self._busy.append((self._block, futures))
        self._offset += self._filled
        self._filled = 0
        if not self._free:
            block, done = self._busy.popleft()
            settle(done)
            self._free.append(block)
        self._block = self._free.popleft()

    def finish(self) -> Hashes:
        """Everything on the disk, under the temporary name still; gives the hashes of the file."""
        if self._filled:
            self._flush()
        while self._busy:
            settle(self._busy.popleft()[1])
        os.fsync(self._fd)
        return self._hasher.finish()

    def publish(self) -> None:
        """Gives the file its name, in one step and lastingly."""
        os.replace(self.temporary, self.target)
        folder = os.open(self.target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _pwrite(fd: int, view: memoryview, offset: int) -> None:
    while view:
        done = os.pwrite(fd, view, offset)
        view, offset = view[done:], offset + done
