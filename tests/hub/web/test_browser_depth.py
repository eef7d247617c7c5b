"""What lies behind a model page, in Chromium: words that a click copies while nothing moves, a lineage that comes when it is reached."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inference.models import Merge, MergeInput
from registry.models import File
from tests.factories import FileFactory
from tests.hub.published import published_entry, published_version

pytestmark = pytest.mark.django_db(transaction=True)
SHIFTS = "new PerformanceObserver(list => { for (const e of list.getEntries()) window.shifted = (window.shifted || 0) + e.value; })"


@pytest.fixture
def blend(creator: Any) -> File:
    parent = FileFactory(version=published_version(published_entry(creator, name="Parent")))
    entry = published_entry(creator, name="Blend", slug="blend", description="Use `soft glow`.\n\n" + "More to read.\n\n" * 80)
    file: File = FileFactory(version=published_version(entry, trigger_words=["papr lntrn", "night"]))
    recipe = {"method": "weighted_sum", "multiplier": 0.4}
    merge = Merge.objects.create(owner=creator, recipe=recipe, state="made", result=file, file_name=file.name)
    MergeInput.objects.create(merge=merge, role="a", file=parent, sha256=parent.sha256, name=parent.name)
    return file


def test_words_are_copied_one_by_one_or_all_and_nothing_moves(open_page: Any, blend: File) -> None:
    page = open_page()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"/model-versions/{blend.version_id}")
    page.evaluate(f"{SHIFTS}.observe({json.dumps({'type': 'layout-shift'})})")
    words = page.get_by_role("region", name="Trigger words")
    for name, copied in (("soft glow Copy", "soft glow"), ("night Copy", "night")):
        words.get_by_role("button", name=name, exact=True).click()
        assert page.evaluate("navigator.clipboard.readText()") == copied
        words.get_by_role("button", name=f"{copied} Copied", exact=True).wait_for()
    words.get_by_role("button", name="Copy all").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("navigator.clipboard.readText()") == "papr lntrn, night"
    assert page.evaluate("window.shifted || 0") < 0.001  # the label of "Copy all" is as wide as "Copied" in few languages


def test_the_lineage_comes_when_it_is_reached(open_page: Any, blend: File) -> None:
    page = open_page()
    page.goto(f"/model-versions/{blend.version_id}")
    assert page.get_by_role("link", name="Parent v1").count() == 0
    page.locator("#lineage").scroll_into_view_if_needed()
    page.get_by_role("list", name="Made from Weighted sum 0.4").get_by_role("link", name="Parent v1").wait_for()
    assert page.get_by_text("60 %").is_visible()


def test_words_can_be_read_without_scripts(open_page: Any, blend: File) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(f"/model-versions/{blend.version_id}")
    words = page.get_by_role("region", name="Trigger words")
    assert words.get_by_text("papr lntrn").last.is_visible()
    assert page.get_by_role("link", name="What it was made from, what was made of it, and where the same weights are").is_visible()
