"""GET /api/v1/models: what may be asked in how many spellings, what is refused, and pages that lose and repeat nothing."""

from __future__ import annotations

import base64
import json
import random
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from hub.api.civitai import listing
from hub.api.civitai.vocabulary import SORTS
from registry import catalog
from registry.models import Entry, User
from scanner.models import ScanReport
from tests.factories import BlobFactory, FileFactory
from tests.hub.api.civitai.conftest import Get
from tests.hub.published import published_entry, published_version

ADDRESS = "/api/v1/models"


def entry_of(owner: User, *, base: str = "SD 1.5", blob: dict[str, Any] | None = None, tags: tuple[str, ...] = (), **fields: Any) -> Entry:
    entry = published_entry(owner, **fields)
    version = published_version(entry, base_model=base)
    FileFactory(version=version, blob=BlobFactory(**(blob or {})))
    if tags:
        catalog.set_tags(entry, tags)
    catalog.reindex(entry)
    return entry


def ids(response: Any) -> list[int]:
    assert response.status_code == 200, response.content
    return [item["id"] for item in response.json()["items"]]


# --- filters ----------------------------------------------------------------------------------------------------------------


RENDERED = {"detected": {"kind": "lora"}}
MERGED = {"detected": {"training": {"merged_from": "a, b"}}}


@pytest.fixture
def zoo(creator: User, stranger: User) -> dict[str, int]:
    long_ago = timezone.now() - timedelta(days=40)
    entries = {
        "plain": entry_of(creator, name="Paper Lanterns", tags=("light", "paper craft"), download_count=5),
        "lora": entry_of(
            creator, name="Ink Wash", kind="lora", base="SDXL 1.0", download_count=9, tags=("ink",), blob={"detected": {"kind": "lora"}}
        ),
        "locon": entry_of(stranger, name="Brick", kind="lora", base="Odd Base 7", blob={"detected": {"flavour": "LoHa"}}),
        "old": entry_of(stranger, name="Harbour", blob=MERGED, published_at=long_ago, allow_no_credit=False, allow_commercial_use=["Sell"]),
        "adult": entry_of(creator, name="After Dark", rating=4),
        "pickle": entry_of(creator, name="Old Embedding", kind="embedding", blob={"container": "torch-zip"}),
    }
    return {name: entry.pk for name, entry in entries.items()}


