"""A moderator's way in a real browser: from the list to the report to the release, by keyboard, on a phone, without a word lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from registry.models import File
from scanner.models import Release
from tests.factories import VersionFactory
from tests.grey import suspicious_checkpoint
from tests.intake import drain, upload_path

pytestmark = pytest.mark.django_db(transaction=True)
NAMES = [f"acme_networks.blocks.Layer{number}" for number in range(20)]


@pytest.fixture
def held(creator: Any, tmp_path: Path) -> File:
    file = upload_path(VersionFactory(entry__owner=creator), creator, suspicious_checkpoint(tmp_path / "lantern.ckpt", *NAMES))
    drain()
    file.refresh_from_db()
    assert file.state == "quarantined"
    return file


def test_a_moderator_looks_and_releases_by_keyboard(
    open_page: Callable[..., Any], sign_in: Callable[[Any, Any], None], moderator: Any, held: File
) -> None:
    page = open_page()
    sign_in(page, moderator)
    page.goto("/")
    page.locator(".nav details.menu > summary").press("Enter")
    page.get_by_role("link", name="Moderation").press("Enter")
    page.get_by_role("link", name="Look at it").press("Enter")
    page.get_by_label("Why is it harmless?").fill("Read its source: the class only holds layers.")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Release these bytes for these names"
    page.keyboard.press("Enter")
    page.get_by_text("lantern.ckpt is released").wait_for()
    assert Release.objects.get().by == moderator


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_on_a_phone(
    open_page: Callable[..., Any], sign_in: Callable[[Any, Any], None], moderator: Any, held: File, scheme: str
) -> None:
    page = open_page(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    sign_in(page, moderator)
    for path in ("/moderation", f"/files/{held.pk}/scan"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        unnamed = page.evaluate(
            "[...document.querySelectorAll('main input:not([type=hidden]), main textarea')].filter(f => !f.labels.length).length"
        )
        assert unnamed == 0, path
