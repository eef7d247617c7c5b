"""What pages cost a browser: bytes of scripts and styles, layout shift, blocking under a slow processor, memory after 2,000 cards,
and the 50-card grid over 100,000 entries against a bare view of the same rows on the same server.

`python -m bench.pages [--entries 100000] [--cards 2000] [--requests 150] [--visits 3]` inside the project's virtual environment.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

from bench import browser, catalogue, ground, house, turns

SIZE = {"width": 1366, "height": 768}
GRID = "/?per=50"
BARE = "/bare/list/newest"
MAX_SCRIPTS, MAX_SHIFT, MAX_BLOCKED_MS, MAX_HEAP, MAX_GRID = 60_000, 0.05, 150.0, 10_000_000, 4.0
PASSWORD = "only-for-the-bench-7"  # noqa: S105
MET = """(() => {
  window.met ??= new Set();
  for (const card of document.querySelectorAll("#cards > li")) met.add(card.dataset.entry);
  return met.size;
})()"""
WHEEL, PAUSE_MS = 1_500, 60
"""Pixels that the wheel turns by at once, two screens, and what passes until it turns again: faster than anybody reads."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--entries", type=int, default=100_000)
    options.add_argument("--cards", type=int, default=2_000)
    options.add_argument("--requests", type=int, default=150)
    options.add_argument("--visits", type=int, default=3)
    chosen = options.parse_args()
    ground.stand("bench.pages")
    with house.empty_database("bench_pages") as database, tempfile.TemporaryDirectory() as folder:
        catalogue.fill(chosen.entries)
        session = _signed_in()
        with house.server(database, Path(folder)) as port:
            with browser.chromium() as chromium:
                _look(chromium, f"http://127.0.0.1:{port}", session, chosen.visits)
                _scroll(chromium, f"http://127.0.0.1:{port}", chosen.cards)
            turns.compare(
                port, [BARE], [GRID], chosen.requests, turns.Names("bare", f"{GRID}, {chosen.entries:,} entries"), target=MAX_GRID
            )


def _signed_in() -> tuple[str, str]:
    """A session cookie of one of the creators, who owns model 1."""
    from django.conf import settings
    from django.test import Client

    from registry.models import Entry

    client = Client()
    client.force_login(Entry.objects.select_related("owner").get(pk=1).owner)
    name = str(settings.SESSION_COOKIE_NAME)
    return name, client.cookies[name].value


def _look(chromium: Any, origin: str, session: tuple[str, str], visits: int) -> None:
    """Bytes of a first visit, and the medians of several throttled ones."""
    for name, path, member in (("grid", "/", False), ("model page", "/models/1", False), ("upload", "/upload/1", True)):
        with _visitor(chromium, session if member else None, origin) as context:
            loaded = browser.weight(context, origin + path)
            seen = [browser.vitals(context, origin + path) for _ in range(visits)]
        shift, blocked, largest = (
            statistics.median(values) for values in zip(*((one.shift, one.blocked_ms, one.largest_ms) for one in seen), strict=True)
        )
        aim = "" if member else f" (target {MAX_SCRIPTS / 1000:.0f})"
        print(f"{name}: JS {loaded.scripts / 1000:.1f} kB brotli{aim}, CSS {loaded.styles / 1000:.1f} kB")
        print(
            f"  CLS {shift:.3f} (target {MAX_SHIFT}), blocked {blocked:.0f} ms (target {MAX_BLOCKED_MS:.0f}), LCP {largest:.0f} ms; "
            f"CPU {browser.SLOWER}x slower, median of {visits}",
            flush=True,
        )


def _visitor(chromium: Any, session: tuple[str, str] | None, origin: str) -> Any:
    context = chromium.new_context(viewport=SIZE, base_url=origin)
    if session:
        context.add_cookies([{"name": session[0], "value": session[1], "url": origin}])
    return context


def _scroll(chromium: Any, origin: str, cards: int) -> None:
    """Turn the wheel until so many cards have been there."""
    with _visitor(chromium, None, origin) as context:
        page = context.new_page()
        page.add_init_script(browser.WATCH)
        page.goto("/", wait_until="networkidle")
        session = context.new_cdp_session(page)
        before, seen = browser.memory(page, session), 0
        for _ in range(5 * cards):
            seen = int(page.evaluate(MET))
            if seen >= cards:
                break
            page.mouse.wheel(0, WHEEL)
            page.wait_for_timeout(PAUSE_MS)
        page.wait_for_load_state("networkidle")
        after, shift = browser.memory(page, session), page.evaluate("window.seen.shift")
    grown, aim, held = after.heap - before.heap, MAX_HEAP / 1e6, after.detached - before.detached
    print(f"after {seen:,} cards: heap {grown / 1e6:+.1f} MB (target {aim:.0f}), {held:+,} detached nodes (target 0)")
    print(
        f"  {after.shown:,} nodes in the page of {after.alive:,} alive in {after.documents:,} documents; CLS while scrolling {shift:.3f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
