"""Every route of the site, asked by everybody about a model in every condition; and what is hidden looks like what does not exist."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import override_settings

from registry.models import Entry, Rating
from tests.hub.door_table import CIVITAI, HUGGING_FACE
from tests.hub.every_route import ADMIN, routes
from tests.hub.everyone import CONDITIONS, GROUP, HIDDEN, NEXT, PEOPLE, Everyone, Thing, gather
from tests.hub.route_table import SITE

pytestmark = pytest.mark.django_db
TABLE = [*SITE, *CIVITAI, *HUGGING_FACE]
LETTERS = {400: "?", 401: "1", 403: "3", 404: "-", 405: "m", 409: "c", 410: "x", 415: "?", 422: "?"}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
NAMES = re.compile(r"\{(?!creator|branch|name|token)\w+\}")
"""A placeholder that names something which may be hidden."""
OWN_NAMES = re.compile(r"\{(?!entry|slug|creator|name)\w+\}")
"""A placeholder that names a version or something of it."""
CHANCE = re.compile(
    rb"""nonce-[\w+/=-]+|nonce="[^"]*"|name="csrfmiddlewaretoken" value="[^"]*"|"X-CSRFToken": ?"[^"]*"|[0-9a-f]{16}(?=</)|token=\w+"""
)
"""What differs between any two answers: nonces, form tokens, the number of the request."""
FOR_OTHER_SITES = "/oembed"
"""Answers what a stranger may see, whoever asks: what it says is shown to others."""
BEFORE = "before_each_request"
UNLIKE = {"X-Request-Id", "Content-Security-Policy", "Date"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("everyone")


@pytest.fixture(autouse=True)
def stores(settings: Any, folder: Path) -> None:
    """Stores that last as long as the rows."""
    for name, value in local_stores(folder).items():
        setattr(settings, name, value)
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)


def local_stores(folder: Path) -> dict[str, Any]:
    local = "django.core.files.storage.FileSystemStorage"
    places = {name: {"BACKEND": local, "OPTIONS": {"location": folder / "s" / name}} for name in ("models", "quarantine", "media")}
    known = {"STORAGE_KIND": "local", "STORAGE_ROOT": folder / "s", "SCRATCH": folder / "scratch", "PREVIEWS": False}
    return {**known, "STORAGES": {**settings.STORAGES, **places}}


@pytest.fixture(scope="module")
def kept(django_db_setup: None, django_db_blocker: Any, folder: Path) -> Iterator[Everyone]:
    """All rows, in a transaction around this module's tests."""
    with django_db_blocker.unblock(), transaction.atomic(), override_settings(**local_stores(folder)):
        yield gather(folder)
        transaction.set_rollback(True)


@pytest.fixture
def everyone(kept: Everyone) -> Iterator[Everyone]:
    logging.disable(logging.ERROR)  # thousands of refusals
    stand()
    yield kept
    logging.disable(logging.NOTSET)


def stand() -> None:
    """What the rows are now is what every later request finds."""
    with connection.cursor() as cursor:
        cursor.execute(f"SAVEPOINT {BEFORE}")


def ask(everyone: Everyone, person: str, method: str, address: str) -> HttpResponse:
    """One request, whose traces in the database are wiped away."""
    body = "{}" if re.match(r"/api/|/_lfs|.*\.git/", address) and method not in {"GET", "HEAD"} else ""
    client = everyone.clients[person]
    cookies = dict(client.cookies)
    answer: HttpResponse = client.generic(method, address, body, "application/json")
    transaction.set_rollback(False)
    connection.run_on_commit.clear()
    with connection.cursor() as cursor:
        cursor.execute(f"ROLLBACK TO SAVEPOINT {BEFORE}")  # which stays: another one for each took as long as many an answer
    client.cookies.clear()
    client.cookies.update(cookies)
    return answer


def letter(answer: HttpResponse) -> str:
    if 300 <= answer.status_code < 400:
        return "L" if answer.headers["Location"].startswith("/accounts/login/") else ">"
    return "+" if answer.status_code < 300 else LETTERS.get(answer.status_code, str(answer.status_code))


def test_the_table_knows_every_route_and_no_other() -> None:
    known = {before + route for route, before in ((row[0], "") for row in TABLE)}
    found = {route for route in routes() if not route.startswith(ADMIN)}
    assert known == found


@pytest.mark.parametrize(("route", "request_line", "expected"), TABLE, ids=[row[1] for row in TABLE])
def test_everybody_gets_what_the_table_says(everyone: Everyone, route: str, request_line: str, expected: str) -> None:
    if expected == "*":
        pytest.skip("its answer depends on the machine, not on who asks: it has tests of its own")
    method, _, template = request_line.partition(" ")
    conditions = CONDITIONS if "{" in template else CONDITIONS[:1]
    words = expected.split() if " " in expected else [expected] * len(CONDITIONS)
    seen = []
    for condition in conditions:
        address = everyone.things[condition].address(template, token=everyone.token)
        seen.append("".join(letter(ask(everyone, person, method, address)) for person in PEOPLE))
    assert seen == words[: len(seen)], f"{PEOPLE} x {conditions}"


