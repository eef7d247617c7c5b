"""The samples go through the pipeline, are published, and publishing them again changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from hub import samples
from registry.models import Blob, Entry, File
from scanner.models import ScanReport
from tests.intake import drain


@pytest.mark.django_db(transaction=True)
def test_samples_are_published_through_the_pipeline_once(monkeypatch: Any) -> None:
    monkeypatch.setattr(samples.time, "sleep", lambda _: drain())  # the workers' part, in this process
    lines: list[str] = []
    assert samples.publish(lines.append) == len(samples._read(samples.FOLDER)), lines
    assert ScanReport.objects.values("blob").distinct().count() == Blob.objects.count()
    assert not File.objects.exclude(state="ready").exists()
    kinds = {entry.kind: entry for entry in Entry.objects.all()}
    assert {"checkpoint", "lora", "embedding"} <= set(kinds)
    for entry in kinds.values():
        detected = entry.versions.get().files.filter(role="uploaded").get().blob.detected
        assert detected["kind"] == entry.kind
    before = set(Entry.objects.values_list("pk", "updated_at"))
    samples.publish(lines.append)
    assert set(Entry.objects.values_list("pk", "updated_at")) == before
