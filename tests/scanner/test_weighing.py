"""What others say can make a verdict worse and never better."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from scanner.opinions.asking import Opinion
from scanner.pickles.report import RANK
from scanner.weighing import weigh

VERDICTS = ("success", "suspicious", "danger", "error")
PICKLESCAN = Opinion("picklescan 1.0.5", "dangerous", "imports os.system", "imports os.system", 80.04)
SILENT = Opinion("picklescan 1.0.5", "innocuous")
FAILED = Opinion("fickling 0.1.12", "error", "did not finish within 20 seconds")
EXCUSED = Opinion("fickling 0.1.12", "LIKELY_OVERTLY_MALICIOUS", "Not counted: honest")
CLEAN: dict[str, Any] = {"verdict": "success", "message": "ClamAV read the whole file and found nothing.", "signature": ""}
PARTLY = CLEAN | {"verdict": "partial", "message": "weights not AV-scanned (3.0 GB)"}
VIRUS = CLEAN | {"verdict": "danger", "message": "ClamAV found Evil-1 in this file.", "signature": "Evil-1"}
BEYOND = CLEAN | {"verdict": "error", "message": "The virus scanner is set to take less."}


def report(verdict: str = "success") -> dict[str, Any]:
    return {"verdict": verdict, "kind": "torch-zip", "findings": [], "directory": {"tensors": []}}


def codes(weighed: dict[str, Any]) -> list[tuple[str, str]]:
    return [(finding["severity"], finding["code"]) for finding in weighed["findings"]]


def test_an_objection_to_a_success_makes_it_suspicious_and_says_who_and_why() -> None:
    weighed = weigh(report(), [PICKLESCAN], None)
    assert weighed["verdict"] == "suspicious"
    assert codes(weighed) == [("suspicious", "O-PEER")]
    assert "picklescan 1.0.5" in weighed["findings"][0]["message"]
    assert "imports os.system" in weighed["findings"][0]["message"]
    assert weighed["second_opinions"] == [
        {"tool": "picklescan 1.0.5", "verdict": "dangerous", "worse": True, "detail": "imports os.system", "duration_ms": 80.0}
    ]
    assert weighed["directory"] is not None, "its tensors may still be extracted"


@pytest.mark.parametrize("verdict", ["suspicious", "danger", "error"])
def test_an_objection_to_anything_else_is_only_told(verdict: str) -> None:
    weighed = weigh(report(verdict), [PICKLESCAN], None)
    assert (weighed["verdict"], weighed["findings"], weighed["second_opinions"][0]["worse"]) == (verdict, [], False)


@pytest.mark.parametrize("opinion", [SILENT, FAILED, EXCUSED], ids=lambda opinion: opinion.verdict)
@pytest.mark.parametrize("verdict", VERDICTS)
def test_silence_failure_and_excused_objections_change_nothing(verdict: str, opinion: Opinion) -> None:
    weighed = weigh(report(verdict), [opinion], None)
    assert (weighed["verdict"], weighed["findings"]) == (verdict, [])
    assert weighed["second_opinions"][0]["worse"] is False


@pytest.mark.parametrize("antivirus", [None, CLEAN, PARTLY])
@pytest.mark.parametrize("verdict", VERDICTS)
def test_a_clean_search_changes_nothing(verdict: str, antivirus: dict[str, Any] | None) -> None:
    weighed = weigh(report(verdict), [], antivirus)
    assert (weighed["verdict"], weighed["findings"], weighed["antivirus"]) == (verdict, [], antivirus)


@pytest.mark.parametrize("verdict", VERDICTS)
def test_a_virus_is_danger_whatever_we_found(verdict: str) -> None:
    weighed = weigh(report(verdict), [], VIRUS)
    assert (weighed["verdict"], codes(weighed), weighed["directory"]) == ("danger", [("danger", "V-VIRUS")], None)


def test_an_unfinished_search_is_an_error() -> None:
    weighed = weigh(report(), [PICKLESCAN], BEYOND)
    assert (weighed["verdict"], weighed["directory"]) == ("error", None)
    assert codes(weighed) == [("suspicious", "O-PEER"), ("error", "V-ERROR")]


@pytest.mark.parametrize("verdict", ["danger", "error"])
def test_an_unfinished_search_says_nothing_more_of_what_is_refused_anyway(verdict: str) -> None:
    """So that a file whose only fault is its name keeps that as its only fault."""
    weighed = weigh(report(verdict), [], BEYOND)
    assert (weighed["verdict"], weighed["findings"], weighed["antivirus"]) == (verdict, [], BEYOND)


def test_no_combination_is_ever_better_than_our_own_verdict() -> None:
    for verdict in VERDICTS:
        for opinions in ([], [SILENT], [PICKLESCAN, FAILED], [EXCUSED, SILENT]):
            for antivirus in (None, CLEAN, PARTLY, VIRUS, BEYOND):
                assert RANK[weigh(report(verdict), opinions, antivirus)["verdict"]] >= RANK[verdict]


def test_the_report_that_was_given_is_left_alone() -> None:
    given = report()
    before = copy.deepcopy(given)
    weigh(given, [PICKLESCAN], VIRUS)
    assert given == before


def test_findings_have_the_shape_of_our_own() -> None:
    (finding,) = weigh(report(), [PICKLESCAN], None)["findings"]
    assert set(finding) == {"severity", "code", "where", "offset", "message", "args", "disassembly"}
