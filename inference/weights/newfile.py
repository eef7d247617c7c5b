"""A new file that appears under its name only when it is complete: made beside it, synced, renamed. It writes no byte itself.

Opening and publishing happen here; whoever writes needs the two descriptors alone, so it may be a process that can open nothing.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


class NewFile:
    """Use as a context manager: inside, `fd` and `direct_fd` are open for reading and writing; leaving without `publish` removes the file.

    `direct_fd` is a second descriptor of the same file, past the page cache (O_DIRECT), or None where the file system refuses one.
    OSError is raised where the folder is missing, full or not ours.
    """

    def __init__(self, target: str | os.PathLike[str]) -> None:
        self.target = Path(target)
        self.temporary = self.target.parent / f".{self.target.name[:100]}.{secrets.token_hex(8)}.part"
        self.fd = -1
        self.direct_fd: int | None = None

    def __enter__(self) -> NewFile:
        self.fd = os.open(self.temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        with contextlib.suppress(OSError):
            self.direct_fd = os.open(self.temporary, os.O_RDWR | os.O_CLOEXEC | os.O_DIRECT)
        return self

    def __exit__(self, *_: object) -> None:
        for fd in (self.fd, self.direct_fd):
            if fd is not None:
                os.close(fd)
        with contextlib.suppress(FileNotFoundError):
            self.temporary.unlink()

    def publish(self) -> None:
        """Gives the file its name, in one step and lastingly. What had the name before is replaced."""
        os.fsync(self.fd)
        os.replace(self.temporary, self.target)
        folder = os.open(self.target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
