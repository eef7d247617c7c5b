"""The ten main jobs by keyboard alone, in a real Chromium: every control is reached by Tab, its focus can be seen, and Enter or Space does
it. Each width and theme takes its turn; the first two jobs are also done without scripts. Nothing here knows how a page is built inside.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from registry import catalog
from registry.models import Entry, Version
from tests.intake import drain
from tests.merges import checkpoint
from tests.pictures import rendered, specs
from tests.tiny import lightning_checkpoint

pytestmark = pytest.mark.django_db(transaction=True)

SIZES = {"phone": (320, 640), "tablet": (768, 1024), "desktop": (1440, 900)}
LOOKS = [("phone", "dark"), ("tablet", "light"), ("desktop", "dark")]
FARTHEST = 160
"""Tabs that a control may be away."""
ROW = 10
REACHED = """one => {
  const reached = () => one === document.activeElement || one.contains(document.activeElement);
  removeEventListener("keydown", window.stay, true);
  window.stay = event => event.key === "Tab" && reached() && event.preventDefault();
  if (!reached()) addEventListener("keydown", window.stay, true);
  return reached();
}"""
SEEN = """() => {
  const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
  const ringed = [one, one.closest("li, label, .field, form, div")].filter(Boolean).some(each => {
    const shown = getComputedStyle(each.matches("input.sr-only") ? each.labels[0] : each);
    return (shown.outlineStyle !== "none" && parseFloat(shown.outlineWidth) > 0) || shown.boxShadow !== "none";
  });
  return ringed && style.visibility === "visible" && box.bottom > 0 && box.top < innerHeight;
}"""


def reach(page: Any, control: Any) -> None:
    """Tab until `control` has the focus, which must be seen. Tabs come in rows: once it is reached, the rest of them do nothing."""
    control.first.wait_for(state="attached")
    for _ in range(FARTHEST // ROW + 1):
        if control.first.evaluate(REACHED):
            assert page.evaluate(SEEN), f"the focus on {control} cannot be seen"
            return
        for _ in range(ROW):
            page.keyboard.press("Tab")
    raise AssertionError(f"{control} is not reached by Tab")


def press(page: Any, control: Any, key: str = "Enter") -> None:
    reach(page, control)
    page.keyboard.press(key)


def write(page: Any, control: Any, text: str) -> None:
    reach(page, control)
    page.keyboard.press("Control+a")
    page.keyboard.type(text)


@pytest.fixture
def models(creator: Any, tmp_path: Path) -> list[Any]:
    """Two checkpoints with pictures of the same prompt and seed, the first with a trigger word."""
    files = [
        checkpoint(creator, tmp_path / f"{name}.safetensors", published=False, name=name.title(), slug=name) for name in ("amber", "basalt")
    ]
    Version.objects.filter(pk=files[0].version_id).update(trigger_words=["paper lantern"])
    for file in files:
        catalog.publish(Version.objects.select_related("entry__owner").get(pk=file.version_id))
        rendered(file, specs(1, 64))
    return files


@pytest.fixture(params=LOOKS, ids=[f"{size}-{theme}" for size, theme in LOOKS])
def look(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Options of a browser's context."""
    size, theme = request.param
    width, height = SIZES[size]
    return {"viewport": {"width": width, "height": height}, "color_scheme": theme, "permissions": ["clipboard-read", "clipboard-write"]}


def test_find_search_copy_and_download(open_page: Callable[..., Any], models: list[Any], look: dict[str, Any]) -> None:
    """Jobs 1 to 5: narrow the list, search, take the words, learn where the file goes, download it."""
    page = open_page(**look)
    page.goto("/")
    if look["viewport"]["width"] < 1000:
        press(page, page.locator(".filters > summary"))
    press(page, page.locator("#results").get_by_role("link", name="Checkpoint"))
    page.wait_for_url("**kind=checkpoint**")
    page.goto("/")
    page.keyboard.press("/")
    page.keyboard.type("amber")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=amber**")
    press(page, page.locator("#cards").get_by_role("link", name="Amber"))
    page.wait_for_url("**/ada/amber")
    press(page, page.locator(".chip[data-copy='paper lantern']:visible"))
    page.get_by_text("Copied", exact=True).first.wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "paper lantern"
    reach(page, page.locator("#use input[name=program]:checked"))
    page.keyboard.press("ArrowRight")
    page.locator("#use [data-way=forge]").get_by_text("models/Stable-diffusion").first.wait_for()
    page.reload()
    reach(page, page.locator("#download"))
    with page.expect_download() as started:
        page.keyboard.press("Enter")
    assert started.value.suggested_filename == "amber.safetensors"


