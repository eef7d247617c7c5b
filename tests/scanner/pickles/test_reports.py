"""What is said about a file: shape of the answer, limits of it, and nothing of the attacker's that could hurt the reader."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from scanner.pickles import EXIT_CODES, POLICY_VERSION, SCANNER_VERSION, Report, scan
from scanner.pickles import containers as containers_module
from scanner.pickles.limits import LIMITS
from tests.attacks import ATTACKS, os_system_checkpoint
from tests.attacks.assemble import PROTO4, name, payload_zip, stack_name, torch_zip
from tests.attacks.imports import unknown_class

ROOT = Path(containers_module.__file__).resolve().parents[2]
KEYS = {"verdict", "kind", "imports", "findings", "tensors", "bytes", "opcodes", "scanner", "policy", "duration_ms", "sandbox"}


def of(data: bytes, file_name: str = "model.ckpt") -> Report:
    return scan(io.BytesIO(data), name=file_name)


def test_report_names_call_place_and_reason() -> None:
    answer = of(os_system_checkpoint()).to_json()
    assert answer.keys() == KEYS
    row = next(row for row in answer["imports"] if row["safety"] == "dangerous")
    assert (row["module"], row["name"], row["count"], row["where"]) == ("os", "system", 1, "archive/data.pkl")
    assert row["reason"] == "runs programs of the computer"
    call = next(finding for finding in answer["findings"] if finding["code"] == "P-CALL")
    assert call["message"] == "This file would run `os.system` when loaded. It was not run."
    assert call["args"] == "('echo owned')"
    assert call["disassembly"][-1].endswith("REDUCE   <- calls os.system")
    assert any("GLOBAL (os, system)" in line.replace("'", "") for line in call["disassembly"])
    assert (answer["scanner"], answer["policy"]) == (SCANNER_VERSION, POLICY_VERSION)


def test_directory_is_only_in_the_answer_when_asked_for() -> None:
    report = of(torch_zip())
    assert report.to_json(tensors=True).keys() == KEYS | {"directory"}
    assert of(os_system_checkpoint()).to_json(tensors=True)["directory"] is None


@pytest.mark.parametrize("attack", ATTACKS[:40], ids=lambda attack: attack.title)
def test_reports_survive_json(attack: object) -> None:
    answer = of(attack.build()).to_json(tensors=True)  # type: ignore[attr-defined]
    assert json.loads(json.dumps(answer)) == answer


def test_texts_of_the_file_cannot_hide_or_reorder_words() -> None:
    answer = json.dumps(of(payload_zip(stack_name("a\u202eb\x1b[31m", "x\0y\u200b"), PROTO4)).to_json(), ensure_ascii=False)
    assert not {"\u202e", "\x1b", "\0", "\u200b"} & set(answer)
    assert "\\u0000" not in answer


def test_imports_are_counted_once_each() -> None:
    report = of(payload_zip((name("somewhere", "Thing") + b"0") * 50 + b"N"))
    assert [(row.name, row.count) for row in report.imports] == [("Thing", 50)]
    assert len(report.findings) == 1


def test_answers_stay_small_however_much_is_wrong() -> None:
    body = b"".join(name("os", f"gadget{number}") + b")R0" for number in range(5000)) + b"N"
    report = of(payload_zip(body))
    assert report.verdict == "danger"
    assert len(report.findings) == LIMITS.findings
    assert len(report.imports) == LIMITS.imports
    assert len(json.dumps(report.to_json())) < 1 << 20


def test_a_late_danger_counts_even_when_the_list_is_full() -> None:
    body = b"".join(name("somewhere", f"Thing{number}") + b"0" for number in range(LIMITS.findings + 5))
    report = of(payload_zip(body + name("os", "system") + b")R"))
    assert report.verdict == "danger"


def test_fault_of_the_scanner_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(containers_module, "read_archive", broken)
    report = of(torch_zip())
    assert (report.verdict, [finding.code for finding in report.findings]) == ("error", ["F-INTERNAL"])


def test_a_new_report_is_an_error_until_the_scan_is_through() -> None:
    assert Report().verdict == "error"


def test_unreadable_disk_is_not_a_verdict() -> None:
    class Broken(io.BytesIO):
        def read(self, count: int | None = -1, /) -> bytes:
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        scan(Broken(torch_zip()), name="a.ckpt")


@pytest.mark.parametrize(
    ("make", "verdict"), [(torch_zip, "success"), (unknown_class, "suspicious"), (os_system_checkpoint, "danger"), (bytes, "error")]
)
def test_command_prints_one_object_and_exits_by_verdict(tmp_path: Path, make: object, verdict: str) -> None:
    path = tmp_path / "model.ckpt"
    path.write_bytes(make())  # type: ignore[operator]
    command = [sys.executable, "-m", "scanner.pickles", str(path), "--json", "--tensors"]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, timeout=30, check=False)
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["verdict"]) == (EXIT_CODES[verdict], verdict)
    assert (answer["directory"] is not None) == (verdict in ("success", "suspicious"))


def test_command_says_what_it_cannot_open(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scanner.pickles", str(tmp_path / "nothing.ckpt")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=30, check=False)
    assert done.returncode == EXIT_CODES["error"]
    assert "nothing.ckpt: No such file" in done.stderr
