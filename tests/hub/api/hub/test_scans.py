"""The scan of a file through the API: what the page says, as plain data of a promised shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from registry.models import Blob, File
from scanner.models import Release, ScanReport
from tests.attacks import os_system_checkpoint
from tests.factories import BlobFactory, EntryFactory, FileFactory, VersionFactory
from tests.intake import drain, upload_bytes, upload_path
from tests.tiny import plain_checkpoint

KEYS = {
    *("file_id", "sha256", "verdict", "headline", "scanner", "policy", "scanned_at", "outdated", "tensors", "release", "history", "report"),
    "page",
    "appeal",
}


def scan_of(api: APIClient, file: File) -> dict[str, Any]:
    answer = api.get(f"/api/hub/files/{file.pk}/scan")
    assert answer.status_code == 200
    return dict(answer.json())


@pytest.fixture
def held(creator: Any) -> File:
    """A suspicious file of the caller with one report of an old scanner."""
    blob = BlobFactory(verdict="suspicious", container="torch-zip", verdict_key="0.1/old")
    file = FileFactory(version=VersionFactory(entry=EntryFactory(owner=creator)), state="quarantined", blob=blob)
    rows = [{"module": "easydict", "name": "EasyDict", "safety": "unknown"}]
    findings = [{"severity": "suspicious", "code": "P-UNKNOWN", "message": "This file needs `easydict.EasyDict`."}]
    ScanReport.objects.create(blob=blob, verdict="suspicious", scanner="0.1", policy="old", report={"imports": rows, "findings": findings})
    return file


def test_a_real_danger_is_told_whole(api: APIClient, creator: Any) -> None:
    file = upload_bytes(VersionFactory(entry__owner=creator), creator, "evil.ckpt", os_system_checkpoint())
    drain()
    file.refresh_from_db()
    scan = scan_of(api, file)
    assert set(scan) == KEYS
    assert (scan["verdict"], scan["headline"]) == ("danger", "This file would run `os.system` when loaded. It was not run.")
    assert (scan["outdated"], scan["release"], scan["history"], scan["sha256"]) == (False, None, [], file.sha256)
    assert scan["report"]["imports"][0]["name"] == "system"
    assert scan["report"]["findings"][0]["disassembly"]
    assert scan["page"] == f"http://testserver/files/{file.pk}/scan"
    assert scan["appeal"] == f"http://testserver/report/version/{file.version_id}"


def test_a_clean_file_says_which_tensors_it_holds(api: APIClient, creator: Any, tmp_path: Path) -> None:
    file = upload_path(VersionFactory(entry__owner=creator), creator, plain_checkpoint(tmp_path / "a.ckpt"))
    drain()
    scan = scan_of(api, file)
    assert scan["headline"].startswith("Every byte of this file was accounted for; the ")
    assert scan["tensors"]["count"] == sum(scan["tensors"]["dtypes"].values()) == scan["report"]["tensors"]
    assert scan["tensors"]["bytes"] == scan["report"]["bytes"] > 0


def test_what_is_outdated_and_what_came_before_are_told(api: APIClient, held: File) -> None:
    ScanReport.objects.create(blob=held.blob, verdict="suspicious", scanner="0.2", policy="old", report={})
    scan = scan_of(api, held)
    assert (scan["outdated"], scan["scanner"]) == (True, "0.2")
    [earlier] = scan["history"]
    assert (earlier["scanner"], earlier["policy"], earlier["verdict"]) == ("0.1", "old", "suspicious")
    assert earlier["scanned_at"]


def test_a_release_in_force_is_told(api: APIClient, held: File, moderator: Any) -> None:
    Release.objects.create(blob=held.blob, names=["easydict.EasyDict"], reason="By hand.", by=moderator, by_name="mod")
    assert scan_of(api, held)["release"] is None
    Blob.objects.filter(pk=held.blob_id).update(released=True)
    release = scan_of(api, held)["release"]
    assert (release["by"], release["reason"]) == ("mod", "By hand.")
    assert release["at"].endswith("Z")


def test_a_file_without_bytes_has_a_scan_of_nothing(api: APIClient, creator: Any) -> None:
    file = FileFactory(version=VersionFactory(entry__owner=creator), state="queued", blob=None)
    scan = scan_of(api, file)
    assert set(scan) == KEYS
    assert (scan["verdict"], scan["report"], scan["sha256"], scan["tensors"]) == ("pending", None, None, None)


def test_it_costs_a_bounded_number_of_queries(api: APIClient, held: File, django_assert_max_num_queries: Any) -> None:
    for number in range(60):
        ScanReport.objects.create(blob=held.blob, verdict="suspicious", scanner=f"0.{number}", policy="old", report={})
    with django_assert_max_num_queries(7):
        assert len(scan_of(api, held)["history"]) == 50
