"""The model page in a real browser: what stands above the fold, versions as tabs, and nothing that scrolls sideways."""

from __future__ import annotations

from typing import Any

import pytest

from registry.models import User
from tests.hub.published import published_entry, published_file, published_version
from tests.pictures import rendered, specs

pytestmark = pytest.mark.django_db


@pytest.fixture
def version(creator: User) -> Any:
    """A LoRA with two versions, a rendered preview and trigger words; the newest one."""
    entry = published_entry(creator, name="Lanterns over a quiet harbour at night", kind="lora")
    newest = published_version(entry, name="v2.0", trigger_words=["lantern light", "harbour"], steps=20, sampler="DPM++ 2M Karras")
    file = published_file(creator, b"weights", "lanterns-over-a-quiet-harbour-v2.safetensors", version=newest)
    rendered(file, specs(6))
    published_version(entry, name="v1.0", position=1, base_model="SD 1.4", description="The first.")
    return newest


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_what_decides_is_above_the_fold(open_page: Any, version: Any, width: int, height: int) -> None:
    page = open_page(viewport={"width": width, "height": height})
    page.goto(f"/{version.entry.owner.username}/{version.entry.slug}")
    wanted = {
        "name": page.get_by_role("heading", level=1),
        "creator": page.locator(".facts-line .creator"),
        "version": page.locator(".releases .which").first,
        "kind": page.locator(".facts-line .badge").first,
        "base": page.locator(".facts-line .badge", has_text="SD 1.5"),
        "preview": page.locator("#previews img").first,
        "download": page.locator("#download"),
        "safety": page.locator("[data-safety]"),
        "trigger": page.locator("button:visible", has_text="lantern light").first,
    }
    for name, place in wanted.items():
        box = place.bounding_box()
        assert box is not None, name
        assert box["y"] + box["height"] <= height, (name, box)
        assert box["x"] + box["width"] <= width, (name, box)
    assert wanted["preview"].bounding_box()["width"] >= 180
    assert page.locator("#download").bounding_box()["height"] >= 44


def test_versions_are_tabs_that_arrows_switch_and_links_without_a_script(open_page: Any, version: Any) -> None:
    page = open_page()
    page.goto(f"/{version.entry.owner.username}/{version.entry.slug}")
    tabs = page.get_by_role("tab")
    assert tabs.count() == 2
    assert page.get_by_role("tab", selected=True).inner_text().startswith("v2.0")
    assert page.get_by_role("tabpanel").get_attribute("aria-labelledby") == page.get_by_role("tab", selected=True).get_attribute("id")
    tabs.first.focus()
    with page.expect_navigation():
        page.keyboard.press("ArrowRight")
    assert page.get_by_role("tab", selected=True).inner_text().startswith("v1.0")
    assert page.evaluate("document.activeElement.innerText").startswith("v1.0")
    plain = open_page(java_script_enabled=False)
    plain.goto(f"/{version.entry.owner.username}/{version.entry.slug}")
    plain.get_by_role("link", name="v1.0").first.click()
    assert plain.locator('.releases [aria-current="page"] .which').inner_text() == "v1.0"


def test_a_wish_is_said_without_a_script_and_nothing_scrolls_sideways(open_page: Any, version: Any) -> None:
    page = open_page(java_script_enabled=False, viewport={"width": 320, "height": 700}, color_scheme="dark")
    page.goto(f"/{version.entry.owner.username}/{version.entry.slug}")
    page.locator(".wish > summary").click()
    page.get_by_label("GPU memory").select_option("8")
    page.get_by_label("I want to").select_option("pictures")
    page.get_by_role("button", name="Keep in this browser").click()
    page.locator(".wish[data-said] > summary").click()
    assert page.get_by_label("GPU memory").input_value() == "8"
    wide = open_page(viewport={"width": 320, "height": 700})
    wide.goto(f"/{version.entry.owner.username}/{version.entry.slug}")
    wide.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert wide.evaluate("document.documentElement.scrollWidth") <= 320
