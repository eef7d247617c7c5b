"""Judging again and extracting through the API: who may, what comes of it, and the sentence where it cannot be."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from registry import catalog
from registry.models import File, TensorIndex
from scanner.models import Rescan
from tests.factories import BlobFactory, FileFactory, VersionFactory
from tests.intake import drain, sealed_suspicious, upload_bytes

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def held(at_rest: Any, creator: Any) -> File:
    """A real suspicious file, sealed."""
    return at_rest(sealed_suspicious, creator)


def test_a_moderator_has_bytes_judged_again(judge: APIClient, held: File) -> None:
    answer = judge.post(f"/api/hub/files/{held.pk}/rescan")
    assert answer.status_code == 202
    assert (answer.json()["state"], answer.json()["before"], answer.json()["after"]) == ("wanted", "suspicious", None)
    assert judge.post(f"/api/hub/files/{held.pk}/rescan").json()["id"] == answer.json()["id"]
    drain()
    assert Rescan.objects.get().after == "suspicious"


def test_nobody_else_has_bytes_judged_again(api: APIClient, other: APIClient, anonymous: APIClient, held: File) -> None:
    refused = api.post(f"/api/hub/files/{held.pk}/rescan")
    assert (refused.status_code, refused.json()["code"]) == (403, "rescan:moderators")
    assert other.post(f"/api/hub/files/{held.pk}/rescan").status_code == 404
    assert anonymous.post(f"/api/hub/files/{held.pk}/rescan").status_code == 401
    assert not Rescan.objects.exists()


def test_what_was_never_judged_is_not_judged_again(judge: APIClient, creator: object) -> None:
    file = upload_bytes(VersionFactory(entry__owner=creator), creator, "a.ckpt", b"waits")  # type: ignore[arg-type]
    answer = judge.post(f"/api/hub/files/{file.pk}/rescan")
    assert (answer.status_code, answer.json()["code"]) == (409, "rescan:not-yet")
    gone = FileFactory(blob=BlobFactory(stored=False))
    assert judge.post(f"/api/hub/files/{gone.pk}/rescan").json()["code"] == "rescan:no-bytes"


def test_the_owner_has_the_tensors_extracted(api: APIClient, held: File) -> None:
    answer = api.post(f"/api/hub/files/{held.pk}/extract")
    assert answer.status_code == 202
    assert [one["state"] for one in answer.json()["derivatives"]] == ["wanted"]
    drain()
    [made] = api.get(f"/api/hub/files/{held.pk}").json()["derivatives"]
    assert (made["name"], made["file_state"], made["error"]) == ("grey.safetensors", "ready", "")
    again = api.post(f"/api/hub/files/{held.pk}/extract").json()
    assert [one["file_id"] for one in again["derivatives"]] == [made["file_id"]]
    assert again["state"] == "quarantined"


def test_an_extraction_whose_file_was_lost_begins_again(api: APIClient, held: File) -> None:
    api.post(f"/api/hub/files/{held.pk}/extract")
    drain()
    File.objects.filter(source=held).delete()
    api.post(f"/api/hub/files/{held.pk}/extract")
    drain()
    assert File.objects.get(source=held).downloadable


def test_a_file_without_tensors_says_so(api: APIClient, held: File) -> None:
    TensorIndex.objects.filter(blob=held.blob).delete()
    answer = api.post(f"/api/hub/files/{held.pk}/extract")
    assert (answer.status_code, answer.json()["code"]) == (409, "extract:no-tensors")
    assert "nothing to extract" in answer.json()["error"]


@pytest.mark.parametrize("verdict", ["danger", "error", "success"])
def test_nothing_is_extracted_from_any_other_verdict(api: APIClient, creator: object, verdict: str) -> None:
    file = FileFactory(version__entry__owner=creator, state="quarantined", blob=BlobFactory(verdict=verdict, sealed=True))
    TensorIndex.keep(file.blob, {})
    assert api.post(f"/api/hub/files/{file.pk}/extract").json()["code"] == "extract:not-suspicious"


def test_what_turned_dangerous_before_its_turn_is_not_extracted(api: APIClient, held: File) -> None:
    api.post(f"/api/hub/files/{held.pk}/extract")
    type(held.blob).objects.update(verdict="danger")
    drain()
    [one] = api.get(f"/api/hub/files/{held.pk}").json()["derivatives"]
    assert (one["state"], one["error_code"]) == ("failed", "convert:not-judged")
    assert not File.objects.filter(source=held).exists()


def test_a_stranger_sees_the_file_and_may_not_extract(other: APIClient, held: File) -> None:
    FileFactory(version=held.version)
    catalog.publish(held.version)
    assert other.post(f"/api/hub/files/{held.pk}/extract").status_code == 403
