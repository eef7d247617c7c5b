"""Questions and answers through the API: who is asked, who may answer, and what readers see of it."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from registry.models import Version
from tests.factories import BlobFactory, EntryFactory, FileFactory, VersionFactory

DETECTED = {"kind": "lora", "family": "SDXL", "base_model": "SDXL 1.0", "evidence": ["attn2_to_k.lora_down.weight [8, 2048]", "a\u202eb"]}
ASKED = {
    "about": "base_model",
    "declared": "SD 1.5",
    "detected": "SDXL",
    "suggestion": "SDXL 1.0",
    "evidence": ["attn2_to_k.lora_down.weight [8, 2048]", "a\ufffdb"],
}


@pytest.fixture
def contested(creator: Any) -> Version:
    """A draft LoRA, declared for SD 1.5, whose tensors are SDXL's."""
    version: Version = VersionFactory(entry=EntryFactory(owner=creator, kind="lora"))
    FileFactory(version=version, blob=BlobFactory(detected=DETECTED))
    return version


def test_a_contested_version_asks_and_is_not_published(api: APIClient, contested: Version) -> None:
    seen = api.get(f"/api/hub/versions/{contested.pk}").json()
    assert (seen["questions"], seen["kept"]) == ([ASKED], [])
    refused = api.post(f"/api/hub/versions/{contested.pk}/publish")
    assert (refused.status_code, refused.json()["code"]) == (409, "publish:unanswered")
    assert "keep it and say why" in refused.json()["error"]


def test_a_kept_declaration_is_published_with_its_reason(api: APIClient, anonymous: APIClient, contested: Version) -> None:
    answer = {"about": "base_model", "keep": True, "reason": "Mapped by hand."}
    seen = api.post(f"/api/hub/versions/{contested.pk}/answers", answer)
    assert (seen.status_code, seen.json()["questions"]) == (200, [])
    assert api.post(f"/api/hub/versions/{contested.pk}/publish").status_code == 200
    [kept] = anonymous.get(f"/api/hub/versions/{contested.pk}").json()["kept"]
    assert {key: kept[key] for key in ("declared", "detected", "reason")} == {
        "declared": "SD 1.5", "detected": "SDXL", "reason": "Mapped by hand.",
    }  # fmt: skip


def test_a_changed_declaration_is_published(api: APIClient, contested: Version) -> None:
    seen = api.post(f"/api/hub/versions/{contested.pk}/answers", {"about": "base_model", "keep": False, "detected": "SDXL"}).json()
    assert (seen["base_model"], seen["questions"], seen["kept"]) == ("SDXL 1.0", [], [])
    assert api.post(f"/api/hub/versions/{contested.pk}/publish").status_code == 200


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        ({"about": "base_model", "keep": True}, 400, "answer:no-reason"),
        ({"about": "base_model", "keep": True, "reason": "x" * 501}, 400, "invalid"),
        ({"about": "base_model", "keep": True, "reason": "a\u0000b"}, 400, "invalid"),
        ({"about": "kind", "keep": False}, 409, "answer:not-asked"),
        ({"about": "base_model", "keep": False, "detected": "Flux.1"}, 409, "answer:not-asked"),
        ({"about": "colour", "keep": False}, 400, "invalid"),
        ({"about": "base_model"}, 400, "invalid"),
        ({"about": "base_model", "keep": False, "by": 1}, 400, "invalid"),
    ],
)
def test_a_wrong_answer_is_refused_and_changes_nothing(
    api: APIClient, contested: Version, answer: dict[str, Any], status: int, code: str
) -> None:
    refused = api.post(f"/api/hub/versions/{contested.pk}/answers", answer)
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert api.get(f"/api/hub/versions/{contested.pk}").json()["questions"] == [ASKED]


def test_only_its_owner_and_moderators_answer(
    api: APIClient, reader: APIClient, other: APIClient, anonymous: APIClient, judge: APIClient, contested: Version
) -> None:
    address, answer = f"/api/hub/versions/{contested.pk}/answers", {"about": "base_model", "keep": True, "reason": "Mine."}
    assert [client.post(address, answer).status_code for client in (other, anonymous, reader)] == [404, 401, 403]
    api.post(address, answer)
    api.post(f"/api/hub/versions/{contested.pk}/publish")
    assert [client.post(address, answer).status_code for client in (other, anonymous, judge)] == [403, 401, 200]


def test_readers_see_what_a_published_version_left_unanswered_but_nothing_of_unfinished_files(
    api: APIClient, anonymous: APIClient, creator: Any
) -> None:
    version = VersionFactory(entry=EntryFactory(owner=creator, kind="lora"), base_model="Pony")
    FileFactory(version=version, blob=BlobFactory(detected=DETECTED))
    api.post(f"/api/hub/versions/{version.pk}/publish")
    FileFactory(version=version, state="converting", blob=BlobFactory(detected=DETECTED | {"family": "Flux.1"}))
    address = f"/api/hub/versions/{version.pk}"
    assert [one["detected"] for one in api.get(address).json()["questions"]] == ["Flux.1"]
    assert anonymous.get(address).json()["questions"] == []
    version.files.update(state="ready")
    assert [one["detected"] for one in anonymous.get(address).json()["questions"]] == ["Flux.1"]
