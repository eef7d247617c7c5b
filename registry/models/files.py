"""Files, the bytes behind them and the way they came in. Scan reports are `scanner.models`, variants `inference.models`."""

from __future__ import annotations

import gzip
import json
import secrets
import uuid
from typing import Any

from django.db import models

from registry.formats.contents import Digests
from registry.formats.directory import TensorDirectory
from registry.lifecycle import FILE_LIFE, FileState
from registry.models.catalog import Version
from registry.models.living import Living
from registry.models.people import User


class Verdict(models.TextChoices):
    PENDING = "pending"
    SUCCESS = "success"
    SUSPICIOUS = "suspicious"
    DANGER = "danger"
    ERROR = "error"


class Blob(models.Model):
    """Bytes, stored once under their SHA-256 (lower-case hex), and what is known of them whoever uploaded them."""

    sha256 = models.CharField(max_length=64, unique=True)
    size_bytes = models.PositiveBigIntegerField()
    sealed = models.BooleanField(default=False, help_text="The bytes lie in the quarantine store.")
    stored = models.BooleanField(default=True, help_text="False once the bytes were removed; the row keeps the hashes.")
    created_at = models.DateTimeField(auto_now_add=True)
    verdict = models.CharField(max_length=10, choices=Verdict.choices, default=Verdict.PENDING)
    verdict_key = models.CharField(max_length=80, blank=True, help_text="Scanner and policy version of the verdict.")
    scanned_at = models.DateTimeField(null=True, blank=True)
    released = models.BooleanField(default=False, help_text="Suspicious, and a moderator let exactly these bytes and names through.")
    container = models.CharField(max_length=40, blank=True)
    detected = models.JSONField(default=dict, blank=True, help_text="What the tensors say it is: registry.identify.")

    class Meta:
        indexes = [models.Index(fields=["verdict_key"], name="blob_verdict_key")]

    def __str__(self) -> str:
        return f"{self.sha256[:12]} ({self.size_bytes:,} bytes)"

    @property
    def cleared(self) -> bool:
        """Found clean, or suspicious and released by a moderator. Danger and error are never cleared."""
        return self.verdict == Verdict.SUCCESS or (self.verdict == Verdict.SUSPICIOUS and self.released)

    def hash_values(self) -> dict[str, str]:
        """{"SHA256": upper-case hex, "AutoV2": ..., ...}, every kind that this file has."""
        return {row.kind: row.value for row in self.hashes.all()}


class BlobHash(models.Model):
    """One hash of a blob, upper-case hex; one index serves look-ups by every kind and by prefix."""

    blob = models.ForeignKey(Blob, models.CASCADE, related_name="hashes")
    kind = models.CharField(max_length=12)
    value = models.CharField(max_length=64)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["blob", "kind"], name="blobhash_kind")]
        indexes = [models.Index(fields=["value"], name="blobhash_value", opclasses=["varchar_pattern_ops"])]

    def __str__(self) -> str:
        return f"{self.kind} {self.value}"


class TensorIndex(models.Model):
    """Where every tensor of a blob lies, as the scanner read it: the converter works from this and never parses a pickle."""

    blob = models.OneToOneField(Blob, models.CASCADE, related_name="tensor_index", primary_key=True)
    packed = models.BinaryField(help_text="gzip of TensorDirectory.to_json()")

    def __str__(self) -> str:
        return f"tensors of {self.blob_id}"

    @property
    def directory(self) -> TensorDirectory:
        return TensorDirectory.from_json(json.loads(gzip.decompress(bytes(self.packed))))

    @property
    def unpacked_bytes(self) -> int:
        """Size of the JSON, without unpacking it: gzip ends with it (RFC 1952, ISIZE), and what was packed is our own."""
        return int.from_bytes(bytes(self.packed)[-4:], "little")

    @classmethod
    def keep(cls, blob: Blob, directory: dict[str, Any]) -> None:
        """Store `TensorDirectory.to_json()` of a blob, replacing an older one."""
        packed = gzip.compress(json.dumps(directory, separators=(",", ":")).encode(), 6, mtime=0)
        cls.objects.update_or_create(blob=blob, defaults={"packed": packed})


class TensorDigests(models.Model):
    """A digest of every tensor of a blob, and of the parts of a model that they make up: `registry.components` says which and how."""

    blob = models.OneToOneField(Blob, models.CASCADE, related_name="tensor_digests", primary_key=True)
    packed = models.BinaryField(help_text="gzip of {name: 32 hexadecimal digits} as JSON")
    unet = models.CharField(max_length=64, blank=True, help_text="Of the diffusion model; empty where there is none, or nothing is known.")
    vae = models.CharField(max_length=64, blank=True)
    te = models.CharField(max_length=64, blank=True, help_text="Of all text encoders together.")

    class Meta:
        indexes = [models.Index(fields=[part], name=f"digests_{part}", condition=~models.Q(**{part: ""})) for part in ("unet", "vae", "te")]

    def __str__(self) -> str:
        return f"digests of {self.blob_id}"

    @property
    def digests(self) -> dict[str, str]:
        """Tensor name -> 32 lower-case hex digits (`registry.formats.contents`)."""
        found: dict[str, str] = json.loads(gzip.decompress(bytes(self.packed)))
        return found

    @classmethod
    def keep(cls, blob: Blob, tensors: Digests) -> None:
        """Store the digests of a blob; bytes have only one set of them, so those that are there stay."""
        packed = gzip.compress(json.dumps(dict(tensors), separators=(",", ":")).encode(), 6, mtime=0)
        cls.objects.get_or_create(blob=blob, defaults={"packed": packed})


