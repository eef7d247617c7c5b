"""Whole lives of files on which others have an opinion: what is kept, what waits for a moderator, what a silent daemon does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from registry import lifecycle
from registry.models import Blob, File, Version
from scanner import examination, releases, rescans
from scanner.models import Disagreement, ScanReport
from tests import tiny
from tests.attacks import os_system_checkpoint
from tests.attacks.assemble import payload_zip
from tests.factories import VersionFactory
from tests.intake import drain, upload_bytes, upload_path
from tests.scanner.fake_clamd import MARK, FakeClamd, fake_clamd
from tests.scanner.test_opinions import DETOUR

pytestmark = pytest.mark.django_db(transaction=True)
UNREADABLE_TO_FICKLING = payload_zip(b"\x96\x02" + bytes(7) + b"ab", b"\x80\x05")


@pytest.fixture
def version(creator: Any) -> Version:
    return VersionFactory(entry__owner=creator)


@pytest.fixture(autouse=True)
def others_are_asked(settings: Any, stores: Path) -> None:
    settings.SCAN_SECOND_OPINIONS = True


@pytest.fixture
def clamd(settings: Any) -> Iterator[FakeClamd]:
    with fake_clamd() as daemon:
        settings.CLAMD_SOCKET = daemon.path
        yield daemon


def outcome(file: File) -> File:
    drain()
    file.refresh_from_db()
    return file


def newest(file: File) -> dict[str, Any]:
    report = ScanReport.objects.filter(blob=file.blob).first()
    assert report is not None
    return report.report


def judged_again(file: File) -> Blob:
    rescans.ask(file.blob)
    drain()
    return Blob.objects.get(pk=file.blob_id)


class TestOpinions:
    def test_an_honest_checkpoint_is_ready_with_two_opinions_beside_it(self, version: Version, creator: Any, tmp_path: Path) -> None:
        file = outcome(upload_path(version, creator, tiny.plain_checkpoint(tmp_path / "a.ckpt")))
        report = newest(file)
        assert (file.state, file.verdict, report["antivirus"]) == ("ready", "success", None)
        assert [(row["tool"], row["worse"]) for row in report["second_opinions"]] == [
            ("picklescan 1.0.5", False),
            ("fickling 0.1.12", False),
        ]
        assert not Disagreement.objects.exists()

    def test_nobody_is_asked_about_safetensors(self, version: Version, creator: Any, tmp_path: Path) -> None:
        file = outcome(upload_path(version, creator, tiny.lora_safetensors(tmp_path / "a.safetensors")))
        assert newest(file)["second_opinions"] == []

    def test_an_objection_to_our_success_waits_for_a_moderator(self, version: Version, creator: Any) -> None:
        file = outcome(upload_bytes(version, creator, "odd.ckpt", DETOUR))
        assert (file.state, file.verdict, file.error_code) == ("quarantined", "suspicious", "scan:O-PEER")
        assert "picklescan" in file.error
        row = Disagreement.objects.get()
        assert (row.blob, row.tool, row.said, row.ours, row.settled_at) == (file.blob, "picklescan 1.0.5", "dangerous", "success", None)

    def test_a_moderator_may_release_what_another_scanner_objects_to(self, version: Version, creator: Any, moderator: Any) -> None:
        file = outcome(upload_bytes(version, creator, "odd.ckpt", DETOUR))
        releases.release(file.blob, moderator, "picklescan cannot follow a value that is taken away again")
        assert outcome(file).state == "ready"
        assert judged_again(file).released, "the same objection again ends no release"

    def test_the_same_objection_again_is_not_a_second_disagreement(self, version: Version, creator: Any) -> None:
        file = outcome(upload_bytes(version, creator, "odd.ckpt", DETOUR))
        Disagreement.objects.update(settled_at=timezone.now())
        judged_again(file)
        assert ScanReport.objects.filter(blob=file.blob).count() == 2
        assert Disagreement.objects.count() == 1

    def test_silence_does_not_lift_an_objection_but_a_moderator_does(self, version: Version, creator: Any, settings: Any) -> None:
        file = outcome(upload_bytes(version, creator, "odd.ckpt", DETOUR))
        settings.SCAN_SECOND_OPINIONS = False
        assert judged_again(file).verdict == "suspicious"
        assert "no answer this time" in newest(file)["findings"][0]["message"]
        Disagreement.objects.update(settled_at=timezone.now())
        assert judged_again(file).verdict == "success"
        assert outcome(file).state == "ready"

    def test_another_word_of_the_same_scanner_lifts_its_objection(self, version: Version, creator: Any, tmp_path: Path) -> None:
        file = outcome(upload_path(version, creator, tiny.plain_checkpoint(tmp_path / "a.ckpt")))
        report = ScanReport.objects.filter(blob=file.blob).get()
        Disagreement.objects.create(report=report, blob=file.blob, tool="picklescan 0.9.0", said="dangerous", ours="success")
        assert judged_again(file).verdict == "success"

    def test_a_failure_of_another_scanner_changes_nothing_and_is_counted(self, version: Version, creator: Any) -> None:
        file = outcome(upload_bytes(version, creator, "a.ckpt", UNREADABLE_TO_FICKLING))
        assert file.verdict == "success"
        row = Disagreement.objects.get()
        assert (row.tool, row.said) == ("fickling 0.1.12", "error")
        assert row.settled_at is not None

    def test_opinions_can_be_switched_off(self, version: Version, creator: Any, settings: Any) -> None:
        settings.SCAN_SECOND_OPINIONS = False
        file = outcome(upload_bytes(version, creator, "odd.ckpt", DETOUR))
        assert (file.verdict, newest(file)["second_opinions"]) == ("success", [])

    def test_of_a_dangerous_file_the_others_are_heard_too(self, version: Version, creator: Any) -> None:
        file = outcome(upload_bytes(version, creator, "bad.ckpt", os_system_checkpoint()))
        assert [row["verdict"] for row in newest(file)["second_opinions"]] == ["dangerous", "LIKELY_OVERTLY_MALICIOUS"]
        assert not Disagreement.objects.exists()


class TestVirusScanner:
    def test_a_file_without_a_virus_is_ready(self, version: Version, creator: Any, tmp_path: Path, clamd: FakeClamd) -> None:
        file = outcome(upload_path(version, creator, tiny.lora_safetensors(tmp_path / "a.safetensors")))
        assert (file.state, newest(file)["antivirus"]["verdict"]) == ("ready", "success")
        assert clamd.streams[0] == (tmp_path / "a.safetensors").read_bytes()

    def test_a_virus_seals_the_file_with_its_name(self, version: Version, creator: Any, clamd: FakeClamd) -> None:
        import torch
        from safetensors.torch import save

        file = outcome(upload_bytes(version, creator, "a.safetensors", save({"a": torch.zeros(4)}, {"note": MARK.decode()})))
        assert (file.state, file.verdict, file.error_code) == ("quarantined", "danger", "scan:V-VIRUS")
        assert "Test.Mark-1" in file.error

    def test_a_silent_daemon_lets_nothing_through_and_loses_nothing(
        self, version: Version, creator: Any, tmp_path: Path, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings.CLAMD_SOCKET = str(tmp_path / "away.sock")
        file = outcome(upload_path(version, creator, tiny.lora_safetensors(tmp_path / "a.safetensors")))
        assert (file.state, file.error_code) == ("failed", "work:trouble")
        assert caplog.text.count("trouble over File") == lifecycle.MAX_ATTEMPTS
        assert "virus scanner did not answer" in file.error
        assert (file.blob.verdict, ScanReport.objects.count()) == ("pending", 0)
        with fake_clamd() as daemon:
            settings.CLAMD_SOCKET = daemon.path
            lifecycle.retry(file, "queued")
            assert outcome(file).state == "ready"

    def test_danger_is_sealed_without_the_daemon(self, version: Version, creator: Any, tmp_path: Path, settings: Any) -> None:
        settings.CLAMD_SOCKET = str(tmp_path / "away.sock")
        file = outcome(upload_bytes(version, creator, "bad.ckpt", os_system_checkpoint()))
        assert (file.state, newest(file)["antivirus"]["verdict"]) == ("quarantined", "error")

    def test_without_the_daemon_a_lying_name_is_still_the_only_fault(
        self, version: Version, creator: Any, tmp_path: Path, settings: Any
    ) -> None:
        settings.CLAMD_SOCKET = str(tmp_path / "away.sock")
        file = outcome(upload_path(version, creator, tiny.plain_checkpoint(tmp_path / "a.ckpt"), "harmless.gguf"))
        assert (file.state, file.error_code, file.blob.verdict) == ("failed", "scan:F-EXTENSION", "pending")

    def test_known_bytes_keep_their_verdict_while_the_daemon_is_away(
        self, version: Version, creator: Any, tmp_path: Path, settings: Any
    ) -> None:
        file = outcome(upload_path(version, creator, tiny.lora_safetensors(tmp_path / "a.safetensors")))
        settings.CLAMD_SOCKET = str(tmp_path / "away.sock")
        blob = judged_again(file)
        file.refresh_from_db()
        assert (blob.verdict, file.state, ScanReport.objects.count()) == ("success", "ready", 1)


def test_a_look_at_bytes_keeps_nothing(tmp_path: Path) -> None:
    path = tmp_path / "stored"
    path.write_bytes(DETOUR)
    report, _ = examination.judge(path, name="odd.ckpt")
    assert report["verdict"] == "suspicious"
    assert not ScanReport.objects.exists()
