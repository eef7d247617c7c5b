"""The tensor panel and the questions in a real browser: found by typing, by links without scripts, answered where they are asked."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from registry import panel
from registry.models import Version
from tests.factories import BlobFactory, EntryFactory, FileFactory, VersionFactory
from tests.hub.web.test_tensor_pages import DETECTED, METADATA, TENSORS
from tests.intake import drain

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nothing_at_hand() -> None:
    panel.forget()


@pytest.fixture
def lora(creator: Any) -> Any:
    from safetensors.numpy import save

    from tests.hub.published import published_file

    return published_file(creator, save(TENSORS, METADATA), blob_detected=DETECTED)


def picture(page: Any, name: str) -> None:
    """A full-page picture in the folder that SCREENSHOTS names, for eyes; nothing without it."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def test_the_panel_comes_by_itself_and_finds_by_typing(open_page: Callable[..., Any], lora: Any) -> None:
    page = open_page(viewport={"width": 1280, "height": 900})
    from playwright.sync_api import expect

    rows = page.locator("#tensor-list tbody tr")
    page.goto(f"/file/{lora.pk}")
    page.locator("#tensor-panel").scroll_into_view_if_needed()
    expect(rows).to_have_count(100)
    picture(page, "file-light")
    page.get_by_role("link", name="Next 100").click()
    expect(rows).to_have_count(51)
    page.locator("#tensor-q").press_sequentially("down_14", delay=30)
    expect(rows).to_have_count(10)
    expect(page.locator("#tensor-q")).to_be_focused()
    page.get_by_role("link", name="Text encoder").click()
    expect(rows).to_have_count(1)
    assert page.locator("#tensor-q").input_value() == ""
    page.locator("#tensor-q").fill("down_14")
    expect(rows).to_have_count(0)
    page.get_by_role("link", name="Show all").click()
    expect(rows).to_have_count(100)
    assert page.url.endswith(f"/file/{lora.pk}")


def test_the_panel_needs_no_scripts(open_page: Callable[..., Any], lora: Any) -> None:
    page = open_page(java_script_enabled=False, viewport={"width": 1280, "height": 900})
    page.goto(f"/file/{lora.pk}")
    page.get_by_role("link", name="Names, shapes and types of its tensors").click()
    page.get_by_role("link", name="Next 100").click()
    assert page.locator("#tensor-list tbody tr").count() == 51
    page.fill("#tensor-q", "lora_te")
    page.get_by_role("button", name="Find").click()
    assert page.locator("#tensor-list tbody tr").count() == 1
    page.get_by_text("most frequent tags", exact=False).first.click()
    assert page.get_by_role("cell", name="paper lantern").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_nothing_scrolls_sideways(
    open_page: Callable[..., Any], sign_in: Callable[..., None], lora: Any, creator: Any, width: int, scheme: str
) -> None:
    page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    sign_in(page, creator)
    page.goto(f"/file/{lora.pk}/tensors?q=down_00")
    for fold in page.locator("details.unfold > summary").all():
        fold.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    picture(page, f"tensors-{width}-{scheme}")
    page.goto(f"/file/{lora.pk}")
    page.locator("section[aria-labelledby=detected] summary").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    picture(page, f"file-{width}-{scheme}")


@pytest.fixture
def contested(creator: Any) -> Version:
    version: Version = VersionFactory(entry=EntryFactory(owner=creator, name="Harbour Light", slug="harbour-light"))
    FileFactory(
        version=version, name="harbour.safetensors", blob=BlobFactory(detected={**DETECTED, "family": "SDXL", "base_model": "SDXL 1.0"})
    )
    return version


def test_a_creator_answers_and_then_publishes(
    open_page: Callable[..., Any], sign_in: Callable[..., None], contested: Version, creator: Any
) -> None:
    page = open_page(viewport={"width": 1280, "height": 900})
    sign_in(page, creator)
    page.goto(f"/upload/{contested.pk}")
    assert page.get_by_role("button", name="Publish Harbour Light").count() == 0
    picture(page, "questions-light")
    page.get_by_role("button", name="Change it to LoRA").click()
    page.get_by_text("Changed to what the tensors say.").wait_for()
    page.get_by_label("Or keep SD 1.5, because").fill("Its layers are mapped by hand.")
    page.get_by_role("button", name="Keep SD 1.5").click()
    page.get_by_text("Ready to publish").wait_for()
    page.get_by_role("button", name="Publish Harbour Light").click()
    page.wait_for_url("**/ada/harbour-light/**")
    page.context.clear_cookies()
    page.reload()
    assert "The creator keeps it: Its layers are mapped by hand." in page.locator("[data-contradiction]").inner_text()
    picture(page, "kept-light")


def test_words_half_typed_survive_the_work_going_on(
    open_page: Callable[..., Any], sign_in: Callable[..., None], contested: Version, creator: Any
) -> None:
    waiting = FileFactory(version=contested, name="b.safetensors", state="queued", blob=None)
    page = open_page(viewport={"width": 320, "height": 800}, color_scheme="dark")
    sign_in(page, creator)
    page.clock.install()
    page.goto(f"/upload/{contested.pk}")
    page.get_by_label("Or keep SD 1.5, because").press_sequentially("Mapped by")
    for _ in range(2):
        with page.expect_response("**/work?asked=*"):
            page.clock.fast_forward(10_000)  # ms after which the page asks without having heard of anything
    assert page.get_by_label("Or keep SD 1.5, because").input_value() == "Mapped by"
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    picture(page, "questions-320-dark")
    waiting.delete()


def test_a_question_appears_when_the_scan_has_told(
    open_page: Callable[..., Any], sign_in: Callable[..., None], creator: Any, tmp_path: Path
) -> None:
    from tests.intake import upload_path
    from tests.tiny import plain_checkpoint

    version = VersionFactory(entry=EntryFactory(owner=creator, kind="vae"), base_model="SDXL 1.0")
    upload_path(version, creator, plain_checkpoint(tmp_path / "a.ckpt"))
    page = open_page()
    sign_in(page, creator)
    page.goto(f"/upload/{version.pk}")
    assert page.locator("[data-question]").count() == 0
    drain()
    page.wait_for_selector("[data-question=kind]")
    page.get_by_role("button", name="Change it to SD 1.5").click()
    page.get_by_role("button", name="Change it to Checkpoint").click()
    page.get_by_text("Ready to publish").wait_for()
