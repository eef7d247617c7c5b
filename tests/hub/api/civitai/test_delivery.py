"""What a download address answers to programs that pretend to be browsers, to browsers, and to whoever comes too early."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from registry.models import DownloadCount, File, Token, User
from tests.factories import FileFactory
from tests.hub.api.civitai.conftest import Get, condition
from tests.hub.published import published_file

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36"
HTML = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def test_a_program_that_calls_itself_a_browser_is_never_shown_a_page(client: Any, creator: User) -> None:
    for state, status in (("private", 404), ("withdrawn", 410), ("quarantined", 403), ("public", 307)):
        file = condition(creator, state, state.encode())
        response = client.get(f"/api/download/models/{file.version_id}", headers={"user-agent": CHROME, "accept": "*/*"})
        assert response.status_code == status
        if status != 307:
            assert response["Content-Type"] == "application/json"
            assert response.json()["error"]


@pytest.mark.parametrize("exists", [True, False])
def test_a_person_in_a_browser_is_asked_to_sign_in_whether_the_model_exists_or_not(client: Any, creator: User, exists: bool) -> None:
    version = condition(creator, "private", b"weights").version_id if exists else 999999
    response = client.get(f"/api/download/models/{version}?size=full&token=wh_gone", headers={"user-agent": CHROME, "accept": HTML})
    assert response.status_code == 307
    where = urlsplit(response["Location"])
    assert (where.scheme, where.netloc, where.path) == ("http", "testserver", "/accounts/login/")
    assert parse_qs(where.query) == {
        "returnUrl": [f"/model-versions/{version}"],
        "reason": ["download-auth"],
        "next": [f"/api/download/models/{version}?size=full"],
    }
    assert response["Cache-Control"] == "no-store, max-age=0"


def test_who_is_signed_in_is_not_asked_again(client: Any, creator: User, stranger: User) -> None:
    file = condition(creator, "private", b"weights")
    for user, status in ((stranger, 404), (creator, 307)):
        client.force_login(user)
        response = client.get(f"/api/download/models/{file.version_id}", headers={"accept": HTML})
        assert response.status_code == status
        assert "login" not in response.get("Location", "")


def test_a_key_in_the_address_counts_beside_a_header_that_holds_none(client: Any, creator: User) -> None:
    file = condition(creator, "private", b"weights")
    query = {"token": Token.issue(creator, "tests")[1]}
    for header in ("Bearer None", "Bearer wh_unknown", "Bearer"):
        response = client.get(f"/api/download/models/{file.version_id}", query, headers={"authorization": header})
        assert response.status_code == 307
        assert query["token"] not in response["Location"]
    assert client.get(f"/api/download/models/{file.version_id}", headers={"authorization": "Bearer None"}).status_code == 404


def test_parameters_of_another_time_are_ignored(get: Get, creator: User) -> None:
    file = condition(creator, "public", b"weights")
    response = get(f"/api/download/models/{file.version_id}", {"epoch": "3", "type": "Model", "quantType": "", "fp": "", "utm_source": "x"})
    assert response.status_code == 307


@pytest.mark.parametrize(
    ("wanted", "status"), [({}, 503), ({"format": "SafeTensor"}, 503), ({"format": "PickleTensor"}, 307), ({"format": "GGUF"}, 404)]
)
def test_whoever_would_take_the_twin_is_told_when_to_come_again(get: Get, creator: User, wanted: dict[str, str], status: int) -> None:
    pickle = published_file(creator, b"pickle", "a.ckpt", blob_container="torch-zip")
    FileFactory(version=pickle.version, role="derived", source=pickle, state="scanning")
    response = get(f"/api/download/models/{pickle.version_id}", wanted)
    assert response.status_code == status
    assert ("Retry-After" in response) == (status == 503)


def test_every_file_of_a_version_is_saved_under_a_name_of_its_own(get: Get, creator: User) -> None:
    pickle = published_file(creator, b"pickle", "a.ckpt", blob_container="torch-zip")
    for number, name in enumerate(("a.safetensors", "a-pruned-fp16.safetensors", "a-ema-fp16.safetensors")):
        published_file(creator, b"%d" % number, name, version=pickle.version, role="derived", source=pickle)
    body = get(f"/api/v1/model-versions/{pickle.version_id}").json()
    seen = {}
    for file in body["files"]:
        where = urlsplit(file["downloadUrl"])
        location = get(where.path, {key: value[0] for key, value in parse_qs(where.query).items()})["Location"]
        [disposition] = parse_qs(urlsplit(location).query)["response-content-disposition"]
        assert disposition == f'attachment; filename="{file["name"]}"'
        seen[disposition] = location
    assert len(seen) == len(body["files"]) == 4
    [main] = [file for file in body["files"] if file["primary"]]
    assert (main["downloadUrl"], "?" in main["downloadUrl"]) == (body["downloadUrl"], False)


def test_a_head_answers_as_the_get_and_is_not_counted(get: Get, creator: User) -> None:
    file = condition(creator, "public", b"weights")
    address = f"/api/download/models/{file.version_id}"
    answers = [get(address, method=method) for method in ("head", "get")]
    assert [answer.status_code for answer in answers] == [307, 307]
    assert set(answers[0].headers) == set(answers[1].headers)
    assert list(DownloadCount.objects.values_list("file_id", flat=True)) == [file.pk]
    assert File.objects.get(pk=file.pk).download_count == 0  # folded later


def test_a_name_that_the_hub_does_not_know_is_said_to_the_program(client: Any, settings: Any, creator: User) -> None:
    file = condition(creator, "public", b"weights")
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    for path in (f"/api/download/models/{file.version_id}", "/api/v1/models"):
        response = client.get(path, headers={"host": "civitai.com"})
        assert (response.status_code, response["Content-Type"]) == (400, "application/json")
        assert "WEIGH_ALLOWED_HOSTS" in response.json()["error"]


def test_addresses_follow_the_proxys_word_on_https_only_where_the_hub_is_told_of_one(client: Any, settings: Any, creator: User) -> None:
    file = condition(creator, "public", b"weights")
    settings.ALLOWED_HOSTS = ["civitai.red"]
    for proxy, scheme in ((None, "http"), (("HTTP_X_FORWARDED_PROTO", "https"), "https")):
        settings.SECURE_PROXY_SSL_HEADER = proxy
        response = client.get(f"/api/download/models/{file.version_id}", headers={"host": "civitai.red", "x-forwarded-proto": "https"})
        assert response["Location"].startswith(f"{scheme}://civitai.red/files/")
