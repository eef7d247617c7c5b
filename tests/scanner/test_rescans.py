"""Known bytes judged again under other rules: nothing goes off-line meanwhile, a worse verdict seals, a better one lets through."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from hub import pipeline
from registry import catalog, lifecycle, storage
from registry.formats.hashes import hash_file
from registry.models import Blob, File, Version
from scanner import rescans, verdicts
from scanner.models import Rescan, ScanReport
from scanner.pickles import SCANNER_VERSION
from tests import processes
from tests.factories import BlobFactory, FileFactory, VersionFactory
from tests.grey import suspicious_checkpoint
from tests.intake import drain, ready_pickle, ready_safetensors, upload_bytes, upload_path
from tests.processes import celery_worker, wait_until
from tests.tiny import lora_safetensors, plain_checkpoint

pytestmark = pytest.mark.django_db(transaction=True)
OLD_SCANNER = "0.9/2020-01-01"
OLD_POLICY = f"{SCANNER_VERSION}/2020-01-01"
RUNS_A_COMMAND = b"cposix\nsystem\n(S'true'\ntR."


@pytest.fixture
def version(creator: Any) -> Version:
    return VersionFactory(entry__owner=creator)


def age(key: str = OLD_SCANNER, **blob: Any) -> None:
    """Make every verdict one of older rules."""
    Blob.objects.update(verdict_key=key, **blob)


def served_by_older_rules(version: Version, path: Path, key: str = OLD_SCANNER) -> File:
    """A file that older rules have called a success: stored, ready, its version published."""
    hashes = hash_file(path)
    blob = Blob.objects.create(
        sha256=hashes.sha256,
        size_bytes=hashes.size_bytes,
        verdict="success",
        verdict_key=key,
        scanned_at=timezone.now(),
        container="pickle",
    )
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    storage.place_file(copy, hashes.sha256)
    file = File.objects.create(version=version, name=path.name, blob=blob, size_bytes=hashes.size_bytes, state="ready")
    catalog.publish(version)
    return file


def now(file: File) -> File:
    return File.objects.select_related("blob").get(pk=file.pk)


def download(file: File) -> int:
    """Status of the download of this very file by a visitor, followed to the bytes."""
    answer = Client().get(f"/api/download/models/{file.version_id}?fileId={file.pk}")
    return Client().get(answer["Location"]).status_code if answer.status_code == 307 else answer.status_code


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


# --- a bump -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "reason"), [(OLD_SCANNER, "scanner"), (OLD_POLICY, "policy")])
def test_a_served_file_that_newer_rules_condemn_is_sealed(version: Version, tmp_path: Path, key: str, reason: str) -> None:
    file = served_by_older_rules(version, write(tmp_path / "old.ckpt", RUNS_A_COMMAND), key)
    assert rescans.refresh() == {"renewed": 0, "asked": 1, "sealed": 0}
    row = Rescan.objects.get()
    assert (row.reason, row.state, now(file).state, download(file)) == (reason, "wanted", "ready", 200)
    lifecycle.claim(row, "scanning")
    assert download(file) == 200, "it stays served while it is judged"
    rescans.work(row)
    assert download(file) == 403, "no longer served from the very moment of the verdict"
    drain()
    sealed = now(file)
    assert (sealed.state, sealed.blob.sealed, sealed.blob.verdict) == ("quarantined", True, "danger")
    assert sealed.error_code.startswith("scan:P-")
    assert download(file) == 403
    row.refresh_from_db()
    assert (row.state, row.before, row.after) == ("done", "success", "danger")
    note = sealed.timeline.get(step="rescan").note
    assert note.startswith(f"Judged again by scanner {verdicts.verdict_key()}: success before, danger now.")
    assert rescans.refresh() == {"renewed": 0, "asked": 0, "sealed": 0}


def test_what_was_made_from_a_condemned_file_is_judged_by_its_own_bytes(version: Version, tmp_path: Path) -> None:
    file = served_by_older_rules(version, write(tmp_path / "old.ckpt", RUNS_A_COMMAND))
    made = FileFactory(version=version, source=file, role="derived", blob=BlobFactory(verdict_key=verdicts.verdict_key()))
    rescans.refresh()
    drain()
    assert (now(file).state, now(made).state) == ("quarantined", "ready")
    assert "old.ckpt, from which this file was made, is not offered any more" in made.timeline.get(step="rescan").note


def test_a_file_that_stays_clean_stays_ready_and_gets_a_report_more(creator: Any, at_rest: Any) -> None:
    file = at_rest(ready_pickle, creator)
    turns = set(File.objects.values_list("pk", "turn"))
    reports = ScanReport.objects.count()
    age()
    drain_rescans()
    assert set(File.objects.values_list("pk", "turn")) == turns, "no file has moved"
    assert ScanReport.objects.count() == reports + Blob.objects.count()
    assert set(Blob.objects.values_list("verdict_key", "verdict")) == {(verdicts.verdict_key(), "success")}
    assert now(file).downloadable


def drain_rescans() -> None:
    while rescans.refresh()["asked"]:
        drain()


def test_a_new_policy_renews_what_holds_no_pickles_without_reading_it(creator: Any, tmp_path: Path, at_rest: Any) -> None:
    file = at_rest(ready_pickle, creator)
    upload_path(file.version, creator, lora_safetensors(tmp_path / "b.safetensors"))
    drain()
    safe = Blob.objects.filter(container="safetensors").count()
    age(OLD_POLICY)
    assert rescans.refresh() == {"renewed": safe, "asked": 1, "sealed": 0}
    assert Rescan.objects.get().blob.container == "torch-zip"


def test_a_new_scanner_concerns_every_kind(version: Version, creator: Any, tmp_path: Path) -> None:
    upload_path(version, creator, lora_safetensors(tmp_path / "b.safetensors"))
    drain()
    age(OLD_SCANNER)
    assert rescans.refresh() == {"renewed": 0, "asked": 1, "sealed": 0}


def test_bytes_without_verdict_file_or_store_are_left_alone(version: Version, creator: Any) -> None:
    upload_bytes(version, creator, "a.ckpt", b"waits for its first scan")
    BlobFactory(verdict_key=OLD_SCANNER)
    FileFactory(blob=BlobFactory(verdict_key=OLD_SCANNER, stored=False))
    assert rescans.refresh()["asked"] == 0


# --- better verdicts ----------------------------------------------------------------------------------------------------------------


def test_a_sealed_file_that_newer_rules_clear_becomes_ready(creator: Any, at_rest: Any) -> None:
    file = at_rest(ready_safetensors, creator)
    File.objects.update(state="quarantined", error="Older rules.", error_code="scan:P-CALL")
    storage.seal(now(file).blob)
    age(verdict="danger", sealed=True)
    drain_rescans()
    cleared = now(file)
    assert (cleared.state, cleared.error, cleared.blob.sealed, cleared.downloadable) == ("ready", "", False, True)


def test_a_file_that_could_not_be_read_and_now_can_is_taken_and_identified(creator: Any, at_rest: Any) -> None:
    file = at_rest(ready_safetensors, creator)
    File.objects.update(state="failed", error="Older rules.", error_code="scan:S-HEADER")
    age(verdict="error", detected={})
    drain_rescans()
    read = now(file)
    assert (read.state, read.error_code, read.blob.detected["kind"]) == ("ready", "", "checkpoint")


def test_a_file_that_failed_for_its_name_is_not_helped_by_a_good_verdict(creator: Any, tmp_path: Path, at_rest: Any) -> None:
    file = at_rest(ready_pickle, creator)
    liar = upload_path(file.version, creator, plain_checkpoint(tmp_path / "a.ckpt"), "a.gguf")
    drain()
    turn = now(liar).turn
    age()
    drain_rescans()
    assert (now(liar).state, now(liar).turn) == ("failed", turn)


def test_a_suspicious_file_stays_held_back_with_an_honest_sentence(version: Version, creator: Any, tmp_path: Path) -> None:
    file = upload_path(version, creator, suspicious_checkpoint(tmp_path / "a.ckpt"))
    drain()
    assert now(file).error.startswith("Held back until a moderator has looked: This file needs `acme_networks.blocks.Unknown`")
    age()
    drain_rescans()
    assert (now(file).state, now(file).verdict) == ("quarantined", "suspicious")


# --- failing closed, but only for the bytes' own fault --------------------------------------------------------------------------------


def test_bytes_that_newer_rules_cannot_read_are_sealed(version: Version, tmp_path: Path) -> None:
    file = served_by_older_rules(version, write(tmp_path / "odd.ckpt", b"\x80\x02}q\x00"))
    drain_rescans()
    assert (now(file).state, now(file).verdict, now(file).blob.sealed) == ("quarantined", "error", True)


def test_a_scanner_that_does_not_answer_seals_nothing_and_is_shown(version: Version, tmp_path: Path, settings: Any) -> None:
    settings.SCAN_TIMEOUT_SECONDS = 0.001
    file = served_by_older_rules(version, plain_checkpoint(tmp_path / "a.ckpt"))
    rescans.refresh()
    for attempt in (1, 2):
        drain_once()
        row = Rescan.objects.get()
        assert (row.state, row.attempts) == ("wanted", attempt)
        assert row.send_after > timezone.now()
    drain_once()
    row = Rescan.objects.get()
    assert (row.state, row.error_code) == ("failed", "work:trouble")
    assert (now(file).state, now(file).verdict, download(file)) == ("ready", "success", 200)
    assert not ScanReport.objects.exists()
    assert rescans.refresh()["asked"] == 0, "under the same rules it is left to people"


def drain_once() -> None:
    from scanner.tasks import rescan

    rescan(Rescan.objects.get().pk)


def test_a_rescan_that_failed_is_taken_up_again_under_newer_rules(version: Version, tmp_path: Path) -> None:
    file = served_by_older_rules(version, plain_checkpoint(tmp_path / "a.ckpt"))
    Rescan.objects.create(blob=file.blob, reason="scanner", state="failed", key="0.95/2020-01-01", error="x")
    assert rescans.refresh()["asked"] == 1
    drain()
    row = Rescan.objects.get()
    assert (row.state, row.error, row.key) == ("done", "", verdicts.verdict_key())


def test_an_upload_of_served_bytes_does_not_unseat_them_when_the_scanner_is_away(
    version: Version, creator: Any, tmp_path: Path, settings: Any
) -> None:
    path = plain_checkpoint(tmp_path / "a.ckpt")
    file = served_by_older_rules(version, path)
    settings.SCAN_TIMEOUT_SECONDS = 0.001
    again = upload_path(VersionFactory(entry__owner=creator), creator, path)
    from scanner.tasks import examine

    examine(again.pk)
    assert (now(again).state, now(again).attempts) == ("queued", 1)
    assert (now(file).verdict, download(file)) == ("success", 200)


def test_what_became_ready_while_its_verdict_changed_is_found(version: Version, tmp_path: Path) -> None:
    file = served_by_older_rules(version, write(tmp_path / "old.ckpt", RUNS_A_COMMAND), verdicts.verdict_key())
    Blob.objects.update(verdict="danger")
    assert rescans.refresh()["sealed"] == 1
    drain()
    assert now(file).blob.sealed


def test_a_file_in_conversion_is_taken_from_its_worker(version: Version, tmp_path: Path) -> None:
    file = served_by_older_rules(version, write(tmp_path / "old.ckpt", RUNS_A_COMMAND))
    File.objects.update(state="converting", lease_until=timezone.now() + timedelta(seconds=60))
    worker = now(file)
    drain_rescans()
    with pytest.raises(lifecycle.LostRace):
        lifecycle.advance(worker, "ready")
    assert now(file).state == "quarantined"


# --- once, few at a time, behind uploads --------------------------------------------------------------------------------------------


def test_the_same_bytes_wait_only_once(version: Version, tmp_path: Path) -> None:
    file = served_by_older_rules(version, plain_checkpoint(tmp_path / "a.ckpt"))
    assert rescans.ask(file.blob) is not None
    assert rescans.ask(file.blob) is None
    assert rescans.refresh()["asked"] == 0
    lifecycle.claim(Rescan.objects.get(), "scanning")
    assert rescans.ask(file.blob) is None


def test_an_upload_that_was_quicker_spares_the_second_scan(version: Version, creator: Any, tmp_path: Path) -> None:
    path = plain_checkpoint(tmp_path / "a.ckpt")
    file = served_by_older_rules(version, path)
    rescans.refresh()
    upload_path(VersionFactory(entry__owner=creator), creator, path)
    drain()
    assert ScanReport.objects.filter(blob=file.blob).count() == 1
    assert Rescan.objects.get(blob=file.blob).state == "done"


def test_a_dead_workers_rescan_is_taken_up_again(version: Version, tmp_path: Path) -> None:
    file = served_by_older_rules(version, plain_checkpoint(tmp_path / "a.ckpt"))
    rescans.refresh()
    lifecycle.claim(Rescan.objects.get(), "scanning")
    Rescan.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert pipeline.sweep()["reclaimed"] == 1
    drain()
    assert (Rescan.objects.get().state, now(file).blob.verdict_key) == ("done", verdicts.verdict_key())


def test_a_thousand_old_verdicts_do_not_flood_the_queue(broker: str) -> None:
    now_, version = timezone.now(), VersionFactory()
    for number in range(1000):
        blob = BlobFactory(verdict_key=OLD_SCANNER, scanned_at=now_ - timedelta(days=number))
        FileFactory(version=version, blob=blob)
    assert rescans.refresh()["asked"] == rescans.OPEN_AT_ONCE
    assert rescans.refresh()["asked"] == 0
    assert pipeline.waiting_messages("cpu", pipeline.LAST) == rescans.OPEN_AT_ONCE
    assert pipeline.waiting_messages("cpu") == 0
    oldest = list(Blob.objects.order_by("scanned_at").values_list("pk", flat=True)[: rescans.OPEN_AT_ONCE])
    assert list(Rescan.objects.values_list("blob_id", flat=True)) == oldest
    lifecycle.advance(lifecycle.claim(Rescan.objects.first(), "scanning"), "done")  # type: ignore[type-var]
    Blob.objects.filter(pk=oldest[0]).update(verdict_key=verdicts.verdict_key())
    assert rescans.refresh()["asked"] == 1


def test_a_real_worker_takes_uploads_before_rescans_that_came_first(broker: str, creator: Any, tmp_path: Path) -> None:
    stores = tmp_path / "worker"
    served = []
    paths = [plain_checkpoint(tmp_path / f"old{number}.ckpt", seed=number) for number in range(2)]
    for path in [*paths, write(tmp_path / "bad.ckpt", RUNS_A_COMMAND)]:
        served.append(served_by_older_rules(VersionFactory(entry__owner=creator), path))
    assert rescans.refresh()["asked"] == 3
    upload = upload_path(VersionFactory(entry__owner=creator), creator, plain_checkpoint(tmp_path / "new.ckpt", seed=9))
    stores.mkdir()
    (stores / "storage").symlink_to(tmp_path / "storage")
    with celery_worker(stores, WEIGH_BROKER_URL=broker):
        wait_until(lambda: Rescan.objects.filter(state="done").count() == 3 and now(served[2]).state == "quarantined", 90, every=0.2)
    scanned = now(upload).timeline.get(step="scan").started_at
    assert scanned < min(Rescan.objects.values_list("moved_at", flat=True))
    assert [now(file).state for file in served] == ["ready", "ready", "quarantined"]


def _newer_code(folder: Path) -> Path:
    """A copy of the program with the next policy: one that no longer knows how torch rebuilds a tensor."""
    for package in ("hub", "registry", "scanner", "inference", "templates"):
        shutil.copytree(processes.ROOT / package, folder / package)  # what is compiled already fits: times of files are copied too
    rules = folder / "scanner" / "pickles" / "policy.json"
    policy = json.loads(rules.read_text())
    policy["version"] = "2099-01-01"
    policy["allowed"] = [entry for entry in policy["allowed"] if "_rebuild_tensor_v2" not in entry["names"]]
    rules.write_text(json.dumps(policy))
    return folder


def test_workers_that_come_up_with_a_new_policy_judge_what_is_served(
    broker: str, creator: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_rest: Any
) -> None:
    file = at_rest(ready_pickle, creator)
    catalog.publish(file.version)
    stores = tmp_path / "worker"
    stores.mkdir()
    (stores / "storage").symlink_to(tmp_path / "storage")
    monkeypatch.setattr(processes, "ROOT", _newer_code(tmp_path / "newer"))
    beat = processes.start_python("from hub.tasks import refresh_verdicts; print(refresh_verdicts())", stores, WEIGH_BROKER_URL=broker)
    made = File.objects.filter(source=file).count()
    assert f"{{'renewed': {made}, 'asked': 1, 'sealed': 0}}" in beat.communicate(timeout=60)[0]
    assert download(file) == 200, "known rules hold until the new ones have spoken"
    with celery_worker(stores, WEIGH_BROKER_URL=broker):
        wait_until(lambda: now(file).state == "quarantined", 90, every=0.2)
    assert download(file) == 403
    assert (now(file).verdict, now(file).blob.scan_reports.first().policy) == ("danger", "2099-01-01")
    assert all(derived.downloadable for derived in File.objects.filter(source=file).select_related("blob"))
    assert set(Blob.objects.values_list("verdict_key", flat=True)) == {f"{SCANNER_VERSION}/2099-01-01"}


def test_rescans_read_the_sealed_store_on_s3_too(version: Version, creator: Any, tmp_path: Path, s3_stores: None) -> None:
    file = upload_path(version, creator, suspicious_checkpoint(tmp_path / "a.ckpt"))
    drain()
    assert now(file).blob.sealed
    age()
    drain_rescans()
    assert (Rescan.objects.get().state, now(file).state) == ("done", "quarantined")
