"""Pages before and around an upload: the form without a script, several drafts at once, groups, publishing later."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from registry.models import Entry, Version
from tests.factories import EntryFactory, FileFactory, VersionFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def mine(client: Client, creator: Any) -> Client:
    client.force_login(creator)
    return client


def test_three_fields_are_enough_without_a_script(mine: Client) -> None:
    fields = {"model-name": "Lantern", "model-kind": "lora", "version-base_model": "SD 1.5"}
    rest = {"version-name": "v1", "model-visibility": "public", "model-rating": "1"}
    answer = mine.post("/upload", fields | rest)
    version = Version.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, f"/upload/{version.pk}")
    assert 'id="describe-form"' in mine.get("/upload").content.decode()


def several(client: Client, *rows: dict[str, str], **more: str) -> Any:
    fields = {f"{place}-{name}": value for place, row in enumerate(rows) for name, value in row.items()}
    return client.post(
        "/upload/several/create", {"count": str(len(rows)), "all-visibility": "private", "all-rating": "2", **fields, **more}
    )


GOOD = {"name": "Old Brass", "kind": "lora", "version": "v2", "base_model": "SD 1.5", "trigger_words": "old brass, lamp"}


def test_several_drafts_are_made_together_or_not_at_all(mine: Client) -> None:
    answer = several(mine, GOOD, GOOD | {"name": "", "kind": "nonsense"})
    assert (answer.status_code, sorted(answer.json()["rows"]["1"]), "0" in answer.json()["rows"]) == (422, ["kind", "name"], False)
    assert not Entry.objects.exists()
    answer = several(mine, GOOD, GOOD | {"name": "Fog"})
    first, second = Version.objects.select_related("entry").order_by("pk")
    assert answer["Location"] == f"/upload/several?v={first.pk}&v={second.pk}"
    assert (first.entry.name, first.name, first.trigger_words, first.entry.visibility) == (
        "Old Brass",
        "v2",
        ["old brass", "lamp"],
        "private",
    )
    page = mine.get(answer["Location"]).content.decode()
    assert ("2 drafts" in page, "Fog" in page) == (True, True)
    assert [several(mine, count=count).status_code for count in ("0", "51", "x", "")] == [422] * 4


def test_page_of_several_drafts_is_nobody_elses_and_needs_few_queries(
    mine: Client, creator: Any, stranger: Any, django_assert_max_num_queries: Any
) -> None:
    versions = [FileFactory(version__entry__owner=creator, version__status="draft").version for _ in range(12)]
    query = "&".join(f"v={version.pk}" for version in versions)
    with django_assert_max_num_queries(16):
        assert mine.get(f"/upload/several/work?{query}").status_code == 200
    foreign = VersionFactory(entry__owner=stranger)
    assert [mine.get(f"/upload/several?v={pk}").status_code for pk in (foreign.pk, 10**9, "x")] == [404] * 3


def test_group_is_offered_to_its_members_alone_and_must_be_named(mine: Client, creator: Any) -> None:
    entry = EntryFactory(owner=creator)
    assert 'value="group"' not in mine.get(f"/models/{entry.pk}/edit").content.decode()
    makers, others = Group.objects.create(name="makers"), Group.objects.create(name="outsiders")
    makers.user_set.add(creator)
    page = mine.get(f"/models/{entry.pk}/edit").content.decode()
    assert ('value="group"' in page, "makers" in page, "outsiders" in page) == (True, True, False)
    fields = {"name": entry.name, "kind": "lora", "visibility": "group", "rating": "1"}
    assert "Choose which group" in mine.post(f"/models/{entry.pk}/edit", fields).content.decode()
    assert mine.post(f"/models/{entry.pk}/edit", fields | {"group": others.pk}).status_code == 200
    assert mine.post(f"/models/{entry.pk}/edit", fields | {"group": makers.pk}).status_code == 302
    entry.refresh_from_db()
    assert (entry.visibility, entry.group) == ("group", makers)
    mine.post(f"/models/{entry.pk}/edit", fields | {"group": makers.pk, "visibility": "private"})
    entry.refresh_from_db()
    assert (entry.visibility, entry.group) == ("private", None)


def test_draft_is_scheduled_in_utc_and_called_off(mine: Client, creator: Any) -> None:
    version = VersionFactory(entry=EntryFactory(owner=creator))
    at = (timezone.now() + timedelta(days=2)).replace(second=0, microsecond=0)
    mine.post(f"/model-versions/{version.pk}/schedule", {"at": at.strftime("%Y-%m-%dT%H:%M")})
    version.refresh_from_db()
    assert version.publish_at == at
    page = mine.get(f"/upload/{version.pk}").content.decode()
    assert at.strftime("%H:%M UTC") in page
    assert "will be published on" in page
    mine.post(f"/model-versions/{version.pk}/schedule", {"cancel": "1"})
    version.refresh_from_db()
    assert version.publish_at is None
    for wrong in ("", "soon", "2026-99-99T10:00", "0001-01-01T00:00", "9999-12-31T23:59", "2020-01-01T10:00"):
        assert mine.post(f"/model-versions/{version.pk}/schedule", {"at": wrong}).status_code == 302
        version.refresh_from_db()
        assert version.publish_at is None


def test_new_version_keeps_the_description_and_asks_what_is_new(mine: Client, creator: Any) -> None:
    entry = EntryFactory(owner=creator, description="Brass from **1890**.")
    page = mine.get(f"/upload?model={entry.pk}").content.decode()
    assert page.index("What is new in this version") < page.index("Recommended settings")
    mine.post("/upload", {"entry": entry.pk, "version-name": "v2", "version-base_model": "SD 1.5", "version-description": "Less fog."})
    entry.refresh_from_db()
    assert (entry.description, entry.versions.get().description) == ("Brass from **1890**.", "Less fog.")
