"""Reports as they may be shown: of whatever shape the stored one is, known keys, true types, printable texts, bounds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hub.verdicts import shown

NASTY = "a\u202eb\x1b[31mc\nd\x00e\u2066f\u200bg\ud800h"
KEYS = {
    *("verdict", "kind", "imports", "findings", "tensors", "bytes", "opcodes", "scanner", "policy", "duration_ms", "sandbox"),
    *("second_opinions", "antivirus"),
}


@pytest.mark.parametrize(
    "stored",
    [
        None, [], "x", 7, {}, {"imports": 5, "findings": {"a": 1}, "sandbox": "seccomp", "second_opinions": None, "antivirus": []},
        {"imports": [None, 5, "x", []], "findings": [[]], "sandbox": [1, None, {}], "second_opinions": [3]},
        {"tensors": -1, "bytes": 1 << 80, "opcodes": True, "duration_ms": "fast", "kind": ["zip"], "verdict": {}},
        {"duration_ms": float("nan")}, {"duration_ms": float("inf")}, {"duration_ms": 10**400},
    ],
)  # fmt: skip
def test_any_shape_becomes_a_report_of_every_key(stored: Any) -> None:
    body = shown.report(stored)
    assert set(body) == KEYS
    assert (body["imports"], body["findings"], body["sandbox"], body["second_opinions"], body["antivirus"]) == ([], [], [], [], None)
    assert [body[key] for key in ("tensors", "bytes", "opcodes", "duration_ms")] == [0, 0, 0, 0]
    assert body["kind"] == body["verdict"] == ""


def rows(value: Any) -> list[str]:
    """Every text inside a value."""
    if isinstance(value, dict):
        return [text for inner in value.values() for text in rows(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in rows(inner)]
    return [value] if isinstance(value, str) else []


def hostile() -> dict[str, Any]:
    """A report of which every text is nasty and long."""
    text = NASTY * 500
    finding = dict.fromkeys(("severity", "code", "where", "message", "args"), text) | {"offset": 5, "disassembly": [text] * 500}
    opinion = {"tool": text, "verdict": text, "detail": text, "worse": "yes", "duration_ms": 2}
    return {
        "verdict": text, "kind": text, "scanner": text, "policy": text, "sandbox": [text] * 500,
        "imports": [{"module": text, "name": text, "safety": text, "where": text, "reason": text, "count": 1, "offset": 1}],
        "findings": [finding], "second_opinions": [opinion] * 500,
        "antivirus": {"verdict": text, "message": text, "signature": text, "scanned_bytes": -5, "total_bytes": 5},
    }  # fmt: skip


def test_every_text_is_printable_and_short() -> None:
    body = shown.report(hostile())
    texts = rows(body)
    assert len(texts) > 60
    assert all(len(text) <= 500 for text in texts)
    for char in "\u202e\u2066\u200b\x1b\x00\n\ud800":
        assert not any(char in text for text in texts)
    json.dumps(body, allow_nan=False).encode()


def test_words_that_decide_colours_are_of_the_known_ones_or_the_worse() -> None:
    body = shown.report(hostile())
    assert body["imports"][0]["safety"] == "unknown"
    assert body["findings"][0]["severity"] == "error"
    assert body["antivirus"]["verdict"] == "error"
    assert body["second_opinions"][0]["worse"] is False
    assert len(body["findings"][0]["args"]) == 200


def test_numbers_of_rows_are_bounded() -> None:
    body = shown.report({"imports": [{"name": str(n)} for n in range(5000)], "findings": [{"code": "P-CALL"}] * 900})
    assert (len(body["imports"]), len(body["findings"])) == (2000, 200)


def test_the_worst_come_first_and_a_call_before_the_import_it_needs() -> None:
    imports = [{"name": word, "safety": word} for word in ("allowed", "unknown", "name-only", "dangerous", "allowed")]
    found = [("info", "T-PACKED"), ("suspicious", "P-UNKNOWN"), ("danger", "P-IMPORT"), ("error", "P-PARSE"), ("danger", "P-CALL")]
    body = shown.report({"imports": imports, "findings": [{"severity": severity, "code": code} for severity, code in found]})
    assert [row["safety"] for row in body["imports"]] == ["dangerous", "unknown", "name-only", "allowed", "allowed"]
    assert [row["code"] for row in body["findings"]] == ["P-CALL", "P-IMPORT", "P-PARSE", "P-UNKNOWN", "T-PACKED"]
