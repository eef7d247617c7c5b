"""Previews on pages: what visitors and owners see in every condition, recipes, settings, and asking for pictures of one's own."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from inference.diffusion.jobs import Shot as Spec
from inference.models import PreviewPlan, PreviewSettings, Purpose, Render, RenderWorker
from registry import catalog, facts
from registry.models import Entry, File
from tests.hub.web.visitors import signed_in
from tests.pictures import drafted_weights, published_weights, renderable_weights, rendered, specs, strengths

pytestmark = pytest.mark.django_db


def planned(render: Render | None = None, file: File | None = None, code: str = "", sentence: str = "") -> Render | None:
    """What the planner would have written down of this render, or of why there is none."""
    version = render.version if render else file.version  # type: ignore[union-attr]
    PreviewPlan.objects.create(
        version=version, render=render, digest="d", renderer="1", code=code, sentence=sentence, planned_at=timezone.now()
    )
    return render


def worker(**fields: Any) -> None:
    RenderWorker.objects.create(**{"name": "one", "device": "cpu", "largest_weights": 10**9, "seen_at": timezone.now(), **fields})


def page(client: Client, file: File, status: int = 200) -> str:
    answer = client.get(f"/{file.version.entry.owner.username}/{file.version.entry.slug}")
    assert answer.status_code == status
    return answer.content.decode()


def test_six_pictures_stand_in_place_of_the_drawn_banner(client: Client, creator: Any) -> None:
    file = published_weights(creator)
    assert 'class="banner"' in page(client, file)
    render = planned(rendered(file, specs(6, 128)))
    text = page(client, file)
    assert 'class="banner"' not in text
    assert text.count("data-lightbox") == 6
    shot = render.shots.get(place=1)
    assert f'href="/picture/{shot.pk}"' in text
    assert f'src="/pictures/{shot.picture.sha256}/original=true/' in text
    assert 'alt="a blue square on white" width="128" height="128"' in text
    assert "hx-get" not in text.partition('id="previews"')[2].partition("</section>")[0]
    assert "Render again" not in text, "only its owner does that"
    assert "Render again" in page(signed_in(creator), file)


def test_an_add_on_is_a_table_of_prompts_by_strength(client: Client, creator: Any) -> None:
    file = published_weights(creator, kind="lora")
    labels = ("strength 0", "strength 0.5", "strength 1")
    planned(rendered(file, strengths(2, 64), labels=labels, base=published_weights(creator)))
    text = page(client, file)
    assert text.count('scope="row"') == 2
    assert [f">{label.capitalize()}</th>" in text for label in labels] == [True] * 3
    assert 'alt="strength 0.5: a red circle"' in text


def test_while_they_are_rendered_pictures_come_one_by_one(client: Client, creator: Any) -> None:
    worker()
    file = published_weights(creator)
    planned(rendered(file, specs(6, 64), done=2, note="batch 1 of 2"))
    text = page(client, file)
    assert "<strong>Rendering previews:</strong> 2 of 6 pictures, step 40 of 120" in text
    assert "(batch 1 of 2)" in text
    assert text.count("data-lightbox") == 2
    assert text.count("Still to come: ") == 4
    assert 'aria-valuenow="33"' in text
    assert 'hx-trigger="every 2s"' in text
    address = text.partition('hx-get="/model-versions/')[2].partition('"')[0].replace("&amp;", "&")
    assert client.get(f"/model-versions/{address}").status_code == 204, "nothing new is not sent again"
    Render.objects.update(steps_done=60)
    assert "step 60 of 120" in client.get(f"/model-versions/{address}").content.decode()


@pytest.mark.parametrize(
    ("state", "fields", "visitor", "owner"),
    [
        ("wanted", {}, "Number 1 in the queue.", "Number 1 in the queue."),
        ("wanted", {"weight_bytes": 2 * 10**9}, "No worker here can render 2.0 GB", "it waits for one with a GPU."),
        ("failed", {"error": "The worker died 3 times.", "error_code": "work:gave-up"}, "", "The worker died 3 times."),
        ("cancelled", {}, "", "These previews were cancelled."),
    ],
)
def test_what_they_wait_for_is_said(client: Client, creator: Any, state: str, fields: dict[str, Any], visitor: str, owner: str) -> None:
    worker()
    file = published_weights(creator)
    planned(rendered(file, specs(6, 64), done=0, state=state, **fields))
    text, own = page(client, file), page(signed_in(creator), file)
    assert ("data-previews" in text) == bool(visitor)
    assert visitor in text
    assert owner in own
    assert 'class="banner"' in text


def test_an_add_on_without_a_base_says_so_to_its_owner(client: Client, creator: Any) -> None:
    file = published_weights(creator, kind="lora")
    planned(file=file, code="preview:no-base", sentence="There is no base of the family SD 1.x to render it on: its owner can name one.")
    assert "There is no base" in page(signed_in(creator), file)
    assert "There is no base" not in page(client, file)


def test_pictures_of_weights_that_are_not_offered_any_more_are_gone(client: Client, creator: Any) -> None:
    file = published_weights(creator)
    planned(rendered(file, specs(2, 64)))
    File.objects.filter(pk=file.pk).update(state="danger")
    assert "data-lightbox" not in page(client, file)


def test_a_recipe_is_a_page_that_can_be_copied_and_made_again(client: Client, creator: Any, stranger: Any) -> None:
    base = drafted_weights(creator)
    file = published_weights(creator, kind="lora", name="Ink <b>Wash</b>")
    render = rendered(file, strengths(1, 64), labels=("strength 0", "strength 0.5", "strength 1"), base=base)
    rows = [{"role": "checkpoint", "name": "secret", "sha256": "ab" * 32}, {"role": "lora", "name": "ink", "sha256": "cd" * 32}]
    Render.objects.filter(pk=render.pk).update(files=rows)
    first, half, whole = render.shots.all()
    text = client.get(f"/picture/{half.pk}").content.decode()
    assert "<!doctype html>" in text
    assert "Ink &lt;b&gt;Wash&lt;/b&gt;" in text
    assert f'src="/pictures/{half.picture.sha256}/original=true/' in text
    assert "a red circle\nSteps: 20, Sampler: DPM++ 2M" in text
    assert "ink at 0.5" in text
    assert "cd" * 32 in text
    assert ("ab" * 5 in text, "ab" * 32 in text) == (True, False), "the base is a draft: no more of it than the picture tells"
    assert "ab" * 32 in signed_in(creator).get(f"/picture/{half.pk}").content.decode()
    assert [f'href="/picture/{shot.pk}" rel="{rel}"' in text for shot, rel in ((first, "prev"), (whole, "next"))] == [True, True]
    assert "Make one like it" not in text
    part = client.get(f"/picture/{half.pk}", headers={"HX-Request": "true"}).content.decode()
    assert "<!doctype html>" not in part
    assert "ink at 0.5" in part
    like = signed_in(stranger).get(f"/model-versions/{file.version_id}/try?like={half.pk}").content.decode()
    assert 'name="seed" value="100"' in like
    assert 'name="strength" value="0.5"' in like


@pytest.mark.parametrize("condition", ["public", "private", "draft", "withdrawn", "sealed", "switched off", "above the limit", "asked"])
def test_who_sees_a_recipe(client: Client, creator: Any, stranger: Any, moderator: Any, condition: str) -> None:
    file = drafted_weights(creator) if condition == "draft" else published_weights(creator)
    asked = condition == "asked"
    render = rendered(file, specs(1, 64), owner=stranger if asked else creator, purpose=Purpose.TXT2IMG if asked else Purpose.PREVIEW)
    if condition == "private":
        Entry.objects.filter(pk=file.version.entry_id).update(visibility="private")
    if condition == "above the limit":
        Entry.objects.filter(pk=file.version.entry_id).update(rating=16)
    if condition == "withdrawn":
        catalog.withdraw(file.version, "wrong")
    if condition == "sealed":
        File.objects.filter(pk=file.pk).update(state="quarantined")
    if condition == "switched off":
        PreviewSettings.objects.create(version=file.version, enabled=False)
    open_to = {"public": 4, "above the limit": 4, "asked": 2}.get(condition, 2)
    people = {"asked": [stranger, moderator, creator, None]}.get(condition, [creator, moderator, stranger, None])
    for number, user in enumerate(people):
        browser = signed_in(user) if user else client
        answer = browser.get(f"/picture/{render.shots.get().pk}")
        assert answer.status_code == (200 if number < open_to else 404), user
        hidden = condition == "above the limit" and number >= 2
        assert (render.shots.get().picture.sha256 in answer.content.decode()) == (number < open_to and not hidden)
        own = browser.get(f"/renders/{render.pk}")
        assert own.status_code == ((200 if asked else 302) if number < open_to else 404), user


def test_settings_are_kept_and_mistakes_said_beside_their_field(creator: Any, settings: Any) -> None:
    file = renderable_weights(creator)
    client, address = signed_in(creator), f"/model-versions/{file.version_id}/previews/settings"
    text = client.get(address).content.decode()
    assert "portrait of an old fisherman" in text
    assert 'name="base"' not in text, "a checkpoint is rendered by itself"
    wrong = client.post(address, {"enabled": "on", "prompts": "\n".join(f"prompt {n}" for n in range(13))})
    assert wrong.status_code == 400
    assert "At most 12 prompts are rendered for a version; these are 13." in wrong.content.decode()
    assert "prompt 12" in wrong.content.decode(), "nothing that was typed is lost"
    assert not PreviewSettings.objects.exists()
    answer = client.post(
        address, {"enabled": "on", "prompts": "a fox\n\n a hare ", "negative_prompt": "blurry", "prediction": "v_prediction"}
    )
    assert answer.status_code == 302
    kept = PreviewSettings.objects.get()
    assert (kept.prompts, kept.negative_prompt, kept.prediction, kept.enabled) == (["a fox", "a hare"], "blurry", "v_prediction", True)
    client.post(address, {"prompts": ""})
    assert not PreviewSettings.objects.get().enabled


def test_an_add_ons_base_is_chosen_among_checkpoints_that_may_be_read(creator: Any, stranger: Any) -> None:
    theirs = renderable_weights(stranger, name="Lamplight")
    hidden = renderable_weights(stranger, name="Hidden", visibility="private")
    file = renderable_weights(creator, kind="lora")
    client, address = signed_in(creator), f"/model-versions/{file.version_id}/previews/settings"
    text = client.get(address).content.decode()
    assert f'<option value="{theirs.version_id}">Lamplight' in text
    assert "Hidden" not in text
    assert client.post(address, {"enabled": "on", "base": str(hidden.version_id)}).status_code == 400
    assert client.post(address, {"enabled": "on", "base": str(theirs.version_id)}).status_code == 302
    assert PreviewSettings.objects.get().base_id == theirs.version_id


def test_owners_render_again_and_cancel_and_others_do_not(client: Client, creator: Any, stranger: Any) -> None:
    worker()
    file = renderable_weights(creator)
    base, mine = f"/model-versions/{file.version_id}/previews", signed_in(creator)
    for path in ("again", "cancel"):
        assert client.post(f"{base}/{path}").status_code == 302
        assert signed_in(stranger).post(f"{base}/{path}").status_code == 403
    assert not Render.objects.exists()
    assert "The previews are in the queue." in mine.post(f"{base}/again", follow=True).content.decode()
    assert Render.objects.get().state == "wanted"
    assert "The previews are cancelled." in mine.post(f"{base}/cancel", follow=True).content.decode()
    assert "there is nothing to cancel" in mine.post(f"{base}/cancel", follow=True).content.decode()
    mine.post(f"{base}/again")
    assert list(Render.objects.values_list("state", flat=True)) == ["wanted"]
    Render.objects.filter(state="wanted").update(state="failed", error="It died.")
    mine.post(f"{base}/again")
    assert Render.objects.filter(state="wanted", error="").count() == 1


def test_pictures_are_asked_for_on_the_page_and_belong_to_who_asked(client: Client, creator: Any, stranger: Any) -> None:
    file = renderable_weights(creator)
    address = f"/model-versions/{file.version_id}/try"
    assert "Try it" not in page(client, file)
    assert client.get(address).status_code == 302
    eve = signed_in(stranger)
    assert "Try it" in page(eve, file)
    wrong = eve.post(address, {"prompt": "a fox", "count": "1", "steps": "0"})
    assert wrong.status_code == 400
    assert "Steps must be a whole number from 1 to 100; this asks for 0." in wrong.content.decode()
    assert "a fox" in wrong.content.decode()
    part = eve.post(address, {"prompt": "a", "count": "1", "width": "4096", "height": "4096"}, headers={"HX-Request": "true"})
    assert (part.status_code, "4096x4096" in part.content.decode(), "<form" in part.content.decode()) == (200, True, False)
    asked = eve.post(address, {"prompt": "a fox", "count": "2", "seed": "5", "width": "128", "height": "192", "sampler_name": "Euler a"})
    render = Render.objects.get()
    assert asked["Location"] == f"/renders/{render.pk}"
    spec = render.shots.get(place=1).spec
    assert [spec[name] for name in ("prompt", "seed", "width", "height", "sampler", "steps")] == ["a fox", 6, 128, 192, "Euler a", 20]
    text = eve.get(f"/renders/{render.pk}").content.decode()
    assert "No render worker is running here; it waits for one." in text
    assert 'hx-trigger="every 1500ms"' in text
    for other in (client, signed_in(creator)):
        assert other.get(f"/renders/{render.pk}").status_code == 404
        assert other.post(f"/renders/{render.pk}/cancel").status_code in {302, 404}
    render.refresh_from_db()
    assert render.state == "wanted"
    assert "a fox" in eve.get("/my/pictures").content.decode()
    assert "a fox" not in signed_in(creator).get("/my/pictures").content.decode()
    assert "Cancelled." in eve.post(f"/renders/{render.pk}/cancel", follow=True).content.decode()
    Render.objects.update(state="failed", error="It <b>died</b>.")
    assert "It &lt;b&gt;died&lt;/b&gt;." in eve.get("/my/pictures").content.decode()
    assert "In the queue again." in eve.post(f"/renders/{render.pk}/retry", follow=True).content.decode()


def test_the_strength_of_an_add_on_is_asked_for_with_it(creator: Any) -> None:
    base = renderable_weights(creator)
    file = renderable_weights(creator, kind="lora")
    PreviewSettings.objects.create(version=file.version, base=base.version)
    client = signed_in(creator)
    assert client.post(f"/model-versions/{file.version_id}/try", {"prompt": "a", "count": "1", "strength": "0.4"}).status_code == 302
    assert Render.objects.get().shots.get().spec["addons"] == [{"file": 1, "strength": 0.4, "text_strength": None}]


def test_cards_show_the_picture_that_stands_for_a_model(client: Client, creator: Any, django_assert_max_num_queries: Any) -> None:
    drawn = published_weights(creator)
    lora = published_weights(creator, kind="lora")
    render = rendered(lora, strengths(2, 64), labels=("0", "0.5", "1"), base=drawn)
    for _ in range(5):
        rendered(published_weights(creator), specs(1, 640))
    facts.rebuild()  # rows that factories made told browsing nothing
    with django_assert_max_num_queries(10):
        text = client.get("/").content.decode()
    assert f'src="/pictures/{render.shots.get(place=2).picture.sha256}/' in text, "the strongest of the first prompt"
    assert render.shots.get(place=0).picture.sha256 not in text, "that one shows the base"
    assert text.count('class="cover"') == 6
    assert text.count("/width=450/") == 5
    assert text.count('src="/art/') == 1
    Entry.objects.filter(pk=lora.version.entry_id).update(rating=16)
    assert render.shots.get(place=2).picture.sha256 not in client.get("/").content.decode()


def test_who_asked_before_a_model_was_hidden_learns_no_new_name(creator: Any, stranger: Any) -> None:
    file = published_weights(creator, name="Lantern")
    mine = rendered(file, specs(1, 64), owner=stranger, purpose=Purpose.TXT2IMG)
    assert "Lantern" in signed_in(stranger).get("/my/pictures").content.decode()
    Entry.objects.filter(pk=file.version.entry_id).update(visibility="private", name="Unannounced", slug="unannounced")
    for path in ("/my/pictures", f"/renders/{mine.pk}", f"/picture/{mine.shots.get().pk}", f"/api/hub/renders/{mine.pk}"):
        answer = signed_in(stranger).get(path)
        text = answer.content.decode()
        assert answer.status_code == 200
        assert "nannounced" not in text
        assert "lantern" in text, "the file that was asked for is still named"
        assert path.startswith("/api") or "not shown any more" in text


def test_prompts_of_several_lines_are_read_out_as_one(creator: Any) -> None:
    file = published_weights(creator)
    rendered(
        file, [Spec(prompt="two stars\non blue", width=64, height=64)], purpose=Purpose.TXT2IMG, recipe={"prompt": "two stars\non blue"}
    )
    text = signed_in(creator).get("/my/pictures").content.decode()
    assert 'alt="two stars on blue"' in text
    assert '<p class="small mt-1.5 clamp">two stars on blue</p>' in text


def test_prompts_cannot_leave_their_place_in_a_page(creator: Any) -> None:
    evil = "<script>alert(1)</script>\"' onerror=alert(2) \u202e"
    file = published_weights(creator)
    planned(rendered(file, specs(1, 64)))
    render = Render.objects.get()
    render.shots.update(spec={**render.shots.get().spec, "prompt": evil, "negative_prompt": evil}, label=evil[:80])
    Render.objects.update(note=evil, recipe={"prompt": evil, "notes": [evil]})
    client = signed_in(creator)
    mine = rendered(file, specs(1, 64), purpose=Purpose.TXT2IMG, recipe={"prompt": evil, "notes": [evil]}, note=evil, error=evil)
    for path in (f"/ada/{file.version.entry.slug}", f"/picture/{render.shots.get().pk}", f"/renders/{mine.pk}", "/my/pictures"):
        text = client.get(path).content.decode()
        assert "<script>alert" not in text, path
        assert "' onerror=alert(2)" not in text, path
        assert "\u202e" not in re.sub('data-copy="[^"]*"', "", text), path
