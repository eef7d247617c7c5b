"""The veil over pictures in a real browser: there from the first frame, lifted by keyboard without a script, kept away for a session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from registry import catalog
from registry.models import Entry, Rating
from tests.pictures import published_weights, rendered, specs

pytestmark = pytest.mark.django_db(transaction=True)
BLURRED = "[...document.querySelectorAll('#previews img')].map(image => getComputedStyle(image).filter !== 'none')"


@pytest.fixture
def address(creator: Any) -> str:
    """Of a model rated R with two previews, for a member who wants those blurred."""
    file = published_weights(creator)
    rendered(file, specs(2, 64))
    catalog.change_entry(Entry.objects.get(pk=file.version.entry_id), rating=Rating.R)
    creator.max_rating, creator.blur_from = Rating.XXX, Rating.R
    creator.save()
    return f"/ada/{file.version.entry.slug}"


def test_the_veil_is_lifted_by_keyboard_and_for_a_session(open_page: Callable[..., Any], sign_in: Any, creator: Any, address: str) -> None:
    plain = open_page(java_script_enabled=False)
    sign_in(plain, creator)
    plain.goto(address)
    assert plain.evaluate(BLURRED) == [True, True]
    box = plain.get_by_role("checkbox", name="Show the picture, rated R").first
    box.focus()
    plain.keyboard.press("Space")
    assert plain.evaluate(BLURRED) == [False, True]
    plain.keyboard.press("Space")
    assert plain.evaluate(BLURRED) == [True, True]

    page = open_page()
    sign_in(page, creator)
    page.goto(address)
    assert page.evaluate(BLURRED) == [True, True]
    page.keyboard.press("b")
    assert page.evaluate(BLURRED) == [False, False]
    page.reload()
    page.wait_for_function("document.documentElement.classList.contains('unblurred')")
    assert page.evaluate(BLURRED) == [False, False]
    page.get_by_label("Search models").fill("b")
    assert page.evaluate(BLURRED) == [False, False], "a b that is typed is a letter"
    page.get_by_role("link", name="Weighhouse").first.focus()
    page.keyboard.press("b")
    assert page.evaluate(BLURRED) == [True, True]
