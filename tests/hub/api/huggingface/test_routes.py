"""The shapes of answers and refusals: trees by folder and page, lists by filter and page, JSON for every address."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from hub.api.huggingface import history, listing, views
from hub.api.huggingface.repositories import Place
from hub.web.accounts import AccountAdapter
from registry import catalog, commits, facts
from registry.models import Entry, File, User, Version
from tests.hub.api.huggingface.conftest import Call, weights
from tests.hub.published import published_entry, published_file, published_version

NEXT = re.compile(r'<(http://testserver[^>]+)>; rel="next"')


def pages(call: Call, address: str) -> list[list[Any]]:
    found = []
    while address:
        answer = call(address)
        assert answer.status_code == 200
        found.append(answer.json())
        link = NEXT.fullmatch(answer.get("Link", ""))
        address = link[1].removeprefix("http://testserver") if link else ""
    return found


@pytest.fixture
def layered(file: File, creator: User) -> File:
    """lantern.safetensors, unet/x.safetensors and the texts a.json, unet/config.json, unet/deep/er.txt."""
    version = file.version
    published_file(creator, weights(5.0), "x.safetensors", version=version, path="unet/x.safetensors")
    texts = {"a.json": b"{}", "unet/config.json": b"{}", "unet/deep/er.txt": b"deep"}
    rows = [commits.text_row(path, data, kept=True) for path, data in texts.items()]
    commits.freeze(version, rows, texts, author=creator, title="Upload texts", parent=commits.latest(version))
    return file


def test_the_tree_is_shown_by_folder(call: Call, layered: File) -> None:
    def names(path: str, **query: str) -> list[tuple[str, str]]:
        found = call(f"/api/models/ada/lantern/tree/main{path}", query).json()
        return [(row["type"], row["path"]) for row in found if row["path"] != "README.md"]

    assert names("") == [("file", "lantern.safetensors"), ("directory", "unet"), ("file", "a.json")]
    under = [("file", "unet/x.safetensors"), ("file", "unet/config.json"), ("directory", "unet/deep")]
    assert names("/unet") == names("/unet/") == under
    assert names("/unet%2Fdeep") == [("file", "unet/deep/er.txt")]
    everything = names("", recursive="True")
    assert everything == [
        ("file", "lantern.safetensors"), ("directory", "unet"), ("file", "unet/x.safetensors"), ("file", "a.json"),
        ("file", "unet/config.json"), ("directory", "unet/deep"), ("file", "unet/deep/er.txt"),
    ]  # fmt: skip
    missing = call("/api/models/ada/lantern/tree/main/additional_chat_templates")
    assert (missing.status_code, missing["X-Error-Code"]) == (404, "EntryNotFound")


def test_pages_of_a_tree_are_of_one_commit(call: Call, layered: File, creator: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "TREE_PAGE", 3)
    whole = [row for page in pages(call, "/api/models/ada/lantern/tree/main?recursive=true") for row in page]
    assert len(whole) == len({row["path"] for row in whole}) == 8
    first = call("/api/models/ada/lantern/tree/main?recursive=true")
    published_file(creator, weights(6.0), "aaa.safetensors", version=layered.version)
    following = NEXT.fullmatch(first["Link"])
    assert following is not None
    rest = [row for page in pages(call, following[1].removeprefix("http://testserver")) for row in page]
    assert [*first.json(), *rest] == whole


def test_expanded_rows_tell_commit_and_scan(call: Call, layered: File) -> None:
    rows = call("/api/models/ada/lantern/tree/main?recursive=true&expand=true").json()
    files = [row for row in rows if row["type"] == "file"]
    assert all(len(row["lastCommit"]["id"]) == 40 for row in files)
    titles = {row["path"]: row["lastCommit"]["title"] for row in files}
    assert titles["a.json"] == "Upload texts"
    assert titles["lantern.safetensors"] != "Upload texts"
    assert {row["securityFileStatus"]["status"] for row in files} == {"safe"}
    assert all({"avScan", "pickleImportScan"} <= row["securityFileStatus"].keys() for row in files)


@pytest.mark.parametrize("as_json", [True, False])
def test_paths_info(call: Call, layered: File, as_json: bool) -> None:
    wanted = ["lantern.safetensors", "unet", "none.txt", "unet/config.json"]
    more: dict[str, Any] = {"data": json.dumps({"paths": wanted, "expand": False}), "content_type": "application/json"}
    path = "/api/models/ada/lantern/paths-info/main"
    answer = call(path, {"paths": wanted, "expand": "False"}, "post") if not as_json else call_json(call, path, more)
    found = {row["path"]: row for row in answer.json()}
    assert list(found) == ["lantern.safetensors", "unet", "unet/config.json"]
    pointer = len(f"version https://git-lfs.github.com/spec/v1\noid sha256:{layered.sha256}\nsize {layered.size_bytes}\n")
    assert found["lantern.safetensors"]["lfs"] == {"oid": layered.sha256, "size": layered.size_bytes, "pointerSize": pointer}
    assert "lfs" not in found["unet/config.json"]
    assert "securityFileStatus" not in found["lantern.safetensors"]


def call_json(call: Call, path: str, more: dict[str, Any]) -> Any:
    from django.test import Client

    return Client().post(path, **more)


@pytest.mark.parametrize("body", ["[1]", "{", '{"paths": 1}', '{"paths": [1]}'])
def test_bodies_that_are_none_are_refused(call: Call, file: File, body: str) -> None:
    answer = call_json(call, "/api/models/ada/lantern/paths-info/main", {"data": body, "content_type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_the_history_comes_in_pages(call: Call, file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "COMMITS_PAGE", 2)
    for number in range(4):
        catalog.change_entry(Entry.objects.get(pk=file.version.entry_id), description=f"Edition {number}")
        call("/api/models/ada/lantern")
    found = [row for page in pages(call, "/api/models/ada/lantern/commits/main") for row in page]
    assert [row["title"] for row in found] == ["Update README.md"] * 3 + ["Initial commit"]
    assert found[0]["authors"] == [{"user": "weighhouse"}]
    older = call(f"/api/models/ada/lantern/commits/{found[2]['id']}").json()
    assert [row["id"] for row in older] == [row["id"] for row in found[2:]]


def test_the_commit_that_brought_a_file_is_searched_within_bounds(file: File, monkeypatch: pytest.MonkeyPatch, call: Call) -> None:
    call("/api/models/ada/lantern")
    first = commits.latest(file.version)
    catalog.change_entry(file.version.entry, description="Again")
    call("/api/models/ada/lantern")
    latest = commits.latest(file.version)
    assert first is not None
    assert latest is not None
    last = history.last_changes(Place(file.version, latest))
    assert last(commits.file_row(file)).pk == first.pk
    assert last(next(row for row in latest.tree if row["path"] == "README.md")).pk == latest.pk


def test_info_tells_what_was_asked_for(call: Call, file: File) -> None:
    whole = call("/api/models/ada/lantern", {"blobs": "True", "securityStatus": "true"}).json()
    assert whole["id"] == whole["modelId"] == "ada/lantern"
    assert whole["siblings"][0] == {
        "rfilename": "lantern.safetensors", "size": file.size_bytes, "blobId": commits.lfs_pointer_oid(file.sha256, file.size_bytes),
        "lfs": {"sha256": file.sha256, "size": file.size_bytes, "pointerSize": len(commits.lfs_pointer(file.sha256, file.size_bytes))},
    }  # fmt: skip
    assert whole["securityRepoStatus"] == {"scansDone": True, "filesWithIssues": []}
    assert whole["lastModified"].endswith("Z")
    some = call("/api/models/ada/lantern?expand=downloads&expand=tags").json()
    assert set(some) == {"_id", "id", "modelId", "downloads", "tags"}


def test_an_entry_without_versions_is_a_repository_without_a_tree(people: dict[str, Call], creator: User) -> None:
    catalog.create_entry(creator, name="Empty", kind="lora")
    told = people["owner"]("/api/models/ada/empty").json()
    assert told["siblings"] == []
    assert "sha" not in told
    assert people["owner"]("/api/models/ada/empty/refs").json()["branches"] == []
    assert people["owner"]("/api/models/ada/empty/tree/main").status_code == 404


@pytest.fixture
def shelf(creator: User, stranger: User) -> list[Entry]:
    """Five public entries of two people."""
    made = []
    for number, (owner, name, kind, spdx) in enumerate(
        [
            (creator, "Fog lantern", "lora", "MIT"),
            (creator, "Sea lantern", "checkpoint", ""),
            (stranger, "Foghorn", "lora", ""),
            (stranger, "Upscale4", "upscaler", ""),
            (creator, "Night", "vae", ""),
        ]
    ):
        entry = published_entry(owner, name=name, slug=name.lower().replace(" ", "-"), kind=kind, spdx=spdx, download_count=number % 3)
        published_version(entry)
        catalog.set_tags(entry, ["fog"] if number < 2 else [])
        catalog.reindex(entry)
        made.append(entry)
    return made


def ids(call: Call, query: str = "") -> list[str]:
    return [row["id"] for row in call(f"/api/models?{query}").json()]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("search=lantern", {"ada/fog-lantern", "ada/sea-lantern"}),
        ("search=ada/sea-lantern", {"ada/sea-lantern"}),
        ("author=eve", {"eve/foghorn", "eve/upscale4"}),
        ("filter=lora", {"ada/fog-lantern", "eve/foghorn"}),
        ("filter=lora&filter=fog", {"ada/fog-lantern"}),
        ("filter=lora,fog", {"ada/fog-lantern"}),
        ("filter=license:mit", {"ada/fog-lantern"}),
        ("filter=diffusers&author=ada", {"ada/fog-lantern", "ada/sea-lantern", "ada/night"}),
        ("pipeline_tag=text-to-image", {"ada/fog-lantern", "ada/sea-lantern", "eve/foghorn"}),
        ("pipeline_tag=text-generation", set()),
        ("gated=true", set()),
        ("author=nobody", set()),
        ("search=%00", {"ada/fog-lantern", "ada/sea-lantern", "ada/night", "eve/foghorn", "eve/upscale4"}),
    ],
)
def test_filters(call: Call, shelf: list[Entry], query: str, found: set[str]) -> None:
    assert set(ids(call, query)) == found


@pytest.mark.parametrize("sort", ["", "downloads", "lastModified", "last_modified", "createdAt", "created_at", "likes", "trendingScore"])
@pytest.mark.parametrize("limit", [1, 2, 5])
def test_pages_of_the_list_neither_skip_nor_repeat(call: Call, shelf: list[Entry], sort: str, limit: int) -> None:
    found = pages(call, f"/api/models?sort={sort}&limit={limit}&full=true")
    assert [len(page) for page in found] == [limit] * (5 // limit) + ([5 % limit] if 5 % limit else [])
    rows = [row for page in found for row in page]
    assert len({row["id"] for row in rows}) == 5
    column = {"lastModified": "lastModified", "last_modified": "lastModified", "createdAt": "createdAt", "created_at": "createdAt"}.get(
        sort
    )
    values = [row[column or "downloads"] for row in rows]
    assert column == "lastModified" or values == sorted(values, reverse=True)


def test_the_list_holds_what_it_was_asked_for(call: Call, shelf: list[Entry]) -> None:
    short = call("/api/models?filter=license:mit").json()[0]
    assert "siblings" not in short
    assert short["tags"][:3] == ["diffusers", "text-to-image", "lora"]
    full = call("/api/models?filter=license:mit&full=true").json()[0]
    assert full["sha"] == call("/api/models/ada/fog-lantern").json()["sha"]
    assert set(call("/api/models?filter=license:mit&expand=sha").json()[0]) == {"_id", "id", "modelId", "sha"}


@pytest.mark.parametrize("cursor", ["x", "WzFd", "W10", "bnVsbA", "WyJkb3dubG9hZF9jb3VudCIsIHRydWUsIDFd"])
def test_cursors_of_others_are_refused(call: Call, shelf: list[Entry], cursor: str) -> None:
    assert call(f"/api/models?cursor={cursor}").status_code == 400


def test_the_list_asks_the_same_number_of_questions_whatever_it_holds(
    call: Call, shelf: list[Entry], django_assert_num_queries: Any
) -> None:
    for limit in (1, 5):
        with django_assert_num_queries(2):
            call(f"/api/models?limit={limit}")
    assert listing.PAGE >= listing.FULL_PAGE


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/datasets/ada/lantern", 401, "RepoNotFound"),
        ("/api/spaces/ada/lantern/tree/main", 401, "RepoNotFound"),
        ("/datasets/ada/lantern/resolve/main/a.csv", 401, "RepoNotFound"),
        ("/api/models/ada/lantern/compare/main..v1", 404, None),
        ("/api/models/ada/lantern/nothing", 404, None),
        ("/api/nothing", 404, None),
        ("/api/models/lantern", 404, None),
        ("/api/models/", 404, None),
        ("/ada/lantern/resolve/main", 404, None),
        ("/ada/lantern/resolve", 404, None),
        ("/oauth/device", 401, "RepoNotFound"),
        ("/api/models/ada/lantern/tree/main%00", 404, None),
        ("/ada/lantern/resolve/main/a%00b", 404, None),
    ],
)
def test_programs_are_answered_in_json(call: Call, file: File, path: str, status: int, code: str | None) -> None:
    answer = call(path)
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/json"
    assert answer.get("X-Error-Code") == code
    assert answer.json()["error"]


def test_there_are_no_other_repositories(call: Call) -> None:
    assert call("/api/datasets").json() == call("/api/spaces").json() == []


@pytest.mark.parametrize("kind", ["read", "write"])
def test_xet_is_refused_with_the_way_around_it(call: Call, file: File, kind: str) -> None:
    first = call(f"/api/models/ada/lantern/xet-{kind}-token/main")
    assert first.status_code == 307
    answer = call(first["Location"])
    assert answer.status_code == 404
    for told in (first["Location"], answer["X-Error-Message"], answer.json()["error"]):
        assert "HF_HUB_DISABLE_XET=1" in told


@pytest.mark.parametrize("rest", ["blob/main/README.md", "tree/main", "tree/v1/unet", "commit/" + "0" * 40, "commits/main", "discussions"])
def test_people_are_led_to_the_model_page(call: Call, file: File, rest: str) -> None:
    answer = call(f"/ada/lantern/{rest}")
    assert (answer.status_code, answer["Location"]) == (302, "/ada/lantern")


@pytest.mark.parametrize("name", ["datasets", "Spaces", "oauth", "api", "kernels"])
def test_nobody_can_be_called_like_an_address_of_this_protocol(name: str) -> None:
    with pytest.raises(ValidationError, match="used by the site itself"):
        AccountAdapter().clean_username(name)


def test_other_methods_are_refused(call: Call, file: File) -> None:
    assert call("/api/models/ada/lantern/refs", method="post").status_code == 405
    assert call("/ada/lantern/resolve/main/README.md", method="delete").status_code == 405
    options = call("/api/models", method="options")
    assert (options.status_code, options["Access-Control-Allow-Origin"]) == (200, "*")


def test_shard_headers_come_in_one_answer(call: Call, version: Version, creator: User) -> None:
    for name in ("one.safetensors", "two.safetensors"):
        published_file(creator, weights(1.0 if name == "one.safetensors" else 2.0), name, version=version)
    index = json.dumps({"metadata": {"total_size": 64}, "weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}).encode()
    texts = {"model.safetensors.index.json": index, "bad.json": b"[]", "far.json": b'{"weight_map": {"a": "none.safetensors"}}'}
    rows = [commits.text_row(path, data, kept=True) for path, data in texts.items()]
    commits.freeze(version, rows, texts, author=creator, title="Upload an index", parent=None)
    base = "/api/models/ada/lantern/safetensors-metadata/"
    told = call(base + "model.safetensors.index.json").json()
    assert told["index"] == {"metadata": {"total_size": 64}}
    assert told["headers"]["two.safetensors"]["lantern.weight"]["shape"] == [4, 4]
    assert call(base + "bad.json").status_code == 400
    assert call(base + "far.json")["X-Error-Code"] == call(base + "none.json")["X-Error-Code"] == "EntryNotFound"


def test_a_pushed_name_with_dots_has_pages(creator: User, call: Call) -> None:
    version = published_version(published_entry(creator, name="lantern-v1.5", slug="lantern-v1.5"))
    published_file(creator, weights(), version=version)
    facts.rebuild()
    address = reverse("model", args=["ada", "lantern-v1.5"])
    assert call(address).status_code == 200
    assert b"lantern-v1.5" in call("/").content
    assert call("/ada/lantern-v1.5/resolve/main/lantern.safetensors").status_code == 200
