"""POST by-hash and by-hash/ids: many SHA-256 at once, in whatever spelling; and what is no question at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from registry.models import File, Token, User
from tests.factories import UserFactory
from tests.hub.api.civitai.conftest import condition
from tests.hub.published import published_entry, published_file, published_version

BODIES, IDS = "/api/v1/model-versions/by-hash", "/api/v1/model-versions/by-hash/ids"
HIDDEN, GONE = ("private", "draft", "private-withdrawn"), ("withdrawn", "deleted", "quarantined")
Ask = Callable[..., Any]

pytestmark = pytest.mark.django_db


def asker(user: User | None = None) -> Ask:
    headers = {"Authorization": f"Bearer {Token.issue(user, 'tests')[1]}"} if user else {}
    client = Client(headers=headers, enforce_csrf_checks=True)

    def ask(address: str, body: Any, kind: str = "application/json") -> Any:
        return client.post(address, body if isinstance(body, str | bytes) else json.dumps(body), content_type=kind)

    return ask


@pytest.fixture
def files(creator: User) -> list[File]:
    return [published_file(creator, b"weights %d" % number, f"w{number}.safetensors") for number in range(3)]


def test_whole_versions_in_the_order_of_the_question(files: list[File], client: Client) -> None:
    one, two, three = files
    asked = [two.sha256.upper(), "ab" * 32, f"0x{one.sha256}", two.sha256, f"  0X{three.sha256.upper()} "]
    found = asker()(BODIES, asked).json()
    assert [body["id"] for body in found] == [two.version_id, one.version_id, three.version_id]
    assert found[1] == client.get(f"/api/v1/model-versions/{one.version_id}").json()


def test_ids_say_which_hash_they_answer(files: list[File]) -> None:
    one, two, _ = files
    assert asker()(IDS, [two.sha256, "ab" * 32, one.sha256.upper()]).json() == [
        {"modelVersionId": file.version_id, "modelId": file.version.entry_id, "hash": file.sha256.upper()} for file in (two, one)
    ]


def test_two_files_of_one_version_are_one_version_and_two_ids(files: list[File], creator: User) -> None:
    file = files[0]
    other = published_file(creator, b"half", "half.safetensors", version=file.version)
    asked = [file.sha256, other.sha256]
    assert [body["id"] for body in asker()(BODIES, asked).json()] == [file.version_id]
    assert [row["modelVersionId"] for row in asker()(IDS, asked).json()] == [file.version_id] * 2


def test_of_several_versions_with_the_same_bytes_the_one_that_by_hash_gives(creator: User, stranger: User, client: Client) -> None:
    for owner in (creator, stranger):
        file = published_file(owner, b"same", version=published_version(published_entry(owner)))
    [row] = asker()(IDS, [file.sha256]).json()
    assert row["modelVersionId"] == client.get(f"{BODIES}/{file.sha256}").json()["id"]


@pytest.mark.parametrize("address", [BODIES, IDS])
@pytest.mark.parametrize(
    "body",
    [
        "", "{", "null", "{}", '"' + "ab" * 32 + '"', "[1]", "[null]", '["abcd"]', '["' + "zz" * 32 + '"]', '["' + "ab" * 33 + '"]',
        b"\xff\xfe[]", "[" * 2000, '[["' + "ab" * 32 + '"]]', "hashes=" + "ab" * 32,
    ],
)  # fmt: skip
def test_what_is_no_list_of_hashes(address: str, body: Any) -> None:
    response = asker()(address, body)
    assert response.status_code == 400
    assert response.json()["error"].startswith("Request must include an array of SHA256 Hashes. At most ")


@pytest.mark.parametrize(("address", "most"), [(BODIES, 100), (IDS, 10_000)])
def test_as_many_as_are_allowed_and_no_more(address: str, most: int) -> None:
    hashes = [f"{number:064x}" for number in range(most + 1)]
    assert asker()(address, json.dumps([f"0x{value}" for value in hashes[:most]], indent=4)).json() == []
    assert asker()(address, hashes).status_code == 400


@pytest.mark.parametrize(("address", "limit"), [(BODIES, 10_000), (IDS, 1_000_000)])
def test_a_body_that_no_question_needs_is_not_read(address: str, limit: int) -> None:
    response = asker()(address, b" " * (limit + 1))
    assert response.status_code == 413
    assert "too large" in response.json()["error"]


def test_an_empty_list_finds_nothing() -> None:
    assert (asker()(BODIES, []).json(), asker()(IDS, []).json()) == ([], [])


@pytest.mark.parametrize("state", HIDDEN)
def test_what_is_hidden_is_not_found(state: str, creator: User, stranger: User) -> None:
    file = condition(creator, state, b"weights")
    for user in (None, stranger):
        assert asker(user)(BODIES, [file.sha256]).content == asker(user)(BODIES, ["ab" * 32]).content == b"[]"
        assert asker(user)(IDS, [file.sha256]).content == b"[]"
    assert len(asker(creator)(IDS, [file.sha256]).json()) == (0 if state == "draft" else 1)


def test_what_was_read_for_one_is_not_read_for_another(creator: User, moderator: User, client: Client) -> None:
    """Statements are kept by who asks: the first user of all, number 1, is nobody's moderator."""
    file = condition(creator, "private", b"weights")
    first = UserFactory(pk=1)
    for user, found in ((moderator, 1), (first, 0), (creator, 1), (None, 0), (moderator, 1), (first, 0)):
        assert len(asker(user)(IDS, [file.sha256]).json()) == len(asker(user)(BODIES, [file.sha256]).json()) == found


