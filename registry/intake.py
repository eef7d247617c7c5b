"""Takes a completed upload in: one read computes every hash, the announced SHA-256 is compared, the bytes get their final name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from django.db import transaction

from registry import components, storage, timeline
from registry.formats.errors import FormatError
from registry.formats.hashes import Hashes, hash_file
from registry.models import Blob, BlobHash, File, TensorDigests
from registry.timeline import Running


class DigestMismatch(FormatError):
    """The bytes that arrived are not the bytes that were announced."""


@contextmanager
def admitted(file: File, beat: Callable[[], None] | None = None) -> Iterator[tuple[Blob, Path]]:
    """The blob of a file and a local path to its bytes, taking the file's upload in first where that is still to do.

    `beat` is called now and then during the read, to keep a lease. Raises `DigestMismatch` when the announced SHA-256
    or size differs. Safe to run again after a crash at any point.
    """
    with ExitStack() as stack:
        if file.blob is None:
            path = _take_in(file, stack, beat)
        else:
            _drop_left_over(file)
            path = stack.enter_context(storage.local_path(file.blob))
        assert file.blob is not None  # noqa: S101  (_take_in has set it)
        yield file.blob, path


def _drop_left_over(file: File) -> None:
    """The staged bytes of a file whose worker died just after it had taken them in. Linked and derived files had none."""
    if hasattr(file, "upload"):
        storage.drop_staged(file.upload.staging_name)


def _take_in(file: File, stack: ExitStack, beat: Callable[[], None] | None) -> Path:
    """Hash the staged bytes and store them under their digest; returns where this machine can read them."""
    staged = file.upload.staging_name
    with timeline.step(file, "hash", total_bytes=file.size_bytes, beat=beat) as step:
        if storage.on_disk():
            _admit(file, staged, hash_file(storage.staged_path(staged), progress=step.progress), step)
            return stack.enter_context(storage.local_path(file.blob))  # type: ignore[arg-type]
        path = stack.enter_context(storage.scratch_file())
        with storage.open_staged(staged) as source, path.open("wb") as target:
            hashes = hash_file(source, copy_to=target, progress=step.progress)
        _admit(file, staged, hashes, step)
        return path


def _admit(file: File, staging_name: str, hashes: Hashes, step: Running) -> None:
    sha256 = hashes.sha256
    _check(file, staging_name, hashes.size_bytes, sha256)
    if file.declared_sha256:
        timeline.mark(file, "verified", "Size and SHA-256 are those that the sender announced.")
    if not Blob.objects.filter(sha256=sha256, sealed=True).exists():
        storage.place_staged(staging_name, sha256)
    file.blob = record_blob(hashes)
    File.objects.filter(pk=file.pk).update(blob=file.blob)
    storage.drop_staged(staging_name)
    step.note(f"SHA-256 {sha256}")


def _check(file: File, staging_name: str, size_bytes: int, sha256: str) -> None:
    if size_bytes != file.size_bytes:
        problem = DigestMismatch(
            "upload:size-mismatch", f"{size_bytes:,} bytes arrived, {file.size_bytes:,} were announced. Nothing was kept; upload it again."
        )
    elif file.declared_sha256 and sha256 != file.declared_sha256:
        problem = DigestMismatch(
            "upload:sha256-mismatch",
            f"The bytes that arrived have the SHA-256 {sha256}, but {file.declared_sha256} was announced. "
            "The file was changed or damaged on its way; nothing was kept. Upload it again.",
        )
    else:
        return
    storage.drop_staged(staging_name)
    raise problem


def record_blob(hashes: Hashes) -> Blob:
    """The row for stored bytes with all their hashes and the digests of their tensors; found again when the bytes are known."""
    values = hashes.as_dict()
    with transaction.atomic():
        blob, _ = Blob.objects.get_or_create(sha256=hashes.sha256, defaults={"size_bytes": hashes.size_bytes})
        if not blob.stored:
            Blob.objects.filter(pk=blob.pk).update(stored=True)
            blob.stored = True
        rows = [BlobHash(blob=blob, kind=kind, value=value.upper()) for kind, value in values.items()]
        BlobHash.objects.bulk_create(rows, ignore_conflicts=True)
        if hashes.tensors:
            TensorDigests.keep(blob, hashes.tensors)
            components.settle(blob)
    return blob
