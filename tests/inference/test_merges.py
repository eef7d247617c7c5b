"""The life of a merge: every ending, one winner of every race, nothing left of what was cancelled, the same bytes after a crash."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.utils import timezone
from safetensors.numpy import save_file

from hub import pipeline
from inference import merger, merges
from inference.merges import NoMerge
from inference.models import Derivative, Merge
from registry import catalog, lifecycle, storage
from registry.lifecycle import LostRace
from registry.models import Blob, Entry, File, Version
from scanner.models import ScanReport
from tests.factories import EntryFactory
from tests.intake import TASKS, drain, empty_queues
from tests.merges import checkpoint, wanted, worked
from tests.processes import celery_worker, kill_group, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def a(creator: Any, tmp_path: Path) -> File:
    return checkpoint(creator, tmp_path / "a.safetensors", name="Alpha")


@pytest.fixture
def b(stranger: Any, tmp_path: Path) -> File:
    return checkpoint(stranger, tmp_path / "b.safetensors", name="Beta")


@contextmanager
def once_claimed(act: Callable[[Merge], Any]) -> Iterator[None]:
    """Do `act` to another copy of the row at the moment a worker claims it: as a request or the sweep would, just after."""
    seen: list[int] = []

    def receiver(row: Merge, came_from: str | None, **_: Any) -> None:
        if row.state == "merging" and not seen:
            seen.append(row.pk)
            act(Merge.objects.get(pk=row.pk))

    lifecycle.moved.connect(receiver, sender=Merge)
    try:
        yield
    finally:
        lifecycle.moved.disconnect(receiver, sender=Merge)
    assert seen


def nothing_came_of_it(a: File, b: File) -> bool:
    left = list(storage.scratch_dir().iterdir())
    return not left and not Entry.objects.filter(name="Blend").exists() and set(File.objects.all()) == {a, b}


def test_a_merge_ends_as_a_file_that_lives_like_an_upload(creator: Any, a: File, b: File) -> None:
    planned = wanted(creator, a, b)
    merge = worked(Merge.objects.get(pk=planned.pk))
    assert (merge.state, merge.error, merge.attempts) == ("made", "", 0)
    assert merge.done_bytes == merge.total_bytes == planned.total_bytes, "written, and read back"
    file = merge.result
    assert (file.state, file.role, file.source, file.recipe["merge"]) == ("queued", "uploaded", None, merge.pk)
    assert file.timeline.get().note == "Merged by this hub: 0.7 of A and 0.3 of B."
    drain()
    file.refresh_from_db()
    assert (file.state, file.blob.verdict, file.blob.container) == ("ready", "success", "safetensors")
    assert ScanReport.objects.filter(blob=file.blob).exists()
    assert file.blob.detected["kind"] == a.blob.detected["kind"]
    assert Derivative.objects.filter(source=file, state="made").exists()
    assert file.version.base_model == a.version.base_model


def test_the_same_request_gives_the_same_bytes(creator: Any, a: File, b: File) -> None:
    first, second = worked(wanted(creator, a, b)), worked(wanted(creator, a, b))
    assert first.result.sha256 == second.result.sha256
    assert first.result.version.entry.slug != second.result.version.entry.slug
    assert worked(wanted(creator, a, b, multiplier=0.4)).result.sha256 != first.result.sha256


def test_two_messages_are_one_merge(creator: Any, a: File, b: File) -> None:
    merge = wanted(creator, a, b)
    for _ in range(2):
        TASKS["inference.merge"](merge.pk)
    assert Entry.objects.filter(name="Blend").count() == 1


def test_what_is_cancelled_while_it_waits_is_never_begun(creator: Any, a: File, b: File) -> None:
    merge = wanted(creator, a, b)
    merges.cancel(Merge.objects.get(pk=merge.pk))
    assert worked(merge).state == "cancelled"
    assert nothing_came_of_it(a, b)
    with pytest.raises(NoMerge, match="cancelled already"):
        merges.cancel(merge)


def test_what_is_cancelled_while_it_runs_leaves_nothing(creator: Any, a: File, b: File) -> None:
    merge, blobs = wanted(creator, a, b), Blob.objects.count()
    with once_claimed(merges.cancel):
        assert worked(merge).state == "cancelled"
    assert nothing_came_of_it(a, b)
    assert Blob.objects.count() == blobs


def test_a_cancel_that_meets_the_claim_still_cancels(creator: Any, a: File, b: File) -> None:
    seen = Merge.objects.get(pk=wanted(creator, a, b).pk)
    lifecycle.claim(Merge.objects.get(pk=seen.pk), "merging")
    assert merges.cancel(seen).state == "cancelled"


def test_what_is_done_cannot_be_cancelled(creator: Any, a: File, b: File) -> None:
    seen = Merge.objects.get(pk=wanted(creator, a, b).pk)
    worked(Merge.objects.get(pk=seen.pk))
    with pytest.raises(NoMerge, match="made already"):
        merges.cancel(seen)
    assert Entry.objects.filter(name="Blend").exists()


def end_lease(merge: Merge) -> None:
    Merge.objects.filter(pk=merge.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert lifecycle.reclaim(Merge) == 1


def test_a_worker_whose_lease_ended_loses_and_the_next_one_makes_it(creator: Any, a: File, b: File) -> None:
    merge = wanted(creator, a, b)
    with once_claimed(end_lease):
        assert worked(merge).state == "wanted"
    assert nothing_came_of_it(a, b)
    assert worked(merge).state == "made"


def test_a_result_that_comes_too_late_is_not_recorded(creator: Any, a: File, b: File, tmp_path: Path) -> None:
    """The race at its narrowest: everything is merged, and the row is lost before the end is written."""
    merge = lifecycle.claim(Merge.objects.get(pk=wanted(creator, a, b).pk), "merging")
    merges.cancel(Merge.objects.get(pk=merge.pk))
    inputs = [merges.mergeinputs.find(creator, row.role, row.file_id) for row in merge.inputs.all()]
    with pytest.raises(LostRace):
        merges._finish(merge, inputs, merges.terms.Terms(), a.blob, {})
    assert nothing_came_of_it(a, b)


def test_progress_stays_in_the_row_and_tells_who_lost(creator: Any, a: File, b: File) -> None:
    merge = lifecycle.claim(Merge.objects.get(pk=wanted(creator, a, b).pk), "merging")
    watch = merger.Watch(merge)
    watch.progress(10, 100)
    watch.progress(20, 100)
    merge.refresh_from_db()
    assert (merge.done_bytes, merge.total_bytes) == (10, 100), "written a second apart at most"
    assert watch.cancelled() is False
    merges.cancel(Merge.objects.get(pk=merge.pk))
    fresh = merger.Watch(merge)
    for ask in (fresh.cancelled, lambda: merger.Watch(merge).progress(30, 100)):
        with pytest.raises(LostRace):
            ask()


MEANWHILE = [
    (lambda b: catalog.withdraw(b.version, "No more."), "merge:withdrawn"),
    (lambda b: catalog.delete_entry(b.version.entry), "merge:withdrawn"),
    (lambda b: Entry.objects.filter(pk=b.version.entry_id).update(visibility="private"), "merge:input-gone"),
    (lambda b: File.objects.filter(pk=b.pk).delete(), "merge:input-gone"),
    (lambda b: Blob.objects.filter(pk=b.blob_id).update(verdict="danger"), "merge:not-ready"),
    (lambda b: File.objects.filter(pk=b.pk).update(state="quarantined"), "merge:not-ready"),
    (lambda b: Entry.objects.filter(pk=b.version.entry_id).update(allow_derivatives=False), "merge:no-derivatives"),
    (lambda b: File.objects.filter(pk=b.pk).update(blob=Blob.objects.exclude(pk=b.blob_id).first()), "merge:input-changed"),
]


@pytest.mark.parametrize(("happens", "code"), MEANWHILE)
def test_an_input_that_was_taken_back_meanwhile_fails_the_merge(
    creator: Any, a: File, b: File, happens: Callable[[File], Any], code: str
) -> None:
    merge = wanted(creator, a, b)
    happens(File.objects.select_related("version__entry").get(pk=b.pk))
    merge = worked(merge)
    assert (merge.state, merge.error_code) == ("failed", code)
    assert merge.error
    assert not Entry.objects.filter(name="Blend").exists()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda b: catalog.delete_entry(b.version.entry), "merge:withdrawn"),
        (lambda b: Blob.objects.filter(pk=b.blob_id).update(verdict="danger"), "merge:not-ready"),
        (lambda b: Entry.objects.filter(pk=b.version.entry_id).update(allow_derivatives=False), "merge:no-derivatives"),
    ],
    ids=["deleted", "dangerous", "forbidden"],
)
def test_an_input_that_is_taken_back_during_the_work_is_not_given_on(
    creator: Any, a: File, b: File, monkeypatch: pytest.MonkeyPatch, change: Callable[[File], Any], code: str
) -> None:
    merge, real = wanted(creator, a, b), merger.run

    def run(*work: Any) -> Any:
        made = real(*work)
        change(b)
        return made

    monkeypatch.setattr(merger, "run", run)
    before = Blob.objects.count()
    assert (worked(merge).state, merge.error_code) == ("failed", code)
    assert (merge.result, Blob.objects.count()) == (None, before)


def test_a_model_that_is_deleted_during_the_work_takes_no_merge(creator: Any, a: File, b: File, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryFactory(owner=creator, allow_commercial_use=[])
    merge, real = wanted(creator, a, b, entry=entry), merger.run

    def run(*work: Any) -> Any:
        made = real(*work)
        catalog.delete_entry(Entry.objects.get(pk=entry.pk))
        return made

    monkeypatch.setattr(merger, "run", run)
    assert (worked(merge).state, merge.error_code) == ("failed", "merge:entry-gone")


def test_permissions_that_became_stricter_meanwhile_hold(creator: Any, a: File, b: File) -> None:
    merge = wanted(creator, a, b)
    Entry.objects.filter(pk=b.version.entry_id).update(allow_no_credit=False)
    assert worked(merge).result.version.entry.allow_no_credit is False
    assert merge.licence["allow_no_credit"] is False


@pytest.mark.parametrize("end", ["deleted", "tombstone", "handed on"])
def test_a_model_that_is_gone_takes_no_merge(creator: Any, stranger: Any, a: File, b: File, end: str) -> None:
    target = EntryFactory(owner=creator, published_at=timezone.now() if end == "tombstone" else None)
    merge = wanted(creator, a, b, entry=target)
    if end == "handed on":
        Entry.objects.filter(pk=target.pk).update(owner=stranger)
    else:
        catalog.delete_entry(target)
    assert (worked(merge).state, merge.error_code) == ("failed", "merge:entry-gone")


def test_bytes_that_cannot_be_read_are_tried_again_and_then_said(creator: Any, a: File, b: File) -> None:
    merge = wanted(creator, a, b)
    path = storage.path_of("models", storage.blob_name(b.sha256))
    hidden = path.rename(path.with_suffix(".away"))
    for attempt in (1, 2):
        assert (worked(merge).state, merge.attempts) == ("wanted", attempt)
        assert merge.send_after > timezone.now()
    assert (worked(merge).state, merge.error_code) == ("failed", "work:trouble")
    hidden.rename(path)
    merges.retry(merge)
    assert (merge.error, merge.attempts) == ("", 0)
    assert worked(merge).state == "made"


def test_a_truncated_input_is_its_own_fault_and_leaves_no_half_file(creator: Any, a: File, b: File) -> None:
    merge = wanted(creator, a, b)
    path = storage.path_of("models", storage.blob_name(b.sha256))
    path.chmod(0o640)
    with path.open("r+b") as file:
        file.truncate(b.size_bytes // 2)
    assert (worked(merge).state, merge.error_code) == ("failed", "F-TRUNCATED")
    assert nothing_came_of_it(a, b)


def test_trying_again_counts_against_the_limit(creator: Any, a: File, b: File) -> None:
    merge = wanted(creator, a, b)
    Merge.objects.filter(pk=merge.pk).update(state="failed")
    merge.refresh_from_db()
    for _ in range(merges.OPEN_AT_ONCE):
        wanted(creator, a, b)
    with pytest.raises(NoMerge) as caught:
        merges.retry(merge)
    assert caught.value.code == "merge:too-many"


def test_the_place_in_the_queue_is_among_merges(creator: Any, a: File, b: File) -> None:
    rows = [wanted(creator, a, b) for _ in range(2)]
    assert [lifecycle.place_in_queue(row) for row in rows] == [1, 2]


def test_inputs_on_s3_are_merged_too(s3_stores: None, creator: Any, stranger: Any, tmp_path: Path) -> None:
    a, b = checkpoint(creator, tmp_path / "a.safetensors"), checkpoint(stranger, tmp_path / "b.safetensors")
    merge = worked(wanted(creator, a, b))
    assert merge.state == "made", merge.error
    assert storage.exists(merge.result.blob)


def test_merges_wait_behind_uploads_and_before_rescans(broker: str, creator: Any, a: File, b: File) -> None:
    empty_queues()
    wanted(creator, a, b)
    counts = [pipeline.waiting_messages("cpu", priority) for priority in (pipeline.FIRST, pipeline.LATER, pipeline.LAST)]
    assert counts == [0, 1, 0]


def big(path: Path, seed: int) -> Path:
    """A checkpoint of a third of a gigabyte in SD 1.x's names: long enough to be killed over."""
    pattern = np.tile(np.random.default_rng(seed).standard_normal(1 << 18, dtype=np.float32), 64).reshape(4096, 4096)
    save_file({f"model.diffusion_model.input_blocks.{number}.1.weight": pattern for number in range(5)}, path, {"format": "pt"})
    return path


