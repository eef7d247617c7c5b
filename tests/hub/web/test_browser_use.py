"""The section "Where does it go?" in a real browser: by keyboard, without scripts, on small screens and in both themes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from registry.models import User
from tests.hub.published import published_entry, published_file, published_version

LONG = "a-very-long-name-of-a-file-that-no-small-screen-holds-in-one-line-" * 2


@pytest.fixture
def address(creator: User) -> str:
    entry = published_entry(creator, name="Paper Lanterns", kind="lora")
    version = published_version(entry, trigger_words=["lantern light"], weight=0.8)
    published_file(creator, b"weights", f"{LONG}.safetensors", version=version)
    return f"/{creator.username}/{entry.slug}"


def photograph(page: Any, name: str) -> None:
    """Kept for people to look at where WEIGH_SCREENSHOTS names a folder."""
    folder = os.environ.get("WEIGH_SCREENSHOTS")
    if folder:
        page.locator("#use").screenshot(path=Path(folder) / f"use-{name}.png")


OPEN_ALL = """document.querySelectorAll('#use details').forEach(one => { one.removeAttribute('name'); one.open = true });
document.querySelectorAll('#use .way').forEach(one => { one.style.display = 'grid' })"""


def test_arrows_choose_a_program_which_is_open_again_next_time(open_page: Any, address: str) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto(address)
    use = page.locator("#use")
    assert use.locator(".way:visible .path").inner_text() == "stable-diffusion-webui/models/Lora"
    use.get_by_role("radio", name="A1111").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert use.locator(".way:visible .path").inner_text() == "ComfyUI/models/loras"
    button = use.locator(".way:visible .command button").first
    button.click()
    use.get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == use.locator(".way:visible pre").first.inner_text()
    page.reload()
    assert use.get_by_role("radio", name="ComfyUI").is_checked()
    assert use.locator(".way:visible").count() == 1


@pytest.mark.parametrize(("theme", "width"), [("light", 320), ("dark", 1440)])
def test_nothing_is_cut_off(open_page: Any, address: str, theme: str, width: int) -> None:
    page = open_page(viewport={"width": width, "height": 900}, color_scheme=theme)
    page.goto(address)
    page.evaluate(OPEN_ALL)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    cut = "[...document.querySelectorAll('#use pre, #use summary, #use .path')].filter(one => one.scrollWidth > one.clientWidth + 1).length"
    assert page.evaluate(cut) == 0
    photograph(page, f"{theme}-{width}")


def test_it_works_without_scripts_and_offers_no_button_then(open_page: Any, address: str) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(address)
    page.locator("#use label", has_text="ComfyUI").click()
    assert page.locator("#use .way:visible .path").inner_text() == "ComfyUI/models/loras"
    page.locator("#use .terminal > summary").click()
    page.locator("#use .program > summary", has_text="wget").click()
    assert page.locator("#use details.program[open] pre").first.is_visible()
    assert page.locator("#use [data-copy]:visible").count() == 0
