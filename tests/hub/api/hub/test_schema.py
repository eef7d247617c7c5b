"""The API's own description: it is valid OpenAPI, names exactly the promised routes, and real answers have its shapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import validate
from rest_framework.test import APIClient

from tests.factories import VersionFactory
from tests.intake import drain, upload_path
from tests.tiny import plain_checkpoint

ROUTES = {
    "entries": {"post"},
    "entries/{id}": {"get", "patch", "delete"},
    "entries/{id}/versions": {"post"},
    "versions/{id}": {"get", "patch", "delete"},
    "versions/{id}/publish": {"post"},
    "versions/{id}/answers": {"post"},
    "versions/{id}/uploads": {"post"},
    "identify": {"post"},
    "known/{sha256}": {"get"},
    "uploads/{id}": {"get"},
    "uploads/{id}/parts": {"post"},
    "uploads/{id}/complete": {"post"},
    "files/{id}": {"get"},
    "files/{id}/tensors": {"get"},
    "files/{id}/fits": {"get"},
    "files/{id}/metadata": {"get"},
    "files/{id}/header": {"get"},
    "files/{id}/scan": {"get"},
    "files/{id}/retry": {"post"},
    "files/{id}/rescan": {"post"},
    "files/{id}/extract": {"post"},
    "files/{id}/variants": {"get", "post"},
    "merges": {"get", "post"},
    "merges/{id}": {"get", "delete"},
    "merges/{id}/retry": {"post"},
    "renders": {"get", "post"},
    "renders/{id}": {"get", "delete"},
    "renders/{id}/retry": {"post"},
    "renders/{id}/events": {"get"},
}
"""What others build on: nothing may be missing, and nothing is promised beside it."""


def test_the_schema_is_valid_openapi(described: dict[str, Any]) -> None:
    validate(described)


def test_exactly_the_promised_routes_exist(described: dict[str, Any]) -> None:
    found = {path.removeprefix("/api/hub/"): {name for name in verbs if name != "parameters"} for path, verbs in described["paths"].items()}
    assert found == ROUTES


def test_every_operation_takes_a_token_and_says_what_may_go_wrong(described: dict[str, Any]) -> None:
    for verbs in described["paths"].values():
        for operation in verbs.values():
            assert {"token": []} in operation["security"]
            assert any(status.startswith("4") for status in operation["responses"])
            assert operation["description"]


def fits(schema: dict[str, Any], component: str, answer: Any) -> None:
    """Raises unless `answer` has the shape that the schema promises; OpenAPI 3.0's `nullable` said in JSON Schema's words."""
    shape = {"$ref": f"#/components/schemas/{component}", "components": _plain(schema["components"])}
    jsonschema.validate(answer, shape, jsonschema.Draft202012Validator)


def _plain(node: Any) -> Any:
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    plain = {key: _plain(value) for key, value in node.items() if key != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if node.get("nullable") is True else plain


def test_real_answers_have_the_promised_shapes(
    described: dict[str, Any], api: APIClient, judge: APIClient, creator: Any, tmp_path: Path
) -> None:
    version = VersionFactory(entry__owner=creator)
    file = upload_path(version, creator, plain_checkpoint(tmp_path / "a.ckpt"))
    begun = api.post(f"/api/hub/versions/{version.pk}/uploads", {"file_name": "b.ckpt", "size_bytes": 10}).json()
    fits(described, "UploadBegun", begun)
    fits(described, "UploadAnswer", api.get(f"/api/hub/uploads/{begun['id']}").json())
    fits(described, "PartUrl", api.post(f"/api/hub/uploads/{begun['id']}/parts", {"numbers": [1]}).json()[0])
    fits(described, "FileAnswer", api.get(f"/api/hub/files/{file.pk}").json())
    fits(described, "ScanAnswer", api.get(f"/api/hub/files/{file.pk}/scan").json())
    drain()
    fits(described, "FileAnswer", api.get(f"/api/hub/files/{file.pk}").json())
    fits(described, "ScanAnswer", api.get(f"/api/hub/files/{file.pk}/scan").json())
    fits(described, "RescanAnswer", judge.post(f"/api/hub/files/{file.pk}/rescan").json())
    fits(described, "VersionAnswer", api.post(f"/api/hub/versions/{version.pk}/publish").json())
    fits(described, "EntryAnswer", api.get(f"/api/hub/entries/{version.entry_id}").json())
    fits(described, "Problem", api.post("/api/hub/entries", {}).json())
    with pytest.raises(jsonschema.ValidationError):
        fits(described, "EntryAnswer", {"id": 1})


def test_the_schema_is_served_to_everybody(anonymous: APIClient) -> None:
    answer = anonymous.get("/api/hub/schema/", HTTP_ACCEPT="application/vnd.oai.openapi+json")
    assert answer.status_code == 200
    assert answer.json()["info"]["title"] == "Weighhouse API"


def test_the_docs_page_keeps_to_the_content_security_policy(anonymous: APIClient) -> None:
    answer = anonymous.get("/api/hub/docs/?of=hub")
    page = answer.content.decode()
    policy = answer.headers["Content-Security-Policy"]
    nonce = policy.partition("'nonce-")[2].partition("'")[0]
    assert nonce
    assert page.count(f'nonce="{nonce}"') == 2
    assert "http://" not in page
    assert "https://" not in page  # no foreign server
    for part in page.split("<script")[1:]:
        assert " src=" in part.partition(">")[0] or "nonce=" in part.partition(">")[0]
