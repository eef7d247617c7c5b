"""What is found, and in which order; what was just written is found, and what is not for everybody is not."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from registry import catalog, indexing, lifecycle, pushes, queries, search
from registry.models import Entry, SearchWord, Version
from tests.factories import FileFactory, UserFactory

pytestmark = pytest.mark.django_db


def published(owner: Any, name: str = "Lantern", *, words: tuple[str, ...] = (), file: str = "w.safetensors", **fields: Any) -> Version:
    entry = catalog.create_entry(owner, name=name, kind="checkpoint", **fields)
    version = catalog.create_version(entry, name="v1", base_model="SD 1.5", trigger_words=list(words))
    FileFactory(version=version, name=file)
    catalog.publish(version)
    return Version.objects.get(pk=version.pk)


def found(text: str) -> list[str]:
    return [entry.name for entry in search.search(queries.listed(), text)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("水墨山水画", "山水"),
        ("水墨山水画", "水墨"),
        ("Café Noir", "cafe"),
        ("Cafe Noir", "CAFÉ"),
        ("DreamShaper", "dream shaper"),
        ("Dream Shaper", "dreamshaper"),
        ("sdxl10 Night", "sdxl night"),
        ("Night Harbour", "har"),
        ("Night Harbour", "ight"),
        ("Night Harbour", '"night harbour"'),
        ("🔥🔥🔥", "🔥🔥🔥"),
        ("ＬＯＲＡ style", "lora"),
    ],
)
def test_many_spellings_find_a_name(creator: Any, name: str, text: str) -> None:
    published(creator, name)
    published(creator, "Other")
    assert found(text) == [name]


@pytest.mark.parametrize("text", ["山画", "水山", '"harbour night"', "night -harbour", "harbour zebra"])
def test_other_words_find_nothing(creator: Any, text: str) -> None:
    published(creator, "水墨山水画")
    published(creator, "Night Harbour")
    assert found(text) == []


def test_a_name_counts_more_than_a_tag_and_a_tag_more_than_a_description(creator: Any) -> None:
    published(creator, "One", description="An ember by the road.")
    published(creator, "Two", file="ember-v1.safetensors")
    published(creator, "Three", tags=["ember"])
    published(creator, "Ember Glow Nights")
    published(creator, "Ember")
    assert found("ember") == ["Ember", "Ember Glow Nights", "Three", "Two", "One"]


HOSTILE = [
    "a" * 10_000,
    "& | ! ( ) : * <->",
    "'" * 99,
    '"' * 99,
    "a\x00b",
    "🔥" * 50,
    "\ud800\udfff",
    "-" * 60,
    "%_\\",
    "x:*A & !y",
    "山" * 300,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_questions_are_answered(creator: Any, text: str) -> None:
    published(creator, "Lantern")
    assert found(text) in ([], ["Lantern"])


class Anything(TestCase):
    @given(st.text(st.characters(), max_size=60))
    @settings(max_examples=40, deadline=None)
    def test_is_answered(self, text: str) -> None:
        list(search.search(queries.listed(), text))


def test_words_of_drafts_and_unfinished_files_do_not_lead_to_a_public_model(creator: Any) -> None:
    entry = published(creator, "Lantern").entry
    draft = catalog.create_version(entry, name="secretnext", base_model="SDXL 1.0", trigger_words=["hushword"])
    FileFactory(version=draft, name="unseen.safetensors")
    FileFactory(version=entry.versions.get(name="v1"), name="halfway.safetensors", state="scanning")
    catalog.reindex(entry)
    assert [found(text) for text in ("secretnext", "hushword", "unseen", "halfway", "sdxl")] == [[], [], [], [], []]
    own = search.search(Entry.objects.filter(owner=creator), "lantern")
    assert list(own) == [entry]


def test_owners_find_their_drafts_by_what_these_say(creator: Any) -> None:
    entry = catalog.create_entry(creator, name="Quiet", kind="lora", visibility="private")
    catalog.create_version(entry, name="v1", base_model="", trigger_words=["hushword"])
    assert list(search.search(Entry.objects.filter(owner=creator), "hushword")) == [entry]


def test_a_file_is_found_when_it_comes_into_sight_and_no_more_when_it_leaves(creator: Any) -> None:
    version = published(creator, "Lantern")
    file = FileFactory(version=version, name="latecomer.safetensors", state="clean")
    assert found("latecomer") == []
    lifecycle.advance(file, "ready")
    assert found("latecomer") == ["Lantern"]
    pushes.remove(file)
    assert found("latecomer") == []


def test_new_names_are_found_and_old_ones_forgotten(creator: Any) -> None:
    entry = published(creator, "Lantern").entry
    catalog.change_entry(entry, name="Zeppelin")
    assert (found("zeppelin"), found("lantern")) == (["Zeppelin"], [])
    assert not SearchWord.objects.filter(word="lantern").exists()
    draft = catalog.create_entry(creator, name="Xylophone", kind="lora")
    assert SearchWord.objects.filter(word="xylophone").exists()
    catalog.delete_entry(draft)
    assert not SearchWord.objects.filter(word="xylophone").exists()


def test_words_that_others_have_stay_in_the_vocabulary(creator: Any) -> None:
    published(creator, "Lantern")
    entry = published(creator, "Lantern two").entry
    catalog.change_entry(entry, name="Zeppelin")
    assert SearchWord.objects.filter(word="lantern").count() == 1


def test_indexing_costs_the_same_queries_for_any_number(creator: Any, django_assert_max_num_queries: Any) -> None:
    pks = [published(creator, f"Model {number}", tags=["a", "b"]).entry_id for number in range(6)]
    with django_assert_max_num_queries(9):
        indexing.index(pks)


def test_what_older_rules_indexed_is_renewed(creator: Any) -> None:
    entry = published(creator, "Lantern").entry
    Entry.objects.filter(pk=entry.pk).update(search=None, search_rules=0)
    assert found("safetensors") == []
    assert indexing.refresh() == {"indexed": 1}
    assert found("safetensors") == ["Lantern"]
    assert indexing.refresh() == {"indexed": 0}


def test_a_long_description_is_indexed(creator: Any) -> None:
    entry = published(creator, "Lantern", description="山水 word " * 3000).entry
    assert found("山水") == ["Lantern"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT length(search) FROM registry_entry WHERE id = %s", [entry.pk])
        assert cursor.fetchone()[0] < 100


def test_a_renamed_creator_is_found_by_the_new_name(client: Any, creator: Any) -> None:
    published(creator, "Lantern")
    admin = UserFactory(username="boss", is_staff=True, is_superuser=True)
    client.force_login(admin)
    form = {"username": "adelaide", "email": "", "is_active": "on", "max_rating": 2}
    dates = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    response = client.post(f"/system/registry/user/{creator.pk}/change/", {**form, **dates})
    assert response.status_code == 302, response.context["adminform"].errors
    assert found("adelaide") == ["Lantern"]
