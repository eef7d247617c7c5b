"""`./weigh manage digest`: takes the digests of tensors of files that were stored before there were digests. It changes no bytes."""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser
from contextlib import suppress
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from django.core.management.base import BaseCommand
from django.db.models import QuerySet

from registry import intake, storage
from registry.formats.hashes import hash_file
from registry.formats.reader import Reader
from registry.models import Blob, TensorDigests


class Command(BaseCommand):
    help = (
        "Read every stored safetensors file without tensor digests once, and note them: its page then names the files that share parts "
        "with it. Yields to everything else on this machine; may be stopped and run again at any time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--limit", type=int, metavar="N", help="Read at most so many files.")
        parser.add_argument("--rest", type=float, default=0.0, metavar="SECONDS", help="Rest for so long after each file.")

    def handle(self, *, limit: int | None, rest: float, **_: Any) -> None:
        step_back()
        done = wrong = 0
        for key in list(undigested().values_list("pk", flat=True)[:limit]):
            blob = undigested().filter(pk=key).first()
            if blob is None:  # sealed, removed or read by another in the meantime
                continue
            trouble = digest(blob)
            done, wrong = done + (not trouble), wrong + bool(trouble)
            if trouble:
                self.stderr.write(trouble)
            time.sleep(rest)
        left = undigested().count()
        self.stdout.write(f"{done} file{'' if done == 1 else 's'} read, {left} left" + (f" ({wrong} with trouble)." if wrong else "."))


def undigested() -> QuerySet[Blob]:
    """Stored blobs that are known to be well-formed safetensors and have no digests, oldest first."""
    return Blob.objects.filter(container="safetensors", stored=True, sealed=False, tensor_digests=None).order_by("pk")


def step_back() -> None:
    """Lowest priority for processor and disk: uploads, scans and downloads go first."""
    with suppress(OSError):
        os.nice(19)


def digest(blob: Blob) -> str:
    """Read a blob once and note its digests; a sentence where that is not possible, else nothing."""
    try:
        with storage.reader(blob) as stored:
            hashes = hash_file(InOrder(stored))  # type: ignore[arg-type]
    except (OSError, BotoCoreError, ClientError) as error:
        return f"{blob.sha256} cannot be read: {getattr(error, 'strerror', None) or error}."
    if hashes.sha256 != blob.sha256:
        return f"{blob.sha256} is damaged: its bytes now have the SHA-256 {hashes.sha256}. Bring them back from a backup."
    intake.record_blob(hashes)
    TensorDigests.keep(blob, hashes.tensors)  # an empty row for a file without tensors: it need not be read again
    return ""


class InOrder:
    """A `Reader` from its first byte to its last, as `hash_file` reads."""

    def __init__(self, reader: Reader) -> None:
        self._reader, self._at = reader, 0

    def readinto(self, buffer: bytearray) -> int:
        view = memoryview(buffer)[: self._reader.size - self._at]
        self._reader.read_into(self._at, view)
        self._at += len(view)
        return len(view)
