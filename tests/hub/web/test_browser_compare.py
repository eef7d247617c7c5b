"""The way from ticks on cards to the slider, in a real browser: by mouse, by keyboard, and without a script."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from registry.models import File
from tests.hub.web.test_compare_page import fox
from tests.pictures import published_weights, rendered
from tests.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pair(creator: Any) -> list[File]:
    files = []
    for place in range(2):
        file = published_weights(creator, name=f"Fox number {place}")
        rendered(file, [fox()])
        files.append(file)
    return files


def test_ticked_versions_are_compared_and_slid_over_each_other_by_keyboard(open_page: Callable[..., Any], pair: list[File]) -> None:
    page = open_page(viewport={"width": 390, "height": 900}, reduced_motion="reduce")
    for file in pair:
        page.goto(f"/{file.version.entry.owner.username}/{file.version.entry.slug}")
        page.locator(f'.compare-buttons [data-compare="{file.version_id}"]').check()
    tray = page.locator("#compare-tray")
    assert tray.locator("li span").all_text_contents() == ["Fox number 0", "Fox number 1"]
    page.reload()
    assert page.locator(f'[data-compare="{pair[1].version_id}"]').first.is_checked(), "it is kept across pages"
    tray.get_by_role("link", name="Compare").click()
    page.wait_for_url(f"**/compare?v={pair[0].version_id}&v={pair[1].version_id}")
    page.locator(".zoombar [data-slide]").focus()
    page.keyboard.press("Enter")
    handle = page.locator("#slide-at")
    assert handle.evaluate("one => one === document.activeElement")
    page.keyboard.press("ArrowRight")
    assert handle.input_value() == "51"
    page.keyboard.press("Home")
    left = page.locator("[data-left]")
    wait_until(lambda: "100%" in left.evaluate("one => getComputedStyle(one).clipPath"), 5, 0.05)  # nothing of the left one is left
    stage = page.locator("a.stage").first
    stage.focus()
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    moved = page.locator("a.stage img").evaluate_all("all => all.map((one) => one.style.transform)")
    assert len(set(moved)) == 1, "all move together"
    assert "scale(1.5)" in moved[0]
    page.keyboard.press("0")
    assert page.locator("[data-zoomed]").text_content() == "100 %"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_without_a_script_pictures_stand_side_by_side(open_page: Callable[..., Any], pair: list[File]) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(f"/{pair[0].version.entry.owner.username}/{pair[0].version.entry.slug}")
    assert not page.locator(".compare-buttons [data-compare]").is_visible()
    page.get_by_role("link", name="Compare with").click()
    page.get_by_label("Name of a model").fill("number 1")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name="Fox number 1").click()
    boxes = [one.bounding_box() for one in page.locator(".cell img").all()]
    assert len(boxes) == 2
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["x"] < boxes[1]["x"]
    assert not page.locator("#slider").is_visible()
    assert not page.locator(".zoombar").is_visible()
