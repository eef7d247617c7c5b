"""Look-ups by hash at 100,000 versions, against bare views that read the same rows by one SELECT, on the same server.

`python -m bench.by_hash [--versions 100000] [--requests 300]` inside the project's virtual environment: GET by-hash with every kind of
hash and with the beginning of one, and POST by-hash with 100. Ours and the bare view are asked in turn, the same hashes both, a different
one each time; the last lines are the ratios of p95 with their targets.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path

import orjson

from bench import catalogue, ground, house, turns

GET, POST = "/api/v1/model-versions/by-hash/", "/api/v1/model-versions/by-hash"
MANY = 100
BEGINNING = 20
ONE_TARGET, MANY_TARGET = 1.5, 3.0


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--versions", type=int, default=100_000)
    options.add_argument("--requests", type=int, default=300)
    chosen = options.parse_args()
    ground.stand("bench.by_hash")
    with house.empty_database("bench_by_hash") as database, tempfile.TemporaryDirectory() as folder:
        catalogue.fill(chosen.versions)
        found = {kind: _some(kind, chosen.versions) for kind in catalogue.LENGTHS}
        with house.server(database, Path(folder)) as port:
            _measure(port, chosen.requests, found)
    print(f"{chosen.versions:,} versions, {len(catalogue.BLOBS)} files each")


def _some(kind: str, versions: int) -> list[str]:
    """1,000 values of this kind that nothing else begins with, spread over all versions."""
    from registry.models import BlobHash

    dice = random.Random(7)
    blobs = [dice.randrange(1, 2 * versions + 1) for _ in range(1000)]
    return list(BlobHash.objects.filter(kind=kind, blob__in=blobs).values_list("value", flat=True))


def _measure(port: int, requests: int, found: dict[str, list[str]]) -> None:
    lasts = []
    for kind, values in found.items():
        ours = [GET + value for value in values]
        lasts.append((kind, turns.compare(port, [f"/bare/hash/{value}" for value in values], ours, requests, turns.Names("bare", kind))))
    begun = [value[:BEGINNING] for value in found["SHA256"]]
    bare, ours = [f"/bare/beginning/{value}" for value in begun], [GET + value for value in begun]
    name = f"first {BEGINNING} digits"
    lasts.append((name, turns.compare(port, bare, ours, requests, turns.Names("bare", name))))
    dice = random.Random(8)
    bodies = [orjson.dumps(dice.sample(found["SHA256"], MANY)) for _ in range(50)]
    many = turns.compare(port, ["/bare/hashes/"], [POST], requests, turns.Names("bare", f"POST of {MANY}"), bodies=bodies)
    for name, ratio in lasts:
        print(f"GET by {name}: ratio of p95 {ratio:.2f}x (target {ONE_TARGET}x)")
    print(f"POST of {MANY} hashes: ratio of p95 {many:.2f}x (target {MANY_TARGET}x)")


if __name__ == "__main__":
    main()
