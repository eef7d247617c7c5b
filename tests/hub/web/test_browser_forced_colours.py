"""Forced colours (high contrast) in a real Chromium: what is chosen, focused, under way or drawn by a ground alone can still be told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from registry import facts
from tests.hub.published import published_entry, published_file, published_version
from tests.servers import LiveHub

pytestmark = pytest.mark.django_db(transaction=True)
GROUND = "one => getComputedStyle(one).backgroundColor"
SYSTEM = """() => Object.fromEntries(["Canvas", "CanvasText", "Highlight", "HighlightText"].map((name) => {
  const one = document.body.appendChild(document.createElement("i"));
  one.style.setProperty("color", name); one.style.setProperty("forced-color-adjust", "none");
  const colour = getComputedStyle(one).color; one.remove(); return [name, colour];
}))"""
DRAWN = "(one, part) => { const own = getComputedStyle(one, part); return [own.backgroundColor, own.maskImage]; }"
PARTS = """() => {
  const made = document.querySelector("main").appendChild(document.createElement("div"));
  made.innerHTML = '<div class="bar"><i>.</i></div><ol class="timeline"><li class="done">a</li><li class="ahead">b</li></ol>';
  const of = (what, part) => getComputedStyle(made.querySelector(what), part).backgroundColor;
  return [of(".bar"), of(".bar > i"), of("li.done", "::before"), of("li.ahead", "::before")];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_that_matters_is_told_by_a_forced_colour(
    live_hub: LiveHub, open_page: Callable[..., Any], sign_in: Callable[[Any, Any], None], creator: Any, scheme: str
) -> None:
    entry = published_entry(creator, slug="lantern", kind="lora")
    published_file(creator, b"lantern", version=published_version(entry))
    facts.rebuild()
    page = open_page(forced_colors="active", color_scheme=scheme, viewport={"width": 1280, "height": 800})
    sign_in(page, creator)

    page.goto("/?kind=lora")
    colours = page.evaluate(SYSTEM)
    chosen, other = page.locator(".facet li > a[aria-current]").first, page.locator(".facet li > a:not([aria-current])").first
    assert chosen.evaluate(GROUND) == colours["Highlight"] != other.evaluate(GROUND)
    assert chosen.evaluate("one => getComputedStyle(one).color") == colours["HighlightText"]
    assert page.locator('.themes button[aria-pressed="true"]').evaluate(GROUND) == colours["Highlight"]
    assert page.locator(".languages button[aria-current]").evaluate(GROUND) == colours["Highlight"]
    ground, mask = page.locator(".downs").first.evaluate(DRAWN, "::before")
    assert (ground, mask != "none") == (colours["CanvasText"], True)
    assert page.locator(".tick-compare").first.evaluate("one => getComputedStyle(one).opacity") == "1"
    assert page.evaluate(PARTS) == [colours["Canvas"], colours["Highlight"], colours["CanvasText"], colours["Canvas"]]

    page.keyboard.press("Tab")
    focused = page.evaluate("() => { const own = getComputedStyle(document.activeElement); return [own.outlineStyle, own.outlineColor]; }")
    assert focused == ["solid", colours["Highlight"]]

    page.goto("/account")
    assert page.locator(".tabs a[aria-current]").evaluate(GROUND) == colours["Highlight"]
    edges = page.locator("main .btn").first.evaluate("one => [getComputedStyle(one).borderTopStyle, getComputedStyle(one).borderTopWidth]")
    assert edges == ["solid", "1px"]

    page.goto("/merge")
    method, rest = page.locator(".method:has(:checked)"), page.locator(".method:not(:has(:checked))").first
    outline = "one => getComputedStyle(one).outlineStyle"
    assert (method.evaluate(outline), rest.evaluate(outline)) == ("solid", "none")
