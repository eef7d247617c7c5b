"""The offer of variants and the report on one, in a real browser: readable on a phone, and asked for by a click."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference.models import Derivative
from registry import catalog
from registry.models import File
from tests import tiny
from tests.factories import EntryFactory, VersionFactory
from tests.intake import drain, upload_path

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_variant_is_asked_for_by_a_click_and_fits_a_phone(
    open_page: Callable[..., Any], sign_in: Callable[..., None], creator: Any, tmp_path: Path
) -> None:
    version: Any = VersionFactory(entry=EntryFactory(owner=creator))
    file = upload_path(version, creator, tiny.lightning_checkpoint(tmp_path / f"{'dream-' * 20}.ckpt"))
    drain()
    catalog.publish(version)
    small = File.objects.get(source=file, recipe__keep="weights")
    for scheme in ("light", "dark"):
        page = open_page(viewport={"width": 320, "height": 800}, color_scheme=scheme)
        sign_in(page, creator)
        for pk in (small.pk, file.pk):
            page.goto(f"/file/{pk}")
            for fold in page.locator("details.unfold > summary").all():
                fold.click()
            assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.locator("[data-recipe=weights-bf16]").get_by_role("button", name="Make it").click()
    page.get_by_text("is being made").wait_for()
    assert page.locator("[data-recipe=weights-bf16]").get_by_text("wanted").is_visible()
    assert Derivative.objects.get(source=file, recipe__precision="bf16").state == "wanted"
