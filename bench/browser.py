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
window.seen = {shift: 0, largest: 0, first: 0, long: []};
new PerformanceObserver(list => { for (const e of list.getEntries()) if (!e.hadRecentInput) seen.shift += e.value; })
  .observe({type: "layout-shift", buffered: true});
new PerformanceObserver(list => { for (const e of list.getEntries()) seen.largest = e.startTime; })
  .observe({type: "largest-contentful-paint", buffered: true});
new PerformanceObserver(list => { for (const e of list.getEntries()) if (e.name === "first-contentful-paint") seen.first = e.startTime; })
  .observe({type: "paint", buffered: true});
new PerformanceObserver(list => { for (const e of list.getEntries()) seen.long.push([e.startTime, e.startTime + e.duration]); })
  .observe({type: "longtask", buffered: true});
"""
"""Layout shift without input (CLS), largest and first contentful paint, and every task longer than 50 ms."""
BLOCKED = "seen.long.map(([from, to]) => Math.max(0, to - Math.max(from, seen.first) - 50)).reduce((sum, each) => sum + each, 0)"
"""Total blocking time as web.dev/articles/tbt has it: of every long task what lies after the first paint, less 50 ms."""
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
    """After a collection: bytes of JavaScript's heap; nodes that the document shows, and those out of it that a script still holds (what
    a leak is made of); all nodes alive, and the documents they are of: every SVG in an <img> is one, with its nodes, and controls and
    pictures bring some of the browser's own.
    """

    heap: int
    shown: int
    detached: int
    alive: int
    documents: int


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
    seen, blocked = page.evaluate("window.seen"), page.evaluate(BLOCKED)
    page.close()
    return Vitals(seen["shift"], blocked, seen["largest"])


def memory(page: Any, session: Any) -> Memory:
    """What is kept after all garbage is gone."""
    for _ in range(3):
        session.send("HeapProfiler.collectGarbage")
    heap = session.send("Runtime.getHeapUsage")["usedSize"]
    held = session.send("DOM.getDetachedDomNodes")["detachedNodes"]
    counted = session.send("Memory.getDOMCounters")
    shown = page.evaluate(NODES_SHOWN)
    return Memory(int(heap), int(shown), sum(_tree(one["treeNode"]) for one in held), int(counted["nodes"]), int(counted["documents"]))


def _tree(node: dict[str, Any]) -> int:
    """A detached node with all below it."""
    return 1 + sum(_tree(child) for child in node.get("children", ()))
