"""Browse and model pages: who sees what, what is left of what was taken back, how many queries, and text that stays text."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from registry import catalog
from tests.factories import EntryFactory, FileFactory, UserFactory, VersionFactory

pytestmark = pytest.mark.django_db

EVIL = "<img src=x onerror=alert(1)>\"'<script>alert(2)</script>"


def published(**fields: Any) -> Any:
    """A published model with one downloadable file; returns its version."""
    version = VersionFactory(entry=EntryFactory(**fields))
    FileFactory(version=version)
    return catalog.publish(version)


def address(version: Any) -> str:
    return f"/{version.entry.owner.username}/{version.entry.slug}"


def test_published_model_is_found_by_part_of_its_name(client: Client) -> None:
    published(name="Harbour Light")
    published(name="Velvet Static")
    text = client.get("/?q=harb").content.decode()
    assert "Harbour Light" in text
    assert "Velvet Static" not in text


@pytest.mark.parametrize(("visibility", "found", "opens"), [("public", True, 200), ("unlisted", False, 200), ("private", False, 404)])
def test_visibility_decides_what_strangers_find_and_open(client: Client, visibility: str, found: bool, opens: int) -> None:
    version = published(name="Secret Garden", visibility=visibility)
    assert ("Secret Garden" in client.get("/").content.decode()) is found
    assert client.get(address(version)).status_code == opens


def test_private_and_missing_pages_answer_alike(client: Client, stranger: Any) -> None:
    version = published(visibility="private")
    client.force_login(stranger)
    hidden, missing = client.get(address(version)), client.get("/nobody/nothing")
    assert (hidden.status_code, missing.status_code) == (404, 404)
    parts = [response.content.decode().split("<main")[1].split("Request")[0] for response in (hidden, missing)]
    assert parts[0] == parts[1]


def test_draft_is_its_owners_alone(client: Client, creator: Any, stranger: Any) -> None:
    version = VersionFactory(entry=EntryFactory(owner=creator))
    assert client.get(address(version)).status_code == 404
    client.force_login(stranger)
    assert client.get(address(version)).status_code == 404
    client.force_login(creator)
    assert "There is nothing to publish yet" in client.get(address(version)).content.decode()


def test_models_above_the_limit_are_left_out_and_counted(client: Client, creator: Any) -> None:
    version = published(name="Too Much", rating=8)
    text = client.get("/").content.decode()
    assert "Too Much" not in text
    assert "above your limit" in text
    assert "Too Much" not in client.get(address(version)).content.decode()
    creator.max_rating = 16
    creator.save()
    client.force_login(creator)
    assert "Too Much" in client.get("/").content.decode()
    assert "Too Much" in client.get(address(version)).content.decode()


def test_withdrawn_version_leaves_a_tombstone_with_reason_and_hashes(client: Client) -> None:
    version = published(name="Harbour Light")
    blob = version.files.get().blob
    blob.hashes.create(kind="SHA256", value=blob.sha256.upper())
    catalog.withdraw(version, "A better one is coming.")
    text = client.get(address(version)).content.decode()
    assert "Withdrawn by its creator" in text
    assert "A better one is coming." in text
    assert blob.sha256.upper() in text
    assert "/api/download/" not in text


def test_deleted_model_leaves_a_tombstone_at_its_address(client: Client) -> None:
    version = published(name="Harbour Light")
    version.entry.refresh_from_db()
    catalog.delete_entry(version.entry, "Asked to.")
    text = client.get(address(version)).content.decode()
    assert "Deleted by its creator" in text
    assert "Asked to." in text
    assert "Harbour Light" not in client.get("/").content.decode()


def test_numbers_lead_to_the_page_by_name(client: Client) -> None:
    version = published()
    assert client.get(f"/models/{version.entry_id}").headers["Location"] == address(version)
    assert client.get(f"/model-versions/{version.pk}").headers["Location"] == f"{address(version)}/v/{version.pk}"


def test_addresses_as_civitai_writes_them_lead_to_the_version(client: Client) -> None:
    version, other = published(), published(name="Another")
    model = f"/models/{version.entry_id}"
    for path in (model, f"{model}/any-title"):
        assert client.get(f"{path}?modelVersionId={version.pk}").headers["Location"] == f"{address(version)}/v/{version.pk}"
        for stray in (other.pk, "x", "9" * 30, "9" * 18, ""):
            assert client.get(f"{path}?modelVersionId={stray}").headers["Location"] == address(version)


def test_only_its_creator_changes_a_model(client: Client, stranger: Any) -> None:
    version = published()
    paths = [f"/model-versions/{version.pk}/{verb}" for verb in ("publish", "withdraw", "delete")] + [f"/models/{version.entry_id}/delete"]
    for path in paths:
        assert client.post(path).status_code == 302  # to the sign-in page
    client.force_login(stranger)
    for path in [*paths, f"/models/{version.entry_id}/edit", f"/model-versions/{version.pk}/edit"]:
        assert client.post(path).status_code == 403
    version.refresh_from_db()
    assert version.status == "published"


def test_changes_need_the_form_of_the_page(creator: Any) -> None:
    version = published(owner=creator)
    client = Client(enforce_csrf_checks=True)
    client.force_login(creator)
    response = client.post(f"/model-versions/{version.pk}/withdraw")
    assert response.status_code == 403
    assert "open too long" in response.content.decode()


def test_text_of_creators_stays_text(client: Client, creator: Any) -> None:
    entry = EntryFactory(owner=creator, name=EVIL, description=f"{EVIL}\n\n[x](javascript:alert(3))", spdx=EVIL[:80])
    catalog.set_tags(entry, [EVIL])
    version = VersionFactory(
        entry=entry, name=EVIL[:70], base_model=EVIL[:60], description=EVIL, trigger_words=[EVIL], sampler=EVIL[:60], vae=EVIL
    )
    version.negative_prompt = EVIL
    version.save()
    file = FileFactory(version=version, name=f"{EVIL}.safetensors", error=EVIL, error_code="x")
    file.blob.detected = {"kind": EVIL, "base_model": EVIL, "precision": EVIL, "evidence": [EVIL]}
    file.blob.save()
    catalog.publish(version)
    client.force_login(creator)
    paths = [
        "/",
        address(version),
        f"/file/{file.pk}",
        f"/files/{file.pk}/scan",
        f"/upload/{version.pk}",
        "/my/models",
        "/upload",
        "/?q=" + EVIL,
    ]
    for path in [*paths, f"/models/{entry.pk}/edit", f"/model-versions/{version.pk}/edit"]:
        text = client.get(path).content.decode()
        assert "<img src=x" not in text, path
        assert "<script>alert" not in text, path
        assert "<script>alert(2)" not in text.lower(), path
        assert 'href="javascript:' not in text, path


def test_grid_asks_the_database_the_same_number_of_times_for_any_number_of_cards(
    client: Client, django_assert_max_num_queries: Any
) -> None:
    for _ in range(12):
        published()
    with django_assert_max_num_queries(11):
        assert client.get("/").content.decode().count('class="card"') == 12


def test_model_page_asks_the_database_a_constant_number_of_times(client: Client, django_assert_max_num_queries: Any) -> None:
    version = published()
    for _ in range(10):
        FileFactory(version=version)
        VersionFactory(entry=version.entry, status="withdrawn")
    with django_assert_max_num_queries(11):
        assert client.get(f"{address(version)}/v/{version.pk}").content.decode().count('class="filerow"') == 11


def test_pages_of_the_grid_neither_repeat_nor_skip_in_any_order(client: Client) -> None:
    owner = UserFactory()
    names = {published(name=f"Lamp {number}", owner=owner, slug=f"lamp-{number}").entry.name for number in range(50)}
    for sort in ("newest", "downloads", "name"):
        assert sorted(walk(client, f"/?sort={sort}")) == sorted(names), sort
    assert sorted(walk(client, "/?q=lamp")) == sorted(names)


def walk(client: Client, path: str) -> list[str]:
    """Every name that the links "Load more" lead to, in order."""
    found: list[str] = []
    while path:
        page = client.get(path).context["page"]
        found += [card.name for card in page.cards]
        path = f"{path.split('&after')[0]}&after={page.next_after}" if page.next_after else ""
    return found


@pytest.mark.parametrize("cursor", ["x", "AAAA", "W10", "WyJwdWJsaXNoZWRfYXQiLCJ4IiwxXQ", "%00", "é"])
def test_cursor_that_nobody_made_shows_the_first_page(client: Client, cursor: str) -> None:
    published(name="Harbour Light")
    response = client.get("/", {"after": cursor})
    assert response.status_code == 200
    assert "Harbour Light" in response.content.decode()


def test_error_page_carries_the_requests_id(client: Client) -> None:
    response = client.get("/nobody/nothing")
    assert response.headers["X-Request-Id"] in response.content.decode()
