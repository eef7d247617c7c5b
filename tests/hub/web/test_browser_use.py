"""The section "Use it from..." in a real browser: by keyboard, without scripts, on small screens and in both themes."""

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


def test_one_program_is_open_at_a_time_and_keys_are_enough(open_page: Any, address: str) -> None:
    page = open_page()
    page.goto(address)
    use = page.locator("#use")
    assert use.locator("details[open] .program-name").all_inner_texts() == ["curl"]
    use.locator("summary", has_text="A1111").focus()
    page.keyboard.press("Enter")
    assert use.locator("details[open] .program-name").all_inner_texts() == ["A1111 and Forge"]
    assert use.locator("details[open] pre").last.inner_text() == f"<lora:{LONG}:0.8>, lantern light"


def test_a_line_is_copied_whole(open_page: Any, address: str) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto(address)
    program = page.locator("#use details[open]")
    program.locator("button").first.click()
    program.get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == program.locator("pre").first.inner_text()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1440])
def test_nothing_is_cut_off_in_either_theme(open_page: Any, address: str, theme: str, width: int) -> None:
    page = open_page(viewport={"width": width, "height": 900}, color_scheme=theme)
    page.goto(address)
    page.evaluate("document.querySelectorAll('#use details').forEach(one => { one.removeAttribute('name'); one.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    cut = "[...document.querySelectorAll('#use pre, #use summary')].filter(one => one.scrollWidth > one.clientWidth + 1).length"
    assert page.evaluate(cut) == 0
    photograph(page, f"{theme}-{width}")


def test_it_works_without_scripts_and_offers_no_button_then(open_page: Any, address: str) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(address)
    page.locator("#use summary", has_text="ComfyUI").click()
    assert page.locator("#use details[open] pre").first.is_visible()
    assert page.locator("#use [data-copy]:visible").count() == 0
