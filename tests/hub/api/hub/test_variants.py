"""Asking for variants by the API: who may, what is offered, what is there already, and what comes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from hub import variants
from inference.models import Derivative
from registry import catalog
from registry.formats.directory import Storage, TensorDirectory, TensorEntry
from registry.models import File, TensorIndex
from tests import tiny
from tests.factories import BlobFactory, FileFactory, VersionFactory
from tests.hub.api.hub.test_schema import fits
from tests.intake import drain, published_lightning, upload_path

pytestmark = pytest.mark.django_db


@pytest.fixture
def checkpoint(at_rest: Any, creator: Any) -> File:
    """A published fp32 checkpoint with averages, a pickle, and everything that the hub makes of it unasked."""
    return at_rest(published_lightning, creator)


@pytest.fixture
def halves(at_rest: Any, creator: Any) -> File:
    """An fp16 safetensors file: nothing is made of it unasked, and nothing can be."""
    return at_rest(half_precision, creator)


def half_precision(creator: Any, folder: Path) -> File:
    import torch

    version: Any = VersionFactory(entry__owner=creator)
    file = upload_path(version, creator, tiny.plain_checkpoint(folder / "half.safetensors", dtype=torch.float16))
    drain()
    return file


def ask(client: APIClient, file: File, keep: str, precision: str) -> Any:
    return client.post(f"/api/hub/files/{file.pk}/variants", {"keep": keep, "precision": precision})


def test_offers_say_size_reason_and_what_was_made(api: APIClient, checkpoint: File, described: dict[str, Any]) -> None:
    answer = api.get(f"/api/hub/files/{checkpoint.pk}/variants")
    assert answer.status_code == 200
    fits(described, "OffersAnswer", answer.json())
    offers = {(row["keep"], row["precision"]): row for row in answer.json()["offers"]}
    assert {key for key, row in offers.items() if row["worthwhile"]} == {("weights", "fp16"), ("ema", "fp16")}
    assert {key for key, row in offers.items() if row["state"] == "made"} == {("weights", "fp16"), ("ema", "fp16")}
    made = offers["weights", "fp16"]
    assert made["size_bytes"] == File.objects.get(pk=made["file_id"]).size_bytes
    assert {row["reason"]: row["count"] for row in made["dropped"]} == {"training state": 120, "EMA": 686, "EMA counters": 2}


def test_what_is_asked_for_is_made_as_foretold(api: APIClient, checkpoint: File, described: dict[str, Any]) -> None:
    offers = api.get(f"/api/hub/files/{checkpoint.pk}/variants").json()["offers"]
    foretold = next(row["size_bytes"] for row in offers if (row["keep"], row["precision"]) == ("weights", "bf16"))
    answer = ask(api, checkpoint, "weights", "bf16")
    assert (answer.status_code, answer.json()["state"], answer.json()["file_id"]) == (202, "wanted", None)
    fits(described, "DerivativeAnswer", answer.json())
    assert ask(api, checkpoint, "weights", "bf16").status_code == 200
    assert drain() == 3  # derive, examine, settle
    again = ask(api, checkpoint, "weights", "bf16")
    assert (again.status_code, again.json()["state"], again.json()["file_state"]) == (200, "made", "ready")
    assert again.json()["size_bytes"] == foretold
    assert again.json()["name"] == "dream-pruned-bf16.safetensors"


def test_a_variant_that_would_equal_another_is_answered_with_that_one(api: APIClient, checkpoint: File, halves: File) -> None:
    before = File.objects.count()
    twin = File.objects.get(source=checkpoint, recipe__keep="all")
    for keep in ("all",):
        for precision in ("keep", "fp32"):
            answer = ask(api, checkpoint, keep, precision)
            assert (answer.status_code, answer.json()["file_id"]) == (200, twin.pk)
    answer = ask(api, halves, "weights", "fp16")
    assert (answer.status_code, answer.json()["file_id"], answer.json()["state"]) == (200, halves.pk, "made")
    assert ask(api, checkpoint, "ema", "fp32").json()["recipe"] == {"keep": "ema", "precision": "keep"}
    drain()
    assert File.objects.count() == before + 1


def test_a_variant_of_no_use_is_refused_with_a_sentence(api: APIClient, halves: File) -> None:
    answer = ask(api, halves, "weights", "fp32")
    assert (answer.status_code, answer.json()["code"]) == (409, "variants:no-use")
    assert "gain not one digit" in answer.json()["error"]
    answer = ask(api, halves, "ema", "keep")
    assert (answer.status_code, answer.json()["code"]) == (409, "weights:no-ema")
    refused = {(row["keep"], row["precision"]): row["code"] for row in api.get(f"/api/hub/files/{halves.pk}/variants").json()["refused"]}
    assert refused["ema", "keep"] == "weights:no-ema"
    assert refused["weights", "fp32"] == "variants:no-use"
    assert not Derivative.objects.filter(source=halves).exists()


def test_only_its_owner_and_moderators_ask(
    api: APIClient, reader: APIClient, other: APIClient, judge: APIClient, anonymous: APIClient, checkpoint: File
) -> None:
    assert ask(anonymous, checkpoint, "weights", "bf16").status_code == 401
    assert ask(reader, checkpoint, "weights", "bf16").status_code == 403
    assert ask(other, checkpoint, "weights", "bf16").status_code == 403
    assert other.get(f"/api/hub/files/{checkpoint.pk}/variants").status_code == 403
    assert reader.get(f"/api/hub/files/{checkpoint.pk}/variants").status_code == 200
    assert ask(judge, checkpoint, "weights", "bf16").status_code == 202


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"keep": "some", "precision": "fp16"}, "keep"),
        ({"keep": "all", "precision": "fp8"}, "precision"),
        ({"keep": "all"}, "precision"),
        ({"keep": "all", "precision": "fp16", "x": 1}, "x"),
    ],
)
def test_what_is_no_recipe_is_refused(api: APIClient, checkpoint: File, body: dict[str, Any], field: str) -> None:
    answer = api.post(f"/api/hub/files/{checkpoint.pk}/variants", body)
    assert answer.status_code == 400
    assert field in answer.json()["fields"]


def test_variants_are_made_of_ready_uploaded_files_that_hold_tensors(api: APIClient, checkpoint: File, creator: Any) -> None:
    derived = File.objects.filter(source=checkpoint).first()
    assert derived is not None
    assert ask(api, derived, "weights", "bf16").json()["code"] == "variants:derived"
    assert "dream.ckpt" in ask(api, derived, "weights", "bf16").json()["error"]
    version: Any = VersionFactory(entry__owner=creator)
    waiting = FileFactory(version=version, state="queued")
    assert ask(api, waiting, "weights", "bf16").json()["code"] == "variants:not-ready"
    empty = FileFactory(version=version, blob=BlobFactory(container="gguf"))
    assert ask(api, empty, "weights", "bf16").json()["code"] == "variants:no-tensors"
    sealed = FileFactory(version=version, blob=BlobFactory(verdict="suspicious"))
    assert ask(api, sealed, "weights", "bf16").json()["code"] == "variants:not-served"


def test_a_withdrawn_version_gets_nothing_more(api: APIClient, checkpoint: File) -> None:
    catalog.withdraw(checkpoint.version, "a mistake")
    assert ask(api, checkpoint, "weights", "bf16").json()["code"] in {"variants:gone", "variants:not-served"}


def test_a_list_of_very_many_tensors_is_not_taken_apart_for_a_page(api: APIClient, halves: File) -> None:
    """200,000 views of one storage are half a megabyte as they are kept, and seconds of every visit."""
    views = tuple(TensorEntry((f"{number:06}",), "F16", (0,), 0, 0, (1,)) for number in range(200_000))
    assert halves.blob is not None
    TensorIndex.keep(halves.blob, TensorDirectory("zip", (Storage("data", 0, 4),), views, {}).to_json())
    for answer in (api.get(f"/api/hub/files/{halves.pk}/variants"), ask(api, halves, "weights", "bf16")):
        assert (answer.status_code, answer.json()["code"]) == (409, "tensors:too-many")


def test_nobody_fills_the_queue(api: APIClient, checkpoint: File, monkeypatch: Any) -> None:
    monkeypatch.setattr(variants, "OPEN_AT_ONCE", 2)
    assert ask(api, checkpoint, "weights", "bf16").status_code == 202
    assert ask(api, checkpoint, "ema", "bf16").status_code == 202
    answer = ask(api, checkpoint, "all", "bf16")
    assert (answer.status_code, answer.json()["code"]) == (429, "variants:too-many")
    assert ask(api, checkpoint, "ema", "bf16").status_code == 200
    drain()
    assert ask(api, checkpoint, "all", "bf16").status_code == 202


def test_a_failed_variant_is_tried_again(api: APIClient, checkpoint: File) -> None:
    ask(api, checkpoint, "weights", "bf16")
    row = Derivative.objects.get(source=checkpoint, recipe={"keep": "weights", "precision": "bf16"})
    Derivative.objects.filter(pk=row.pk).update(state="failed", error="No room.", error_code="x")
    answer = ask(api, checkpoint, "weights", "bf16")
    assert (answer.status_code, answer.json()["state"], answer.json()["error"]) == (202, "wanted", "")


def test_a_variant_whose_file_is_gone_is_made_again(api: APIClient, checkpoint: File) -> None:
    File.objects.get(source=checkpoint, recipe__keep="ema").delete()
    answer = ask(api, checkpoint, "ema", "fp16")
    assert (answer.status_code, answer.json()["state"]) == (202, "wanted")
    drain()
    assert ask(api, checkpoint, "ema", "fp16").json()["file_state"] == "ready"


def test_a_derived_file_says_how_it_was_made(api: APIClient, checkpoint: File, described: dict[str, Any]) -> None:
    small = File.objects.get(source=checkpoint, recipe__keep="weights")
    answer = api.get(f"/api/hub/files/{small.pk}").json()
    fits(described, "FileAnswer", answer)
    outcome = answer["outcome"]
    assert outcome["recipe"] == {"keep": "weights", "precision": "fp16"}
    assert (outcome["comparison"]["equal"], outcome["comparison"]["rounded"]) == _equal_and_rounded(small)
    assert outcome["losses"]["overflow"] == 0
    assert outcome["warning"] == ""
    assert {row["reason"]: row["count"] for row in outcome["dropped"]} == {"training state": 120, "EMA": 686, "EMA counters": 2}
    twin = File.objects.get(source=checkpoint, recipe__keep="all")
    outcome = api.get(f"/api/hub/files/{twin.pk}").json()["outcome"]
    assert (outcome["comparison"]["equal"], outcome["comparison"]["rounded"]) == (1819, 0)
    assert api.get(f"/api/hub/files/{checkpoint.pk}").json()["outcome"] is None


def _equal_and_rounded(small: File) -> tuple[int, int]:
    """Counted by torch: tensors of the stored fp16 file that are, and are not, what they were in fp32."""
    from safetensors.torch import load_file

    from registry import storage

    before = tiny.state_dict()
    with storage.local_path(small.blob) as path:  # type: ignore[arg-type]
        after = load_file(path)
    equal = sum(bool((after[name].to(tensor.dtype) == tensor).all()) for name, tensor in before.items())
    return equal, len(before) - equal
