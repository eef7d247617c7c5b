"""Reads the environment once, loudly: a wrong value stops the start with a sentence. Holds no Django settings itself."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

ROOT = Path(__file__).resolve().parent.parent
env = environ.Env()

STORAGE_KINDS = ("local", "s3")


def data_dir() -> Path:
    """Folder of everything this hub keeps on disk (`WEIGH_DATA`, default `./var`); made when missing."""
    path = Path(env("WEIGH_DATA", default=str(ROOT / "var"))).resolve()
    path.mkdir(parents=True, exist_ok=True)
    return path


def storage_kind() -> str:
    """`local` or `s3` (`WEIGH_STORAGE`)."""
    kind = env("WEIGH_STORAGE", default="local")
    if kind not in STORAGE_KINDS:
        raise ImproperlyConfigured(f"WEIGH_STORAGE is {kind!r}; it must be one of {', '.join(STORAGE_KINDS)}.")
    return kind


def secret_key(folder: Path) -> str:
    """`WEIGH_SECRET_KEY`, else a key made once and kept in the data folder (readable by its owner only)."""
    given = env("WEIGH_SECRET_KEY", default="")
    if given:
        return given
    path = folder / "secrets" / "django.key"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(48))
    return path.read_text()


RATINGS = {"PG": 1, "PG-13": 2, "R": 4, "X": 8, "XXX": 16, "NONE": 32}
"""Content ratings by name (`registry.models.Rating`); NONE is above all of them, for where blurring begins."""


def rating(name: str, default: str) -> int:
    """A content rating by its name, in any case."""
    given = env(name, default=default)
    if given.upper() not in RATINGS:
        raise ImproperlyConfigured(f"{name} is {given!r}; it must be one of {', '.join(RATINGS)}.")
    return RATINGS[given.upper()]
