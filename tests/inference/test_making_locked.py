"""What the hub makes is made in the locked child: the same bytes whoever died in between, on S3 without fetching the source first."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from inference import making, tasks
from inference.models import Derivative
from inference.weights import locked
from inference.weights.convert import convert
from inference.weights.metadata import derived_metadata
from inference.weights.recipe import twin_recipe
from registry import lifecycle, storage
from registry.formats.hashes import hash_file
from registry.models import Blob, File, Version
from scanner import tasks as scanner_tasks
from tests import tiny
from tests.factories import VersionFactory
from tests.inference.weights.sources import Slow
from tests.intake import drain, upload_path
from tests.processes import wait_until
from tests.registry.sandbox.machine import on_linux

pytestmark = [pytest.mark.django_db(transaction=True), on_linux]


@pytest.fixture
def version(creator: Any) -> Version:
    return VersionFactory(entry__owner=creator)


@pytest.fixture
def clean(version: Version, creator: Any, tmp_path: Path) -> File:
    """A pickle that was just found clean."""
    return scanned(upload_path(version, creator, tiny.lightning_checkpoint(tmp_path / "dream.ckpt")))


def scanned(file: File) -> File:
    scanner_tasks.examine(file.pk)
    file.refresh_from_db()
    assert file.state == "clean"
    return file


def twin(file: File) -> File:
    return File.objects.get(source=file, name="dream.safetensors")


def expected(file: File, target: Path) -> str:
    """The digest of the twin as it is made in this process, without a child."""
    assert file.blob is not None
    directory = file.blob.tensor_index.directory
    metadata = derived_metadata(directory, twin_recipe(), source_sha256=file.blob.sha256)
    with storage.local_path(file.blob) as path:
        convert(path, directory, target, twin_recipe(), metadata=metadata)
    return hash_file(target).sha256


def test_the_twin_has_the_bytes_that_it_has_without_a_child(clean: File, tmp_path: Path) -> None:
    tasks.settle(clean.pk)
    assert twin(clean).sha256 == expected(clean, tmp_path / "expected")
    assert list(storage.scratch_dir().iterdir()) == []


def test_on_s3_the_source_is_read_by_ranges(
    s3_stores: None, version: Version, creator: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = scanned(upload_path(version, creator, tiny.lightning_checkpoint(tmp_path / "dream.ckpt")))
    digest = expected(file, tmp_path / "expected")
    with monkeypatch.context() as patch:
        patch.setattr(storage, "local_path", None)
        tasks.settle(file.pk)
    file.refresh_from_db()
    assert (file.state, twin(file).sha256) == ("ready", digest)
    assert storage.exists(twin(file).blob)


@contextmanager
def slowly(blob: Blob) -> Iterator[Slow]:
    """Stored bytes that come one small read at a time, through pipes, so that there is a middle of the work."""
    with storage.path_of("models", storage.blob_name(blob.sha256)).open("rb") as file:
        yield Slow(file.fileno(), 0.02)


def test_a_worker_that_is_killed_in_the_middle_leaves_nothing_and_the_sweep_resumes(clean: File, tmp_path: Path) -> None:
    connections.close_all()
    worker = os.fork()
    if worker == 0:
        try:
            storage.reader = slowly  # in this process alone
            tasks.settle(clean.pk)
        finally:
            os._exit(0)
    wait_until(lambda: parts() and max(path.stat().st_size for path in parts()) > 0, 30)
    child = only_child(worker)
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    wait_until(lambda: not is_running(child), 10)
    clean.refresh_from_db()
    assert clean.state == "converting"
    assert not File.objects.filter(source=clean).exists()
    assert Blob.objects.count() == 1
    File.objects.filter(pk=clean.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    lifecycle.reclaim(File)
    tasks.settle(clean.pk)
    clean.refresh_from_db()
    assert (clean.state, twin(clean).sha256) == ("ready", expected(clean, tmp_path / "expected"))


def parts() -> list[Path]:
    return list(storage.scratch_dir().glob("job-*/.*.part"))


def only_child(pid: int) -> int:
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def is_running(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_child_that_is_killed_is_tried_again(clean: File, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trouble of ours, not of the file: the row waits for the sweep, and the next attempt makes the same bytes."""

    class Killing(Slow):
        def read_into(self, offset: int, view: memoryview) -> None:
            if self.reads == 20:
                os.kill(only_child(os.getpid()), signal.SIGKILL)
                time.sleep(0.2)
            super().read_into(offset, view)

    @contextmanager
    def reader(blob: Blob) -> Iterator[Slow]:
        with storage.path_of("models", storage.blob_name(blob.sha256)).open("rb") as file:
            yield Killing(file.fileno())

    with monkeypatch.context() as patch:
        patch.setattr(storage, "reader", reader)
        tasks.settle(clean.pk)
    clean.refresh_from_db()
    assert (clean.state, clean.attempts, clean.error) == ("clean", 1, "")
    assert clean.send_after is not None
    assert list(storage.scratch_dir().iterdir()) == []
    tasks.settle(clean.pk)
    assert twin(clean).sha256 == expected(clean, tmp_path / "expected")


def test_a_disk_that_is_full_every_time_is_said_in_words(clean: File, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locked, "OUTPUT_FREE", 1 << 10)
    monkeypatch.setattr(locked, "OUTPUT_TIMES", 0)
    monkeypatch.setattr(locked, "FULL", frozenset({27}))  # EFBIG: what a file that may not grow says, instead of a disk
    for _ in range(lifecycle.MAX_ATTEMPTS):
        File.objects.filter(pk=clean.pk).update(send_after=None)
        tasks.settle(clean.pk)
    clean.refresh_from_db()
    assert (clean.state, clean.error_code) == ("failed", "work:trouble")
    assert clean.error.startswith("The disk is full")
    assert not File.objects.filter(source=clean).exists()


def test_a_source_that_lost_its_end_fails_with_its_sentence(clean: File) -> None:
    assert clean.blob is not None
    path = storage.path_of("models", storage.blob_name(clean.blob.sha256))
    path.chmod(0o640)
    os.truncate(path, clean.blob.size_bytes // 2)
    tasks.settle(clean.pk)
    clean.refresh_from_db()
    assert (clean.state, clean.error_code) == ("failed", "weights:truncated")


def test_variants_are_made_behind_the_same_locks(clean: File, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    run_child = locked.run_child

    def count(entry: str, *given: Any, **how: Any) -> Any:
        started.append(entry)
        return run_child(entry, *given, **how)

    monkeypatch.setattr(locked, "run_child", count)
    drain()
    assert Derivative.objects.filter(state="made").count() >= 2
    assert started == [locked.CONVERT] * len(started)
    assert 1 < len(started) <= 1 + making.TOGETHER
