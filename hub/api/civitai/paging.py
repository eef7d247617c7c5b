"""Places in a list: opaque cursors over (sort key, id), so that no page skips or repeats a row, whatever is added meanwhile."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import BooleanField, F, Func, QuerySet, TextField
from django.http import HttpRequest
from django.utils.dateparse import parse_datetime

from hub.api.civitai.answers import ApiError
from hub.api.civitai.rows import EntryRow
from hub.downloads import origin_of
from registry.models import Entry
from registry.statements import Given


@dataclass(frozen=True, slots=True)
class Order:
    """One way to sort: the columns before the id, all in one direction. Columns must never be null."""

    name: str
    columns: tuple[str, ...]
    descending: bool = True

    @property
    def keys(self) -> tuple[str, ...]:
        return (*self.columns, "id")

    def apply(self, entries: QuerySet[Entry]) -> QuerySet[Entry]:
        return entries.order_by(*(f"-{key}" if self.descending else key for key in self.keys))

    def after(self, entries: QuerySet[Entry]) -> QuerySet[Entry]:
        """Rows beyond the place that `given` names, by one comparison of rows: an index over these columns finds it at any depth."""
        ours = Func(*(F(key) for key in self.keys), function="ROW", output_field=TextField())
        place = (Given(f"after_{number}", TYPES[key]) for number, key in enumerate(self.keys))
        beyond = Func(
            ours,
            Func(*place, function="ROW", output_field=TextField()),
            template="%(expressions)s",
            arg_joiner=" < " if self.descending else " > ",
            output_field=BooleanField(),
        )
        return entries.filter(beyond)

    def place(self, row: EntryRow) -> tuple[Any, ...]:
        return tuple(getattr(row, key) for key in self.keys)


TYPES = {"published_at": "timestamptz", "download_count": "bigint", "relevance": "float8", "approval": "float8", "id": "bigint"}
"""PostgreSQL's, of what entries are sorted by."""
NEWEST = Order("newest", ("published_at",))
OLDEST = Order("oldest", ("published_at",), descending=False)
RATED = Order("rated", ("approval", "download_count"))
DOWNLOADS = Order("downloads", ("download_count",))
RELEVANCE = Order("relevance", ("relevance", "download_count"))
ORDERS = {
    "Highest Rated": RATED,
    "Most Downloaded": DOWNLOADS,
    "Most Liked": RATED,
    "Most Discussed": DOWNLOADS,
    "Most Collected": DOWNLOADS,
    "Most Images": DOWNLOADS,
    "Newest": NEWEST,
    "Oldest": OLDEST,
}
"""By the site's name. "Highest Rated" is by Wilson's lower bound of its thumbs, of equal ones by downloads. The hub tells no likes, and
counts neither comments nor collections of a model: sorts by those are by thumbs or downloads. A new order needs a name
of its own, columns that are never null with their `TYPES`, and an index over them and the id."""


def order_of(sort: str) -> Order:
    return ORDERS[sort or "Highest Rated"]


def given(place: tuple[Any, ...]) -> dict[str, Any]:
    """What fills the open places of `Order.after`."""
    return {f"after_{number}": value for number, value in enumerate(place)}


def cursor_of(order: Order, place: tuple[Any, ...]) -> str:
    values = [value.isoformat() if isinstance(value, datetime) else value for value in place]
    return base64.urlsafe_b64encode(json.dumps([order.name, *values]).encode()).decode().rstrip("=")


def place_of(order: Order, cursor: str) -> tuple[Any, ...]:
    """The row key that a cursor names. Raises `ApiError` 400 for one that was not given out for this order."""
    try:
        name, *values = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        if name != order.name or len(values) != len(order.keys):
            raise ValueError("another order")
        return tuple(_typed(key, value) for key, value in zip(order.keys, values, strict=True))
    except (ValueError, TypeError, OverflowError, RecursionError, binascii.Error):
        raise ApiError(400, "Invalid cursor: use the nextCursor of the page before, with the same sort and query.") from None


def _typed(key: str, value: Any) -> Any:
    if key == "published_at":
        moment = parse_datetime(value)
        if moment is None or moment.tzinfo is None:
            raise ValueError("no moment")
        return moment
    if key in {"relevance", "approval"}:
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise ValueError("no count")
    return value


def next_page(request: HttpRequest, cursor: str) -> str:
    """The same question from `cursor` on, as an absolute address; a token in the query is not repeated."""
    query = request.GET.copy()
    for key in ("token", "page", "cursor"):
        query.pop(key, None)
    query["cursor"] = cursor
    return f"{origin_of(request)}{request.path}?{query.urlencode()}"