@pytest.mark.parametrize("state", GONE)
def test_what_is_gone_is_told_without_an_address(state: str, creator: User) -> None:
    file = condition(creator, state, b"weights")
    [body] = asker()(BODIES, [file.sha256]).json()
    assert "downloadUrl" not in str(body)
    assert body["heldFiles"][0]["hashes"]["SHA256"] == file.sha256.upper()
    assert asker()(IDS, [file.sha256]).json()[0]["modelVersionId"] == file.version_id


@pytest.mark.parametrize("state", ["uploading", "queued", "scanning", "clean", "converting", "failed"])
def test_a_file_that_is_not_through_is_found_by_nobody_else(state: str, creator: User, stranger: User, client: Client) -> None:
    kept = published_file(creator, b"kept")
    file = published_file(creator, b"coming", "coming.safetensors", version=kept.version, state=state)
    for user in (None, stranger):
        assert asker(user)(IDS, [file.sha256]).json() == []
    assert client.get(f"{BODIES}/{file.sha256}").status_code == 404
    assert asker(creator)(IDS, [file.sha256]).json()[0]["modelVersionId"] == kept.version_id


def test_a_file_that_a_later_push_took_away_is_found_no_more(files: list[File], client: Client) -> None:
    File.objects.filter(pk=files[0].pk).update(removed_at=timezone.now())
    assert asker()(IDS, [files[0].sha256]).json() == []
    assert client.get(f"{BODIES}/{files[0].sha256}").status_code == 404


def test_the_number_of_queries_does_not_grow(creator: User, django_assert_max_num_queries: Any) -> None:
    files = [published_file(creator, b"weights %d" % number, blob_container="torch-zip") for number in range(12)]
    with django_assert_max_num_queries(9):
        assert len(Client().post(BODIES, json.dumps([f.sha256 for f in files]), content_type="application/json").json()) == 12
    with django_assert_max_num_queries(1):
        assert len(Client().post(IDS, json.dumps([f.sha256 for f in files]), content_type="application/json").json()) == 12


def test_methods_and_preflight(client: Client) -> None:
    for address in (BODIES, IDS):
        response = client.get(address)
        assert (response.status_code, response.json()) == (405, {"error": "Method not allowed"})
        assert response["Allow"] == "POST, OPTIONS"
        preflight = client.options(address)
        assert (preflight.status_code, preflight["Access-Control-Allow-Methods"]) == (200, "POST, OPTIONS")
        assert "Content-Type" in preflight["Access-Control-Allow-Headers"]
    assert client.post("/api/v1/models", "[]", content_type="application/json").status_code == 405