class Role(models.TextChoices):
    UPLOADED = "uploaded"
    DERIVED = "derived"


class Kept(models.Manager["File"]):
    """Files that are part of their version now; what `version.files` means."""

    def get_queryset(self) -> models.QuerySet[File]:
        return super().get_queryset().filter(removed_at=None)


class File(Living):
    """One file of a version, uploaded by its creator or derived by the hub from another.

    `File.objects` are all; `File.kept`, and with it `version.files`, leaves out what a later push took away or replaced: frozen trees
    and verdicts on its bytes still concern it.
    """

    LIFE = FILE_LIFE
    objects = models.Manager()
    kept = Kept()

    version = models.ForeignKey(Version, models.CASCADE, related_name="files")
    name = models.CharField(max_length=255)
    path = models.CharField(max_length=255, blank=True, help_text="Where it lies in its repository; empty: at the top, under its name.")
    role = models.CharField(max_length=8, choices=Role.choices, default=Role.UPLOADED)
    source = models.ForeignKey("self", models.CASCADE, null=True, blank=True, related_name="derived")
    recipe = models.JSONField(default=dict, blank=True, help_text="How it was derived: keep, precision, converter version.")
    blob = models.ForeignKey(Blob, models.PROTECT, null=True, blank=True, related_name="files")
    size_bytes = models.PositiveBigIntegerField()
    declared_sha256 = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=12, choices=FileState.choices, default=FileState.UPLOADING)
    created_at = models.DateTimeField(auto_now_add=True)
    removed_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When a push took it out of its version; older trees keep it."
    )
    download_count = models.PositiveBigIntegerField(default=0, editable=False)

    class Meta:
        ordering = ["id"]
        base_manager_name, default_manager_name = "objects", "kept"
        indexes = [models.Index(fields=["state", "moved_at"], name="file_state_moved")]
        constraints = [
            models.UniqueConstraint(
                fields=["version", "name"],
                condition=~models.Q(state=FileState.FAILED) & models.Q(removed_at=None),
                name="file_name_in_version",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def verdict(self) -> str:
        return self.blob.verdict if self.blob else Verdict.PENDING

    @property
    def sha256(self) -> str:
        return self.blob.sha256 if self.blob else ""

    @property
    def downloadable(self) -> bool:
        """Ready, cleared, and its bytes are where they are served from."""
        blob = self.blob
        return self.state == FileState.READY and blob is not None and blob.cleared and blob.stored and not blob.sealed


def staging_secret() -> str:
    return secrets.token_hex(16)


class Upload(models.Model):
    """How the bytes of a file arrive: parts under an unguessable staging name, the same on local disk and S3."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    file = models.OneToOneField(File, models.CASCADE, related_name="upload")
    owner = models.ForeignKey(User, models.CASCADE, related_name="uploads")
    secret = models.CharField(max_length=32, default=staging_secret, editable=False)
    backend_id = models.CharField(max_length=512, blank=True, editable=False, help_text="S3's multipart upload id.")
    part_size_bytes = models.PositiveBigIntegerField()
    part_count = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    completed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["expires_at"], condition=models.Q(completed_at=None), name="upload_open")]

    def __str__(self) -> str:
        return f"upload of {self.file_id}"

    @property
    def staging_name(self) -> str:
        """Name in the `models` store; derived from our secret, never from the client."""
        return f"staging/{self.id.hex}-{self.secret}"

    def part_bytes(self, number: int) -> int:
        """Exact size in bytes of part `number` (from 1): all are `part_size_bytes` but the last."""
        if number < self.part_count:
            return self.part_size_bytes
        return self.file.size_bytes - self.part_size_bytes * (self.part_count - 1)


class TimelineStep(models.Model):
    """One step of a file's life as people read it: what, from when to when, how it ended."""

    class Outcome(models.TextChoices):
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        INTERRUPTED = "interrupted"

    file = models.ForeignKey(File, models.CASCADE, related_name="timeline")
    step = models.CharField(max_length=40)
    outcome = models.CharField(max_length=12, choices=Outcome.choices, default=Outcome.RUNNING)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=500, blank=True)
    done_bytes = models.PositiveBigIntegerField(default=0)
    total_bytes = models.PositiveBigIntegerField(default=0)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.step} of {self.file_id}: {self.outcome}"

    @property
    def seconds(self) -> float | None:
        return (self.finished_at - self.started_at).total_seconds() if self.finished_at else None
