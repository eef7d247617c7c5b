"""Drafts that are published at a chosen moment: when they are due and ready, once, and not after they were called off."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from hub import pipeline
from registry import catalog, schedule
from registry.models import Version
from tests.factories import FileFactory, VersionFactory

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def draft(state: str = "ready", **fields: Any) -> Version:
    return FileFactory(state=state, version__status="draft", **{f"version__{name}": value for name, value in fields.items()}).version


def due(version: Version, ago: timedelta = HOUR) -> None:
    Version.objects.filter(pk=version.pk).update(publish_at=timezone.now() - ago)


def test_sweep_publishes_what_is_due_and_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "waiting_messages", lambda *_: pipeline.BATCH)  # nobody is told of rows here
    ready, unready, later, given_up = draft(), draft("scanning"), draft(), draft()
    schedule.schedule(later, timezone.now() + HOUR)
    due(ready)
    due(unready)
    due(given_up, timedelta(days=8))
    assert pipeline.sweep()["published"] == 1
    assert pipeline.sweep()["published"] == 0
    found = {version.pk: (version.status, version.publish_at is None) for version in Version.objects.all()}
    waits = ("draft", False)
    assert found == {ready.pk: ("published", True), unready.pk: waits, later.pk: waits, given_up.pk: waits}


def test_a_version_whose_moment_was_called_off_stays_a_draft() -> None:
    version = draft()
    schedule.schedule(version, timezone.now() + HOUR)
    schedule.cancel(version)
    assert (schedule.publish_due(), Version.objects.get().publish_at) == (0, None)


@pytest.mark.parametrize(
    ("hours", "status", "code"),
    [
        (-1, "draft", "schedule:past"),
        (9000, "draft", "schedule:far"),
        (1, "published", "schedule:no-draft"),
        (1, "withdrawn", "schedule:no-draft"),
    ],
)
def test_moments_that_make_no_sense_are_refused(hours: int, status: str, code: str) -> None:
    with pytest.raises(catalog.Refused) as refusal:
        schedule.schedule(VersionFactory(status=status), timezone.now() + timedelta(hours=hours))
    assert refusal.value.code == code
