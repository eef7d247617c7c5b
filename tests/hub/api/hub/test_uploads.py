"""Uploads through the API, with parts through the real layer: the whole protocol, and everything that may be sent wrong."""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from registry import catalog
from registry.models import Blob, File, Upload
from tests.factories import VersionFactory
from tests.intake import drain, upload_path
from tests.servers import LiveHub, put
from tests.tiny import plain_checkpoint

MIB = 2**20
DATA = b"".join(bytes([number]) * MIB for number in range(12))
Json = dict[str, Any]


@pytest.fixture(autouse=True)
def small_parts(settings: Any) -> None:
    settings.PART_SIZE_BYTES = 5 * MIB


def begin(api: APIClient, version: Json, **fields: Any) -> Any:
    return api.post(f"/api/hub/versions/{version['id']}/uploads", {"file_name": "a.ckpt", "size_bytes": len(DATA), **fields})


@pytest.fixture
def upload(api: APIClient, version: Json) -> Json:
    answer = begin(api, version)
    assert answer.status_code == 201
    return answer.json()


def send(api: APIClient, upload: Json, hub: LiveHub, data: bytes = DATA, numbers: list[int] | None = None) -> list[Json]:
    """Send parts as a client does; what `complete` takes."""
    numbers = numbers or list(range(1, upload["part_count"] + 1))
    rows = api.post(f"/api/hub/uploads/{upload['id']}/parts", {"numbers": numbers}, HTTP_HOST=f"127.0.0.1:{hub.port}").json()
    sent = []
    for row in rows:
        start = (row["number"] - 1) * upload["part_size_bytes"]
        status, headers, _ = put(row["url"], data[start : start + upload["part_size_bytes"]])
        assert status == 200
        sent.append({"number": row["number"], "etag": headers["etag"]})
    return sent


def complete(api: APIClient, upload: Json, **body: Any) -> Any:
    return api.post(f"/api/hub/uploads/{upload['id']}/complete", body)


def test_an_upload_goes_from_begin_to_a_queued_file(live_hub: LiveHub, api: APIClient, version: Json, upload: Json) -> None:
    assert set(upload) == {"id", "part_size_bytes", "part_count"}
    assert (upload["part_size_bytes"], upload["part_count"]) == (5 * MIB, 3)
    state = api.get(f"/api/hub/uploads/{upload['id']}").json()
    assert (state["state"], state["parts"], state["file_name"], state["size_bytes"]) == ("open", [], "a.ckpt", len(DATA))
    parts = send(api, upload, live_hub)
    state = api.get(f"/api/hub/uploads/{upload['id']}").json()
    assert [(part["number"], part["size_bytes"]) for part in state["parts"]] == [(1, 5 * MIB), (2, 5 * MIB), (3, 2 * MIB)]
    answer = complete(api, upload, parts=parts)
    assert answer.status_code == 200
    file = api.get(f"/api/hub/files/{answer.json()['file_id']}").json()
    assert (file["state"], file["verdict"], file["queue_place"], file["version_id"]) == ("queued", "pending", 1, version["id"])
    assert file["timeline"][-1]["step"] == "received"
    assert file["download_url"] is None
    assert api.get(f"/api/hub/uploads/{upload['id']}").json()["state"] == "completed"


def test_completion_asked_twice_answers_the_same(live_hub: LiveHub, api: APIClient, upload: Json) -> None:
    send(api, upload, live_hub)
    first, second = complete(api, upload), complete(api, upload)
    assert first.json() == second.json()
    assert File.objects.get().timeline.filter(step="received").count() == 1


def test_two_completions_at_once_queue_one_file(live_hub: LiveHub, api: APIClient, upload: Json) -> None:
    send(api, upload, live_hub)
    answers: list[tuple[int, Json]] = []
    headers = {"Authorization": api._credentials["HTTP_AUTHORIZATION"], "Content-Type": "application/json"}

    def ask() -> None:
        answers.append(post(f"{live_hub.url}/api/hub/uploads/{upload['id']}/complete", {}, headers))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {status for status, _ in answers} <= {200, 409}
    assert {body["file_id"] for status, body in answers if status == 200} == {File.objects.get().pk}
    assert File.objects.get().state == "queued"
    assert File.objects.get().timeline.filter(step="received").count() == 1


