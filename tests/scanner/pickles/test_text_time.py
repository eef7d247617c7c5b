"""Texts are judged in time that grows with their length alone, whatever signs they are made of."""

from __future__ import annotations

import time
from io import BytesIO

import pytest

from registry.formats.window import Window
from scanner.pickles.report import Report
from scanner.pickles.texts import scan_text


@pytest.mark.parametrize("piece", ["!!", "!<", "a", "!! ", ">!<", "_target_: a\n", "<!--", "<!---->", " ", "%TA"])
def test_no_signs_make_a_text_slow(piece: str) -> None:
    began = time.process_time()
    scan_text(Window(BytesIO((piece * 300_000).encode()[:300_000])), "a.yaml", Report())
    assert time.process_time() - began < 3


@pytest.mark.parametrize("text", ["a: !!python/name:os.system\n", "a: !!x:py !!thon %41", "a: b!!c%41", "!<x> !<tag:python>", "%TAG ! x"])
def test_tags_that_make_objects_are_found_among_others(text: str) -> None:
    report = Report()
    scan_text(Window(BytesIO(f"b: !!str 1\n{text}".encode() if text[0] != "%" else text.encode())), "a.yaml", report)
    found = {finding.code for finding in report.findings}
    assert found == (set() if text == "a: !!x:py !!thon %41" else {"X-YAML"})
