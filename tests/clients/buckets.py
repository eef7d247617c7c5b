"""The buckets of the S3 hub of the client tests: `fill FOLDER` makes them and puts the files of a local store in, `drop` removes them."""

from __future__ import annotations

import sys
from pathlib import Path

import django

if __name__ == "__main__":
    django.setup()

from registry import storage

STORES = ("models", "quarantine", "media")


def fill(folder: Path) -> None:
    for store in STORES:
        storage.bucket(store).create()
    for path in folder.rglob("blobs/sha256/*/*/*"):
        storage.bucket("models").upload_file(str(path), path.relative_to(folder).as_posix())


def drop() -> None:
    for store in STORES:
        storage.bucket(store).objects.all().delete()
        storage.bucket(store).delete()


if __name__ == "__main__":
    fill(Path(sys.argv[2])) if sys.argv[1] == "fill" else drop()
    print("true")
