"""Asks two addresses of one server in turn, over a kept connection each, and prints how long both took. Fills and starts nothing."""

from __future__ import annotations

import http.client
import time
from collections.abc import Sequence
from typing import NamedTuple

from bench.ground import quantile

WARMING = 120
"""Questions before the first that counts: every thread opens its connection, and PostgreSQL makes and keeps its plans."""


class Names(NamedTuple):
    bare: str
    ours: str


class Asker:
    """One kept connection."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.took = 0.0

    def ask(self, path: str, body: bytes | None = None) -> bytes:
        """The answer, which must be a 200; `took` are milliseconds until its last byte was here."""
        begun = time.perf_counter()
        headers = {"Content-Type": "application/json"} if body else {}
        self.connection.request("POST" if body else "GET", path, body=body, headers=headers)
        response = self.connection.getresponse()
        answer = response.read()
        self.took = (time.perf_counter() - begun) * 1000
        assert response.status == 200, answer[:500]
        return answer


def compare(
    port: int,
    bare: Sequence[str],
    ours: Sequence[str],
    times: int,
    names: Names,
    *,
    bodies: Sequence[bytes] | None = None,
    target: float | None = None,
) -> float:
    """Ask `bare[i]` and `ours[i]` in turn, over and over; with `bodies` by POST. Prints p50 and p95, ratios last, and gives that of p95."""
    askers = Asker(port), Asker(port)
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(WARMING + times):
        at = number % len(bare)
        body = bodies[number % len(bodies)] if bodies else None
        for asker, path, values in zip(askers, (bare[at], ours[at]), taken, strict=True):
            asker.ask(path, body)
            if number >= WARMING:
                values.append(asker.took)
    for name, values in zip(names, taken, strict=True):
        print(f"  {name}: p50 {quantile(values, 0.5):.2f} ms, p95 {quantile(values, 0.95):.2f} ms (n={len(values)})")
    middle, late = (quantile(taken[1], share) / quantile(taken[0], share) for share in (0.5, 0.95))
    aim = f" (target {target:.1f}x)" if target else ""
    print(f"{names.ours}: ratio of p50 {middle:.2f}x, of p95 {late:.2f}x{aim}", flush=True)
    return late
