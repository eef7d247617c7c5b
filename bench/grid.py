"""The browse page with 50 cards over 100,000 entries, against a bare view that reads the same rows by one SELECT, on the same server.

`python -m bench.grid [--entries 100000] [--requests 200]` inside the project's virtual environment. Ours and the bare view are asked in
turn over one kept connection each; the ratios are of p50 and, last, of p95. Further questions show filters, orders and depth. Counts of
many models are believed for a minute: what the first visitor waits who asks a question is measured by questions that all differ.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from html import unescape
from pathlib import Path

from bench import catalogue, ground, house, turns

BARE = "/bare/list/newest"
FRONT = "/?per=50"
TARGET = 4.0
FILTERS = (
    *("&kind=lora", "&kind=lora&base=SD+1.5&has=clean&format=safetensors", "&tag=tag+7&not=tag+21", "&may=derive&precision=fp16"),
    *("&sort=updated", "&sort=downloads", "&sort=rated", "&sort=smallest", "&sort=name", "&kind=vae", "&creator=creator7", "&q=lanterns"),
)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--entries", type=int, default=100_000)
    options.add_argument("--requests", type=int, default=200)
    chosen = options.parse_args()
    ground.stand("bench.grid")
    with house.empty_database("bench_grid") as database, tempfile.TemporaryDirectory() as folder:
        catalogue.fill(chosen.entries)
        with house.server(database, Path(folder)) as port:
            _measure(port, chosen.requests, chosen.entries)


def _measure(port: int, requests: int, entries: int) -> None:
    body = turns.Asker(port).ask(FRONT).decode()
    assert body.count('class="card"') == 50
    print(f"{entries:,} entries, {len(body) / 1024:.0f} kB a page of 50")
    following = re.search(r'id="more-link"[^>]* href="([^"]+)"', body)
    assert following is not None
    for address in (*(FRONT + more for more in FILTERS), unescape(following[1])):
        turns.compare(port, [BARE], [address], max(20, requests // 4), turns.Names("bare", address))
    first = [f"{FRONT}&kind=lora&min={number}" for number in range(1, 30 + turns.WARMING)]
    turns.compare(port, [BARE] * len(first), first, 29, turns.Names("bare", "questions never asked before"))
    turns.compare(port, [BARE], [FRONT], requests, turns.Names("bare", FRONT), target=TARGET)


if __name__ == "__main__":
    main()
