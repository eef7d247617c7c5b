"""The sentences that plain folders say in English: refusals, findings, notes, as they stand in the sources, values as `{name}`.

Those folders know no languages, and what they say is stored and sent to programs as it is. So the catalogue takes the sentences from
where they are written, and `hub.said` finds them again when a page shows them. For who works on the hub, like `hub.translations`.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

FOLDERS = ("registry", "scanner", "inference", "hub")
ELSEWHERE = re.compile(
    r"^hub/(?:api|downloads|sidecarzip|services|management|web|templatetags|formats|transport|settings|env|checks|health|metrics|samples)\b"
    r"|/(?:migrations|models)\b|/models\.py$|__main__|/(?:command|opening|checks|refresh|standardprompts|summary|printing)\.py$"
    r"|^scanner/pickles/trials\.py$|/compiling\.py$|/diffusion/(?:server|wire|hearing)\.py$|/weights/(?:targets|sink|libtorch)\.py$"
)
"""What speaks to programs, to admins on a terminal, or to the other end of a pipe."""
FRAGMENTS = frozenset({"need", "Breach", "_odd", "_strange", "_refuse", "_damaged", "_program", "_need", "_Refused", "_within"})
"""Functions that are given the end of a sentence, which another begins."""
UNSAID = re.compile(
    r"^(?:log\.\w+|_|\w*gettext\w*|ValueError|RuntimeError|TypeError|OSError|AssertionError|Broken|print|.*\.add_argument)$"
)
"""Calls whose words no page shows, or that come from the catalogue already."""
VALUE = re.compile(r"\{\w*\}")


def sentences(root: Path) -> Iterator[tuple[Path, int, str]]:
    """(file, line, sentence) of all, in the order of files."""
    yield from _reasons(root)
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            if not ELSEWHERE.search(path.relative_to(root).as_posix()):
                for line, text in _said(ast.parse(path.read_text()), ""):
                    yield path, line, text


def _reasons(root: Path) -> Iterator[tuple[Path, int, str]]:
    """Why each name may be imported or not: rules are data there, and so are their reasons."""
    path = root / "scanner/pickles/policy.json"
    rules = json.loads(path.read_text())
    rows = [row for value in rules.values() for row in (value if isinstance(value, list) else [value]) if isinstance(row, dict)]
    alone = [value for value in rules.values() if isinstance(value, str) and " " in value]
    for reason in dict.fromkeys([str(row["reason"]) for row in rows if "reason" in row] + alone):
        yield path, 0, reason


def _said(node: ast.AST, caller: str) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return  # what documents
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func)
        if UNSAID.match(name):
            return
        caller = name.rpartition(".")[2]
    if isinstance(node, ast.Constant | ast.JoinedStr):
        text = _template(node)
        if _is_sentence(text) or (caller in FRAGMENTS and " " in text):
            yield node.lineno, text
    for child in ast.iter_child_nodes(node):
        within = isinstance(node, ast.JoinedStr) and isinstance(child, ast.Constant)
        if not within:
            yield from _said(child, caller)


def _is_sentence(text: str) -> bool:
    """Several words from a capital, or a value, to a full stop."""
    words = VALUE.sub("", text).split()
    return len(words) > 2 and "\n" not in text and bool(re.match(r"[A-Z{<\"`]", text)) and text.endswith((".", ".`", "?", ".)"))


def _template(node: ast.expr) -> str:
    """`f"{file.name} has {size:,} bytes."` -> "{name} has {size} bytes."; what is no text is ""."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    parts, taken = [], list[str]()
    for value in node.values if isinstance(node, ast.JoinedStr) else ():
        if isinstance(value, ast.Constant):
            parts.append(str(value.value))
            continue
        names = [one for one in re.findall(r"[A-Za-z]\w*", ast.unparse(value)) if one not in {"f", "printable", "str", "len", "_shown"}]
        name = next((one for one in names if one not in taken), "value").lower()
        name = name if name not in taken else f"{name}{len(taken)}"
        taken.append(name)
        parts.append(f"{{{name}}}")
    return "".join(parts)
