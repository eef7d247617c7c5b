"""GET /api/models: the question as a query over what is listed, and one page of it. Single repositories are in `views`."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import datetime
from typing import Any

from django.db.models import BooleanField, F, Func, QuerySet, TextField, Value
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils.dateparse import parse_datetime

from hub.api.huggingface import shapes, tags, trees
from hub.api.huggingface.answers import HubError, answer, endpoint, is_true, with_next
from registry import commits, queries, search, spelling
from registry.models import Entry, User

PAGE, FULL_PAGE = 200, 50
"""Rows of a page: of those with trees fewer, because each tree is looked at."""
COLUMNS = {
    "lastModified": "updated_at",
    "last_modified": "updated_at",
    "createdAt": "id",
    "created_at": "id",
}
"""What `sort` names -> our column; everything that counts people's favour is by downloads. Ids are given out in order of creation."""
OF_TREES = frozenset({"sha", "siblings", "cardData", "usedStorage", "spaces"})


@endpoint("GET")
def models(request: HttpRequest, user: User | None) -> HttpResponse:
    """[ModelInfo, ...], with the address of the next page in `Link`."""
    given = request.GET
    column = COLUMNS.get(given.get("sort", ""), "download_count")
    wanted = frozenset(given.getlist("expand") + given.getlist("expand[]"))
    full = is_true(request, "full") or is_true(request, "cardData") or bool(wanted & OF_TREES)
    limit = _limit(given, FULL_PAGE if full else PAGE)
    found = _found(given, user, column, limit + 1)
    if not found and (meant := _meant(given)):
        found = _found(meant, user, column, limit + 1)
    page = found[:limit]
    body = [shapes.only(_shape(entry, user, full=full), wanted) for entry in page]
    response = answer(body)
    if len(found) > limit and page:
        with_next(response, request, request.path, cursor=_cursor(column, page[-1]))
    return response


def _found(given: QueryDict, user: User | None, column: str, most: int) -> list[Entry]:
    entries = _matching(given, user).order_by(f"-{column}", "-id")
    if given.get("cursor"):
        entries = _after(entries, column, given["cursor"])
    return list(entries.select_related("owner").prefetch_related("tags")[:most])


def _meant(given: QueryDict) -> QueryDict | None:
    """The question with the typing errors of its search mended; None where there is none to mend."""
    text = spelling.meant(queries.listed(), _words(given))
    if not text:
        return None
    mended = given.copy()
    mended["search"] = text
    return mended


def _words(given: QueryDict) -> str:
    """The words of a search: the parts of a repository's name are words too."""
    return given.get("search", "").replace("/", " ").replace("-", " ")


def _limit(given: QueryDict, most: int) -> int:
    text = given.get("limit", "")
    return max(1, min(int(text), most)) if text.isdecimal() and len(text) < 9 else most


def _shape(entry: Entry, user: User | None, *, full: bool) -> shapes.Shape:
    shape = shapes.repository(entry)
    version = commits.main_version(commits.versions_of(entry, user)) if full else None
    if version is None:
        return shape
    version.entry = entry
    return shapes.with_tree(shape, version, trees.head(version, user))


def _matching(given: QueryDict, user: User | None) -> QuerySet[Entry]:
    """What everybody finds, and an author's own where the author asks for them; gated and inference questions have no match."""
    entries = queries.listed()
    author = given.get("author", "")
    if "\0" in "".join([author, *given.getlist("filter")]):
        return entries.none()
    if author:
        own = Entry.objects.filter(owner=user, deleted_at=None) if user and user.username == author else Entry.objects.none()
        entries = (entries | own).filter(owner__username=author)
    if given.get("search"):
        matched = search.search(entries, _words(given))
        entries = entries.filter(pk__in=matched.order_by().values("pk"))
    if given.get("pipeline_tag"):
        entries = entries.filter(tags.task_rule(given["pipeline_tag"]))
    for tag in _several(given, "filter"):
        entries = entries.filter(tags.rule_of(tag))
    if given.get("gated", "").lower() in {"true", "1"} or given.get("inference") or given.get("inference_provider"):
        return entries.none()
    return entries


def _several(given: QueryDict, key: str) -> list[str]:
    """Values of a parameter that is repeated or holds commas, at most ten."""
    return [part.strip() for value in given.getlist(key) for part in value.split(",") if part.strip()][:10]


def _cursor(column: str, entry: Entry) -> str:
    value = getattr(entry, column)
    place = [column, value.isoformat() if isinstance(value, datetime) else value, entry.pk]
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def _after(entries: QuerySet[Entry], column: str, cursor: str) -> QuerySet[Entry]:
    """Rows beyond the place that a cursor names, by one comparison of rows. Raises `HubError` 400 for one that is none of ours."""
    try:
        name, value, pk = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        place = (_typed(column, value), _typed("id", pk))
        if name != column:
            raise ValueError("another order")
    except (ValueError, TypeError, RecursionError, binascii.Error):
        raise HubError(400, "Invalid cursor: follow the Link header of the page before.") from None
    ours = Func(F(column), F("id"), function="ROW", output_field=TextField())
    given = Func(*(Value(part) for part in place), function="ROW", output_field=TextField())
    return entries.filter(Func(ours, given, template="%(expressions)s", arg_joiner=" < ", output_field=BooleanField()))


def _typed(column: str, value: Any) -> Any:
    if column == "updated_at":
        moment = parse_datetime(value)
        if moment is None or moment.tzinfo is None:
            raise ValueError("no moment")
        return moment
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise ValueError("no number")
    return value
