"""Browsing in a real browser: further cards while one scrolls, the way back, keys, a hub that does not answer, and no script at all."""

from __future__ import annotations

from typing import Any

import pytest

from registry import facts
from tests.factories import BlobFactory, EntryFactory, FileFactory, UserFactory, VersionFactory

pytestmark = pytest.mark.django_db(transaction=True)
CARDS = "document.querySelectorAll('#cards > .card').length"


def card_at(page: Any, place: int) -> Any:
    return page.locator("#cards > .card").nth(place)


@pytest.fixture
def shelf() -> None:
    """Eighty models; the newest is `Lamp 79`."""
    owner = UserFactory(username="smith")
    for number in range(80):
        entry = EntryFactory(owner=owner, name=f"Lamp {number}", slug=f"lamp-{number}", live=True, published_at="2026-03-01T00:00:00Z")
        version = VersionFactory(entry=entry, status="published", trigger_words=["lmp", f"n{number}"])
        FileFactory(version=version, blob=BlobFactory())
    facts.rebuild()


SHIFT = """
window.shift = 0;
new PerformanceObserver((list) => list.getEntries().forEach((entry) => { window.shift += entry.value; })).observe({type: "layout-shift"});
"""


@pytest.mark.usefixtures("shelf")
def test_scrolled_place_is_found_again_after_a_model_was_looked_at(open_page: Any) -> None:
    page = open_page(viewport={"width": 1000, "height": 700})
    page.add_init_script(SHIFT)
    page.goto("/")
    for _ in range(12):
        page.mouse.wheel(0, 900)
        page.wait_for_timeout(120)
    card_at(page, 79).wait_for(state="attached")
    assert page.evaluate("window.shift") <= 0.05
    assert len(set(page.evaluate("[...document.querySelectorAll('.card')].map((card) => card.dataset.entry)"))) == 80
    card = page.locator(".card", has_text="Lamp 12").first
    card.scroll_into_view_if_needed()
    page.wait_for_timeout(200)
    before = card.bounding_box()
    card.locator("h2 a").click()
    page.wait_for_url("**/smith/lamp-12")
    page.go_back()
    card_at(page, 79).wait_for(state="attached")
    page.wait_for_timeout(400)
    after = page.locator(".card", has_text="Lamp 12").first.bounding_box()
    assert abs(after["y"] - before["y"]) <= 2
    assert page.evaluate("scrollY") > 1500


@pytest.mark.usefixtures("shelf")
def test_filters_change_the_page_without_loading_it_and_back_undoes_them(open_page: Any) -> None:
    page = open_page(viewport={"width": 1280, "height": 800})
    page.goto("/")
    page.evaluate("window.stays = 1")
    page.get_by_role("link", name="Checkpoint 80").click()
    page.wait_for_url("**/?kind=checkpoint")
    page.locator(".chip", has_text="Checkpoint").wait_for()
    page.locator(".sorting summary").click()
    page.get_by_role("link", name="Name", exact=True).click()
    page.wait_for_url("**/?kind=checkpoint&sort=name")
    assert page.evaluate("window.stays") == 1
    page.go_back()
    page.wait_for_url("**/?kind=checkpoint")
    page.locator(".sorting summary", has_text="Newest").wait_for()


@pytest.mark.usefixtures("shelf")
def test_keys_move_open_copy_and_tell_of_themselves(open_page: Any) -> None:
    page = open_page(viewport={"width": 1280, "height": 800}, permissions=["clipboard-read", "clipboard-write"])
    page.goto("/")
    columns = page.evaluate("getComputedStyle(document.getElementById('cards')).gridTemplateColumns.split(' ').length")
    at = "[...document.querySelectorAll('#cards > .card')].indexOf(document.activeElement.closest('.card'))"
    page.keyboard.press("ArrowRight")
    assert page.evaluate(at) == 0
    for key, place in (("ArrowRight", 1), ("ArrowDown", 1 + columns), ("ArrowLeft", columns), ("ArrowUp", 0), ("ArrowUp", 0)):
        page.keyboard.press(key)
        assert page.evaluate(at) == place, key
    page.keyboard.press("c")
    page.locator("#announcer", has_text="copied").wait_for(state="attached")
    assert page.evaluate("navigator.clipboard.readText()") == "lmp, n79"
    page.keyboard.press("b")
    assert page.evaluate("document.documentElement.classList.contains('unblurred')")
    page.keyboard.press("?")
    assert page.get_by_role("dialog", name="Keys").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("bc?")
    assert page.locator("#q").input_value() == "bc?"
    assert not page.get_by_role("dialog").is_visible()
    page.wait_for_url("**q=bc**")
    page.go_back()
    page.locator(".card h2 a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/smith/lamp-79")
    page.go_back()
    page.locator(".card h2 a").first.focus()
    page.keyboard.press("s")
    page.wait_for_url("**/accounts/login/?next=/models/*/save")


@pytest.mark.usefixtures("shelf")
def test_failed_request_says_so_and_can_be_tried_again(open_page: Any, complaints: list[str]) -> None:
    page = open_page(viewport={"width": 1000, "height": 700})
    page.goto("/")
    page.route("**/?*after=*", lambda route: route.abort())
    page.mouse.wheel(0, 4000)
    page.get_by_role("alert").get_by_role("button", name="Try again").wait_for()
    page.unroute("**/?*after=*")
    count = page.evaluate(CARDS)
    page.get_by_role("button", name="Try again").click()
    card_at(page, count).wait_for(state="attached")
    page.get_by_role("button", name="Try again").wait_for(state="hidden")
    complaints.clear()  # what the browser said of the request that was cut off


@pytest.mark.usefixtures("shelf")
def test_everything_but_keys_works_without_scripts(open_page: Any) -> None:
    page = open_page(java_script_enabled=False, viewport={"width": 1280, "height": 800})
    page.goto("/")
    page.get_by_role("link", name="Load more").click()
    assert page.locator(".card h2").first.inner_text() == "Lamp 55"
    page.go_back()
    page.get_by_role("link", name="Checkpoint 80").click()
    page.locator(".sorting summary").click()
    page.get_by_role("link", name="Name", exact=True).click()
    assert page.url.endswith("/?kind=checkpoint&sort=name")
    page.get_by_role("link", name="Checkpoint take away").click()
    assert page.url.endswith("/?sort=name")
    assert not page.locator("[data-copy]").first.is_visible()
