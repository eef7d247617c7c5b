"""Models for the members of a group: who reads them, who may choose which group, and what happens when somebody leaves."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group

from registry import groups, queries
from registry.models import Entry, Rating, User
from tests.factories import UserFactory, VersionFactory
from tests.hub.published import published_entry, published_version

pytestmark = pytest.mark.django_db


@pytest.fixture
def makers(creator: User) -> Group:
    group = Group.objects.create(name="makers")
    group.user_set.add(creator)
    return group


@pytest.fixture
def member(makers: Group) -> User:
    user = UserFactory()
    makers.user_set.add(user)
    return user


@pytest.fixture
def shared(creator: User, makers: Group) -> Entry:
    return published_version(published_entry(creator, visibility="group", group=makers)).entry


def reads(user: Any, entry: Entry) -> tuple[bool, bool]:
    """By the check and by the query, which must say the same."""
    return queries.may_read(user, entry), queries.readable(user).filter(pk=entry.pk).exists()


def test_members_read_and_others_see_nothing(shared: Entry, member: User, creator: User, stranger: User, moderator: User) -> None:
    assert [reads(user, shared) for user in (member, creator, moderator)] == [(True, True)] * 3
    assert [reads(user, shared) for user in (None, stranger)] == [(False, False)] * 2
    assert not queries.listed().filter(pk=shared.pk).exists()


def test_who_leaves_the_group_reads_no_longer(shared: Entry, member: User, makers: Group) -> None:
    assert reads(member, shared) == (True, True)
    makers.user_set.remove(member)
    assert reads(User.objects.get(pk=member.pk), shared) == (False, False)


def test_a_group_that_is_deleted_leaves_it_to_its_owner(shared: Entry, member: User, creator: User, makers: Group) -> None:
    makers.delete()
    shared.refresh_from_db()
    assert (reads(User.objects.get(pk=member.pk), shared), reads(creator, shared)) == ((False, False), (True, True))


def test_members_see_no_draft_and_nothing_above_the_cap(shared: Entry, member: User, makers: Group, creator: User, settings: Any) -> None:
    draft = VersionFactory(entry__owner=creator, entry__visibility="group", entry__group=makers)
    assert reads(member, draft.entry) == (False, False)
    assert not queries.may_read_version(member, VersionFactory(entry=shared, name="v2"))
    settings.MAX_RATING = Rating.PG
    Entry.objects.filter(pk=shared.pk).update(rating=Rating.X)
    assert reads(member, Entry.objects.get(pk=shared.pk)) == (False, False)


def test_members_find_what_is_shared_with_them_and_others_do_not(
    client: Any, shared: Entry, member: User, stranger: User, makers: Group, creator: User
) -> None:
    gone = published_entry(creator, visibility="group", group=makers, slug="gone", live=False)
    assert list(queries.shared_with(member)) == [shared]
    assert [list(queries.shared_with(user)) for user in (stranger, creator)] == [[], []]
    for user, seen in ((member, True), (stranger, False)):
        client.force_login(user)
        page = client.get("/my/models").content.decode()
        assert (f"/{creator.username}/{shared.slug}" in page, gone.slug in page) == (seen, False)


def test_a_list_asks_for_membership_once(shared: Entry, member: User, django_assert_num_queries: Any) -> None:
    user = User.objects.get(pk=member.pk)
    with django_assert_num_queries(1):
        assert all(queries.may_read(user, shared) for _ in range(20))


def test_owners_choose_among_their_own_groups(creator: User, makers: Group) -> None:
    Group.objects.create(name="others")
    assert groups.fields(creator, {"visibility": "group", "group": "makers"})["group"] == makers
    for given, code in (({"group": "others"}, "group:unknown"), ({"group": "none"}, "group:unknown"), ({}, "group:missing")):
        with pytest.raises(groups.Refused) as refusal:
            groups.fields(creator, {"visibility": "group", **given})
        assert refusal.value.code == code
    assert groups.fields(creator, {"visibility": "private"}) == {"visibility": "private", "group": None}
    assert groups.fields(creator, {"name": "x"}) == {"name": "x"}
