"""Versions side by side: who sees which, matching pictures, what differs, asking for what is missing, and one recipe for all."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from inference.diffusion.jobs import Shot as Spec
from inference.models import MergeInput, Purpose, Render
from registry.models import Blob, Entry, File, TensorDigests
from tests.hub.web.test_preview_pages import signed_in, worker
from tests.merges import checkpoint, wanted, worked
from tests.pictures import drafted_weights, published_weights, renderable_weights, rendered

pytestmark = pytest.mark.django_db

FOX = "a red fox sitting in fresh snow, {}looking at the viewer, full body"


def fox(words: str = "", **more: Any) -> Spec:
    return Spec(prompt=FOX.format(words), width=64, height=64, seed=1003, **more)


def pair(creator: Any, *recipes: Spec) -> list[File]:
    """Published checkpoints, one for each recipe, with a preview of it."""
    files = []
    for place, recipe in enumerate(recipes):
        file = published_weights(creator, name=f"Fox number {place}")
        rendered(file, [recipe])
        files.append(file)
    return files


def compare(client: Client, *files: File, status: int = 200, **query: Any) -> str:
    answer = client.get("/compare", {"v": [file.version_id for file in files], **query})
    assert answer.status_code == status
    return answer.content.decode()


def cells(text: str) -> list[str]:
    return [part.partition('"')[0] for part in text.split('data-kind="')[1:]]


def test_the_same_scene_stands_side_by_side_whatever_the_trigger_words(client: Client, creator: Any) -> None:
    a, b = pair(creator, fox(), fox("vixen, "))
    text = compare(client, a, b)
    assert text.count('class="scene"') == 1
    assert cells(text) == ["picture", "picture"]
    assert "20 steps" not in text, "equal recipes are not told apart"
    assert 'type="range"' in text


def test_pictures_of_one_scene_with_other_settings_say_so(client: Client, creator: Any) -> None:
    a, b = pair(creator, fox(steps=20), fox(steps=8, negative_prompt="dogs"))
    text = compare(client, a, b)
    assert "20 steps" in text
    assert "8 steps" in text
    assert "with a negative prompt of its own" in text


def test_addresses_keep_order_drop_doubles_and_take_four_at_most(client: Client, creator: Any) -> None:
    files = pair(creator, *[fox()] * 5)
    text = client.get("/compare?v=" + "&v=".join(str(f.version_id) for f in [files[1], files[0], files[1], *files[2:]])).content.decode()
    assert text.index("Fox number 1") < text.index("Fox number 0")
    assert text.count('class="take-out"') == 4
    assert "Fox number 4" not in text
    assert client.get("/compare?v=zz&v=-1&v=99999999999999999999999").status_code == 200


def test_private_drafts_and_unknown_ids_look_alike(client: Client, creator: Any) -> None:
    a, b = pair(creator, fox(), fox())
    draft = drafted_weights(creator)
    Entry.objects.filter(pk=b.version.entry_id).update(visibility="private", name="Hush hush")

    def told(pk: int) -> str:
        text = client.get("/compare", {"v": [a.version_id, pk]}).content.decode().partition("<main")[2].partition("</main>")[0]
        return re.sub(rf'%3D{pk}\b|value="[A-Za-z0-9]{{64}}"', "", text)

    assert "not yours to see" in told(987654)
    assert told(b.version_id) == told(draft.version_id) == told(987654)
    assert "Hush hush" in compare(signed_in(creator), a, b)


def test_what_is_rated_too_high_is_not_shown(client: Client, creator: Any) -> None:
    a, b = pair(creator, fox(), fox())
    Entry.objects.filter(pk=b.version.entry_id).update(rating=16, name="Too much")
    text = compare(client, a, b)
    assert "Too much" not in text
    assert "rated above" in text


def test_withdrawn_versions_show_no_pictures(client: Client, creator: Any) -> None:
    from registry import catalog

    a, b = pair(creator, fox(), fox())
    catalog.withdraw(b.version, "by mistake")
    assert cells(compare(client, a, b)) == ["picture", "none"]


def test_the_table_tells_what_differs_and_which_share_a_vae(client: Client, creator: Any) -> None:
    a, b = pair(creator, fox(), fox())
    for file, unet in ((a, "1" * 64), (b, "2" * 64)):
        TensorDigests.objects.create(blob=file.blob, packed=b"", unet=unet, vae="3" * 64)
    Blob.objects.filter(pk=b.blob_id).update(detected={"family": "SDXL", "kind": "checkpoint"})
    text = compare(client, a, b)
    differ, _, alike = text.partition("How they differ")[2].partition("<details")
    assert "1111111111…" in differ
    assert "SDXL" in differ
    assert "VAE</dt><dd>the same, bit for bit" in alike.partition("</details>")[0]
    assert "Kind</dt><dd>Checkpoint" in alike


def test_strangers_are_led_to_sign_in_for_what_is_missing(client: Client, creator: Any) -> None:
    (a,) = pair(creator, fox())
    b = published_weights(creator)
    text = compare(client, a, b)
    assert cells(text) == ["picture", "missing"]
    assert "Render the missing" not in text
    assert "Sign in to have what is missing rendered" in text
    assert client.post("/compare/pictures", {"v": [a.version_id]}).status_code == 302


def test_a_member_has_the_missing_picture_rendered_and_cancels_it(creator: Any, stranger: Any) -> None:
    worker()
    (a,) = pair(creator, fox())
    b = renderable_weights(creator)
    client = signed_in(stranger)
    answer = client.post(
        "/compare/pictures",
        {
            "v": [a.version_id, b.version_id],
            "prompt": "a red fox sitting in fresh snow, {trigger}, looking at the viewer, full body",
            "seed": 1003,
        },
    )
    assert answer["Location"] == f"/compare?v={a.version_id}&v={b.version_id}#pictures"
    render = Render.objects.get(version=b.version, purpose=Purpose.TXT2IMG)
    assert render.shots.get().spec["prompt"] == FOX.format("")
    text = compare(client, a, b)
    assert cells(text) == ["picture", "coming"]
    assert 'hx-trigger="every 2s"' in text
    part = client.get("/compare", {"v": [a.version_id, b.version_id]}, headers={"HX-Request": "true", "HX-Target": "pictures"})
    assert part.content.decode().lstrip().startswith('<section id="pictures"')
    assert cells(compare(signed_in(creator), a, b)) == ["picture", "missing"], "what somebody asked for is theirs alone"
    back = client.post(f"/renders/{render.pk}/cancel", {"next": f"/compare?v={a.version_id}&v={b.version_id}"})
    assert back["Location"].startswith("/compare?v=")
    assert cells(compare(client, a, b)) == ["picture", "missing"]
    assert client.post(f"/renders/{render.pk}/cancel", {"next": "//evil.example/"})["Location"] == f"/renders/{render.pk}"


def test_one_recipe_of_ones_own_for_all_and_its_address_leads_back(creator: Any) -> None:
    worker()
    a, b = renderable_weights(creator), renderable_weights(creator)
    client = signed_in(creator)
    recipe = {"prompt": "two cats, (soft:1.2) & more", "seed": 7, "steps": 5, "width": 64, "height": 64, "sampler_name": "Euler a"}
    answer = client.post("/compare/pictures", {"v": [a.version_id, b.version_id], **recipe})
    specs = [render.shots.get().spec for render in Render.objects.filter(purpose=Purpose.TXT2IMG)]
    assert [(one["prompt"], one["seed"], one["steps"], one["sampler"], one["width"]) for one in specs] == [
        ("two cats, (soft:1.2) & more", 7, 5, "Euler a", 64)
    ] * 2
    text = client.get(answer["Location"].partition("#")[0]).content.decode()
    assert cells(text)[:2] == ["coming", "coming"]
    assert 'name="seed" value="7"' in text
    assert cells(compare(client, a, b, **{**recipe, "steps": 6}))[:2] == ["missing", "missing"], "another recipe"


def test_a_refused_recipe_keeps_all_that_was_typed(creator: Any) -> None:
    a = renderable_weights(creator)
    client = signed_in(creator)
    for wrong, sign in (({"steps": 5000}, "Steps must be"), ({"seed": -3}, 'id="own_seed_error"'), ({"prompt": " "}, "own_prompt_error")):
        answer = client.post(
            "/compare/pictures", {"v": [a.version_id], "prompt": "two <b>cats", "seed": 7, "width": 64, "height": 64, **wrong}
        )
        text = answer.content.decode()
        assert answer.status_code == 400
        assert sign in text
        assert "prompt" in wrong or "two &lt;b&gt;cats" in text
    assert not Render.objects.exists()


def test_others_are_found_by_name_without_a_script_and_with_one(client: Client, creator: Any) -> None:
    a, b = pair(creator, fox(), fox())
    text = compare(client, a, q="number 1")
    assert f'href="/compare?v={a.version_id}&amp;v={b.version_id}"' in text
    part = client.get("/compare", {"v": a.version_id, "q": "number"}, headers={"HX-Request": "true", "HX-Target": "found"}).content.decode()
    assert part.startswith('<div id="found"')
    assert "Fox number 0" not in part, "it stands there already"
    assert "is called “&lt;b&gt;”" in compare(client, a, q="<b>")


def test_queries_do_not_grow_with_versions_or_scenes(client: Client, creator: Any, django_assert_num_queries: Any) -> None:
    files = pair(creator, fox(), fox(), fox(), fox())
    for file in files:
        rendered(file, [fox(), *(Spec(prompt=f"cat {n}", width=64, height=64, seed=n) for n in range(6))])
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(
        connection,
    ) as few:
        compare(client, *files[:2])
    with CaptureQueriesContext(connection) as many:
        compare(client, *files)
    assert len(many) <= len(few), "four need no siblings to be looked up"
    assert len(few) <= 12


@pytest.mark.django_db(transaction=True)
def test_a_merge_leads_to_itself_beside_its_inputs(client: Client, creator: Any, tmp_path: Any) -> None:
    a, b = (checkpoint(creator, tmp_path / f"{name}.safetensors", name=name) for name in ("alpha", "beta"))
    result = worked(wanted(creator, a, b)).result
    address = f"/compare?v={a.version_id}&amp;v={b.version_id}&amp;v={result.version_id}"
    client.force_login(creator)
    assert f'href="{address}"' in compare(client, result)
    assert f'href="{address}"' in client.get(f"/file/{result.pk}").content.decode()
    assert "is a merge" not in compare(client, a, b, result)
    Entry.objects.filter(pk=b.version.entry_id).update(visibility="unlisted", owner=creator)
    MergeInput.objects.filter(role="b").update(file=None)
    assert f'href="/compare?v={a.version_id}&amp;v={result.version_id}"' in compare(client, result)