@pytest.fixture
def long_merge(creator: Any, stranger: Any, tmp_path: Path) -> Merge:
    a = checkpoint(creator, big(tmp_path / "big-a.safetensors", 1))
    return wanted(creator, a, checkpoint(stranger, big(tmp_path / "big-b.safetensors", 2)))


@pytest.fixture
def worker_data(tmp_path: Path) -> Path:
    """The data folder of a worker in a process of its own, over the same stores."""
    folder = tmp_path / "worker"
    folder.mkdir()
    (folder / "storage").symlink_to(tmp_path / "storage")
    return folder


def half_files(worker_data: Path) -> list[Path]:
    """Unfinished results in a worker's scratch folder that have bytes."""
    return [path for path in worker_data.rglob("job-*/.*") if path.is_file() and path.stat().st_size]


def test_a_worker_killed_in_mid_merge_is_found_and_the_next_makes_the_same_bytes(
    broker: str, creator: Any, long_merge: Merge, worker_data: Path
) -> None:
    env = {"WEIGH_BROKER_URL": broker, "WEIGH_LEASE_SECONDS": "4"}
    with celery_worker(worker_data, **env) as worker:
        wait_until(lambda: half_files(worker_data), 60, every=0.002)
        kill_group(worker)
    long_merge.refresh_from_db()
    assert (long_merge.state, long_merge.attempts) == ("merging", 1), "the worker was too quick to be killed in mid-merge"
    assert not Version.objects.filter(files__merge=long_merge).exists()
    assert long_merge.lease_until <= timezone.now() + timedelta(seconds=4)
    Merge.objects.filter(pk=long_merge.pk).update(lease_until=timezone.now() - timedelta(seconds=1))  # as when those seconds were over
    assert pipeline.sweep()["reclaimed"] == 1
    with celery_worker(worker_data, **env):
        wait_until(lambda: pipeline.sweep() and Merge.objects.filter(pk=long_merge.pk, state="made").exists(), 120, every=0.5)
    long_merge.refresh_from_db()
    a, b = (row.file for row in long_merge.inputs.all())
    assert worked(wanted(creator, a, b)).result.sha256 == long_merge.result.sha256


def test_a_cancelled_merge_stops_a_real_worker(broker: str, long_merge: Merge, worker_data: Path) -> None:
    with celery_worker(worker_data, WEIGH_BROKER_URL=broker):
        wait_until(lambda: half_files(worker_data), 60, every=0.002)
        merges.cancel(Merge.objects.get(pk=long_merge.pk))
        wait_until(lambda: not half_files(worker_data), 30)
    long_merge.refresh_from_db()
    assert (long_merge.state, long_merge.result) == ("cancelled", None)
    assert not Entry.objects.filter(name="Blend").exists()
