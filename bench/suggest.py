"""GET /search/suggest over 100,000 entries of a hundred thousand different names: what a visitor waits for while typing.

`python -m bench.suggest [--entries 100000] [--requests 400]` inside the project's virtual environment. Questions are beginnings of names of
every length, typing errors, hashes and words that every entry has, asked in turn with a bare view over one kept connection each. The last
line is p95 of all, against the target of 100 ms.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path
from urllib.parse import quote

from bench import catalogue, ground, house, turns

TARGET_MS = 100.0
BARE = "/bare/list/newest"
ONSETS = "b,br,c,ch,d,dr,f,fl,g,gl,h,j,k,l,m,n,p,pr,qu,r,s,sh,st,t,tr,v,w,z"
VOWELS, CODAS = "aeiou", ",n,r,l,s,x,mp"
BATCH = 1000


def vocabulary(chance: random.Random, count: int) -> list[str]:
    """Words that can be pronounced, of two or three syllables; early ones are meant to be used more."""
    made: dict[str, None] = {}
    onsets, codas = ONSETS.split(","), CODAS.split(",")
    while len(made) < count:
        syllables = chance.choice((2, 2, 3))
        made["".join(chance.choice(onsets) + chance.choice(VOWELS) + chance.choice(codas) for _ in range(syllables))] = None
    return list(made)


def name_them(count: int, chance: random.Random) -> list[str]:
    """Give every entry a name of three words, the first ones as often as words of a language are, and index it; the names."""
    from registry import indexing
    from registry.models import Entry

    words = vocabulary(chance, 20_000)
    weights = [1 / (place + 3) for place in range(len(words))]
    names = [" ".join(chance.choices(words, weights, k=2) + chance.choices(words, k=1)).title() for _ in range(count)]
    for start in range(0, count, BATCH):
        pks = range(start + 1, min(start + BATCH, count) + 1)
        Entry.objects.bulk_update([Entry(pk=pk, name=names[pk - 1]) for pk in pks], ["name"])
        indexing.index(pks)
    return names


def questions(names: list[str], chance: random.Random) -> dict[str, list[str]]:
    """By sort of question, 60 each."""
    some = [chance.choice(names) for _ in range(60)]
    words = [name.split()[-1].lower() for name in some]
    return {
        "two letters": [word[:2] for word in words],
        "beginnings": [name[: chance.randint(3, len(name))] for name in some],
        "typing errors": [word[:2] + word[3] + word[2] + word[4:] + "e" for word in words if len(word) > 5],
        "half a word with an error": [word[1] + word[0] + word[2:-1] for word in words if len(word) > 6],
        "words that all have": ["lan", "lantern", "pap", "tag", "sd 1", "full", "creator"],
        "hashes": [f"{chance.randrange(16**10):010x}" for _ in range(20)],
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--entries", type=int, default=100_000)
    options.add_argument("--requests", type=int, default=400)
    chosen = options.parse_args()
    ground.stand("bench.suggest")
    chance = random.Random(7)
    with house.empty_database("bench_suggest") as database, tempfile.TemporaryDirectory() as folder:
        catalogue.fill(chosen.entries)
        names = name_them(chosen.entries, chance)
        from django.db import connection

        connection.cursor().execute("VACUUM ANALYZE")
        with house.server(database, Path(folder)) as port:
            measure(port, questions(names, chance), chosen.requests, chosen.entries)


def measure(port: int, asked: dict[str, list[str]], requests: int, entries: int) -> None:
    asker, bare = turns.Asker(port), turns.Asker(port)
    for number in range(60):
        asker.ask(f"/search/suggest?q=warm{number}")
        bare.ask(BARE)
    every: list[float] = []
    beside: list[float] = []
    print(f"{entries:,} entries")
    for sort, texts in asked.items():
        taken = []
        for number in range(max(len(texts), requests // len(asked))):
            asker.ask(f"/search/suggest?q={quote(texts[number % len(texts)])}")
            taken.append(asker.took)
            bare.ask(BARE)
            beside.append(bare.took)
        every += taken
        print(f"  {sort}: p50 {ground.quantile(taken, 0.5):.1f} ms, p95 {ground.quantile(taken, 0.95):.1f} ms, worst {max(taken):.1f} ms")
    late = ground.quantile(every, 0.95)
    print(f"  bare view (50 rows by one SELECT): p50 {ground.quantile(beside, 0.5):.1f} ms, p95 {ground.quantile(beside, 0.95):.1f} ms")
    print(f"suggestions: p95 {late:.1f} ms (target {TARGET_MS:.0f} ms), ratio {late / TARGET_MS:.2f}", flush=True)


if __name__ == "__main__":
    main()
