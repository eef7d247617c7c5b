"""Bare views to be compared with: the same rows by one raw SELECT of psycopg, written out by orjson as they come, before all middleware.

They ask nothing about permissions, parameters or shapes. Each thread keeps a connection of its own, and PostgreSQL the plans.
"""

# ruff: noqa: S608  (the SQL is written here)

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import orjson
import psycopg
from django.http import HttpRequest, HttpResponse

FILES = """
SELECT e.id, e.name, e.kind, e.description, e.rating, e.allow_no_credit, e.allow_commercial_use, e.allow_derivatives,
       e.allow_different_license, e.published_at, e.download_count, e.owner_id, u.username,
       ARRAY(SELECT t.name FROM registry_tag t JOIN registry_entry_tags et ON et.tag_id = t.id WHERE et.entry_id = e.id ORDER BY t.name),
       v.id, v.name, v.base_model, v.description, v.trigger_words, v.created_at, v.published_at, v.download_count,
       f.id, f.name, f.role, f.recipe, f.size_bytes, b.verdict, b.verdict_key, b.scanned_at, b.container, b.detected ->> 'precision',
       (SELECT json_object_agg(h.kind, h.value) FROM registry_blobhash h WHERE h.blob_id = b.id)::text
FROM {found} e JOIN registry_user u ON u.id = e.owner_id JOIN registry_version v ON v.entry_id = e.id
     JOIN registry_file f ON f.version_id = v.id JOIN registry_blob b ON b.id = f.blob_id
"""
ORDERS = {"rated": "approval DESC, download_count DESC, id DESC", "newest": "published_at DESC, id DESC"}
"""What /api/v1/models and the website each list first."""
LISTS = {
    name: FILES.format(
        found="(SELECT * FROM registry_entry WHERE visibility = 'public' AND live AND deleted_at IS NULL AND rating = 1"
        f" ORDER BY {order} LIMIT 51)"
    )
    for name, order in ORDERS.items()
}
OF_HASHES = "WHERE v.id IN (SELECT of.version_id FROM registry_blobhash oh JOIN registry_file of ON of.blob_id = oh.blob_id WHERE {rule})"
ONE = FILES.format(found="registry_entry") + OF_HASHES.format(rule="oh.value = %s")
BEGINNING = FILES.format(found="registry_entry") + OF_HASHES.format(rule="oh.value ~>=~ %s AND oh.value ~<~ %s")
MANY = FILES.format(found="registry_entry") + OF_HASHES.format(rule="oh.value = ANY(%s)")
_kept = threading.local()


class Bare:
    """Middleware: answers `/bare/...` itself, before any other sees the request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith("/bare/"):
            return self.get_response(request)
        _, _, what, *rest = request.path_info.split("/")
        if what == "list":
            return _answer(LISTS[rest[0]], [])
        if what == "hashes":
            return _answer(MANY, [orjson.loads(request.body)])
        if what == "beginning":
            return _answer(BEGINNING, [rest[0], rest[0] + "G"])
        return _answer(ONE, rest)


def _answer(sql: str, params: list[Any]) -> HttpResponse:
    if not hasattr(_kept, "connection"):
        _kept.connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True, prepare_threshold=0)
    rows = _kept.connection.execute(sql, params).fetchall()
    return HttpResponse(orjson.dumps(rows), content_type="application/json")
