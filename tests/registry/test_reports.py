"""Reports: who may tell, who decides, what a decision does, and who reads of it."""

from __future__ import annotations

import pytest

from registry import catalog, reports, rerating, reviews
from registry.models import Entry, Report, Review, User, Version
from tests import imagerows
from tests.factories import FileFactory, UserFactory
from tests.hub.published import published_entry, published_version

pytestmark = pytest.mark.django_db
WHY = "It is somebody else's work."


@pytest.fixture
def version(creator: User) -> Version:
    version = published_version(published_entry(creator))
    FileFactory(version=version)
    return version


@pytest.fixture
def moderator() -> User:
    return UserFactory(is_moderator=True)


def told(about: str, pk: int, user: User | None = None) -> Report:
    thing = reports.find(user, about, pk)
    assert thing is not None
    return reports.report(user, thing, reason="stolen", text="I made it.")


def test_the_same_thing_is_reported_once_by_each_while_it_is_open(version: Version, moderator: User) -> None:
    reader = UserFactory()
    told("version", version.pk, reader)
    with pytest.raises(reports.NoReport, match="already"):
        told("version", version.pk, reader)
    told("version", version.pk)
    told("version", version.pk, UserFactory())
    [group] = reports.groups()
    assert (group.title, len(group.rows)) == (str(version), 3)
    reports.decide(moderator, "version", version.pk, decision="dismissed", reason="It is their own.")
    assert reports.groups() == []
    told("version", version.pk, reader)


def test_what_may_not_be_read_cannot_be_found(version: Version) -> None:
    review = reviews.give(UserFactory(), version, positive=True)
    Entry.objects.update(visibility="private")
    for about, pk in (("model", version.entry_id), ("version", version.pk), ("review", review.pk), ("image", 1), ("user", 1)):
        assert reports.find(None, about, pk) is None
        assert reports.find(UserFactory(), about, pk) is None


def test_a_withdrawn_version_comes_back_by_a_moderator_alone(version: Version, moderator: User) -> None:
    told("version", version.pk, UserFactory())
    assert reports.decide(moderator, "version", version.pk, decision="removed", reason=WHY) == 1
    version.refresh_from_db()
    assert (version.status, version.withdrawn_reason) == ("withdrawn", WHY)
    with pytest.raises(catalog.Refused, match="Only a moderator"):
        catalog.publish(version)
    [row] = reports.removed()
    with pytest.raises(reports.NoReport):
        reports.take_back(version.entry.owner, row)
    reports.take_back(moderator, row)
    assert catalog.publish(version).status == "published"
    with pytest.raises(reports.NoReport, match="back already"):
        reports.take_back(moderator, row)


def test_a_removed_model_loses_all_its_versions(version: Version, moderator: User) -> None:
    second = published_version(version.entry)
    told("model", version.entry_id, UserFactory())
    reports.decide(moderator, "model", version.entry_id, decision="removed", reason=WHY)
    assert set(Version.objects.values_list("status", flat=True)) == {"withdrawn"}
    assert not Entry.objects.get().live
    with pytest.raises(catalog.Refused, match="moderator"):
        catalog.publish(Version.objects.get(pk=second.pk))


def test_a_review_is_hidden_and_shown_again(version: Version, moderator: User) -> None:
    review = reviews.give(UserFactory(), version, positive=False, text="Rude.")
    told("review", review.pk, version.entry.owner)
    assert reports.groups()[0].said == "Rude."
    reports.decide(moderator, "review", review.pk, decision="removed", reason="It insults.")
    assert Review.objects.get().hidden_reason == "It insults."
    reports.take_back(moderator, reports.removed()[0])
    assert Review.objects.get().hidden_at is None


