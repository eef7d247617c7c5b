"""The glossary knows every code that the scanner can say, and every layer that its sandbox has. That it knows what each attack brings out
is asked where they are scanned: `tests/scanner/test_attacks.py`.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from hub.verdicts import glossary
from registry.sandbox import canary
from scanner.pickles.policy import ALLOWED, DANGEROUS, NAME_ONLY, UNKNOWN

ROOT = Path(__file__).resolve().parents[3]
CODE = re.compile(r"[A-Z](-[A-Z0-9]+)+")


def codes_in_source() -> set[str]:
    """Every text of the form of a code in the scanner and the readers; docstrings are longer than a code."""
    files = [*(ROOT / "scanner").rglob("*.py"), *(ROOT / "registry" / "formats").rglob("*.py")]
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text("utf-8"))))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value)}


def test_every_code_in_the_source_is_explained() -> None:
    found = codes_in_source()
    assert len(found) > 60
    assert sorted(found - set(glossary.CODES)) == []


def test_meanings_are_plain_sentences() -> None:
    for code, meaning in ((code, str(said)) for code, said in glossary.CODES.items()):
        assert re.fullmatch(r"[A-Z][^\n<>*`]{15,200}\.", meaning), code


def test_families_hold_every_code_once() -> None:
    listed = [code for _, rows in glossary.families() for code, _ in rows]
    assert sorted(listed) == sorted(glossary.CODES)
    assert dict(glossary.families()).get("Others") is None


def test_the_words_on_imports_are_those_of_the_policy() -> None:
    assert set(glossary.SAFETY) == {ALLOWED, NAME_ONLY, UNKNOWN, DANGEROUS}


def test_the_layers_of_this_machine_are_explained() -> None:
    layers = canary.probe()["sandbox"]
    assert layers
    assert all(glossary.layer(name) for name in layers)
    assert glossary.layer("prayer") == ""
