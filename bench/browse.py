"""GET /api/v1/models?limit=50 over 10,000 entries, against a Django view that does nothing on the same server.

`python -m bench.browse [--entries 10000] [--requests 400]` inside the project's virtual environment. The two are asked in turn
over one kept connection each; ratios are of p50 and, last, of p95.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from bench import ground, house

CHUNK = 2000
HASH_LENGTHS = {"SHA256": 64, "BLAKE3": 64, "AutoV1": 8, "AutoV2": 10, "AutoV3": 12, "CRC32": 8}


def fill(count: int) -> None:
    """`count` public entries, each with one version, an uploaded file and a pruned variant, five tags and all hashes."""
    from registry.models import Entry, Tag, User

    owners = User.objects.bulk_create(User(username=f"creator{number}") for number in range(50))
    tags = Tag.objects.bulk_create(Tag(name=f"tag {number}") for number in range(100))
    for start in range(0, count, CHUNK):
        numbers = range(start, min(count, start + CHUNK))
        entries = Entry.objects.bulk_create(_entry(number, owners) for number in numbers)
        of = [(entry, tags[(number + step * 7) % len(tags)]) for number, entry in zip(numbers, entries, strict=True) for step in range(5)]
        through = Entry.tags.through
        through.objects.bulk_create(through(entry=entry, tag=tag) for entry, tag in of)
        _versions(numbers, entries)


def _entry(number: int, owners: list) -> object:  # type: ignore[type-arg]
    from django.utils import timezone

    from registry.models import Entry, Kind

    return Entry(
        owner=owners[number % len(owners)],
        name=f"Model {number}",
        slug=f"model-{number}",
        kind=Kind.values[number % 3],
        description="A checkpoint for **paper lanterns**, trained on photographs. " * 5,
        published_at=timezone.now() - timedelta(minutes=number),
        live=True,
        download_count=(number * 7919) % 100_003,
    )


def _versions(numbers: range, entries: list) -> None:  # type: ignore[type-arg]
    from registry.models import BlobHash, File, Version

    rows = [
        Version(entry=entry, name="v1", branch="v1", base_model="SD 1.5", status="published", published_at=entry.published_at, trigger_words=["lantern"])
        for entry in entries
    ]
    versions = Version.objects.bulk_create(rows)
    uploads = _blobs(numbers, "full", "fp32")
    pruned = _blobs(numbers, "pruned", "fp16")
    for blobs, fields in ((uploads, {"name": "model.safetensors"}), (pruned, {"name": "pruned.safetensors", "role": "derived"})):
        recipe = {"keep": "weights", "precision": "fp16"} if "role" in fields else {}
        pairs = zip(versions, blobs, strict=True)
        File.objects.bulk_create(
            File(version=version, blob=blob, size_bytes=blob.size_bytes, state="ready", recipe=recipe, **fields) for version, blob in pairs
        )
        BlobHash.objects.bulk_create(
            BlobHash(blob=blob, kind=kind, value=hashlib.sha256(f"{kind}{blob.sha256}".encode()).hexdigest().upper()[:length])
            for blob in blobs
            for kind, length in HASH_LENGTHS.items()
        )


def _blobs(numbers: range, salt: str, precision: str) -> list:  # type: ignore[type-arg]
    from registry.models import Blob

    return Blob.objects.bulk_create(
        Blob(
            sha256=hashlib.sha256(f"{salt}{number}".encode()).hexdigest(),
            size_bytes=2_132_625_894 + number,
            verdict="success",
            verdict_key="1.0.0/bench",
            container="safetensors",
            detected={"kind": "checkpoint", "flavour": "", "precision": precision, "evidence": ["unet.input_blocks.0.0.weight"] * 8},
        )
        for number in numbers
    )


def timed(connection: http.client.HTTPConnection, path: str) -> tuple[float, bytes]:
    """Milliseconds of one request, and its answer."""
    begun = time.perf_counter()
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    assert response.status == 200, body[:500]
    return (time.perf_counter() - begun) * 1000, body


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--entries", type=int, default=10_000)
    options.add_argument("--requests", type=int, default=400)
    chosen = options.parse_args()
    ground.stand("bench.browse")
    with house.empty_database("bench_browse") as database, tempfile.TemporaryDirectory() as folder:
        fill(chosen.entries)
        _analyse()
        with house.server(database, Path(folder)) as port:
            _measure(port, chosen.requests, chosen.entries)


def _analyse() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _measure(port: int, requests: int, entries: int) -> None:
    connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=60) for _ in range(2)]
    paths = ("/bare", "/api/v1/models?limit=50")
    for _ in range(30):
        answers = [timed(connection, path)[1] for connection, path in zip(connections, paths, strict=True)]
    assert len(json.loads(answers[1])["items"]) == 50
    figures: tuple[list[float], list[float]] = ([], [])
    for _ in range(requests):
        for values, connection, path in zip(figures, connections, paths, strict=True):
            values.append(timed(connection, path)[0])
    for values, path in zip(figures, paths, strict=True):
        print(f"{path}: p50 {ground.quantile(values, 0.5):.2f} ms, p95 {ground.quantile(values, 0.95):.2f} ms (n={len(values)})")
    print(f"{entries} entries, {len(answers[1]) / 1024:.0f} kB an answer of 50")
    bare, ours = figures
    print(f"ratio of p50: {ground.quantile(ours, 0.5) / ground.quantile(bare, 0.5):.2f}x")
    print(f"ratio of p95: {ground.quantile(ours, 0.95) / ground.quantile(bare, 0.95):.2f}x")


if __name__ == "__main__":
    main()
