"""Previews in a real browser: pictures that come while one looks, the dialog by keyboard, a phone, no scripts, one's own pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from inference.models import PreviewPlan, Render, RenderWorker, Shot
from tests.pictures import picture_of, published_weights, renderable_weights, rendered, specs, strengths

pytestmark = pytest.mark.django_db(transaction=True)


def planned(render: Render) -> Render:
    PreviewPlan.objects.create(version=render.version, render=render, digest="d", renderer="1", planned_at=timezone.now())
    return render


@pytest.fixture(autouse=True)
def worker(transactional_db: None) -> None:
    RenderWorker.objects.create(name="one", device="cpu", largest_weights=10**9, seen_at=timezone.now())


def test_pictures_come_while_one_looks(open_page: Callable[..., Any], creator: Any) -> None:
    file = published_weights(creator)
    render = planned(rendered(file, specs(3, 64), done=1))
    page = open_page(viewport={"width": 1280, "height": 900})
    page.goto(f"/ada/{file.version.entry.slug}")
    assert page.locator("#previews a.shot").count() == 1
    assert page.locator("#previews .coming").count() == 2
    assert page.get_by_text("1 of 3 pictures, step 20 of 60").is_visible()
    shot = render.shots.get(place=1)
    Shot.objects.filter(pk=shot.pk).update(picture=picture_of(specs(3, 64)[1], colour=(20, 90, 200)))
    Render.objects.update(steps_done=45)
    page.locator("#previews a.shot").nth(1).wait_for()
    page.get_by_text("2 of 3 pictures, step 45 of 60").wait_for()
    assert page.get_by_role("progressbar", name="Previews").get_attribute("aria-valuenow") == "75"
    last = render.shots.get(place=2)
    Shot.objects.filter(pk=last.pk).update(picture=picture_of(specs(3, 64)[2], colour=(120, 10, 20)))
    Render.objects.update(state="made", steps_done=60)
    page.locator("#previews[data-state=made] a.shot").nth(2).wait_for()
    assert page.get_by_role("progressbar").count() == 0
    loaded = "[...document.querySelectorAll('#previews img')].every(image => image.complete && image.naturalWidth > 0)"
    page.wait_for_function(loaded)


def test_a_picture_opens_over_its_gallery_and_keys_turn_the_pages(open_page: Callable[..., Any], creator: Any) -> None:
    file = published_weights(creator)
    planned(rendered(file, specs(3, 64)))
    page = open_page(viewport={"width": 1280, "height": 900}, permissions=["clipboard-read", "clipboard-write"])
    page.goto(f"/ada/{file.version.entry.slug}")
    page.get_by_role("link", name="a red circle").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="A picture and how it was made")
    dialog.get_by_text("DPM++ 2M, Karras").wait_for()
    page.keyboard.press("ArrowRight")
    dialog.get_by_role("paragraph").filter(has_text="a blue square on white").first.wait_for()
    dialog.get_by_role("button", name="Copy all for A1111").click()
    dialog.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()").startswith("a blue square on white\nSteps: 20, Sampler: DPM++ 2M")
    page.keyboard.press("ArrowLeft")
    dialog.get_by_role("paragraph").filter(has_text="a red circle").first.wait_for()
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    assert page.evaluate("document.activeElement.querySelector('img').alt") == "a red circle"
    assert page.url.endswith(file.version.entry.slug)


def test_without_scripts_a_picture_is_a_page(open_page: Callable[..., Any], creator: Any) -> None:
    file = published_weights(creator)
    planned(rendered(file, specs(3, 64)))
    page = open_page(java_script_enabled=False)
    page.goto(f"/ada/{file.version.entry.slug}")
    page.get_by_role("link", name="a red circle").click()
    page.wait_for_url("**/picture/*")
    page.get_by_role("link", name="Next").click()
    assert page.locator(".how .said").first.inner_text() == "a blue square on white"
    assert not page.get_by_role("button", name="Copy").count(), "a button that does nothing without a script"


def test_without_scripts_a_render_is_looked_at_again_by_hand(
    open_page: Callable[..., Any], sign_in: Callable[..., None], creator: Any
) -> None:
    render = rendered(published_weights(creator), specs(2, 64), done=1, purpose="txt2img")
    page = open_page(java_script_enabled=False)
    sign_in(page, creator)
    page.goto(f"/renders/{render.pk}")
    assert page.locator(".shot img").count() == 1
    shot = render.shots.get(place=1)
    Shot.objects.filter(pk=shot.pk).update(picture=render.shots.get(place=0).picture)
    Render.objects.filter(pk=render.pk).update(state="made")
    page.get_by_role("link", name="Look again").click()
    assert page.locator(".shot img").count() == 2
    assert not page.get_by_role("link", name="Look again").count()


def test_of_a_long_comparison_three_rows_are_shown_until_all_are_asked_for(open_page: Callable[..., Any], creator: Any) -> None:
    """Without scripts, by keyboard; and an address that leads to a later row shows it."""
    lora = published_weights(creator, kind="lora")
    render = planned(rendered(lora, strengths(5, 64), labels=("strength 0", "strength 0.5", "strength 1"), base=published_weights(creator)))
    page = open_page(java_script_enabled=False)
    page.goto(f"/models/{lora.version.entry_id}")
    rows = page.locator(".compared tbody tr")
    assert [row.is_visible() for row in rows.all()] == [True] * 3 + [False] * 2
    page.get_by_role("checkbox", name="Show all 5 rows").press("Space")
    assert [row.is_visible() for row in rows.all()] == [True] * 5
    page.goto(f"/models/{lora.version.entry_id}?again=1#shot-{render.shots.last().pk}")
    assert rows.last.is_visible()


def test_galleries_and_recipes_fit_a_phone(open_page: Callable[..., Any], sign_in: Callable[..., None], creator: Any) -> None:
    long = "word" * 60
    lora = published_weights(creator, kind="lora")
    render = planned(rendered(lora, strengths(2, 64), labels=("strength 0", "strength 0.5", "strength 1"), base=published_weights(creator)))
    first = render.shots.first()
    Shot.objects.filter(pk=first.pk).update(spec={**first.spec, "prompt": long, "negative_prompt": long})
    mine = rendered(lora, specs(3, 64), purpose="txt2img", recipe={"prompt": long, "notes": [long]})
    page = open_page(viewport={"width": 320, "height": 700}, color_scheme="dark")
    sign_in(page, creator)
    version = f"/model-versions/{lora.version_id}"
    for path in (f"/ada/{lora.version.entry.slug}", f"/picture/{first.pk}", f"/renders/{mine.pk}", "/my/pictures", f"{version}/try"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
    page.goto(f"{version}/previews/settings")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.goto(f"/ada/{lora.version.entry.slug}")
    page.locator("a.shot").first.click()
    dialog = page.locator("dialog[open]")
    dialog.wait_for()
    assert dialog.evaluate("dialog => dialog.scrollWidth <= dialog.clientWidth")
    assert page.locator("a.shot").nth(1).bounding_box()["width"] > 80


def test_ones_own_pictures_are_asked_for_and_watched_on_the_page(
    open_page: Callable[..., Any], sign_in: Callable[..., None], creator: Any, stranger: Any
) -> None:
    file = renderable_weights(creator)
    page = open_page(viewport={"width": 1280, "height": 900})
    sign_in(page, stranger)
    page.goto(f"/ada/{file.version.entry.slug}")
    page.get_by_role("heading", name="Try it").click()
    page.get_by_label("Prompt optional", exact=True).fill("a fox in the snow")
    page.get_by_text("Negative prompt, sampler, size").click()
    page.get_by_label("Steps").fill("4000")
    page.get_by_role("button", name="Make pictures").click()
    page.get_by_text("Steps must be a whole number from 1 to 100; this asks for 4000.").wait_for()
    page.get_by_label("Steps").fill("4")
    page.get_by_role("button", name="Make pictures").click()
    part = page.locator("#tried section[data-state=wanted]")
    part.wait_for()
    assert part.get_by_text("number 1 in the queue").is_visible()
    render = Render.objects.get()
    assert (render.owner, render.shots.get().spec["prompt"]) == (stranger, "a fox in the snow")
    Shot.objects.update(picture=picture_of(specs(1, 64)[0]))
    Render.objects.update(state="made", steps_done=4)
    page.locator("#tried section[data-state=made] a.shot img").wait_for()
    page.wait_for_function("document.querySelector('#tried img').naturalWidth > 0")
