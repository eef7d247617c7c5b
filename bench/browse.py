"""GET /api/v1/models?limit=50 over 100,000 entries, against a bare view that reads the same rows by one SELECT, on the same server.

`python -m bench.browse [--entries 100000] [--requests 300]` inside the project's virtual environment. Ours and the bare view are asked
in turn over one kept connection each; the ratios are of p50 and, last, of p95. Further questions show what filters and depth cost.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from bench import catalogue, ground, house, turns

BARE = "/bare/list/rated"
FRONT = "/api/v1/models?limit=50"
TARGET = 2.0
OTHERS = ("&sort=Newest", "&types=Checkpoint", "&baseModels=SD%201.5&sort=Newest", "&tag=tag%207", "&query=lanterns&sort=Newest")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--entries", type=int, default=100_000)
    options.add_argument("--requests", type=int, default=300)
    chosen = options.parse_args()
    ground.stand("bench.browse")
    with house.empty_database("bench_browse") as database, tempfile.TemporaryDirectory() as folder:
        catalogue.fill(chosen.entries)
        with house.server(database, Path(folder)) as port:
            _measure(port, chosen.requests, chosen.entries)


def _measure(port: int, requests: int, entries: int) -> None:
    body = turns.Asker(port).ask(FRONT)
    assert len(json.loads(body)["items"]) == 50
    print(f"{entries:,} entries, {len(body) / 1024:.0f} kB an answer of 50")
    cursor = json.loads(body)["metadata"]["nextCursor"]
    for address in (*(FRONT + other for other in OTHERS), f"{FRONT}&cursor={cursor}"):
        turns.compare(port, [BARE], [address], max(20, requests // 3), turns.Names("bare", address))
    turns.compare(port, [BARE], [FRONT], requests, turns.Names("bare", FRONT), target=TARGET)


if __name__ == "__main__":
    main()
