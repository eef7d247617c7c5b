"""The search field in a real browser: the combobox by keyboard alone, and what is dropped on it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from registry.models import BlobHash
from tests.hub.published import published_file
from tests.hub.test_copies import safetensors
from tests.registry.test_search import published
from tests.toolimages import A1111, png

pytestmark = pytest.mark.django_db(transaction=True)

DROP = """([place, bytes, name, type]) => {
  const data = new DataTransfer();
  data.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], name, { type }));
  const send = (what) => place.dispatchEvent(new DragEvent(what, { dataTransfer: data, bubbles: true, cancelable: true }));
  send("dragover");
  send("drop");
}"""


def drop(page: Any, place: str, data: bytes, name: str, kind: str = "") -> None:
    page.evaluate(DROP, [page.query_selector(place), base64.b64encode(data).decode(), name, kind])


def test_the_combobox_by_keyboard(open_page: Callable[..., Any], creator: Any) -> None:
    published(creator, "Lantern one")
    published(creator, "Lantern two")
    page = open_page(viewport={"width": 320, "height": 700})
    page.goto("/about")
    page.keyboard.press("/")
    box, listed = page.get_by_role("combobox", name="Search models"), page.get_by_role("listbox", name="Suggestions")
    page.keyboard.type("lant")
    listed.wait_for()
    assert page.get_by_role("option").count() == 2
    assert (box.get_attribute("aria-expanded"), box.get_attribute("aria-activedescendant")) == ("true", None)
    page.keyboard.press("ArrowUp")
    last = page.get_by_role("option").last
    assert last.get_attribute("aria-selected") == "true"
    assert box.get_attribute("aria-activedescendant") == last.get_attribute("id")
    page.keyboard.press("ArrowDown")
    assert box.get_attribute("aria-activedescendant") is None
    page.keyboard.press("Escape")
    listed.wait_for(state="hidden")
    assert (box.input_value(), box.get_attribute("aria-expanded")) == ("lant", "false")
    page.keyboard.press("ArrowDown")
    listed.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/ada/lantern-*")


def test_dropped_weights_are_checked_and_not_sent(open_page: Callable[..., Any], creator: Any) -> None:
    data = safetensors(tool="kohya")
    lantern = published_file(creator, data, "lantern.safetensors")
    page = open_page()
    asked: list[Any] = []
    page.on("request", lambda request: asked.append(request))
    page.goto("/about")
    drop(page, "form.searchbox", data, "1702389001.safetensors")
    dialog = page.get_by_role("dialog")
    dialog.locator("[data-outcome=intact]").wait_for()
    assert lantern.version.entry.name in dialog.inner_text()
    dialog.get_by_role("button", name="Close").click()
    dialog.wait_for(state="detached")
    assert {request.method for request in asked} == {"GET"}
    page.goto(f"/verify?file={lantern.pk}")
    drop(page, "[data-drop]", data[:-9], "lantern.safetensors")
    page.locator("[data-outcome=cut-short]").wait_for()
    assert f"Truncated at byte {len(data) - 9} of {len(data)}" in page.locator("[data-result]").inner_text()
    drop(page, "[data-drop]", safetensors(tool="edited by hand"), "lantern.safetensors")
    page.locator("[data-outcome=same-tensors]").wait_for()
    drop(page, "[data-drop]", b"<!DOCTYPE html><p>Please sign in", "lantern.safetensors")
    page.locator("[data-outcome=not-weights]").wait_for()


def test_a_dropped_image_leads_to_its_models(open_page: Callable[..., Any], creator: Any) -> None:
    base = published(creator, "Seaside")
    BlobHash.objects.create(blob=base.files.get().blob, kind="SHA256", value="31E35C80FC" + "0" * 54)
    page = open_page()
    page.goto("/about")
    drop(page, "form.searchbox", png({"parameters": A1111}), "harbour.png", "image/png")
    page.wait_for_url("**/search/image")
    page.get_by_role("link", name="Seaside v1").wait_for()
    assert "fedcba987654" in page.inner_text("main")
