"""The pages as people meet them in a browser: without scripts, by keyboard, in the dark, on a narrow phone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from registry import catalog
from tests.factories import EntryFactory, FileFactory, VersionFactory

pytestmark = pytest.mark.django_db(transaction=True)


def published(count: int, **fields: Any) -> list[Any]:
    """Published models named `Lantern 00`, `Lantern 01`, ..., the last one newest."""
    entries = []
    for number in range(count):
        entry = EntryFactory(name=f"Lantern {number:02d}", slug=f"lantern-{number:02d}", **fields)
        file = FileFactory(version=VersionFactory(entry=entry))
        catalog.publish(file.version)
        entries.append(entry)
    return entries


def test_grid_filters_and_pages_without_javascript(open_page: Callable[..., Any]) -> None:
    published(30)
    published_lora = EntryFactory(name="Only LoRA", slug="only-lora", kind="lora")
    catalog.publish(FileFactory(version=VersionFactory(entry=published_lora)).version)
    page = open_page(java_script_enabled=False, viewport={"width": 1280, "height": 900})
    page.goto("/")
    assert page.locator(".card").count() == 24
    page.get_by_role("link", name="Load more").click()
    assert page.locator(".card").count() == 7
    page.goto("/")
    page.get_by_role("link", name="LoRA 1").click()
    assert page.locator(".card h2").all_inner_texts() == ["Only LoRA"]
    page.fill("#q", "nothing like this")
    page.press("#q", "Enter")
    page.get_by_role("heading", name="Nothing matches").wait_for()
    page.get_by_role("link", name="Search without filters").click()
    page.get_by_role("link", name="Show all models").click()
    assert page.locator(".card").count() == 24


def test_load_more_appends_each_model_once(open_page: Callable[..., Any]) -> None:
    published(30)
    page = open_page()
    page.goto("/?sort=name")
    page.get_by_role("link", name="Load more").click()
    page.locator(".card").nth(29).wait_for()
    names = page.locator(".card h2").all_text_contents()
    assert [name.strip() for name in names] == [f"Lantern {number:02d}" for number in range(30)]


def test_slash_focuses_the_search_box(open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.goto("/")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "q"
    assert page.input_value("#q") == ""


def test_dark_theme_is_chosen_remembered_and_dark(open_page: Callable[..., Any], tmp_path: Any) -> None:
    published(3)
    page = open_page(color_scheme="light")
    page.goto("/")
    light = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    page.get_by_role("button", name="Dark theme").click()
    page.goto("/about")
    assert page.locator("html").get_attribute("data-theme") == "dark"
    dark = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert dark != light
    page.goto("/")
    shot = page.screenshot(path=tmp_path / "dark.png")
    assert len(shot) > 10_000


@pytest.mark.parametrize("width", [320, 390])
def test_no_page_scrolls_sideways_on_a_phone(open_page: Callable[..., Any], sign_in: Callable[..., None], creator: Any, width: int) -> None:
    entry = EntryFactory(owner=creator, name="A" * 100, slug="long", description="B" * 300)
    file = FileFactory(version=VersionFactory(entry=entry, trigger_words=["C" * 150]), name="D" * 120 + ".safetensors")
    catalog.publish(file.version)
    page = open_page(viewport={"width": width, "height": 800})
    sign_in(page, creator)
    paths = ["/", "/ada/long", "/upload", f"/upload/{file.version_id}", f"/file/{file.pk}", f"/files/{file.pk}/scan"]
    for path in [*paths, "/account", "/account/tokens", "/my/models", "/about", "/about/scanning"]:
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_copy_button_copies_the_trigger_word(open_page: Callable[..., Any]) -> None:
    entry = EntryFactory(slug="copied")
    catalog.publish(FileFactory(version=VersionFactory(entry=entry, trigger_words=["paper lantern"])).version)
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto(f"/{entry.owner.username}/copied")
    page.get_by_role("button", name="paper lantern").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "paper lantern"


PAIRS = [(ink, ground) for ink in ("ink", "muted", "accent", "ok", "warn", "bad", "err") for ground in ("paper", "surface", "sunk")]
PAIRS += [("accent-ink", "accent"), ("accent", "accent-soft"), ("ok", "ok-soft"), ("warn", "warn-soft"), ("bad", "bad-soft")]
PAIRS += [
    ("err", "err-soft"),
    ("ink", "ok-soft"),
    ("ink", "warn-soft"),
    ("ink", "bad-soft"),
    ("ink", "err-soft"),
    ("muted", "ok-soft"),
    ("muted", "warn-soft"),
    ("muted", "bad-soft"),
    ("muted", "err-soft"),
]
MEASURE = """pairs => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const probe = document.body.appendChild(document.createElement("i"));
  const light = name => {
    probe.style.color = `var(--${name})`;
    canvas.fillStyle = getComputedStyle(probe).color;
    canvas.fillRect(0, 0, 1, 1);
    const parts = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map(v => v / 255);
    const [r, g, b] = parts.map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return pairs.map(([a, b]) => {
    const [x, y] = [light(a), light(b)];
    return [a, b, (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05)];
  });
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_pair_of_text_and_ground_has_contrast_aa(open_page: Callable[..., Any], theme: str) -> None:
    page = open_page(color_scheme=theme)
    page.goto("/about")
    measured = page.evaluate(MEASURE, PAIRS)
    assert len(measured) == len(PAIRS)
    assert [(ink, ground, round(ratio, 2)) for ink, ground, ratio in measured if ratio < 4.5] == []


def test_main_way_works_by_keyboard_with_a_visible_focus(open_page: Callable[..., Any]) -> None:
    published(2)
    page = open_page()
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Lantern 01").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/lantern-01")
    page.locator("#download").focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
