"""Which files a command may read and make: sentences about paths, said before any work is done. It opens and replaces nothing."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path


def check_sources(paths: Iterable[Path]) -> None:
    """Raises `ValueError` for what is read from a pipe or a device: weights are read from many places of a file. OSError for no file."""
    for path in paths:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise ValueError(f"{path} is no ordinary file and can only be read once through. Save it as a file first")


def check_targets(paths: Iterable[Path], force: bool) -> None:
    """Raises `ValueError` for a name that is taken, without `force`; with it, for what is no ordinary file. OSError for no folder."""
    for path in paths:
        if path.is_dir():
            raise ValueError(f"{path} is a folder; give the name of a file in it")
        if os.path.lexists(path) and not force:
            raise ValueError(f"{path} exists; give another name, or --force to replace it")
        if path.exists() and not path.is_file():
            raise ValueError(f"{path} is a device or a pipe; give the name of a file")
        if not path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path.parent))
