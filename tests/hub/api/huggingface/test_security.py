"""Verdicts in the Hub's words, as huggingface_hub reads them; and that reports of hostile files do no harm."""

from __future__ import annotations

from typing import Any

import pytest
from huggingface_hub.hf_api import RepoFile

from hub.api.huggingface import security
from registry.models import File
from scanner.models import ScanReport
from tests.factories import BlobFactory, FileFactory

CLEAN = {
    "verdict": "success",
    "kind": "torch-zip",
    "scanner": "weigh-1",
    "imports": [{"module": "torch", "name": "FloatStorage", "safety": "allowed"}],
}
EVIL = {"verdict": "danger", "kind": "pickle", "imports": [{"module": "os", "name": "system", "safety": "dangerous"}]}


def file_with(db: Any = None, **blob: Any) -> File:
    made: File = FileFactory(blob=BlobFactory(**blob))
    return made


def read(status: dict[str, Any]) -> Any:
    """As a client reads it."""
    return RepoFile(path="x", size=1, oid="0" * 40, securityFileStatus=status).security


@pytest.mark.parametrize(
    ("verdict", "released", "status"),
    [
        ("success", False, "safe"),
        ("suspicious", False, "suspicious"),
        ("suspicious", True, "caution"),
        ("danger", False, "unsafe"),
        ("error", False, "suspicious"),
        ("pending", False, "queued"),
    ],
)
def test_every_verdict_has_its_word(db: None, verdict: str, released: bool, status: str) -> None:
    found = read(security.file_status(file_with(verdict=verdict, released=released)))
    assert (found.status, found.safe) == (status, status == "safe")
    assert found.av_scan["status"] == "unscanned"
    assert found.pickle_import_scan["pickleImports"] == []


def test_imports_and_their_safety_are_told(db: None) -> None:
    found = read(security.file_status(file_with(verdict="success", container="torch-zip"), CLEAN))
    assert found.pickle_import_scan["pickleImports"] == [{"module": "torch", "name": "FloatStorage", "safety": "innocuous"}]
    evil = security.file_status(file_with(verdict="danger"), EVIL)
    assert evil["pickleImportScan"]["pickleImports"][0]["safety"] == "dangerous"
    assert evil["status"] == evil["pickleImportScan"]["status"] == "unsafe"


@pytest.mark.parametrize(
    ("said", "whole", "own"),
    [("success", "safe", "safe"), ("danger", "unsafe", "unsafe"), ("error", "suspicious", "suspicious"), ("partial", "safe", "unscanned")],
)
def test_an_antivirus_engine_makes_it_worse_and_never_better(db: None, said: str, whole: str, own: str) -> None:
    antivirus = {"verdict": said, "message": "", "signature": "", "scanned_bytes": 1, "total_bytes": 2}
    found = security.file_status(file_with(verdict="success"), {**CLEAN, "antivirus": antivirus})
    assert (found["status"], found["avScan"]["status"]) == (whole, own)
    assert security.file_status(file_with(verdict="danger"), {**EVIL, "antivirus": antivirus})["status"] == "unsafe"


@pytest.mark.parametrize("report", [None, {}, [], "x", {"imports": 3, "antivirus": {"verdict": ["x"]}, "findings": {"a": 1}, "kind": 5}])
def test_no_report_however_broken_ends_the_answer(db: None, report: Any) -> None:
    assert read(security.file_status(file_with(verdict="danger"), report)).status == "unsafe"


def test_names_out_of_files_are_plain_and_few(db: None) -> None:
    rows = [{"module": "o\u202es\x1b[2J", "name": "x" * 5000, "safety": "dangerous"}] * 500
    scan = security.file_status(file_with(verdict="danger"), {"imports": rows})["pickleImportScan"]
    assert len(scan["pickleImports"]) == security.MAX_IMPORTS
    assert "500 imports" in scan["message"]
    first = scan["pickleImports"][0]
    assert first["module"].isprintable()
    assert len(first["name"]) <= 300


def test_a_file_that_was_refused_for_itself_is_not_safe(db: None) -> None:
    file = file_with(verdict="success")
    file.state, file.error = "failed", "The name says another kind."
    found = security.file_status(file)
    assert (found["status"], found["message"]) == ("suspicious", "The name says another kind.")


def test_the_newest_report_of_each_file_is_read_at_once(db: None, django_assert_num_queries: Any) -> None:
    one, other = BlobFactory(), BlobFactory()
    for blob, report in ((one, EVIL), (one, CLEAN), (other, EVIL)):
        ScanReport.objects.create(blob=blob, report=report, verdict=report["verdict"], scanner="1", policy="1")
    with django_assert_num_queries(1):
        assert security.newest_reports([one.pk, other.pk]) == {one.pk: CLEAN, other.pk: EVIL}


def test_texts_of_a_tree_are_no_weights() -> None:
    assert read(security.text_status()).safe
    assert security.file_status(None) == security.text_status()
