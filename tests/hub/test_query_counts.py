"""No list asks the database more often because it holds more: every GET route of the route table, with few rows and with many.

Routes are found in the table, so that a new list is counted without being named here. What lists show grows in `tests/hub/crowd.py`.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from registry.models import Collection, Version
from tests.hub.crowd import Crowd
from tests.hub.door_table import CIVITAI, HUGGING_FACE
from tests.hub.everyone import PEOPLE, Everyone, Thing, gather
from tests.hub.route_table import SITE

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("counted_alone")]
FEW, MORE = 1, 3
"""Rows of everything at first, and those that come. Less than any page of a list holds, so that all of them are shown."""
SHOWN = "+>"
NUMBERS = re.compile(r"\d+|'[^']*'")
LISTS = (
    "/?q=lantern",
    "/?sort=updated&tag=tag+01",
    "/search/suggest?q=lantern",
    "/api/v1/models?query=lantern",
    "/api/models?search=lantern",
)
"""Of routes whose line in the table asks for less."""


def addresses(thing: Thing, token: str) -> dict[str, str]:
    """Address -> whom it is asked as: each GET route for whoever is shown most of it."""
    found = {}
    for _, request, answers in [*SITE, *CIVITAI, *HUGGING_FACE]:
        method, _, template = request.partition(" ")
        letters = dict(zip(PEOPLE, answers.split()[0].ljust(len(PEOPLE), "*"), strict=True))
        who = next((person for person in ("owner", "moderator", "nobody") if letters[person] in SHOWN), None)
        if method == "GET" and who:
            found[thing.address(template, token=token)] = who
    return found | dict.fromkeys(LISTS, "owner")


def asked(everyone: Everyone, person: str, address: str) -> Counter[str]:
    """The statements of one request without their values, how often each; its traces in caches and rows are wiped away."""
    cache.clear()
    client = everyone.clients[person]
    cookies = dict(client.cookies)
    with transaction.atomic(), CaptureQueriesContext(connection) as seen:
        answer = client.get(address)
        if answer.streaming and not answer.is_async:
            b"".join(answer.streaming_content)
        transaction.set_rollback(True)
    client.cookies.clear()
    client.cookies.update(cookies)
    return Counter(re.sub(r"\(~(, ~)*\)", "(~)", NUMBERS.sub("~", one["sql"])) for one in seen.captured_queries)


def test_no_list_asks_more_often_because_it_holds_more(tmp_path: Path) -> None:
    everyone = gather(tmp_path)
    thing = everyone.things["public"]
    crowd = Crowd(Version.objects.select_related("entry__owner").get(pk=thing.version), Collection.objects.get(pk=thing.collection))
    crowd.grow(FEW)
    routes = addresses(thing, everyone.token)
    few = {address: asked(everyone, person, address) for address, person in routes.items()}
    crowd.grow(MORE)
    grown = {}
    for address, person in routes.items():
        now = asked(everyone, person, address)
        if now.total() > few[address].total():
            more = [f"{count} more: {statement[:700]}" for statement, count in (now - few[address]).items()]
            grown[f"{address} for {person}"] = [f"{few[address].total()} -> {now.total()}", *more]
    assert grown == {}
