"""The house rules that a program can check: import direction, sizes, names, a docstring for every module."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("hub", "registry", "scanner", "inference", "bench", "samples", "tests")
MAX_FILE, MAX_FUNCTION = 400, 60
EMPTY_NAMES = {"utils", "helpers", "common", "base", "misc", "core"}


def modules() -> Iterator[Path]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "migrations" not in path.parts and "__pycache__" not in path.parts:
                yield path


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_imports_point_one_way() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_no_file_grows_past_its_limit() -> None:
    assert [relative(path) for path in modules() if path.read_text().count("\n") > MAX_FILE] == []


def test_no_function_grows_past_its_limit() -> None:
    long = [
        f"{relative(path)}:{node.name}"
        for path in modules()
        for node in functions(path)
        if (node.end_lineno or 0) - node.lineno + 1 > MAX_FUNCTION
    ]
    assert long == []


def test_names_say_something() -> None:
    assert [relative(path) for path in modules() if path.stem in EMPTY_NAMES] == []


def test_every_module_says_what_it_is() -> None:
    silent = [
        relative(path)
        for path in modules()
        if path.read_text().strip() and path.name != "__init__.py" and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


def test_the_web_process_never_imports_torch() -> None:
    code = "import hub.asgi, sys; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.stdout.strip() == "False", result.stderr[-2000:]


@pytest.mark.parametrize("module", ["scanner.pickles", "registry.formats.directory", "registry.sandbox.canary", "registry.sandbox.ranges"])
def test_the_scanner_runs_on_the_standard_library_alone(module: str) -> None:
    code = f"import sys, {module}; print([m for m in ('django', 'numpy', 'torch', 'blake3', 'celery') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.stdout.strip() == "[]", result.stderr[-2000:]
