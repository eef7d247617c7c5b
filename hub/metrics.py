"""`/healthz/metrics`: counts for Prometheus, from stored data, a few seconds old. Counts only: no name, no address, no file.

Process figures are left to whatever watches processes; a hub has several.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.core.cache import cache
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from registry.lifecycle import FileState
from registry.models import Blob, File, Verdict
from scanner import rescans
from scanner.models import Disagreement, Rescan

KEPT_SECONDS = 10
"""For which one answer serves everybody: counting reads whole tables."""
_KEY = "hub.metrics"


def metrics(request: HttpRequest) -> HttpResponse:
    """The counts in Prometheus' text format."""
    page = cache.get(_KEY)
    if page is None:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Stored())
        page = generate_latest(registry)
        cache.set(_KEY, page, KEPT_SECONDS)
    response = HttpResponse(page, content_type=CONTENT_TYPE_LATEST)
    response["Cache-Control"] = "no-store"
    return response


class _Stored(Collector):
    """What the database says now."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        files, blobs = File.objects.all(), Blob.objects.filter(stored=True)
        yield _gauge("weighhouse_files", "Files by state.", "state", _by(files, "state", FileState.values))
        yield _gauge("weighhouse_blobs", "Stored bytes by verdict.", "verdict", _by(blobs, "verdict", Verdict.values))
        opened = Rescan.objects.filter(state__in=rescans.OPEN)
        yield _gauge("weighhouse_rescans_open", "Rescans that wait or run.", "", {"": opened.count()})
        waiting = blobs.filter(verdict=Verdict.SUSPICIOUS, released=False, files__isnull=False).distinct()
        yield _gauge("weighhouse_suspicious_waiting", "Suspicious bytes that no moderator has released.", "", {"": waiting.count()})
        objections = Disagreement.objects.filter(settled_at=None)
        yield _gauge(
            "weighhouse_disagreements_open", "Objections of other scanners that wait for a moderator.", "tool", _by(objections, "tool")
        )
        failures = Disagreement.objects.filter(said="error")
        yield _gauge("weighhouse_opinion_errors", "Clean files on which another scanner failed.", "tool", _by(failures, "tool"))


def _by(rows: QuerySet, field: str, always: Iterable[str] = ()) -> dict[str, int]:
    """value -> rows; `always` names the values that are told although there is none."""
    counted = rows.order_by().values_list(field).annotate(number=Count("pk"))
    return dict.fromkeys(always, 0) | dict(counted)


def _gauge(name: str, text: str, label: str, values: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label] if label else [])
    for value, count in values.items():
        family.add_metric([value] if label else [], count)
    return family
