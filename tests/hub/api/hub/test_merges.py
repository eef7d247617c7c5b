"""Merges through the API: what may be asked for, by whom, of what; what is answered on the way; and what comes out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient
from safetensors import safe_open

from inference import merges
from inference.models import Merge
from registry import catalog
from registry.models import Entry, File, Version
from samples.layout import TINY
from tests.factories import EntryFactory, FileFactory, VersionFactory
from tests.hub.api.hub.test_schema import fits
from tests.intake import drain, upload_path
from tests.merges import checkpoint, ready, worked
from tests.tiny import lora_safetensors, plain_checkpoint, vae_safetensors

pytestmark = pytest.mark.django_db(transaction=True)
ADDRESS = "/api/hub/merges"


@pytest.fixture
def a(creator: Any, tmp_path: Path) -> File:
    return checkpoint(creator, tmp_path / "a.safetensors", name="Alpha")


@pytest.fixture
def b(stranger: Any, tmp_path: Path) -> File:
    return checkpoint(stranger, tmp_path / "b.safetensors", name="Beta")


def body(a: File, b: File | None = None, **more: Any) -> dict[str, Any]:
    target = {} if "entry_id" in more else {"name": "Blend"}
    second = {"b": b.pk} if b else {}
    return {"method": "weighted_sum", "a": a.pk, **second, "multiplier": 0.3, **target, **more}


def test_a_merge_is_asked_for_made_and_published(
    api: APIClient,
    anonymous: APIClient,
    described: dict[str, Any],
    a: File,
    b: File,
    creator: Any,
    tmp_path: Path,
) -> None:
    """And what comes out is the sum."""
    answer = api.post(ADDRESS, body(a, b))
    assert answer.status_code == 201, answer.content
    asked = answer.json()
    fits(described, "MergeAnswer", asked)
    assert (asked["state"], asked["queue_place"], asked["version_id"], asked["file_id"]) == ("wanted", 1, None, None)
    assert asked["in_words"] == "0.7 of A and 0.3 of B."
    assert [(one["role"], one["file_id"], one["sha256"]) for one in asked["inputs"]] == [("a", a.pk, a.sha256), ("b", b.pk, b.sha256)]
    assert asked["file_name"] == "blend-merge.safetensors"
    assert not Entry.objects.filter(name="Blend").exists(), "nothing is left of a merge that comes to nothing"
    drain()
    made = api.get(f"{ADDRESS}/{asked['id']}").json()
    fits(described, "MergeAnswer", made)
    assert (made["state"], made["error"], made["queue_place"]) == ("made", "", None)
    assert made["done_bytes"] == made["total_bytes"] > 0
    file = api.get(f"/api/hub/files/{made['file_id']}").json()
    fits(described, "FileAnswer", file)
    assert (file["state"], file["verdict"], file["version_id"]) == ("ready", "success", made["version_id"])
    version = Version.objects.select_related("entry").get(pk=made["version_id"])
    assert (version.status, version.entry.name, version.entry.kind, version.entry.owner) == ("draft", "Blend", "checkpoint", creator)
    assert version.name == "Weighted sum 0.3"
    assert anonymous.get(f"/api/hub/files/{made['file_id']}").status_code == 404
    published = api.post(f"/api/hub/versions/{version.pk}/publish")
    assert published.status_code == 200, published.content
    found = anonymous.get(f"/api/v1/model-versions/by-hash/{file['sha256']}").json()
    assert (found["id"], found["model"]["name"]) == (version.pk, "Blend")
    with (
        safe_open(tmp_path / "a.safetensors", "pt") as first,
        safe_open(tmp_path / "b.safetensors", "pt") as second,
        safe_open(path_of(File.objects.get(pk=made["file_id"])), "pt") as result,
    ):
        name = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
        assert ((1 - 0.3) * first.get_tensor(name) + 0.3 * second.get_tensor(name)).equal(result.get_tensor(name))
        models = json.loads(result.metadata()["sd_merge_models"])
    assert set(models) >= {a.sha256, b.sha256}


def path_of(file: File) -> Path:
    from registry import storage

    return storage.path_of("models", storage.blob_name(file.sha256))


def test_lineage_is_told_to_each_as_far_as_they_may_see(
    api: APIClient, anonymous: APIClient, creator: Any, b: File, tmp_path: Path
) -> None:
    secret = checkpoint(creator, tmp_path / "secret.safetensors", name="Secret plans", visibility="private")
    merge = api.post(ADDRESS, body(secret, b)).json()
    drain()
    made = Merge.objects.get(pk=merge["id"]).result
    Entry.objects.filter(pk=made.version.entry_id).update(visibility="public")
    catalog.publish(Version.objects.select_related("entry__owner").get(pk=made.version_id))
    mine = api.get(f"/api/hub/files/{made.pk}").json()["made_from"]
    assert [one["name"] for one in mine["inputs"]] == ["secret.safetensors", "b.safetensors"]
    assert (mine["method"], mine["multiplier"]) == ("weighted_sum", 0.3)
    page = anonymous.get(f"/api/hub/files/{made.pk}")
    [first, second] = page.json()["made_from"]["inputs"]
    assert first == {"role": "a", "file_id": None, "version_id": None, "entry_id": None, "name": None, "sha256": secret.sha256[:10]}
    assert (second["file_id"], second["entry_id"], second["sha256"]) == (b.pk, b.version.entry_id, b.sha256)
    version = anonymous.get(f"/api/hub/versions/{made.version_id}").json()
    assert "secret" not in json.dumps([page.json(), version]).lower().replace("_secret", "")
    assert f"](/model-versions/{b.version_id})" in version["description"]
    with safe_open(path_of(made), "pt") as result:
        said = json.dumps(result.metadata())
    assert "ecret" not in said
    assert (secret.sha256[:10] in said, secret.sha256[:12] in said) == (True, False), "a part that finds nothing while it is private"


def test_a_file_that_was_not_merged_says_so(api: APIClient, a: File) -> None:
    answer = api.get(f"/api/hub/files/{a.pk}").json()
    assert (answer["made_from"], answer["merged_into"]) == (None, [])


def test_an_input_tells_of_its_merges_to_those_who_may_see_them(api: APIClient, other: APIClient, a: File, b: File) -> None:
    for _ in range(2):
        api.post(ADDRESS, body(a, b))
    drain()
    ids = list(Merge.objects.values_list("result_id", flat=True))
    assert api.get(f"/api/hub/files/{b.pk}").json()["merged_into"] == ids
    assert other.get(f"/api/hub/files/{b.pk}").json()["merged_into"] == [], "they are drafts of somebody else"


def test_a_list_of_merges_takes_no_more_queries_for_more_of_them(
    api: APIClient, a: File, b: File, django_assert_max_num_queries: Any
) -> None:
    for number in range(6):
        merge = Merge.objects.get(pk=api.post(ADDRESS, body(a, b)).json()["id"])
        Merge.objects.filter(pk=merge.pk).update(state="cancelled" if number % 2 else "failed")
    with django_assert_max_num_queries(12):
        assert len(api.get(ADDRESS).json()) == 6


def test_the_inputs_stay_known_when_their_files_are_gone(api: APIClient, creator: Any, b: File, tmp_path: Path) -> None:
    draft = checkpoint(creator, tmp_path / "gone.safetensors", published=False)
    merge = api.post(ADDRESS, body(draft, b)).json()
    drain()
    catalog.delete_entry(draft.version.entry)
    [first, _] = api.get(f"{ADDRESS}/{merge['id']}").json()["inputs"]
    assert (first["file_id"], first["name"], first["sha256"]) == (None, None, draft.sha256[:10])


def test_a_pickle_is_merged_by_its_copy(api: APIClient, creator: Any, b: File, tmp_path: Path) -> None:
    pickle = upload_path(VersionFactory(entry__owner=creator), creator, plain_checkpoint(tmp_path / "old.ckpt"))
    drain()
    asked = api.post(ADDRESS, body(pickle, b)).json()
    assert "old.ckpt is no safetensors file; its copy old.safetensors is merged." in asked["notes"]
    assert asked["inputs"][0]["name"] == "old.safetensors"


def test_a_version_is_added_to_ones_own_model(api: APIClient, a: File, b: File) -> None:
    asked = api.post(ADDRESS, body(a, b, entry_id=a.version.entry_id, file_name="mix")).json()
    drain()
    made = api.get(f"{ADDRESS}/{asked['id']}").json()
    assert (made["entry_id"], made["file_name"]) == (a.version.entry_id, "mix.safetensors")
    entry = api.get(f"/api/hub/entries/{a.version.entry_id}").json()
    assert [version["state"] for version in entry["versions"]] == ["draft", "published"]
    assert entry["state"] == "published"


def test_vae_and_loras_are_baked(api: APIClient, a: File, creator: Any, tmp_path: Path) -> None:
    vae = ready(creator, vae_safetensors(tmp_path / "v.safetensors"))
    width = TINY.unet[0]
    lora = ready(creator, lora_safetensors(tmp_path / "l.safetensors", width=width, context=TINY.clip, metadata={}))
    asked = api.post(
        ADDRESS, {"method": "no_interpolation", "a": a.pk, "vae": vae.pk, "loras": [{"file_id": lora.pk, "strength": 0.5}], "name": "Baked"}
    )
    assert asked.status_code == 201, asked.content
    assert [one["role"] for one in asked.json()["inputs"]] == ["a", "vae", "lora0"]
    assert asked.json()["in_words"] == "A; another VAE in place of its own; LoRA 1 added at strength 0.5."
    drain()
    assert api.get(f"{ADDRESS}/{asked.json()['id']}").json()["state"] == "made"


def test_models_that_do_not_go_together_are_refused_at_once(api: APIClient, a: File, creator: Any, tmp_path: Path) -> None:
    lora = ready(creator, lora_safetensors(tmp_path / "l.safetensors"))
    vae = ready(creator, vae_safetensors(tmp_path / "v.safetensors"))
    for other in (lora, vae):
        refused = api.post(ADDRESS, body(a, other))
        assert (refused.status_code, refused.json()["code"]) == (400, "merge:families"), refused.content
    wrong_vae = api.post(ADDRESS, body(a, a, vae=lora.pk))
    assert (wrong_vae.status_code, wrong_vae.json()["code"]) == (400, "merge:vae")
    wide = ready(creator, plain_checkpoint(tmp_path / "w.safetensors", widths=TINY.__class__(**{**vars(TINY), "latent_in": 9})))
    swapped = api.post(ADDRESS, body(a, wide))
    assert (swapped.status_code, swapped.json()["code"]) == (400, "merge:channels")
    assert "Swap them" in swapped.json()["error"]
    special = api.post(ADDRESS, body(wide, a)).json()
    assert special["file_name"] == "blend-merge.inpainting.safetensors"
    assert Merge.objects.count() == 1


HIDDEN = ["private", "draft"]


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("role", ["a", "b", "vae"])
def test_a_file_of_others_that_is_hidden_answers_like_a_missing_one(
    other: APIClient, creator: Any, b: File, tmp_path: Path, hidden: str, role: str
) -> None:
    secret = checkpoint(
        creator, tmp_path / "s.safetensors", published=hidden != "draft", visibility="private" if hidden == "private" else "public"
    )
    asked = {**body(b, b), role: secret.pk}
    answers = [other.post(ADDRESS, asked), other.post(ADDRESS, {**asked, role: 999_999_999})]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content
    lora = [{"file_id": secret.pk, "strength": 1}]
    assert other.post(ADDRESS, body(b, b, loras=lora)).status_code == 404
    assert not Merge.objects.exists()


def test_what_its_creator_does_not_let_be_merged_is_refused(api: APIClient, a: File, b: File) -> None:
    Entry.objects.filter(pk=b.version.entry_id).update(allow_derivatives=False)
    refused = api.post(ADDRESS, body(a, b))
    assert (refused.status_code, refused.json()["code"]) == (403, "merge:no-derivatives")
    assert "Beta" in refused.json()["error"]


def test_the_strictest_permissions_are_answered_and_given_to_the_result(api: APIClient, a: File, b: File) -> None:
    Entry.objects.filter(pk=b.version.entry_id).update(
        allow_no_credit=False, allow_commercial_use=["Image", "Rent"], visibility="unlisted", rating=4, spdx="MIT"
    )
    Entry.objects.filter(pk=a.version.entry_id).update(allow_commercial_use=["Image", "Sell"])
    asked = api.post(ADDRESS, body(a, b)).json()
    assert any("will be unlisted" in note for note in asked["notes"])
    expected = {
        "visibility": "unlisted", "rating": 4, "allow_no_credit": False, "allow_commercial_use": ["Image"],
        "allow_derivatives": True, "allow_different_license": True, "spdx": "MIT",
    }  # fmt: skip
    assert asked["licence"] == expected
    drain()
    made = Merge.objects.select_related("result__version__entry").get()
    assert {name: getattr(made.result.version.entry, name) for name in expected} == expected
    assert "name the creators; commercial use: sell images made with it;" in made.result.version.description
    assert "Beta" not in made.result.version.description


def test_an_entry_that_allows_more_than_an_input_does_not_take_the_merge(api: APIClient, a: File, b: File) -> None:
    Entry.objects.filter(pk=b.version.entry_id).update(allow_no_credit=False)
    refused = api.post(ADDRESS, body(a, b, entry_id=a.version.entry_id))
    assert (refused.status_code, refused.json()["code"]) == (409, "merge:entry-permissions")
    Entry.objects.filter(pk=a.version.entry_id).update(allow_no_credit=False)
    assert api.post(ADDRESS, body(a, b, entry_id=a.version.entry_id)).status_code == 201


def test_only_ones_own_living_checkpoint_takes_a_merge(api: APIClient, judge: APIClient, a: File, b: File, creator: Any) -> None:
    assert api.post(ADDRESS, body(a, b, entry_id=b.version.entry_id)).json()["code"] == "not-yours"
    assert judge.post(ADDRESS, body(a, b, entry_id=b.version.entry_id)).json()["code"] == "not-yours"
    assert api.post(ADDRESS, body(a, b, entry_id=999_999_999)).status_code == 404
    lora = EntryFactory(owner=creator, kind="lora")
    assert api.post(ADDRESS, body(a, b, entry_id=lora.pk)).json()["code"] == "merge:entry-kind"
    gone = EntryFactory(owner=creator, published_at=a.version.published_at)
    catalog.delete_entry(gone)
    assert api.post(ADDRESS, body(a, b, entry_id=gone.pk)).status_code == 410


WRONG = [
    ({"multiplier": "NaN"}, "multiplier"),
    ({"multiplier": "inf"}, "multiplier"),
    ({"multiplier": "-Infinity"}, "multiplier"),
    ({"multiplier": 11}, "multiplier"),
    ({"multiplier": None}, "multiplier"),
    ({"multiplier": "much"}, "multiplier"),
    ({"block_weights": [0.5] * 24 + ["nan"]}, "block_weights"),
    ({"block_weights": [0.5] * 27}, "block_weights"),
    ({"block_weights": "0,1"}, "block_weights"),
    ({"loras": [{"file_id": 1, "strength": "NaN"}]}, "loras"),
    ({"loras": [{"file_id": 1, "strength": 1, "x": 1}]}, "loras"),
    ({"loras": [{"file_id": 1}]}, "loras"),
    ({"loras": [{"file_id": 1, "strength": 1}] * 17}, "loras"),
    ({"method": "sum_twice"}, "method"),
    ({"precision": "fp8"}, "precision"),
    ({"a": "1; drop"}, "a"),
    ({"a": 2**63}, "a"),
    ({"a": -1}, "a"),
    ({"a": {"$ne": 1}}, "a"),
    ({"c": 1}, "c"),
    ({"method": "add_difference"}, "c"),
    ({"method": "no_interpolation"}, "b"),
    ({"entry_id": 1, "name": "x"}, "name"),
    ({"name": "two\nlines"}, "name"),
    ({"name": "x" * 121}, "name"),
    ({"owner": 1}, "owner"),
    ({"state": "made"}, "state"),
    ({"discard": "x" * 201}, "discard"),
]


@pytest.mark.parametrize(("wrong", "field"), WRONG)
def test_a_wrong_field_is_named(api: APIClient, wrong: dict[str, Any], field: str) -> None:
    answer = api.post(ADDRESS, {"method": "weighted_sum", "a": 1, "b": 2, "multiplier": 0.5, "name": "x", **wrong})
    assert answer.status_code == 400, answer.content
    assert set(answer.json()["fields"]) == {field}
    assert not Merge.objects.exists()


def test_what_only_the_recipe_can_tell_is_refused_with_its_sentence(api: APIClient, a: File, b: File) -> None:
    codes = {}
    for wrong in ({"block_weights": [0.5] * 7}, {"discard": "(a"}, {"file_name": "../x"}, {"file_name": "con"}):
        answer = api.post(ADDRESS, body(a, b, **wrong))
        assert answer.status_code == 400
        codes[next(iter(wrong))] = answer.json()["code"]
    assert codes == {"block_weights": "merge:recipe", "discard": "merge:discard", "file_name": "name:reserved"}
    assert not Merge.objects.exists()


def test_only_so_many_merges_wait_at_once(api: APIClient, other: APIClient, a: File, b: File) -> None:
    asked = [api.post(ADDRESS, body(a, b)).json()["id"] for _ in range(merges.OPEN_AT_ONCE)]
    refused = api.post(ADDRESS, body(a, b))
    assert (refused.status_code, refused.json()["code"]) == (429, "merge:too-many")
    assert other.post(ADDRESS, body(a, b)).status_code == 201, "others are not held up"
    assert api.delete(f"{ADDRESS}/{asked[0]}").status_code == 200
    assert api.post(ADDRESS, body(a, b)).status_code == 201


def test_a_full_quota_is_said_before_anything_is_made(api: APIClient, a: File, b: File, settings: Any) -> None:
    settings.USER_QUOTA_BYTES = a.size_bytes + 10
    refused = api.post(ADDRESS, body(a, b))
    assert (refused.status_code, refused.json()["code"]) == (413, "upload:quota")


def test_a_merge_is_its_owners_alone(
    api: APIClient, reader: APIClient, other: APIClient, judge: APIClient, anonymous: APIClient, a: File, b: File
) -> None:
    pk = api.post(ADDRESS, body(a, b)).json()["id"]
    assert [one["id"] for one in reader.get(ADDRESS).json()] == [pk]
    assert other.get(ADDRESS).json() == []
    for client in (other, judge):
        assert client.get(f"{ADDRESS}/{pk}").status_code == 404
        assert client.delete(f"{ADDRESS}/{pk}").status_code == 404
        assert client.post(f"{ADDRESS}/{pk}/retry").status_code == 404
    assert [anonymous.get(ADDRESS).status_code, anonymous.post(ADDRESS, {}).status_code] == [401, 401]
    assert [reader.delete(f"{ADDRESS}/{pk}").status_code, reader.post(ADDRESS, body(a, b)).status_code] == [403, 403]
    assert Merge.objects.get().state == "wanted"


def test_what_waits_is_cancelled_and_stays_so(api: APIClient, a: File, b: File) -> None:
    pk = api.post(ADDRESS, body(a, b)).json()["id"]
    assert api.delete(f"{ADDRESS}/{pk}").json()["state"] == "cancelled"
    again = api.delete(f"{ADDRESS}/{pk}")
    assert (again.status_code, again.json()["code"]) == (409, "merge:over")
    assert api.post(f"{ADDRESS}/{pk}/retry").json()["code"] == "retry:nothing"
    assert worked(Merge.objects.get()).state == "cancelled"
    assert not Entry.objects.filter(name="Blend").exists()


def test_a_failed_merge_is_tried_again(api: APIClient, a: File, b: File) -> None:
    pk = api.post(ADDRESS, body(a, b)).json()["id"]
    File.objects.filter(pk=b.pk).update(state="quarantined")
    assert worked(Merge.objects.get()).error_code == "merge:not-ready"
    shown = api.get(f"{ADDRESS}/{pk}").json()
    assert (shown["state"], shown["error_code"]) == ("failed", "merge:not-ready")
    File.objects.filter(pk=b.pk).update(state="ready")
    assert api.post(f"{ADDRESS}/{pk}/retry").json()["state"] == "wanted"
    assert worked(Merge.objects.get()).state == "made"
    assert api.post(f"{ADDRESS}/{pk}/retry").json()["code"] == "retry:nothing"


def test_numbers_that_are_none_of_mine_are_a_plain_404(api: APIClient) -> None:
    FileFactory()
    for pk in ("0", "99999999999999999999", "x"):
        assert api.get(f"{ADDRESS}/{pk}").status_code == 404
