"""People's images in a real browser: attached without scripts, leafed through by keyboard, copied; nothing moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hub.web import imagepage
from registry.models import Version
from tests import toolimages
from tests.factories import UserFactory
from tests.hub.published import published_entry, published_version
from tests.imagerows import shown
from tests.intake import drain

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def version(creator: Any) -> Version:
    return published_version(published_entry(creator))


def test_images_are_attached_without_scripts(
    open_page: Callable[..., Any], sign_in: Callable[..., None], version: Version, creator: Any, complaints: list[str]
) -> None:
    page = open_page(java_script_enabled=False, viewport={"width": 320, "height": 700})
    sign_in(page, creator)
    page.goto(f"/ada/{version.entry.slug}")
    page.get_by_role("link", name="Attach images").click()
    data = toolimages.png({"parameters": toolimages.A1111}, size=(300, 200))
    page.locator("#id_images").set_input_files(
        [
            {"name": "shore.png", "mimeType": "image/png", "buffer": data},
            {"name": "x.svg", "mimeType": "image/svg+xml", "buffer": b"<svg/>"},
        ]
    )
    page.get_by_role("button", name="Attach").click()
    page.get_by_text("This is not a PNG, JPEG or WebP image.").wait_for()
    page.get_by_text("1 image is being checked.").wait_for()
    assert len(complaints) == 1, "the answer to the SVG"
    complaints.clear()
    assert drain() == 1
    page.goto(f"/model-versions/{version.pk}/images")
    page.get_by_role("link", name="shore.png").click()
    page.get_by_text("a lighthouse at dusk, (oil painting:1.2)").first.wait_for()
    assert page.get_by_role("button", name="Copy prompt").is_hidden()
    with page.expect_download() as saved:
        page.get_by_role("link", name="Original, PNG").click()
    assert saved.value.suggested_filename == "shore.png"
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_a_gallery_is_leafed_through_by_keyboard(open_page: Callable[..., Any], version: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagepage, "PAGE", 2)
    for number in range(3):
        said = toolimages.A1111.replace("a lighthouse", f"lighthouse {number}")
        shown(UserFactory(), version, toolimages.png({"parameters": said}, size=(600, 400)))
    page = open_page(viewport={"width": 1280, "height": 900}, permissions=["clipboard-read", "clipboard-write"])
    page.add_init_script(
        "window.shift = 0; new PerformanceObserver((list) => { for (const entry of list.getEntries()) window.shift += entry.value })"
        '.observe({ type: "layout-shift", buffered: true });'
    )
    page.goto(f"/models/{version.entry_id}/gallery")
    assert page.locator(".wall img").count() == 2
    page.get_by_role("link", name="More images").click()
    page.locator(".wall img").nth(2).wait_for()
    for place in range(3):
        image = page.locator(".wall img").nth(place)
        image.scroll_into_view_if_needed()
        loaded = "image => image.complete || new Promise((done) => image.addEventListener('load', () => done(true)))"
        assert image.evaluate(loaded) is True
        assert image.evaluate("image => image.naturalWidth") == 450
    assert page.evaluate("window.shift") <= 0.05
    page.locator(".wall a.shot").first.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("lighthouse 2 at dusk").first.wait_for()
    page.keyboard.press("ArrowRight")
    dialog.get_by_text("lighthouse 1 at dusk").first.wait_for()
    dialog.get_by_role("button", name="Copy all settings").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == toolimages.A1111.replace("a lighthouse", "lighthouse 1")
    page.keyboard.press("Escape")
    assert dialog.is_hidden()
