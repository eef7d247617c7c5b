"""Every page in a real Chromium: no fault that axe finds in either theme, none that scrolls sideways at 320 px, and the structure that
screen readers hear is the one on record. A new route of the table is visited without being named here.

`WEIGH_WRITE_GOLDEN=1 pytest tests/hub/web/test_browser_every_page.py` writes the structures anew: read the difference before you keep it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse

from tests.hub.everyone import Everyone, gather
from tests.hub.web import visited
from tests.servers import LiveHub

pytestmark = pytest.mark.django_db(transaction=True)

KEPT = Path(__file__).parent / "aria"
WRITING = os.environ.get("WEIGH_WRITE_GOLDEN") == "1"
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 320, "height": 640}
AUDIT = """async only => {
  const chosen = only ? {runOnly: {type: "rule", values: only}} : {};
  const found = await axe.run(document, {...chosen, resultTypes: ["violations"]});
  return found.violations.map(one => `${one.id}: ${one.nodes.slice(0, 3).map(node => node.html.slice(0, 160)).join(" | ")}`);
}"""
STILL = """{
  const sheet = new CSSStyleSheet();
  const still = "transition: none !important; animation: none !important; content-visibility: visible !important;";
  sheet.replaceSync(`*, *::before, *::after { ${still} }`);
  document.adoptedStyleSheets.push(sheet);
}"""
"""Colours do not fade from one theme to the other while axe looks, and nothing waits to be drawn until one comes near."""
CHANGING = (
    (re.compile(r"\bwh_[\w-]+"), "<token>"),
    (re.compile(r"\b[0-9a-f]{8,64}\b"), "<hash>"),
    (re.compile(r"\b(?=[0-9A-F]*\d)[0-9A-F]{8,64}\b"), "<HASH>"),
    (re.compile(r"\b\d{1,2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]* \d{4}\b"), "<date>"),
    (re.compile(r"\b20\d\d-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?Z?)?"), "<date>"),
    (re.compile(r"127\.0\.0\.1:\d+"), "<host>"),
    (re.compile(r"(?<!\d)7\d{4}\b"), "<id>"),
    (re.compile(r"\bcreator\d+\b"), "<creator>"),
    (re.compile(r"\b\d+(\.\d+)? (s|ms|seconds?|minutes?)\b|\bunder 0\.1 s"), "<time>"),
    (re.compile(r"\b\d\d:\d\d\b"), "<time>"),
)
"""What differs between two runs: hashes, days, the port, ids, how long things took."""


@pytest.fixture
def everyone(stores: Path, settings: Any, tmp_path: Path) -> Everyone:
    settings.PREVIEWS = False
    return gather(tmp_path)


def test_every_page_is_accessible_narrow_enough_and_built_as_on_record(
    live_hub: LiveHub, everyone: Everyone, open_page: Callable[..., Any]
) -> None:
    opened = {who: open_page(viewport=WIDE, color_scheme="light", reduced_motion="reduce") for who in ("nobody", "owner", "moderator")}
    for who, page in opened.items():
        page.context.add_cookies(visited.cookies(everyone, who, live_hub.url))
        page.add_init_script(STILL)
        page.add_init_script(path=visited.AXE)
    faults, met = [], set()
    for name, who, address in visited.pages(everyone.things["public"], everyone.token):
        if name in met or not _whole(everyone.clients[who].get(address)):
            continue
        met.add(name)
        faults += [f"{name} ({address}): {fault}" for fault in _faults(opened[who], name, address)]
    assert len(met) > 30
    assert not faults, "\n".join(faults)
    unknown = {path.stem for path in KEPT.glob("*.yml")} - met
    assert unknown == set(), "these structures are of pages that are no more"


def _whole(answer: HttpResponse) -> bool:
    """Whether it is a page: no download, and no part that htmx asks for, which is heard on its page."""
    return answer.headers["Content-Type"].startswith("text/html") and b"<main" in answer.content


def _faults(page: Any, name: str, address: str) -> list[str]:
    """What is wrong with one page: light, dark, narrow, and what is heard of it."""
    page.set_viewport_size(WIDE)
    page.emulate_media(color_scheme="light")
    answer = page.goto(address)
    if answer.status != 200:
        return [f"answers {answer.status}"]
    found = page.evaluate(AUDIT, None)
    page.emulate_media(color_scheme="dark")
    found += [f"dark {fault}" for fault in page.evaluate(AUDIT, ["color-contrast", "link-in-text-block"])]
    page.set_viewport_size(NARROW)
    width = page.evaluate("document.documentElement.scrollWidth")
    found += [f"{width} px wide"] if width > NARROW["width"] else []
    found += [f"narrow {fault}" for fault in page.evaluate(AUDIT, ["target-size", "color-contrast"])]
    return found + _unlike(page, name)


def _unlike(page: Any, name: str) -> list[str]:
    """Compares the page's structure, at 320 px, with the one on record."""
    heard = page.locator("body").aria_snapshot() + "\n"
    for changing, word in CHANGING:
        heard = changing.sub(word, heard)
    kept = KEPT / f"{name}.yml"
    if WRITING:
        kept.write_text(heard)
    if not kept.exists():
        return [f"no structure is on record in {kept.name}: write it by WEIGH_WRITE_GOLDEN=1"]
    if kept.read_text() == heard:
        return []
    old, new = kept.read_text().splitlines(), heard.splitlines()
    differing = next(i for i in range(max(len(old), len(new)) + 1) if old[i : i + 1] != new[i : i + 1])
    return [f"its structure changed at line {differing + 1}: {old[differing : differing + 1]} became {new[differing : differing + 1]}"]
