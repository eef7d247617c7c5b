"""Pages in a longer language and in one that is written from right to left, in a real Chromium: nothing sticks out of a narrow screen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.hub.everyone import Everyone, gather
from tests.hub.web import visited
from tests.hub.web.test_languages import speaking, strange
from tests.servers import LiveHub

__all__ = ["speaking", "strange"]

pytestmark = pytest.mark.django_db(transaction=True)
SHOWN = ("home", "creator-slug", "compare-v-version", "merge-a-file", "upload", "account", "moderation", "file-file", "guides", "my-models")
OVER = """() => [...document.querySelectorAll("body *")].map(one => [one, one.getBoundingClientRect()])
  .filter(([one, box]) => box.width && (box.right > innerWidth + 1 || box.left < -1))
  .slice(0, 3).map(([one]) => one.outerHTML.slice(0, 120))"""

TURNED = """(turned) => [...document.querySelectorAll("main .icon.points, main code, main .hash, main kbd")]
  .filter((one) => one.checkVisibility() && (
  one.matches(".icon") ? new DOMMatrix(getComputedStyle(one).transform).a !== turned
    : getComputedStyle(one).direction !== "ltr" && getComputedStyle(one).unicodeBidi !== "plaintext"))
  .map((one) => one.outerHTML.slice(0, 120))"""
"""Arrows that do not point along the line, and code that is not written from left to right."""


@pytest.fixture
def everyone(stores: Path, settings: Any, tmp_path: Path) -> Everyone:
    settings.PREVIEWS = False
    return gather(tmp_path)


def test_no_page_is_too_narrow_for_another_language(
    live_hub: LiveHub, speaking: None, everyone: Everyone, open_page: Callable[..., Any]
) -> None:
    faults = []
    for language, direction in (("de", "ltr"), ("ar", "rtl")):
        faults += _too_wide(live_hub, everyone, open_page, language, direction)
    assert not faults, "\n".join(faults)


def _too_wide(live_hub: LiveHub, everyone: Everyone, open_page: Callable[..., Any], language: str, direction: str) -> list[str]:
    """Every page of `SHOWN` in this language: what sticks out of it at 320 px. Fails where it is written in another direction."""
    opened = {who: open_page(viewport={"width": 320, "height": 640}) for who in ("nobody", "owner", "moderator")}
    for who, page in opened.items():
        page.context.add_cookies(
            [*visited.cookies(everyone, who, live_hub.url), {"name": "language", "value": language, "url": live_hub.url}]
        )
    faults, seen = [], set()
    for name, who, address in visited.pages(everyone.things["public"], everyone.token):
        if name not in SHOWN or name in seen:
            continue
        seen.add(name)
        page = opened[who]
        page.goto(address)
        assert page.evaluate("getComputedStyle(document.documentElement).direction") == direction
        width = page.evaluate("document.documentElement.scrollWidth")
        faults += [f"{language} {name}: {one}" for one in page.evaluate(TURNED, -1 if direction == "rtl" else 1)]
        faults += [f"{language} {name}: {width} px wide, {page.evaluate(OVER)}"] if width > 320 else []
    assert len(seen) == len(SHOWN), set(SHOWN) - seen
    return faults