def post(url: str, body: Any, headers: dict[str, str]) -> tuple[int, Json]:
    import urllib.error
    import urllib.request

    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_an_interrupted_upload_goes_on_where_it_stood(live_hub: LiveHub, api: APIClient, upload: Json) -> None:
    send(api, upload, live_hub, numbers=[1, 3])
    fresh = APIClient()  # the browser was reloaded: only the upload's id is known
    fresh.credentials(**api._credentials)
    state = fresh.get(f"/api/hub/uploads/{upload['id']}").json()
    missing = sorted(set(range(1, state["part_count"] + 1)) - {part["number"] for part in state["parts"]})
    assert missing == [2]
    send(fresh, upload, live_hub, numbers=missing)
    assert complete(fresh, upload).status_code == 200


def test_completion_names_the_parts_that_are_missing(live_hub: LiveHub, api: APIClient, upload: Json) -> None:
    send(api, upload, live_hub, numbers=[2])
    answer = complete(api, upload)
    assert (answer.status_code, answer.json()["code"]) == (409, "upload:parts-missing")
    assert "1, 3" in answer.json()["error"]
    send(api, upload, live_hub, numbers=[1, 3])
    assert complete(api, upload).status_code == 200


def test_etags_that_do_not_match_what_arrived_are_refused(live_hub: LiveHub, api: APIClient, upload: Json) -> None:
    parts = send(api, upload, live_hub)
    parts[1]["etag"] = '"0123456789abcdef0123456789abcdef"'
    answer = complete(api, upload, parts=parts)
    assert (answer.status_code, answer.json()["code"]) == (409, "upload:etag-mismatch")
    assert "Part 2" in answer.json()["error"]
    assert File.objects.get().state == "uploading"


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ([{"number": 1, "etag": "a"}, {"number": 1, "etag": "a"}], "more than once"),
        ([{"number": 4, "etag": "a"}], "parts 1 to 3"),
        ([{"number": 0, "etag": "a"}], "parts 1 to 3"),
        ([{"number": 1}], "required"),
        ([{"number": "one", "etag": "a"}], "integer"),
        ([1], "dictionary"),
        ("all", "list"),
    ],
)
def test_a_wrong_list_of_parts_is_a_sentence(api: APIClient, upload: Json, parts: Any, says: str) -> None:
    answer = complete(api, upload, parts=parts)
    assert answer.status_code == 400
    assert says in answer.json()["error"]


@pytest.mark.parametrize("numbers", [[0], [4], [-1], [10**30], [], ["x"], [1.5], None, list(range(1, 1002))])
def test_part_numbers_that_do_not_exist_are_refused(api: APIClient, upload: Json, numbers: Any) -> None:
    answer = api.post(f"/api/hub/uploads/{upload['id']}/parts", {"numbers": numbers})
    assert answer.status_code == 400
    assert answer.json()["error"]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("../../etc/passwd.ckpt", "name:path"),
        ("..\\..\\windows.ckpt", "name:path"),
        ("a\x00.ckpt", "name:control"),
        ("a\r\nSet-Cookie: x=1.ckpt", "name:control"),
        ("gpj.\u202etpkc.ckpt", "name:control"),
        ("\ud800.ckpt", "name:control"),
        ("x" * 4096 + ".ckpt", "name:too-long"),
        ("🏮" * 100 + ".ckpt", "name:too-long"),
        ("con.ckpt", "name:reserved"),
        ("", "name:empty"),
        (" . ", "name:empty"),
        ("malware.exe", "name:extension"),
        ("no-ending", "name:extension"),
    ],
)
def test_a_bad_file_name_is_refused_not_changed(api: APIClient, version: Json, name: str, code: str) -> None:
    body = json.dumps({"file_name": name, "size_bytes": 10})
    answer = api.post(f"/api/hub/versions/{version['id']}/uploads", body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert not File.objects.exists()


@pytest.mark.parametrize("name", ["🏮 lanterns.ckpt", "naïve café.safetensors", "a.b.c.ckpt", "模型.pt", 'quo"te.ckpt'])
def test_a_name_in_any_script_is_kept(api: APIClient, version: Json, name: str) -> None:
    upload = begin(api, version, file_name=name).json()
    assert api.get(f"/api/hub/uploads/{upload['id']}").json()["file_name"] == name


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"size_bytes": 0}, 400, "upload:empty"),
        ({"size_bytes": -1}, 400, "invalid"),
        ({"size_bytes": 2**63}, 400, "invalid"),
        ({"size_bytes": "many"}, 400, "invalid"),
        ({"size_bytes": 10**12}, 413, "upload:too-large"),
        ({"sha256": "xyz"}, 400, "upload:sha256-format"),
        ({"sha256": "a" * 63}, 400, "upload:sha256-format"),
        ({"part_size_bytes": 5}, 400, "invalid"),
        ({"file_name": None}, 400, "invalid"),
    ],
)
def test_a_bad_beginning_is_a_sentence(api: APIClient, version: Json, fields: Json, status: int, code: str) -> None:
    answer = begin(api, version, **fields)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not File.objects.exists()


