"""`/healthz`: 200 only when database, broker, storage and a worker answer; each with its state."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import connection
from django.http import HttpRequest, JsonResponse

from hub.celery import app

WORKER_TTL = 5.0
"""Seconds for which a worker's answer is believed: asking costs a broadcast."""
_worker_seen: dict[str, float] = {}


def healthz(request: HttpRequest) -> JsonResponse:
    """{"status": "ok"|"down", "database": {"ok", "ms", "error"?}, "broker": ..., "storage": ..., "worker": ...}"""
    parts = {"database": _timed(_database), "broker": _timed(_broker), "storage": _timed(_storage)}
    parts["worker"] = _timed(_worker) if parts["broker"]["ok"] else {"ok": False, "ms": 0, "error": "the broker is away"}
    healthy = all(part["ok"] for part in parts.values())
    response = JsonResponse({"status": "ok" if healthy else "down", **parts}, status=200 if healthy else 503)
    response["Cache-Control"] = "no-store"
    return response


def _timed(check: Callable[[], None]) -> dict[str, object]:
    start = time.monotonic()
    try:
        check()
    except Exception as error:  # whatever is wrong, the answer is "down" and its kind; details stay in the log
        return {"ok": False, "ms": round((time.monotonic() - start) * 1000), "error": type(error).__name__}
    return {"ok": True, "ms": round((time.monotonic() - start) * 1000)}


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _broker() -> None:
    with app.connection_for_read() as broker:
        broker.ensure_connection(max_retries=1, timeout=2)
        broker.default_channel.client.ping()


def _storage() -> None:
    store = storages["models"]
    name = store.save(f"health/{uuid.uuid4().hex}", ContentFile(b"ok"))
    try:
        with store.open(name) as file:
            if file.read() != b"ok":
                raise OSError("read back something else")
    finally:
        store.delete(name)


def _worker() -> None:
    if time.monotonic() - _worker_seen.get("at", -WORKER_TTL) < WORKER_TTL:
        return
    if not app.control.ping(timeout=2.0, limit=1):
        raise TimeoutError("no worker answered")
    _worker_seen["at"] = time.monotonic()
