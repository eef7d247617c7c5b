"""Querysets that are compiled once and run many times, as prepared statements with a few places left open.

For questions that are asked so often that building their SQL costs more than answering them. What may be seen stays in `registry.queries`:
statements are made of its querysets. Not for writes, and not for questions that are put together anew each time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock
from typing import Any

import psycopg
from django.core.exceptions import EmptyResultSet
from django.db import InterfaceError, OperationalError, connection
from django.db.models import BooleanField, Expression, F, Field, Func, QuerySet, Subquery, TextField
from django.db.models.functions import Cast
from psycopg.adapt import Transformer

PREPARE_AFTER = 1
"""Runs on one connection until PostgreSQL keeps the plan: it takes longer to plan these statements than to run them."""
KEPT_STATEMENTS = 100
"""A connection's, the least recently used is dropped; psycopg's own default."""


@dataclass(frozen=True, slots=True)
class _Place:
    name: str


class Given(Expression):
    """A place that every run fills. `cast`: PostgreSQL's type, so that a number's size does not make another statement of it."""

    def __init__(self, name: str, cast: str, output_field: Field[Any, Any] | None = None) -> None:
        super().__init__(output_field=output_field)
        self.name, self.cast = name, cast

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        return f"%s::{self.cast}", [_Place(self.name)]


def is_one_of(column: str, given: Given) -> Func:
    """The condition that `column` is in a list that every run gives."""
    return Func(F(column), given, template="%(expressions)s)", arg_joiner=" = ANY(", output_field=BooleanField())


class Rows(Subquery):
    """The rows of a `.values()` queryset as one JSON list of objects, in its order. Moments are ISO 8601 in it."""

    template = "(SELECT COALESCE(json_agg(_rows), '[]'::json) FROM (%(subquery)s) AS _rows)"
    output_field = TextField()


class Row(Subquery):
    """The only row of a `.values()` queryset as a JSON object, or null."""

    template = "(SELECT row_to_json(_row) FROM (%(subquery)s) AS _row)"
    output_field = TextField()


class Pairs(Subquery):
    """The rows of a two-column `.values()` queryset (`kind`, `value`) as one JSON object, or null where there is none."""

    template = "(SELECT json_object_agg(_pairs.kind, _pairs.value) FROM (%(subquery)s) AS _pairs)"
    output_field = TextField()


def as_text(rows: Rows) -> Cast:
    """For the outermost: the JSON reaches us as text, and whoever reads it chooses the parser."""
    return Cast(rows, TextField())


class Statement:
    """A `.values_list()` queryset, compiled. Its constants are written into the SQL, so that the planner sees them."""

    def __init__(self, rows: QuerySet[Any, Any]) -> None:
        self.names: list[str] = []
        try:
            sql, params = rows.query.get_compiler(connection=connection).as_sql()
        except EmptyResultSet:
            self.sql = ""
            return
        connection.ensure_connection()
        adapter = Transformer(connection.connection)
        pieces = []
        for value in params:
            if isinstance(value, _Place):
                self.names.append(value.name)
                pieces.append("%s")
            else:
                literal = "NULL" if value is None else adapter.as_literal(value).decode()
                pieces.append(literal.replace("%", "%%"))
        self.sql = sql.replace("%%", "%%%%") % tuple(pieces)

    def run(self, **given: Any) -> list[tuple[Any, ...]]:
        """The rows, with `given` in the open places; what has no place here is passed over."""
        return self._fetched(self.sql, given) if self.sql else []

    def count(self, **given: Any) -> int:
        """How many rows there are."""
        sql = f"SELECT COUNT(*) FROM ({self.sql}) AS _counted"  # noqa: S608  (of a statement that Django compiled)
        return int(self._fetched(sql, given)[0][0]) if self.sql else 0

    def _fetched(self, sql: str, given: dict[str, Any]) -> list[tuple[Any, ...]]:
        """A connection that the server dropped meanwhile is opened again, once: asking whether it lives costs every run a round trip."""
        params = [given[name] for name in self.names]
        try:
            return _rows(sql, params)
        except (OperationalError, InterfaceError):
            raw = connection.connection
            if connection.in_atomic_block or (raw is not None and not raw.closed):
                raise
            connection.close()
            return _rows(sql, params)


def _rows(sql: str, params: list[Any]) -> list[tuple[Any, ...]]:
    connection.ensure_connection()
    raw = connection.connection
    if raw.prepare_threshold is None and not connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):  # which is set for pools
        raw.prepare_threshold, raw.prepared_max = PREPARE_AFTER, KEPT_STATEMENTS
    cursor = psycopg.Cursor(raw)  # binds on the server, unlike Django's own: only that can be prepared
    wrap = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
    with wrap(cursor) as wrapped:
        wrapped.execute(sql, params)
        return wrapped.fetchall()


class Kept:
    """The last `most` statements by what they ask. Thread-safe; two threads may compile the same one."""

    def __init__(self, most: int) -> None:
        self.most, self._known, self._lock = most, OrderedDict[Hashable, Statement](), Lock()

    def get(self, key: Hashable, make: Callable[[], QuerySet[Any, Any]]) -> Statement:
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        made = Statement(make())
        with self._lock:
            self._known[key] = made
            if len(self._known) > self.most:
                self._known.popitem(last=False)
        return made
