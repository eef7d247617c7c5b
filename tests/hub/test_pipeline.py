"""The pipeline's table is complete, and its promise holds: what a broker loses or a dead worker drops is found by the sweep."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from hub import pipeline
from hub.celery import app
from inference.models import Derivative
from registry import lifecycle, work
from registry.models import File, TimelineStep
from scanner.models import ScanReport
from tests import tiny
from tests.factories import FileFactory, VersionFactory
from tests.intake import TASKS, drain, empty_queues, upload_path
from tests.processes import celery_worker, kill_group, start_python, wait_until


@pytest.mark.parametrize("model", pipeline.LIVES)
def test_every_state_has_a_task_a_lease_or_waits_for_people(model: Any) -> None:
    life = model.LIFE
    for state in life.moves:
        accounted = [(model, state) in pipeline.TABLE, state in life.leased, state in life.waits_for_people, state in life.ends]
        assert sum(accounted) == 1, state


def test_every_task_of_the_table_exists() -> None:
    app.loader.import_default_modules()
    assert {stage.task for stage in pipeline.TABLE.values()} == set(TASKS)
    assert set(TASKS) <= set(app.tasks)


@pytest.mark.django_db(transaction=True)
def test_a_move_nudges_a_worker_when_it_commits(broker: str) -> None:
    file = FileFactory(state="failed")
    lifecycle.retry(file, "queued")
    file.refresh_from_db()
    assert pipeline.waiting_messages("cpu") == 1
    assert file.send_after is not None


@pytest.mark.django_db(transaction=True)
def test_a_lost_message_is_sent_again_once_it_is_due(broker: str) -> None:
    file = FileFactory(state="queued")
    assert pipeline.sweep()["sent"] == 1
    empty_queues()
    assert pipeline.sweep()["sent"] == 0
    File.objects.filter(pk=file.pk).update(send_after=timezone.now() - timedelta(seconds=1))
    assert pipeline.sweep()["sent"] == 1
    assert pipeline.waiting_messages("cpu") == 1


@pytest.mark.django_db(transaction=True)
def test_a_busy_queue_gets_no_copies(broker: str) -> None:
    FileFactory.create_batch(pipeline.BATCH + 5, state="queued")
    assert pipeline.sweep()["sent"] == pipeline.BATCH
    File.objects.update(send_after=None)
    assert pipeline.sweep()["sent"] == 0


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_away_stops_nothing(tmp_path: Path) -> None:
    file = FileFactory(state="failed")
    code = f"""
from registry import lifecycle
from registry.models import File
print(lifecycle.retry(File.objects.get(pk={file.pk}), "queued").state)
"""
    process = start_python(code, tmp_path, WEIGH_BROKER_URL=f"redis+socket://{tmp_path}/no.sock?virtual_host=0")
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 0, output
    assert "broker away" in output
    file.refresh_from_db()
    assert (file.state, file.send_after) == ("queued", None)


@pytest.mark.django_db(transaction=True)
def test_a_doubled_message_is_worked_once(creator: Any, tmp_path: Path) -> None:
    file = upload_path(VersionFactory(entry__owner=creator), creator, tiny.plain_checkpoint(tmp_path / "a.ckpt"))
    for _ in range(2):
        TASKS["scanner.examine"](file.pk)
    assert ScanReport.objects.filter(blob__files=file).count() == 1
    for _ in range(2):
        TASKS["inference.settle"](file.pk)
    assert File.objects.filter(source=file).count() == 1


@pytest.mark.django_db(transaction=True)
def test_trouble_of_ours_is_tried_again_later_and_then_said(creator: Any, tmp_path: Path, settings: Any) -> None:
    file = upload_path(VersionFactory(entry__owner=creator), creator, tiny.plain_checkpoint(tmp_path / "a.ckpt"))

    def broken(row: Any) -> None:
        raise OSError("the disk is gone")

    for attempt in (1, 2):
        file.refresh_from_db()
        work.run(file, "scanning", broken)
        file.refresh_from_db()
        assert (file.state, file.attempts) == ("queued", attempt)
        assert file.send_after > timezone.now()
    work.run(file, "scanning", broken)
    file.refresh_from_db()
    assert (file.state, file.error_code) == ("failed", "work:trouble")
    assert "not of the file" in file.error


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_mid_scan_is_found_and_the_file_ends_ready(creator: Any, tmp_path: Path, broker: str) -> None:
    source = tiny.big_checkpoint(tmp_path / "big.ckpt", 0.5)
    version = VersionFactory(entry__owner=creator)
    env = {"WEIGH_BROKER_URL": broker, "WEIGH_LEASE_SECONDS": "4"}
    with celery_worker(tmp_path, **env) as worker:
        file = upload_path(version, creator, source, "big.ckpt")
        wait_until(lambda: TimelineStep.objects.filter(file=file, step="hash", outcome="running").exists(), 60, every=0.002)
        kill_group(worker)
    with celery_worker(tmp_path, **env):  # which starts while the lease of the first runs out
        file.refresh_from_db()
        assert (file.state, file.attempts) == ("scanning", 1), "the worker was too quick to be killed in mid-scan"
        wait_until(lambda: pipeline.sweep()["reclaimed"], 60, every=0.5)
        wait_until(lambda: pipeline.sweep() and File.objects.filter(pk=file.pk, state="ready").exists(), 120, every=0.5)
    assert File.objects.get(pk=file.pk).blob.scan_reports.count() == 1
    assert TimelineStep.objects.filter(file=file, outcome="interrupted").exists()


@pytest.mark.django_db(transaction=True)
def test_variants_are_made_and_one_that_fails_holds_nothing_back(creator: Any, tmp_path: Path) -> None:
    file = upload_path(VersionFactory(entry__owner=creator), creator, tiny.lightning_checkpoint(tmp_path / "a.ckpt"))
    drain()
    file.refresh_from_db()
    assert file.state == "ready"
    assert set(Derivative.objects.filter(source=file).values_list("state", flat=True)) == {"made"}
    derivative = Derivative.objects.filter(source=file).first()
    Derivative.objects.filter(pk=derivative.pk).update(state="wanted", recipe={"keep": "ema", "precision": "nonsense"})
    drain()
    file.refresh_from_db()
    assert file.state == "ready"
