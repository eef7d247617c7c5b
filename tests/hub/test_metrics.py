"""The counts that Prometheus reads: right, fresh enough, for everybody, and without a name in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from registry.models import Blob
from scanner.models import Disagreement, Rescan, ScanReport
from tests.factories import BlobFactory, FileFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    cache.delete("hub.metrics")
    yield
    cache.delete("hub.metrics")


def counts() -> dict[tuple[str, str], float]:
    answer = Client().get("/healthz/metrics")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain")
    families = text_string_to_metric_families(answer.content.decode())
    return {(sample.name, next(iter(sample.labels.values()), "")): sample.value for family in families for sample in family.samples}


def disagreement(blob: Blob, tool: str, said: str, **values: Any) -> None:
    report = ScanReport.objects.create(blob=blob, verdict="success", scanner="1", policy="1", report={})
    Disagreement.objects.create(report=report, blob=blob, tool=tool, said=said, ours="success", **values)


def test_an_empty_hub_counts_zero_of_every_state() -> None:
    found = counts()
    assert found["weighhouse_files", "ready"] == 0
    assert found["weighhouse_blobs", "danger"] == 0
    assert found["weighhouse_rescans_open", ""] == 0
    assert found["weighhouse_suspicious_waiting", ""] == 0


def test_files_and_blobs_are_counted_by_state_and_verdict() -> None:
    FileFactory.create_batch(2)
    FileFactory(state="failed", blob=None)
    BlobFactory(verdict="danger", stored=False)
    found = counts()
    assert (found["weighhouse_files", "ready"], found["weighhouse_files", "failed"]) == (2, 1)
    assert (found["weighhouse_blobs", "success"], found["weighhouse_blobs", "danger"]) == (2, 0)


def test_what_waits_for_people_is_counted_once_however_many_files_share_it() -> None:
    blob = BlobFactory(verdict="suspicious")
    FileFactory.create_batch(3, blob=blob, state="quarantined")
    FileFactory(blob=BlobFactory(verdict="suspicious", released=True))
    BlobFactory(verdict="suspicious")
    assert counts()["weighhouse_suspicious_waiting", ""] == 1


def test_open_disagreements_failures_and_rescans_are_counted() -> None:
    blob = BlobFactory()
    disagreement(blob, "picklescan 1.0.5", "dangerous")
    disagreement(blob, "picklescan 1.0.5", "dangerous", settled_at=timezone.now())
    disagreement(blob, "fickling 0.1.12", "error", settled_at=timezone.now())
    Rescan.objects.create(blob=blob, reason="asked", state="wanted")
    Rescan.objects.create(blob=blob, reason="asked", state="done")
    found = counts()
    assert found["weighhouse_disagreements_open", "picklescan 1.0.5"] == 1
    assert ("weighhouse_disagreements_open", "fickling 0.1.12") not in found
    assert found["weighhouse_opinion_errors", "fickling 0.1.12"] == 1
    assert found["weighhouse_rescans_open", ""] == 1


def test_one_answer_serves_everybody_for_some_seconds(django_assert_num_queries: Any) -> None:
    counts()
    with django_assert_num_queries(0):
        counts()


def test_no_name_of_a_person_or_file_is_told() -> None:
    file = FileFactory()
    text = Client().get("/healthz/metrics").content.decode()
    for name in (file.name, file.version.entry.owner.username, file.version.entry.name, file.blob.sha256):
        assert name not in text
    assert set(re.findall(r"^([a-z_]+)[ {]", text, re.MULTILINE)) <= {
        "weighhouse_files", "weighhouse_blobs", "weighhouse_rescans_open", "weighhouse_suspicious_waiting",
        "weighhouse_disagreements_open", "weighhouse_opinion_errors",
    }  # fmt: skip
