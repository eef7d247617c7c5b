"""Querysets compiled once: what they find is what the queryset finds, whatever stands in them, also after the server hung up."""

from __future__ import annotations

import psycopg
import pytest
from django.db import OperationalError, connection
from django.db.models import QuerySet

from registry.models import Tag
from registry.statements import Given, Kept, Statement, is_one_of


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["plain", "100%", "%s", "it's", "a\\b", "%%d {x}", "“ü”"])
def test_constants_are_found_as_they_are(name: str) -> None:
    tag = Tag.objects.create(name=name)
    Tag.objects.create(name="another")
    statement = Statement(Tag.objects.filter(name=name, pk=Given("id", "bigint")).values_list("name"))
    assert statement.run(id=tag.pk) == [(name,)]
    assert statement.run(id=tag.pk + 1, passed_over=1) == []
    assert statement.count(id=tag.pk) == 1


@pytest.mark.django_db
def test_lists_and_impossible_questions() -> None:
    tags = [Tag.objects.create(name=name) for name in ("a", "b", "c")]
    statement = Statement(Tag.objects.filter(is_one_of("pk", Given("ids", "bigint[]"))).values_list("name"))
    assert statement.run(ids=[tags[0].pk, tags[2].pk, 2**40]) == [("a",), ("c",)]
    assert statement.run(ids=[]) == []
    nothing = Statement(Tag.objects.filter(pk__in=[]).values_list("pk"))
    assert (nothing.run(), nothing.count()) == ([], 0)


@pytest.mark.django_db
def test_the_least_recently_asked_is_forgotten() -> None:
    made: list[str] = []

    def make(name: str) -> QuerySet[Tag, tuple[int]]:
        made.append(name)
        return Tag.objects.filter(name=name).values_list("pk")

    kept = Kept(2)
    for name in ("a", "b", "a", "c", "a", "b"):
        kept.get(name, lambda name=name: make(name))  # type: ignore[misc]
    assert made == ["a", "b", "c", "b"]


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_the_server_dropped_is_opened_again() -> None:
    Tag.objects.create(name="a")
    statement = Statement(Tag.objects.values_list("name"))
    for _ in range(3):
        assert statement.run() == [("a",)]
    _drop_connection()
    assert statement.run() == [("a",)]


@pytest.mark.django_db(transaction=True)
def test_what_fails_on_a_living_connection_is_not_asked_twice() -> None:
    statement = Statement(Tag.objects.values_list("name"))
    slow = Statement(Tag.objects.extra(where=["pg_sleep(60) IS NULL"]).values_list("name"))
    Tag.objects.create(name="a")
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 300")
        with pytest.raises(OperationalError):
            slow.run()
    finally:
        connection.close()  # no later test may meet this timeout
    assert statement.run() == [("a",)]


def _drop_connection() -> None:
    pid = connection.connection.info.backend_pid
    settings = connection.get_connection_params()
    names = {key: settings[key] for key in ("dbname", "user", "password", "host", "port") if settings.get(key)}
    with psycopg.connect(**names, autocommit=True) as other:
        assert other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid]).fetchone() == (True,)