def test_an_image_is_hidden_shown_again_and_given_another_rating(version: Version, moderator: User) -> None:
    image = imagerows.shown(UserFactory(), version)
    told("image", image.pk, version.entry.owner)
    reports.decide(moderator, "image", image.pk, decision="removed", reason="It is not made with it.")
    image.refresh_from_db()
    assert (image.hidden_reason, reports.find(None, "image", image.pk)) == ("It is not made with it.", None)
    reports.take_back(moderator, reports.removed()[0])
    told("image", image.pk)
    reports.decide(moderator, "image", image.pk, decision="rerated", reason="It shows blood.", rating=4)
    image.refresh_from_db()
    assert (image.hidden_at, image.rating, Entry.objects.get().rating) == (None, 4, 1)


def test_a_wrong_rating_is_set_right(version: Version, moderator: User) -> None:
    told("version", version.pk, UserFactory())
    with pytest.raises(reports.NoReport, match="Choose"):
        reports.decide(moderator, "version", version.pk, decision="rerated", reason="It shows blood.", rating=3)
    reports.decide(moderator, "version", version.pk, decision="rerated", reason="It shows blood.", rating=4)
    assert Entry.objects.get().rating == 4


def test_below_a_moderators_rating_only_moderators_go(version: Version, moderator: User) -> None:
    owner, entry = version.entry.owner, version.entry
    rerating.change_entry(owner, entry, rating=2)
    rerating.change_entry(owner, entry, rating=1)  # nobody has judged it yet
    told("version", version.pk, UserFactory())
    reports.decide(moderator, "version", version.pk, decision="rerated", reason="It shows blood.", rating=4)
    entry.refresh_from_db()
    with pytest.raises(rerating.HeldUp):
        rerating.change_entry(owner, entry, rating=2, name="Never")
    entry.refresh_from_db()
    assert (entry.rating, entry.name == "Never") == (4, False)
    rerating.change_entry(owner, entry, rating=4, name="Kept")
    rerating.change_entry(owner, entry, rating=8)
    rerating.change_entry(moderator, entry, rating=2)
    assert (Entry.objects.get().rating, Entry.objects.get().name) == (2, "Kept")


def test_what_a_moderator_sets_on_the_models_page_holds_and_is_told_to_its_owner(version: Version, moderator: User) -> None:
    rerating.change_entry(moderator, version.entry, rating=8)
    assert not rerating.judged(published_version(published_entry(version.entry.owner)).entry)
    with pytest.raises(rerating.HeldUp):
        rerating.change_entry(version.entry.owner, version.entry, rating=1)
    [row] = reports.about_mine(version.entry.owner)
    assert (row.decision, row.decided_by, row.thing) == ("rerated", moderator, version.entry_id)
    own = published_version(published_entry(moderator)).entry
    rerating.change_entry(moderator, own, rating=8)
    assert not rerating.judged(own), "nobody judges their own"


def test_only_moderators_decide_with_a_reason_and_not_about_their_own(version: Version, moderator: User) -> None:
    told("version", version.pk, UserFactory())
    own = published_version(published_entry(moderator))
    told("version", own.pk, UserFactory())
    cases: list[tuple[User, int, str, int]] = [
        (version.entry.owner, version.pk, WHY, 403),
        (moderator, version.pk, "no", 400),
        (moderator, own.pk, WHY, 403),
        (moderator, 0, WHY, 409),
    ]
    for who, pk, reason, status in cases:
        with pytest.raises(reports.NoReport) as refused:
            reports.decide(who, "version", pk, decision="removed", reason=reason)
        assert refused.value.status == status
    assert not Version.objects.filter(status="withdrawn").exists()
    assert reports.open_reports().count() == 2


def test_owner_and_reporter_read_the_decision_and_the_owner_no_names(version: Version, moderator: User) -> None:
    reporter, dismissed = UserFactory(), UserFactory()
    told("version", version.pk, reporter)
    told("version", version.pk)
    told("model", version.entry_id, dismissed)
    reports.decide(moderator, "model", version.entry_id, decision="dismissed", reason="All is well.")
    reports.decide(moderator, "version", version.pk, decision="removed", reason=WHY)
    assert [row.decision_text for row in reports.made_by(reporter)] == [WHY]
    assert [row.decision_text for row in reports.made_by(dismissed)] == ["All is well."]
    assert [row.decision_text for row in reports.about_mine(version.entry.owner)] == [WHY]
