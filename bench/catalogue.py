"""Fills an empty database with a catalogue of any size: one entry is made by the models, the others are copies of it by SQL. No bytes.

Every entry is public, with one version of two files (an upload and a pruned variant), every hash, and five tags.
"""

# ruff: noqa: S608  (the SQL is written here, of names of our own tables)

from __future__ import annotations

import hashlib
from typing import Any

from django.db import connection, models

OWNERS, TAGS = 50, 100
BLOBS = ("full", "fp32"), ("pruned", "fp16")
LENGTHS = {"SHA256": 64, "BLAKE3": 64, "AutoV1": 8, "AutoV2": 10, "AutoV3": 12, "CRC32": 8}


def fill(count: int) -> None:
    """`count` entries; ids of entries and versions are 1 to `count`, those of files and blobs 1 to twice that, a version's side by side."""
    from registry import facts
    from registry.models import BlobHash, Entry, Tag, User

    User.objects.bulk_create(User(username=f"creator{number}") for number in range(OWNERS))
    Tag.objects.bulk_create(Tag(name=f"tag {number}") for number in range(TAGS))
    entry, version, files = _first()
    owner = min(User.objects.values_list("pk", flat=True))
    _copies(
        entry,
        count,
        owner_id=f"{owner} + n % {OWNERS}",
        name="'Model ' || n",
        slug="'model-' || n",
        kind=_kinds(),
        search=_words(),
        **_standing(),
    )
    _copies(version, count, entry_id="n", published_at=_standing()["published_at"])
    for place, file in enumerate(files):
        salt = BLOBS[place][0]
        digest = f"encode(sha256(('{salt}' || n)::bytea), 'hex')"
        _copies(file.blob, count, id=f"n * 2 - {1 - place}", sha256=digest, size_bytes="t.size_bytes + n")
        _copies(file, count, id=f"n * 2 - {1 - place}", version_id="n", blob_id=f"n * 2 - {1 - place}")
    with connection.cursor() as cursor:
        for kind, length in LENGTHS.items():
            value = "b.sha256" if kind in {"SHA256", "AutoV2"} else f"encode(sha256(('{kind}' || b.sha256)::bytea), 'hex')"
            table = BlobHash._meta.db_table
            cursor.execute(
                f"INSERT INTO {table} (blob_id, kind, value) SELECT b.id, '{kind}', upper(left({value}, {length})) FROM registry_blob b"
            )
        through, tag = Entry.tags.through._meta.db_table, min(Tag.objects.values_list("pk", flat=True))
        cursor.execute(
            f"INSERT INTO {through} (entry_id, tag_id)"
            f" SELECT e.id, {tag} + (e.id + step * 7) % {TAGS} FROM registry_entry e, generate_series(0, 4) AS step"
        )
        facts.rebuild()
        cursor.execute("VACUUM ANALYZE")


def _first() -> tuple[Any, Any, list[Any]]:
    from django.utils import timezone

    from registry.models import Blob, Entry, File, User, Version

    now = timezone.now()
    words = "A checkpoint for **paper lanterns**, trained on photographs. " * 5
    entry = Entry(owner=User.objects.earliest("pk"), name="Model 1", slug="model-1", kind="checkpoint", description=words, live=True)
    entry.id, entry.published_at = 1, now
    entry.save(force_insert=True)
    version = Version(id=1, entry=entry, name="v1", branch="v1", base_model="SD 1.5", status="published", published_at=now)
    version.trigger_words = ["lantern"]
    version.save(force_insert=True)
    files = []
    for place, (salt, precision) in enumerate(BLOBS):
        detected = {"kind": "checkpoint", "flavour": "", "precision": precision, "evidence": ["unet.input_blocks.0.0.weight"] * 8}
        about = {"verdict": "success", "verdict_key": "1.0.0/bench", "scanned_at": now, "container": "safetensors", "detected": detected}
        blob = Blob.objects.create(id=place + 1, sha256=hashlib.sha256(f"{salt}1".encode()).hexdigest(), size_bytes=2_132_625_894, **about)
        made = {"role": "derived", "recipe": {"keep": "weights", "precision": "fp16"}} if place else {}
        named = f"{salt}.safetensors"
        size = blob.size_bytes
        files.append(File.objects.create(id=place + 1, version=version, blob=blob, name=named, size_bytes=size, state="ready", **made))
    return entry, version, files


def _kinds() -> str:
    return "(ARRAY['checkpoint', 'lora', 'embedding'])[n % 3 + 1]"


def _words() -> str:
    return "to_tsvector('simple', 'model ' || n || ' paper lanterns')"


def _standing() -> dict[str, str]:
    return {"published_at": "t.published_at - n * interval '1 minute'", "download_count": "(n * 7919) % 100003"}


def _copies(row: models.Model, count: int, **columns: str) -> None:
    """Insert rows 2 to `count` like `row`: `columns` are SQL expressions over `n`, the number of a row, and `t`, the first."""
    columns = {"id": "n", **columns}
    names = [field.column for field in row._meta.concrete_fields]
    chosen = ", ".join(columns.get(name, f't."{name}"') for name in names)
    table, listed = row._meta.db_table, ", ".join(f'"{name}"' for name in names)
    with connection.cursor() as cursor:
        rows = f"{table} t, generate_series(2, {count}) AS n WHERE t.id = {row.pk}"
        cursor.execute(f"INSERT INTO {table} ({listed}) SELECT {chosen} FROM {rows}")
