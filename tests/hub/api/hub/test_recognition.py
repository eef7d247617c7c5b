"""Questions before an upload: what is it, and is it here already?"""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from tests.hub.published import published_entry, published_file, published_version
from tests.registry.test_recognise import LORA, header

pytestmark = pytest.mark.django_db
LARGE = b"{}" + b" " * 2**22


def identify(api: APIClient, body: bytes, query: str = "?name=brass.safetensors") -> Any:
    return api.post(f"/api/hub/identify{query}", body, content_type="application/octet-stream")


def test_header_is_answered_with_what_a_form_needs(api: APIClient) -> None:
    answer = identify(api, header(LORA))
    assert answer.status_code == 200
    assert answer.json() | {"evidence": [], "confidence": ""} == {
        "name": "brass",
        "version": "",
        "kind": "lora",
        "detected_kind": "lora",
        "label": "LoRA",
        "flavour": "LoRA",
        "base_model": "SD 1.5",
        "precision": "fp16",
        "confidence": "",
        "tensors": 3,
        "trigger_words": [],
        "evidence": [],
    }


@pytest.mark.parametrize(("body", "query", "status"), [(b"{", "?name=a.safetensors", 400), (b"", "", 400), (LARGE, "?name=a", 413)])
def test_what_is_no_header_is_refused(api: APIClient, body: bytes, query: str, status: int) -> None:
    answer = identify(api, body, query)
    assert (answer.status_code, bool(answer.json()["error"])) == (status, True)


def test_bytes_are_known_to_those_alone_who_may_read_them(api: APIClient, other: APIClient, creator: Any, stores: Any) -> None:
    private = published_file(creator, b"secret", version=published_version(published_entry(creator, visibility="private")))
    public = published_file(creator, b"open", version=published_version(published_entry(creator, name="Open")))
    nothing = {"here": False, "size_bytes": None, "places": []}
    assert other.get(f"/api/hub/known/{private.sha256}").json() == other.get(f"/api/hub/known/{'9' * 64}").json() == nothing
    own, known = (client.get(f"/api/hub/known/{public.sha256}").json() for client in (api, other))
    assert (own["here"], own["size_bytes"], own["places"][0]["yours"], known["places"][0]["yours"]) == (True, 4, True, False)
    assert api.get(f"/api/hub/known/{private.sha256}").json()["here"]
    assert api.get("/api/hub/known/xyz").status_code == 400
