"""The sentence about a file says what was found in that file."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from hub.verdicts import sentences, shown
from scanner.pickles import scan
from tests.attacks import os_system_checkpoint
from tests.attacks.assemble import call, payload_zip
from tests.tiny import plain_checkpoint


def said(data: bytes, name: str = "model.ckpt") -> str:
    report = scan(io.BytesIO(data), name=name)
    return sentences.sentence(report.verdict, shown.report(report.to_json()))


def test_danger_names_what_would_run() -> None:
    assert said(os_system_checkpoint()) == "This file would run `os.system` when loaded. It was not run."


def test_suspicion_names_what_is_needed() -> None:
    assert said(payload_zip(call("easydict", "EasyDict"))).startswith("This file needs `easydict.EasyDict`: ")


def test_a_clean_pickle_counts_its_names(tmp_path: Path) -> None:
    text = said(plain_checkpoint(tmp_path / "a.ckpt").read_bytes())
    assert text.startswith("Every byte of this file was accounted for; the ")
    assert text.endswith(" names that its pickle imports are known and used as torch writes them.")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"kind": "torch-zip", "imports": [{}]}, "the one name that its pickle imports is known and used as torch writes it."),
        ({"kind": "pickle"}, "its pickle imports nothing, so nothing in it could run."),
        ({"kind": "safetensors", "tensors": 1131}, "1,131 tensors, and nothing that could run."),
        ({"kind": "safetensors", "tensors": 1}, "1 tensor, and nothing that could run."),
        ({"kind": "text"}, "nothing in it could run."),
    ],
)
def test_success_says_what_there_is(body: dict[str, Any], expected: str) -> None:
    assert sentences.sentence("success", shown.report(body)).endswith(expected)


@pytest.mark.parametrize("level", ["pending", "suspicious", "danger", "error", "strange"])
def test_a_report_without_findings_still_says_something(level: str) -> None:
    assert sentences.sentence(level, shown.report(None)).endswith(".")
    assert sentences.sentence(level, shown.report({"findings": [{"severity": "info", "message": "Beside the point"}]})).endswith(".")


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        (("success", "success"), "success"), (("success", "error"), "error"), (("error", "danger"), "danger"),
        (("suspicious", "error"), "error"), (("success", "suspicious"), "suspicious"), (("danger", "pending"), "pending"),
        (("success", "who knows"), "error"), ((), "error"),
    ],
)  # fmt: skip
def test_of_several_answers_the_weightiest_is_shown(levels: tuple[str, ...], expected: str) -> None:
    assert sentences.merged(*levels) == expected
    assert sentences.merged(*reversed(levels)) == expected
