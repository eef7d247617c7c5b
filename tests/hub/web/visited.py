"""Every page that the route table has, as a browser reaches it: the addresses of one public model's, for who sees most of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings

from tests.hub.everyone import PEOPLE, Everyone, Thing
from tests.hub.route_table import SITE

AXE = Path(settings.BASE_DIR) / "node_modules/axe-core/axe.min.js"
SHOWN = "+"


class Page(NamedTuple):
    """`who` opens it; `name` is the route in letters that a file may have."""

    name: str
    who: str
    address: str


def pages(thing: Thing, token: str) -> Iterator[Page]:
    """GET routes of the site that show something to somebody, each once, for the first of nobody, owner, moderator whom it is shown to."""
    for route, request, answers in SITE:
        method, address = request.split(" ", 1)
        public = answers.split()[0].ljust(len(PEOPLE), "*")
        who = next((one for one in ("nobody", "owner", "moderator") if public[PEOPLE.index(one)] == SHOWN), None)
        if method != "GET" or who is None or address.startswith(("/api/", "/healthz", "/art/", "/pictures/", "/files/{file}/{name}")):
            continue
        yield Page(_name(route, address), who, thing.address(address, token=token, missing="0"))


def _name(route: str, address: str) -> str:
    """`upload-version` of `/upload/{version}`; the front page is `home`."""
    words = re.findall(r"[a-z]+", re.sub(r"\(\?.*?\)", "", address if "{" in address else route or "home"))
    return "-".join(words)


def cookies(everyone: Everyone, who: str, url: str) -> list[dict[str, Any]]:
    """The session of one of them, as a browser takes it."""
    session = everyone.clients[who].cookies.get(settings.SESSION_COOKIE_NAME)
    return [{"name": settings.SESSION_COOKIE_NAME, "value": session.value, "url": url}] if session else []
