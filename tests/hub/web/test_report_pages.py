"""Pages of reports: strangers and members tell, moderators decide, everybody concerned reads of it; limits, hostile words, cost."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from hub import pace
from registry import reports, rerating
from registry.models import Report, Token, User, Version
from tests.factories import UserFactory
from tests.hub.published import published_entry, published_version
from tests.hub.web.visitors import signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("counted_alone")]
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\u202eesrever"


@pytest.fixture
def version(creator: User) -> Version:
    return published_version(published_entry(creator))


def test_the_page_and_the_api_keep_to_a_moderators_rating(creator: User) -> None:
    entry = published_version(published_entry(creator)).entry
    rerating.change_entry(UserFactory(is_moderator=True), entry, rating=4)
    fields = {"name": entry.name, "kind": entry.kind, "visibility": "public", "rating": "1"}
    page = signed_in(creator).post(f"/models/{entry.pk}/edit", fields)
    assert "A moderator set this rating" in page.content.decode()
    program = Client(headers={"Authorization": f"Bearer {Token.issue(creator, 'laptop', 'write')[1]}"})
    lowered = program.patch(f"/api/hub/entries/{entry.pk}", {"rating": 1}, content_type="application/json")
    assert (lowered.status_code, lowered.json()["code"]) == (403, "rating:moderator")
    assert program.patch(f"/api/hub/entries/{entry.pk}", {"rating": 8}, content_type="application/json").json()["rating"] == 8


def test_from_a_report_to_what_everybody_reads_of_it(version: Version) -> None:
    reporter, moderator, address = UserFactory(), UserFactory(is_moderator=True), f"/report/version/{version.pk}"
    assert address in Client().get(f"/{version.entry.owner.username}/{version.entry.slug}").content.decode()
    answer = signed_in(reporter).post(address, {"reason": "stolen", "text": HOSTILE})
    assert answer.headers["Location"] == f"/model-versions/{version.pk}"
    Client().post(address, {"reason": "malware", "text": ""})
    desk = signed_in(moderator).get("/moderation").content.decode()
    assert "It was taken from somebody else" in desk
    assert "a visitor without an account" in desk
    signed_in(moderator).post(f"/moderation/reports/version/{version.pk}", {"decision": "removed", "reason": HOSTILE})
    pages = {
        "the owner's page of decisions": signed_in(version.entry.owner).get("/my/reports").content.decode(),
        "the reporter's": signed_in(reporter).get("/my/reports").content.decode(),
        "the moderators'": signed_in(moderator).get("/moderation").content.decode(),
    }
    for name, page in {"the desk": desk, **pages}.items():
        assert "alert(1)" in page, name
        assert "<script>alert" not in page, name
        assert "<img src=x" not in page, name
        assert "\u202e" not in page, name
    assert reporter.username not in pages["the owner's page of decisions"]
    signed_in(moderator).post(f"/moderation/reports/{Report.objects.first().pk}/undo")
    assert set(Report.objects.values_list("decision", flat=True)) == {"dismissed"}


def test_strangers_are_slowed_down_before_members(version: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pace.PER_HOUR, "stranger-report", 1)
    monkeypatch.setitem(pace.PER_HOUR, "report", 2)
    address, member = f"/report/version/{version.pk}", signed_in(UserFactory())
    assert [Client().post(address, {"reason": "other"}).status_code for _ in range(2)] == [302, 422]
    assert [member.post(address, {"reason": "other"}).status_code for _ in range(3)] == [302, 422, 422]
    assert Report.objects.count() == 2


@pytest.mark.parametrize("given", [{}, {"reason": "none"}, {"reason": "other", "text": "a" * 2001}, {"reason": "other", "text": "a\x00b"}])
def test_what_cannot_be_read_is_not_taken(version: Version, given: dict[str, str]) -> None:
    assert signed_in(UserFactory()).post(f"/report/model/{version.entry_id}", given).status_code == 422
    assert not Report.objects.exists()


def test_lists_cost_the_same_however_long_they_are(creator: User) -> None:
    moderator, reporter = UserFactory(is_moderator=True), UserFactory()
    costs = []
    for more in (2, 6):
        for _ in range(more):
            version = published_version(published_entry(creator))
            for about, pk in (("version", version.pk), ("model", version.entry_id)):
                reports.report(reporter, reports.find(None, about, pk), reason="other", text="")  # type: ignore[arg-type]
            reports.decide(moderator, "model", version.entry_id, decision="removed", reason="It is stolen.")
        with CaptureQueriesContext(connection) as found:
            signed_in(moderator).get("/moderation")
            signed_in(reporter).get("/my/reports")
            signed_in(creator).get("/my/reports")
        costs.append(len(found))
    assert costs[0] == costs[1]