def test_a_quota_that_is_used_up_is_said_with_figures(api: APIClient, version: Json, upload: Json, settings: Any) -> None:
    settings.USER_QUOTA_BYTES = 20 * MIB
    answer = begin(api, version, file_name="b.ckpt")
    assert (answer.status_code, answer.json()["code"]) == (413, "upload:quota")
    assert "12,582,912 of 20,971,520" in answer.json()["error"]


def test_a_name_can_be_taken_once_in_a_version(api: APIClient, version: Json, upload: Json) -> None:
    answer = begin(api, version, size_bytes=len(DATA) + 1)
    assert (answer.status_code, answer.json()["code"]) == (409, "upload:name-taken")


def test_beginning_again_goes_on_with_the_open_upload(api: APIClient, version: Json, upload: Json) -> None:
    assert begin(api, version).json() == upload


def test_an_expired_upload_is_410_and_the_sweep_frees_it(api: APIClient, upload: Json, live_hub: LiveHub, stores: Path) -> None:
    from registry import uploads

    send(api, upload, live_hub, numbers=[1])
    Upload.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
    for answer in (complete(api, upload), api.post(f"/api/hub/uploads/{upload['id']}/parts", {"numbers": [1]})):
        assert (answer.status_code, answer.json()["code"]) == (410, "upload:expired")
    assert uploads.expire() == 1
    state = api.get(f"/api/hub/uploads/{upload['id']}").json()
    assert (state["state"], state["error_code"], state["parts"]) == ("failed", "upload:expired", [])
    assert list((stores / "models" / "staging").iterdir()) == []
    assert complete(api, upload).status_code == 409


def test_an_upload_is_its_owners_alone(api: APIClient, other: APIClient, judge: APIClient, anonymous: APIClient, upload: Json) -> None:
    for client in (other, judge):
        for answer in (
            client.get(f"/api/hub/uploads/{upload['id']}"),
            client.post(f"/api/hub/uploads/{upload['id']}/parts", {"numbers": [1]}),
            complete(client, upload),
        ):
            missing = client.get(f"/api/hub/uploads/{uuid.uuid4()}")
            assert (answer.status_code, answer.content) == (404, missing.content)
    assert anonymous.get(f"/api/hub/uploads/{upload['id']}").status_code == 401


def test_a_read_token_sees_the_upload_and_sends_nothing(reader: APIClient, upload: Json) -> None:
    assert reader.get(f"/api/hub/uploads/{upload['id']}").status_code == 200
    assert reader.post(f"/api/hub/uploads/{upload['id']}/parts", {"numbers": [1]}).status_code == 403
    assert complete(reader, upload).status_code == 403


def test_a_stranger_cannot_upload_into_a_version(other: APIClient, api: APIClient, version: Json) -> None:
    assert begin(other, version).status_code == 404
    assert not File.objects.exists()


# --- known bytes ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def known(creator: Any, tmp_path: Path) -> File:
    """A ready file of the creator, in a version of its own that is not published."""
    path = plain_checkpoint(tmp_path / "known.safetensors")
    file = upload_path(VersionFactory(entry__owner=creator), creator, path)
    drain()
    file.refresh_from_db()
    assert file.downloadable
    return file