FILTERS: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {"plain", "lora", "locon", "old", "pickle"}),
    ({"nsfw": "false"}, {"plain", "lora", "locon", "old", "pickle"}),
    ({"nsfw": "true"}, {"plain", "lora", "locon", "old", "pickle", "adult"}),
    ({"types": "Checkpoint"}, {"plain", "old"}),
    ({"types": "checkpoint"}, {"plain", "old"}),
    ({"types": ["LORA", "TextualInversion"]}, {"lora", "pickle"}),
    ({"types": "LORA,LoCon"}, {"lora", "locon"}),
    ({"types[]": ["LORA", "LoCon"], "types": "DoRA"}, {"lora", "locon"}),
    ({"types[0]": "lora", "types[1]": "VAE"}, {"lora"}),
    ({"types": "LoCon"}, {"locon"}),
    ({"types": "Workflows"}, set()),
    ({"baseModels": "SDXL 1.0"}, {"lora"}),
    ({"baseModels": "sdxl 1.0,Odd Base 7"}, {"lora", "locon"}),
    ({"baseModels": "gimmethelist"}, set()),
    ({"tag": "light"}, {"plain"}),
    ({"tag": "LIGHT"}, {"plain"}),
    ({"tagname": "light"}, {"plain"}),
    ({"tag": "ligh"}, set()),
    ({"username": "ADA"}, {"plain", "lora", "pickle"}),
    ({"username": "nobody"}, set()),
    ({"query": "lantern"}, {"plain"}),
    ({"query": "Brick"}, {"locon"}),
    ({"period": "Month"}, {"plain", "lora", "locon", "pickle"}),
    ({"period": "alltime"}, {"plain", "lora", "locon", "old", "pickle"}),
    ({"allowNoCredit": "false"}, {"old"}),
    ({"allowCommercialUse": "Sell"}, {"old"}),
    ({"allowCommercialUse": "None"}, {"plain", "lora", "locon", "pickle"}),
    ({"fileFormats": "PickleTensor"}, {"pickle"}),
    ({"fileFormats": "GGUF"}, set()),
    ({"availability": "Private"}, set()),
    ({"checkpointType": "Merge"}, {"lora", "locon", "pickle", "old"}),
    ({"checkpointType": "merge", "types": "Checkpoint"}, {"old"}),
    ({"checkpointType": "Trained", "types": "Checkpoint,LORA"}, {"plain", "lora"}),
    ({"supportsGeneration": "true"}, {"lora"}),
    ({"supportsGeneration": "false"}, {"plain", "lora", "locon", "old", "pickle"}),
    ({"unknown": "x", "rating": "4.5", "archived": "true"}, {"plain", "lora", "locon", "old", "pickle"}),
    ({"earlyAccess": "true"}, set()),
    ({"fromPlatform": "1"}, set()),
    ({"followed": "0"}, {"plain", "lora", "locon", "old", "pickle"}),
    ({"tag": ["light", "Paper  craft"]}, {"plain"}),
    ({"tag": ["light", "ink"]}, set()),
    ({"tag[]": "ink"}, {"lora"}),
    ({"excludeTag": "light"}, {"lora", "locon", "old", "pickle"}),
    ({"excludeTag": ["light,ink", "none"]}, {"locon", "old", "pickle"}),
    ({"tag": "light", "excludeTag": "paper craft"}, set()),
    ({"period": "Month", "periodMode": "stats"}, {"plain", "lora", "locon", "old", "pickle"}),
    ({"query": "ink", "types": "Checkpoint"}, set()),
    ({"query": "brick", "baseModels": "SD 1.5", "username": "eve", "sort": "Newest"}, set()),
    ({"query": "brick", "baseModels": "Odd Base 7", "username": "eve", "sort": "Newest"}, {"locon"}),
    ({"allowDerivates": "true", "allowDifferentLicenses": "true", "allowNoCredit": "1"}, {"plain", "lora", "locon", "pickle"}),
    ({"allowDerivatives": "no"}, set()),
    ({"username": " a~da"}, {"plain", "lora", "pickle"}),
    ({"username": "a da"}, set()),
]


def test_filters(get: Get, zoo: dict[str, int]) -> None:
    names = {pk: name for name, pk in zoo.items()}
    wrong = [
        (query, found, expected) for query, expected in FILTERS if (found := {names[pk] for pk in ids(get(ADDRESS, query))}) != expected
    ]
    assert wrong == []


def test_by_ids(get: Get, zoo: dict[str, int]) -> None:
    assert set(ids(get(ADDRESS, {"ids": f"{zoo['plain']},{zoo['old']},{zoo['adult']},99999999999999"}))) == {zoo["plain"], zoo["old"]}
    version = Entry.objects.get(pk=zoo["lora"]).versions.get()
    assert ids(get(ADDRESS, {"modelVersionIds": str(version.pk)})) == [zoo["lora"]]


def test_base_models_narrow_the_versions_too(get: Get, creator: User) -> None:
    entry = entry_of(creator, base="SD 1.5")
    FileFactory(version=published_version(entry, base_model="SDXL 1.0", name="xl"))
    [item] = get(ADDRESS, {"baseModels": "SDXL 1.0"}).json()["items"]
    assert [version["name"] for version in item["modelVersions"]] == ["xl"]


def test_only_the_primary_file_when_asked(get: Get, creator: User) -> None:
    entry = entry_of(creator)
    FileFactory(version=entry.versions.get(), recipe={"keep": "weights", "precision": "fp16"}, role="derived")
    files = get(ADDRESS, {"primaryFileOnly": "true"}).json()["items"][0]["modelVersions"][0]["files"]
    assert [(file["primary"], file["metadata"]["size"]) for file in files] == [(True, "pruned")]
    assert len(get(ADDRESS).json()["items"][0]["modelVersions"][0]["files"]) == 2


def test_an_entry_without_anything_to_download_is_not_listed(get: Get, creator: User) -> None:
    published_version(published_entry(creator))
    FileFactory(version=published_version(published_entry(creator)), state="queued")
    FileFactory(version=published_version(published_entry(creator)), blob=BlobFactory(verdict="suspicious"))
    assert ids(get(ADDRESS)) == []


