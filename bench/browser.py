"""A Chromium that measures: what a page loads, how it shifts, how long it blocks, what it keeps in memory. Starts no server."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.ground import ROOT

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-precise-memory-info")
SLOWER = 4
"""CPU throttle of the timed pages: the usual stand-in for a telephone of the middle class (Lighthouse's default)."""
SETTLED_MS = 3000
ASSETS = "/static/dist/"

WATCH = """
window.seen = {shift: 0, blocked: 0, largest: 0, first: 0};
new PerformanceObserver(list => { for (const e of list.getEntries()) if (!e.hadRecentInput) seen.shift += e.value; })
  .observe({type: "layout-shift", buffered: true});
new PerformanceObserver(list => { for (const e of list.getEntries()) seen.largest = e.startTime; })
  .observe({type: "largest-contentful-paint", buffered: true});
new PerformanceObserver(list => { for (const e of list.getEntries()) if (e.name === "first-contentful-paint") seen.first = e.startTime; })
  .observe({type: "paint", buffered: true});
const late = e => e.startTime + e.duration > seen.first;
new PerformanceObserver(list => { for (const e of list.getEntries()) if (late(e)) seen.blocked += Math.max(0, e.duration - 50); })
  .observe({type: "longtask", buffered: true});
"""
"""Layout shift without input (CLS), largest contentful paint, and what tasks longer than 50 ms block after the first paint (TBT)."""
NODES_SHOWN = "() => { const all = document.createNodeIterator(document); let n = 0; while (all.nextNode()) n++; return n; }"


@dataclass(frozen=True)
class Vitals:
    """Of one visit. `shift` is CLS; the others are milliseconds under the throttle."""

    shift: float
    blocked_ms: float
    largest_ms: float


@dataclass(frozen=True)
class Weight:
    """Brotli bytes of one first visit, fonts and pictures not counted."""

    scripts: int
    styles: int


@dataclass(frozen=True)
class Memory:
    """After a collection: bytes of JavaScript's heap, DOM nodes that are alive, and those of them that the document shows."""

    heap: int
    nodes: int
    shown: int

    @property
    def detached(self) -> int:
        return self.nodes - self.shown


@contextmanager
def chromium() -> Iterator[Any]:
    """The machine's own; CHROMIUM names another."""
    from playwright.sync_api import sync_playwright

    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


def weight(context: Any, address: str) -> Weight:
    """What a first visit loads of scripts and styles, by the sizes of their compressed twins."""
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if ASSETS in request.url else None)
    page.goto(address, wait_until="networkidle")
    page.close()
    files = [ROOT / "static/dist" / url.split(ASSETS)[1].split("?")[0] for url in dict.fromkeys(asked)]
    return Weight(_twins(files, ".js"), _twins(files, ".css"))


def _twins(files: list[Path], ending: str) -> int:
    """Bytes of the brotli twins; files below 1 kB have none and count as they are."""
    chosen = [file for file in files if file.suffix == ending]
    return sum((twin if (twin := Path(f"{file}.br")).exists() else file).stat().st_size for file in chosen)


def vitals(context: Any, address: str) -> Vitals:
    """One visit on a throttled processor, watched until SETTLED_MS after the network rests."""
    page = context.new_page()
    page.add_init_script(WATCH)
    context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    page.goto(address, wait_until="networkidle")
    page.wait_for_timeout(SETTLED_MS)
    seen = page.evaluate("window.seen")
    page.close()
    return Vitals(seen["shift"], seen["blocked"], seen["largest"])


def memory(page: Any, session: Any) -> Memory:
    """What is kept after all garbage is gone."""
    for _ in range(3):
        session.send("HeapProfiler.collectGarbage")
    heap = session.send("Runtime.getHeapUsage")["usedSize"]
    nodes = session.send("Memory.getDOMCounters")["nodes"]
    return Memory(int(heap), int(nodes), int(page.evaluate(NODES_SHOWN)))