def test_known_bytes_that_one_may_read_are_linked_without_sending(known: File, api: APIClient, version: Json) -> None:
    answer = begin(api, version, file_name="again.safetensors", size_bytes=known.size_bytes, sha256=known.sha256.upper())
    assert answer.status_code == 201
    assert set(answer.json()) == {"file_id"}
    drain()
    file = api.get(f"/api/hub/files/{answer.json()['file_id']}").json()
    assert (file["state"], file["sha256"], file["version_id"]) == ("ready", known.sha256, version["id"])
    assert Blob.objects.filter(sha256=known.sha256).count() == 1


def test_the_digest_of_somebodys_private_bytes_links_nothing(known: File, other: APIClient, stranger: Any) -> None:
    mine = VersionFactory(entry__owner=stranger)
    answer = begin(other, {"id": mine.pk}, size_bytes=known.size_bytes, sha256=known.sha256)
    unknown = begin(other, {"id": mine.pk}, file_name="b.ckpt", size_bytes=known.size_bytes, sha256="0" * 64)
    assert set(answer.json()) == set(unknown.json()) == {"id", "part_size_bytes", "part_count"}


def test_published_bytes_are_linked_for_everybody(known: File, other: APIClient, stranger: Any) -> None:
    catalog.publish(known.version)
    answer = begin(other, {"id": VersionFactory(entry__owner=stranger).pk}, size_bytes=known.size_bytes, sha256=known.sha256)
    assert set(answer.json()) == {"file_id"}


def test_a_known_digest_with_another_size_is_refused(known: File, api: APIClient, version: Json) -> None:
    answer = begin(api, version, size_bytes=known.size_bytes + 1, sha256=known.sha256)
    assert (answer.status_code, answer.json()["code"]) == (400, "upload:size-mismatch")


def test_a_wrong_sha256_fails_the_file_with_both_digests(live_hub: LiveHub, api: APIClient, version: Json) -> None:
    upload = begin(api, version, sha256="ab" * 32).json()
    send(api, upload, live_hub)
    pk = complete(api, upload).json()["file_id"]
    drain()
    file = api.get(f"/api/hub/files/{pk}").json()
    assert (file["state"], file["error_code"]) == ("failed", "upload:sha256-mismatch")
    assert hashlib.sha256(DATA).hexdigest() in file["error"]
    assert "ab" * 32 in file["error"]
    assert not Blob.objects.exists()
    retry = api.post(f"/api/hub/files/{pk}/retry")
    assert (retry.status_code, retry.json()["code"]) == (409, "retry:no-bytes")
    assert begin(api, version).status_code == 201  # the name is free again


def test_a_broker_that_is_away_delays_and_loses_nothing(transactional_db: None, api: APIClient, version: Json, tmp_path: Path) -> None:
    """A server without its broker takes the whole upload; the sweep of one with a broker tells a worker."""
    from django.conf import settings

    from hub import pipeline
    from hub.celery import app
    from tests.processes import environment
    from tests.servers import hub_process

    nobody = {"WEIGH_BROKER_URL": f"redis+socket://{tmp_path}/nobody.sock?virtual_host=0", "WEIGH_SECRET_KEY": settings.SECRET_KEY}
    headers = {"Authorization": api._credentials["HTTP_AUTHORIZATION"], "Content-Type": "application/json"}
    with hub_process(environment(tmp_path, **nobody)) as (_, url):
        _, upload = post(f"{url}/api/hub/versions/{version['id']}/uploads", {"file_name": "a.ckpt", "size_bytes": MIB}, headers)
        _, (part,) = post(f"{url}/api/hub/uploads/{upload['id']}/parts", {"numbers": [1]}, headers)
        assert put(part["url"], bytes(MIB))[0] == 200
        status, answer = post(f"{url}/api/hub/uploads/{upload['id']}/complete", {}, headers)
    assert status == 200
    file = File.objects.get(pk=answer["file_id"])
    assert (file.state, file.send_after) == ("queued", None)
    with app.connection_for_write() as connection:
        connection.default_channel.client.delete("cpu")  # a queue that other tests left full would get no copies
    assert pipeline.sweep()["sent"] == 1
    file.refresh_from_db()
    assert file.send_after is not None