def test_sorts_are_named_in_any_case(get: Get, zoo: dict[str, int]) -> None:
    for sort in SORTS:
        found = ids(get(ADDRESS, {"sort": sort.upper(), "nsfw": "1"}))
        assert len(found) == 6
        assert found[0] == zoo[{"Newest": "pickle", "Oldest": "old"}.get(sort, "lora")]


def _cursor(*values: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


# --- refusals ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "status", "word"),
    [
        ("types=Chekpoint", 400, "Checkpoint, TextualInversion"),
        ("checkpointType=Mixed", 400, "Trained, Merge"),
        ("periodMode=week", 400, "published, stats"),
        ("sort=Best", 400, "Most Downloaded"),
        ("period=Decade", 400, "AllTime"),
        ("limit=101", 400, "limit"),
        ("limit=-1", 400, "limit"),
        ("limit=ten", 400, "limit"),
        ("page=0", 400, "page"),
        ("page=11&limit=100", 429, "cursors"),
        ("page=2&query=cat", 400, "cursor"),
        ("nsfw=maybe", 400, "nsfw"),
        ("ids=1,x", 400, "ids"),
        ("cursor=abc", 400, "cursor"),
        ("cursor=" + "A" * 5000, 400, "cursor"),
        ("cursor=WyJkb3dubG9hZHMiLDEsLTVd", 400, "cursor"),
        ("cursor=" + "Ww" * 3000, 400, "cursor"),
        (f"query=x&cursor={_cursor('relevance', 10**400, 1, 1)}", 400, "cursor"),
        ("favorites=false", 401, "Unauthorized"),
        ("hidden", 401, "Unauthorized"),
        ("query=a%00b", 400, "NUL"),
        ("allowCommercialUse=Lend", 400, "RentCivit"),
        ("ids=" + ",".join(map(str, range(1001))), 400, "at most 1,000"),
        ("baseModels=" + ",".join(map(str, range(201))), 400, "at most 200"),
        ("&".join(f"tag={number}" for number in range(11)), 400, "at most 10"),
        ("&".join(f"tag[]={number}" for number in range(900)), 400, "at most 10"),
        ("&".join(f"a{number}=1" for number in range(1001)), 400, "too many parameters"),
    ],
)
def test_refusals_are_json_and_say_what_is_allowed(client: Any, db: None, query: str, status: int, word: str) -> None:
    response = client.get(f"{ADDRESS}?{query}")
    assert response.status_code == status
    assert word in response.json()["error"]


@pytest.mark.parametrize("route", ["images", "creators", "users", "enums", "model-versions/1", "nothing"])
def test_no_route_reads_parameters_without_end(client: Any, db: None, route: str) -> None:
    response = client.get(f"/api/v1/{route}?token=x&" + "&".join(f"a{number}=1" for number in range(1001)))
    assert (response.status_code, list(response.json())) == (400, ["error"])


def test_a_question_of_a_thousand_ids_is_answered_and_not_kept(client: Any, creator: User) -> None:
    entry = entry_of(creator)
    question = ",".join(map(str, [entry.pk, *range(2**31 - 1000, 2**31 - 1)]))
    assert ids(client.get(f"{ADDRESS}?ids={question}")) == [entry.pk]
    assert not any(question[-500:].replace(",", ", ") in repr(key) for key in listing._statements._known)


@pytest.mark.parametrize("text", ["0", "-1", "abc", "2147483648", "9" * 30, "1.5", "1%00"])
@pytest.mark.parametrize("route", ["/api/v1/models/", "/api/v1/model-versions/", "/api/download/models/"])
def test_an_id_that_is_none_is_400(client: Any, db: None, route: str, text: str) -> None:
    response = client.get(route + text)
    assert (response.status_code, list(response.json())) == (400, ["error"])


def test_other_methods_and_addresses_answer_json(client: Any, db: None) -> None:
    assert client.post(ADDRESS).json() == {"error": "Method not allowed"}
    assert client.get("/api/v1/nothing/here").json() == {"error": "Not found"}
    assert client.get(f"{ADDRESS}/").status_code == 404
    options = client.options(ADDRESS)
    assert (options.status_code, options["Access-Control-Allow-Origin"]) == (200, "*")
    assert client.head(ADDRESS).status_code == 200


# --- pages ------------------------------------------------------------------------------------------------------------------