def test_narrowing_and_searching_need_no_scripts(open_page: Callable[..., Any], models: list[Any]) -> None:
    page = open_page(java_script_enabled=False)
    page.goto("/?kind=checkpoint&tag=none-such")
    page.get_by_role("heading", level=2, name="Nothing").wait_for()
    page.goto("/")
    page.locator(".filters").get_by_role("link", name="Checkpoint").first.click()
    assert "kind=checkpoint" in page.url
    page.fill("#q", "basalt")
    page.press("#q", "Enter")
    assert [text.strip() for text in page.locator("#cards h2").all_inner_texts()] == ["Basalt"]


def test_compare_two_models(open_page: Callable[..., Any], models: list[Any]) -> None:
    """Job 6: ticks on two cards, the tray, the page, the slider's handle."""
    page = open_page(viewport={"width": 768, "height": 1024})
    page.goto("/")
    for file in models:
        press(page, page.locator(f"[data-compare='{file.version_id}']"), "Space")
    press(page, page.locator("#compare-tray").get_by_role("link", name="Compare"))
    page.wait_for_url("**/compare?**")
    press(page, page.get_by_role("button", name="Slider"))
    handle = page.locator("input[type=range]:visible")
    reach(page, handle)
    before = handle.first.input_value()
    page.keyboard.press("ArrowRight")
    assert handle.first.input_value() != before


def test_merge_two_models(open_page: Callable[..., Any], sign_in: Callable[..., None], creator: Any, models: list[Any]) -> None:
    """Job 7: from a model's page to a finished merge in a draft."""
    page = open_page(viewport={"width": 320, "height": 640}, color_scheme="dark")
    sign_in(page, creator)
    page.goto("/ada/amber")
    press(page, page.get_by_role("link", name="Merge it"))
    page.wait_for_url("**/merge?**")
    write(page, page.get_by_label("Find by the name of its model").nth(1), "basalt")
    press(page, page.get_by_role("button", name="Find").nth(1))
    choice = page.get_by_role("radio", name="Basalt")
    choice.first.wait_for(state="attached")
    reach(page, choice)
    page.keyboard.press("Space")
    write(page, page.get_by_label("Name of the new model"), "Breccia")
    press(page, page.get_by_role("button", name="Merge", exact=True))
    page.wait_for_url("**/my/merges/**")
    drain()
    page.reload()
    made = Entry.objects.get(name="Breccia")
    assert not made.live
    page.get_by_role("link", name="Open the draft").wait_for()


def test_upload_and_publish(open_page: Callable[..., Any], sign_in: Callable[..., None], creator: Any, tmp_path: Path) -> None:
    """Job 8. The browser's own dialog for files is no page of ours: the file is handed to it."""
    page = open_page(viewport={"width": 1440, "height": 900})
    sign_in(page, creator)
    page.goto("/upload")
    write(page, page.get_by_label("Name", exact=True), "Chalk")
    write(page, page.get_by_label("Base model"), "SD 1.5")
    press(page, page.get_by_role("button", name="Continue to the files"))
    page.wait_for_url("**/upload/*")
    with page.expect_file_chooser() as asked:
        press(page, page.get_by_role("button", name="choose files"))
    asked.value.set_files(lightning_checkpoint(tmp_path / "chalk.ckpt"))
    page.locator("#work article[data-file]").first.wait_for()
    drain()
    page.reload()
    press(page, page.get_by_role("button", name="Publish"))
    page.wait_for_url("**/ada/chalk**")
    assert Entry.objects.get(name="Chalk").live


def test_review_report_and_keep(open_page: Callable[..., Any], sign_in: Callable[..., None], stranger: Any, models: list[Any]) -> None:
    """Jobs 9 and 10: say what one thinks of a model, say what is wrong with it, keep it."""
    page = open_page(viewport={"width": 320, "height": 640})
    sign_in(page, stranger)
    page.goto(f"/model-versions/{models[0].version_id}/reviews")
    reach(page, page.get_by_role("radio").first)
    page.keyboard.press("Space")
    write(page, page.locator("main textarea").first, "It keeps its colours.")
    press(page, page.get_by_role("button", name="Send my review"))
    page.get_by_text("It keeps its colours.").first.wait_for()
    page.goto("/ada/amber")
    press(page, page.get_by_role("button", name="Follow"))
    page.get_by_role("button", name="Following").wait_for()
    press(page, page.get_by_role("link", name="Report this model"))
    page.wait_for_url("**/report/**")
    reach(page, page.get_by_role("radio").first)
    page.keyboard.press("Space")
    press(page, page.get_by_role("button", name="Send the report"))
    page.get_by_text("A moderator will look at it").wait_for()