def test_members_of_a_group_get_what_everybody_gets_of_what_is_unlisted(everyone: Everyone) -> None:
    """Of every route that names something, by the table's own words for a stranger: reading as they, changing as little."""
    differing = []
    for _, request_line, expected in TABLE:
        method, _, template = request_line.partition(" ")
        if expected == "*" or not NAMES.search(template) or template.startswith(FOR_OTHER_SITES):
            continue
        words = expected.split()
        wanted = words[1 if len(words) > 1 else 0][PEOPLE.index("other")]
        got = letter(ask(everyone, "member", method, everyone.things[GROUP].address(template, token=everyone.token)))
        if got != wanted:
            differing.append((request_line, wanted, got))
    assert differing == []


def test_nobody_but_staff_enters_the_administration(everyone: Everyone) -> None:
    """Every route of Django's admin, with ids filled in, leads everybody who is not staff to its sign-in, also moderators."""
    thing = everyone.things["public"]
    for route in routes():
        if not route.startswith(ADMIN) or route in {f"{ADMIN}login/", f"{ADMIN}logout/", f"{ADMIN}jsi18n/"}:
            continue
        address = "/" + re.sub(r"<[^>]+>|\(\?P<[^>]+>.*\)", thing.entry, route).rstrip("$").replace("/^", "/")
        for person in ("nobody", "other", "moderator"):
            answer = ask(everyone, person, "GET", address)
            assert (answer.status_code, answer.headers["Location"].split("?")[0]) == (302, "/system/login/"), (person, route)


def cases() -> list[tuple[str, tuple[str, ...], str]]:
    """(address template, people to whom the condition is hidden, condition), each template once."""
    found = {}
    for _, request_line, _ in TABLE:
        template = request_line.partition(" ")[2]
        if not NAMES.search(template) or template.startswith("/art/"):  # drawn of the word alone, whoever has it
            continue
        for condition in (*HIDDEN, NEXT):
            if condition != NEXT or OWN_NAMES.search(template):
                found[template, condition] = ("nobody", "other")
    return [(template, people, condition) for (template, condition), people in found.items()]


@pytest.fixture(scope="module")
def nobodys() -> dict[tuple[str, str, str], tuple[Any, ...]]:
    """What was answered about what nobody made, by person, method and template: the same, whichever condition it is compared with."""
    return {}


@pytest.mark.parametrize("condition", [*HIDDEN, NEXT])
def test_what_is_hidden_looks_like_what_does_not_exist(
    everyone: Everyone, nobodys: dict[tuple[str, str, str], tuple[Any, ...]], condition: str
) -> None:
    """Whatever the method: status, every header and the whole body, apart from the name that was asked for."""
    thing, differing = everyone.things[condition], []
    for template, people, about in cases():
        if about != condition:
            continue
        for person in people:
            for method in METHODS if person == "nobody" else ("GET", "POST", "DELETE"):
                hidden = told(everyone, person, method, template, thing)
                if condition != NEXT and hidden == nobodys.get((person, method, template)):
                    continue
                missing = told(everyone, person, method, template, _missing(thing, condition))
                if condition != NEXT:
                    nobodys[person, method, template] = missing
                if hidden != missing:
                    differing.append((person, method, template, hidden, missing))
    assert differing == []


def test_what_is_rated_above_the_cap_looks_like_what_does_not_exist(everyone: Everyone, settings: Any) -> None:
    """As above, of a published model with everything that hangs on it: pages, pictures, and all protocols."""
    thing, differing = everyone.things["public"], []
    Entry.objects.filter(pk=thing.entry).update(rating=Rating.X)
    stand()
    settings.MAX_RATING = Rating.R
    for template in dict.fromkeys(template for template, *_ in cases()):
        person = "nobody" if template.startswith(("/api/", "/pictures/")) else "other"  # programs, and who is signed in to the pages
        hidden, missing = (told(everyone, person, "GET", template, one) for one in (thing, thing.missing()))
        if hidden != missing:
            differing.append((person, template, hidden, missing))
    assert differing == []
    for person, seen in (("owner", 200), ("moderator", 200)):
        assert ask(everyone, person, "GET", thing.address("/{creator}/{slug}")).status_code == seen


def _missing(thing: Thing, condition: str) -> Thing:
    """What nobody made; of a draft of a published entry the entry is there."""
    from dataclasses import replace

    missing = thing.missing()
    return replace(missing, entry=thing.entry, slug=thing.slug, branch="z" * len(thing.branch)) if condition == NEXT else missing


def told(everyone: Everyone, person: str, method: str, template: str, thing: Thing) -> tuple[Any, ...]:
    """Everything that an answer tells, the asked-for names and what is chance taken out."""
    answer = ask(everyone, person, method, thing.address(template, token=everyone.token))
    headers = {name: value for name, value in answer.headers.items() if name not in UNLIKE}
    body = CHANCE.sub(b"~", b"".join(answer.streaming_content) if answer.streaming else answer.content)
    names = sorted((value for key, value in vars(thing).items() if key != "creator" and "{" + key + "}" in template), key=len, reverse=True)
    text = repr((answer.status_code, sorted(headers.items()), body, sorted(answer.cookies)))
    for name in names:
        text = text.replace(name, "NAME")
    return (text,)
