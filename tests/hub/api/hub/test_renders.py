"""Renders through the API: what may be asked for, the sentences of refusals, who sees what, and what is told on the way."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rest_framework.test import APIClient

from inference.models import PreviewSettings, Purpose, Render
from registry import catalog
from registry.models import Entry, File
from tests.hub.api.hub.test_schema import fits
from tests.pictures import drafted_weights, published_weights, renderable_weights, rendered, specs, strengths

pytestmark = pytest.mark.django_db
ADDRESS = "/api/hub/renders"


@pytest.fixture
def weights(creator: Any) -> File:
    return renderable_weights(creator)


def test_a_render_is_asked_for_and_waits(api: APIClient, described: dict[str, Any], weights: File) -> None:
    wanted = {"version_id": weights.version_id, "prompt": "a (red:1.2) circle", "seed": 7, "batch_size": 2, "steps": 4, "width": 128}
    answer = api.post(ADDRESS, {**wanted, "height": 128, "sampler_name": "Euler a"})
    assert answer.status_code == 201, answer.content
    asked = answer.json()
    fits(described, "RenderAnswer", asked)
    assert (asked["state"], asked["purpose"], asked["queue_place"]) == ("wanted", "txt2img", 1)
    assert asked["waits_for"] == "No render worker is running here; it waits for one."
    assert (asked["pictures_done"], asked["pictures_total"], asked["steps_total"]) == (0, 2, 8)
    assert [shot["recipe"]["seed"] for shot in asked["shots"]] == [7, 8]
    assert {shot["recipe"]["sampler"] for shot in asked["shots"]} == {"Euler a"}
    assert api.get(ADDRESS).json() == [api.get(f"{ADDRESS}/{asked['id']}").json()]


@pytest.mark.parametrize(
    ("wrong", "status", "code", "says"),
    [
        ({"width": 4096, "height": 4096}, 400, "render:size", "at most"),
        ({"width": 500, "height": 512}, 400, "render:size", "multiples of 8"),
        ({"batch_size": 64}, 400, "render:pictures", "from 1 to 16"),
        ({"batch_size": 64, "n_iter": 64}, 400, "render:pictures", "from 1 to 16"),
        ({"prompt": "x" * 10_241}, 400, "render:prompt", "10,241 bytes"),
        ({"seed": 2**64}, 400, "render:seed", "18446744073709551616"),
        ({"steps": 0}, 400, "render:steps", "this asks for 0"),
        ({"steps": 10**30}, 400, "render:steps", "from 1 to 100"),
        ({"cfg_scale": 1000}, 400, "render:cfg-scale", "0 to 30"),
        ({"clip_skip": 0}, 400, "render:clip-skip", "1 to 12"),
        ({"sampler_name": "Magic"}, 400, "render:sampler", "DPM++ 2M"),
        ({"scheduler": "Magic", "sampler_name": "Euler"}, 400, "render:schedule", "Karras"),
        ({"version_id": 99_999}, 404, "not_found", "no such"),
        ({"loras": [{"version_id": 99_999}]}, 404, "not_found", "loras"),
        ({"loras": [{}]}, 400, "invalid", "version_id or file_id"),
        ({"loras": [{"file_id": 1, "strength": "NaN"}]}, 400, "invalid", "valid number"),
        ({"model": "x"}, 400, "invalid", "no such field"),
        ({"prompt": ["a"]}, 400, "invalid", "valid string"),
        ({"prompt": "<lora:nothing of this name:1>"}, 400, "render:unknown-network", "nothing of this name"),
    ],
)
def test_what_cannot_be_rendered_is_refused_in_a_sentence(
    api: APIClient, weights: File, wrong: dict[str, Any], status: int, code: str, says: str
) -> None:
    answer = api.post(ADDRESS, {"version_id": weights.version_id, "prompt": "a", **wrong})
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.content
    assert says in answer.json()["error"]
    assert not Render.objects.exists()


def test_prompts_of_emoji_and_control_characters_are_taken_without_what_cannot_be_seen(api: APIClient, weights: File) -> None:
    body = json.dumps({"version_id": weights.version_id, "prompt": "\u0000a\u001b[31m 🦊\u0007 fox\ud800", "steps": 1})
    answer = api.post(ADDRESS, body, content_type="application/json")
    assert answer.status_code == 201, answer.content
    assert answer.json()["shots"][0]["recipe"]["prompt"] == "a[31m 🦊 fox"


def test_too_many_at_once_are_refused_until_one_is_over(api: APIClient, weights: File, settings: Any) -> None:
    settings.RENDER_OPEN_PER_USER = 2
    for seed in (1, 2):
        assert api.post(ADDRESS, {"version_id": weights.version_id, "prompt": "a", "seed": seed}).status_code == 201
    refused = api.post(ADDRESS, {"version_id": weights.version_id, "prompt": "a", "seed": 3})
    assert (refused.status_code, refused.json()["code"]) == (429, "render:too-many")
    first = Render.objects.earliest("pk").pk
    cancelled = api.delete(f"{ADDRESS}/{first}")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    again = api.delete(f"{ADDRESS}/{first}")
    assert (again.status_code, again.json()["code"]) == (409, "render:over")
    assert api.post(ADDRESS, {"version_id": weights.version_id, "prompt": "a", "seed": 3}).status_code == 201


def test_a_failed_one_is_tried_again(api: APIClient, weights: File) -> None:
    render = rendered(
        weights, specs(2, 128), done=1, purpose=Purpose.TXT2IMG, state="failed", error="The worker died.", error_code="work:gave-up"
    )
    shown = api.get(f"{ADDRESS}/{render.pk}").json()
    assert (shown["state"], shown["error"], shown["pictures_done"]) == ("failed", "The worker died.", 1)
    again = api.post(f"{ADDRESS}/{render.pk}/retry")
    assert (again.status_code, again.json()["state"], again.json()["error"]) == (200, "wanted", "")
    assert (api.post(f"{ADDRESS}/{render.pk}/retry").status_code) == 409


def test_pictures_have_addresses_that_lead_to_them(api: APIClient, described: dict[str, Any], creator: Any) -> None:
    render = rendered(published_weights(creator), purpose=Purpose.TXT2IMG)
    render.shots.filter(place=5).update(picture=None, error="It came out black.", error_code="render:black")
    answer = api.get(f"{ADDRESS}/{render.pk}").json()
    fits(described, "RenderAnswer", answer)
    first, last = answer["shots"][0], answer["shots"][5]
    assert (last["picture"], last["error"], last["error_code"]) == (None, "It came out black.", "render:black")
    assert first["picture"]["meta"]["prompt"] == "a red circle"
    for key, kind in (("url", "image/png"), ("small_url", "image/webp")):
        path = first["picture"][key].removeprefix("http://testserver")
        assert path != first["picture"][key]
        api.force_login(creator)
        assert api.get(path)["Content-Type"] == kind


@pytest.mark.parametrize(
    "kind", ["mine", "preview", "draft preview", "private preview", "withdrawn preview", "sealed preview", "hidden preview"]
)
def test_who_sees_and_changes_a_render(
    api: APIClient, other: APIClient, judge: APIClient, anonymous: APIClient, reader: APIClient, creator: Any, kind: str
) -> None:
    file = drafted_weights(creator) if kind == "draft preview" else published_weights(creator)
    if kind == "private preview":
        Entry.objects.filter(pk=file.version.entry_id).update(visibility="private")
    if kind == "withdrawn preview":
        catalog.withdraw(file.version, "wrong")
    if kind == "sealed preview":
        File.objects.filter(pk=file.pk).update(state="quarantined")
    if kind == "hidden preview":
        PreviewSettings.objects.create(version=file.version, enabled=False)
    purpose = Purpose.TXT2IMG if kind == "mine" else Purpose.PREVIEW
    render = rendered(file, specs(2, 128), done=1, purpose=purpose, state="wanted")
    address, public = f"{ADDRESS}/{render.pk}", kind == "preview"
    hidden = 200 if public else 404
    callers = [(api, 200), (judge, 200), (reader, 200), (other, hidden), (anonymous, hidden)]
    assert [caller.get(address).status_code for caller, _ in callers] == [status for _, status in callers]
    heads = [caller.get(f"{address}/events", HTTP_ACCEPT="text/event-stream").status_code for caller, _ in callers]
    assert heads == [status for _, status in callers]
    assert reader.delete(address).status_code == 403
    assert anonymous.delete(address).status_code == 401
    for caller in (other,):
        assert caller.delete(address).status_code == (403 if public else 404)
        assert caller.post(f"{address}/retry").status_code == (403 if public else 404)
    assert judge.delete(address).status_code == 200
    assert other.get(ADDRESS).json() == []
    assert anonymous.get(ADDRESS).status_code == 401


def test_the_base_of_an_add_on_is_named_to_those_who_may_see_it(api: APIClient, anonymous: APIClient, creator: Any) -> None:
    base = drafted_weights(creator)
    render = rendered(published_weights(creator, kind="lora"), strengths(1, 64), labels=("0", "0.5", "1"), base=base)
    assert api.get(f"{ADDRESS}/{render.pk}").json()["base"] == {"version_id": base.version_id, "file_id": base.pk, "name": base.name}
    assert anonymous.get(f"{ADDRESS}/{render.pk}").json()["base"] is None


def test_a_list_costs_a_bounded_number_of_queries(api: APIClient, creator: Any, django_assert_max_num_queries: Any) -> None:
    file = published_weights(creator)
    for _ in range(8):
        rendered(file, specs(3, 64), purpose=Purpose.TXT2IMG)
    with django_assert_max_num_queries(12):
        assert len(api.get(ADDRESS).json()) == 8
