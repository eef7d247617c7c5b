"""One part of a local upload while it is written in place: its locks, its marker, its checksum. Blocking, plain file work.

The folder of an upload holds `data` (the file itself, filled at offsets), `lock` (shared by writers, taken alone and renamed
to `closed` by completion), `busy-<n>` (one writer a part) and the marker `part-<n>-<size>-<md5>` of every part that is whole.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from pathlib import Path


class PartRefused(Exception):
    """A part cannot be taken; `status` is the HTTP status that fits, `code` and `sentence` say why."""

    def __init__(self, status: int, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.code, self.sentence = status, code, sentence


def markers(folder: Path) -> dict[int, dict[str, int | str]]:
    """{part: {"size": bytes, "etag": md5 hex}} of the parts that are whole: a listing is the truth, and survives a restart."""
    found: dict[int, dict[str, int | str]] = {}
    for path in folder.glob("part-*"):
        _, number, size, etag = path.name.split("-", 3)
        found[int(number)] = {"size": int(size), "etag": etag}
    return dict(sorted(found.items()))


class PartFile:
    """Writes part `number` of `size` bytes at `offset` of `folder/data`. Use: write, write, ..., finish; close in any case.

    The old marker of a part that is sent again goes with the first new byte, so a marker never stands for mixed bytes.
    Safe to close from another thread while a write runs: the locks are held until that write has ended.
    Raises `PartRefused` (closed upload, busy part, wrong size) and OSError.
    """

    def __init__(self, folder: Path, number: int, offset: int, size: int) -> None:
        self.folder, self.number, self.offset, self.size = folder, number, offset, size
        self.written = 0
        self._digest = hashlib.md5(usedforsecurity=False)  # what S3 answers for a part: one protocol, two stores
        self._mutex = threading.Lock()
        self._open: list[int] = []
        self._busy = folder / f"busy-{number}"
        try:
            self._share()
            self._claim()
            self._data = self._keep(os.open(folder / "data", os.O_WRONLY))
        except BaseException:
            self.close()
            raise

    def _keep(self, handle: int) -> int:
        self._open.append(handle)
        return handle

    def _share(self) -> None:
        """Hold completion off while this part arrives."""
        closed = PartRefused(410, "upload:closed", "This upload is finished or was given up, so it takes no more parts.")
        try:
            handle = self._keep(os.open(self.folder / "lock", os.O_RDWR))
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            if not _is_still(handle, self.folder / "lock"):
                raise closed
        except (FileNotFoundError, BlockingIOError):
            raise closed from None

    def _claim(self) -> None:
        """Be the only writer of this part."""
        busy = PartRefused(409, "part:busy", f"Part {self.number} is being sent by another connection. Wait for it, or try again.")
        handle = self._keep(os.open(self._busy, os.O_RDWR | os.O_CREAT, 0o640))
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise busy from None
        if not _is_still(handle, self._busy):
            raise busy

    def write(self, block: bytes | bytearray) -> None:
        """The next bytes of the part."""
        with self._mutex:
            if not self._open or not block:
                return
            if self.written + len(block) > self.size:
                raise PartRefused(413, "part:too-large", f"Part {self.number} has exactly {self.size:,} bytes, but more were sent.")
            if not self.written:
                self._unmark()
            view = memoryview(block)
            self._digest.update(view)
            while view:
                done = os.pwrite(self._data, view, self.offset + self.written)
                self.written += done
                view = view[done:]

    def finish(self) -> str:
        """All bytes came: make them safe against a power cut, then mark the part; returns its MD5 as hex."""
        with self._mutex:
            if self.written != self.size:
                text = f"Part {self.number} has {self.size:,} bytes, but {self.written:,} were sent. Send it again."
                raise PartRefused(400, "part:too-short", text)
            os.fdatasync(self._data)
            etag = self._digest.hexdigest()
            (self.folder / f"part-{self.number}-{self.size}-{etag}").touch()
            return etag

    def _unmark(self) -> None:
        for marker in self.folder.glob(f"part-{self.number}-*"):
            marker.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the part. A second call does nothing."""
        with self._mutex:
            if len(self._open) == 3:
                self._busy.unlink(missing_ok=True)
            while self._open:
                os.close(self._open.pop())


def _is_still(handle: int, path: Path) -> bool:
    """Whether the locked file is the one that bears the name now: it may have been renamed before the lock was ours."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