def crawl(client: Any, query: dict[str, Any], between: Any = None) -> list[int]:
    """Every id in the order met, following nextPage as clients do."""
    response = client.get(ADDRESS, query)
    seen = []
    while True:
        body = response.json()
        seen += [item["id"] for item in body["items"]]
        if "nextPage" not in body["metadata"]:
            assert "nextCursor" not in body["metadata"]
            return seen
        assert body["items"], "an empty page in the middle ends many clients"
        assert body["metadata"]["nextPage"].startswith("http://testserver/api/v1/models?")
        assert parse_qs(urlsplit(body["metadata"]["nextPage"]).query)["cursor"] == [body["metadata"]["nextCursor"]]
        if between:
            between()
        response = client.get(body["metadata"]["nextPage"].removeprefix("http://testserver"))


@pytest.mark.parametrize("sort", [*SORTS, "search"])
@pytest.mark.parametrize("limit", [1, 4])
def test_pages_skip_and_repeat_nothing_while_entries_are_added(client: Any, creator: User, sort: str, limit: int) -> None:
    dice = random.Random(f"{sort}{limit}")
    start = timezone.now() - timedelta(days=9)

    def add() -> Entry:
        moment = start + timedelta(seconds=dice.randrange(4), microseconds=dice.randrange(3))
        return entry_of(creator, name=f"Lantern {dice.randrange(3)}", published_at=moment, download_count=dice.randrange(3))

    first = {add().pk for _ in range(14)}
    query = {"query": "lantern"} if sort == "search" else {"sort": sort}
    seen = crawl(client, {**query, "limit": limit}, between=add)
    assert len(seen) == len(set(seen))
    assert first <= set(seen)


def test_one_crawl_is_in_order(client: Any, creator: User) -> None:
    for count in (3, 1, 2, 2, 0):
        entry_of(creator, download_count=count)
    seen = crawl(client, {"sort": "Most Downloaded", "limit": 2})
    assert [Entry.objects.get(pk=pk).download_count for pk in seen] == [3, 2, 2, 1, 0]


def test_page_numbers_work_and_lead_on_by_cursor(client: Any, creator: User) -> None:
    everything = [entry_of(creator).pk for _ in range(5)][::-1]
    body = client.get(ADDRESS, {"limit": 2, "page": 2, "sort": "Newest"}).json()
    assert [item["id"] for item in body["items"]] == everything[2:4]
    assert body["metadata"]["currentPage"] == 2
    assert (body["metadata"]["totalItems"], body["metadata"]["totalPages"]) == (5, 3)
    last = client.get(body["metadata"]["nextPage"].removeprefix("http://testserver")).json()
    assert [item["id"] for item in last["items"]] == everything[4:]
    assert "nextPage" not in last["metadata"]


def test_a_cursor_is_for_its_own_sort(client: Any, creator: User) -> None:
    for _ in range(2):
        entry_of(creator)
    cursor = client.get(ADDRESS, {"limit": 1, "sort": "Newest"}).json()["metadata"]["nextCursor"]
    assert client.get(ADDRESS, {"limit": 1, "sort": "Oldest", "cursor": cursor}).status_code == 400


def test_a_limit_of_nothing_gives_nothing(client: Any, creator: User) -> None:
    entry_of(creator)
    body = client.get(ADDRESS, {"limit": 0}).json()
    assert (body["items"], "nextPage" in body["metadata"]) == ([], False)


def test_large_totals_are_counted_once_a_minute(client: Any, creator: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "LARGE_TOTAL", 2)
    monkeypatch.setattr(listing, "_totals", {})
    totals = []
    for _ in range(5):
        entry_of(creator)
        totals.append(client.get(ADDRESS).json()["metadata"]["totalItems"])
    assert totals == [1, 2, 3, 3, 3]


def test_the_number_of_queries_does_not_grow_with_the_rows(client: Any, creator: User) -> None:
    def add(count: int) -> None:
        for number in range(count):
            entry = entry_of(creator, tags=("a", "b"), blob={"container": "torch-zip"})
            file = FileFactory(version=published_version(entry, name=f"v{number}"))
            ScanReport.objects.create(blob=file.blob, verdict="success", scanner="1", policy="1", report={"imports": []})

    counts = []
    for more in (2, 12):
        add(more)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert len(ids(client.get(ADDRESS, {"limit": 50}))) >= more
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 8
