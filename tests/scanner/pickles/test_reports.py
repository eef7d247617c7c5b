"""What is said about a file: shape of the answer, limits of it, and nothing of the attacker's that could hurt the reader."""

from __future__ import annotations

import gc
import io
import json
from pathlib import Path

import pytest

from registry.formats.window import Window
from scanner.pickles import POLICY_VERSION, SCANNER_VERSION, Report, scan
from scanner.pickles import containers as containers_module
from scanner.pickles.limits import LIMITS
from scanner.pickles.opcodes import CHUNK, Stream, ahead
from tests.attacks import ATTACKS, os_system_checkpoint
from tests.attacks.assemble import PROTO4, name, payload_zip, stack_name, text, torch_zip

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
    lines = [line.split(maxsplit=1)[1] for line in call["disassembly"]]
    assert lines[-3:] == ["REDUCE   <- calls os.system", "SETITEM", "STOP"]
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
    answer = report.to_json()
    assert len(json.dumps(answer)) < 1_000_000
    more = answer["findings"][-1]
    assert (more["severity"], more["code"]) == ("info", "F-MORE")
    assert f"{5000 * 2 + 1 - LIMITS.findings} more findings" in more["message"]
    assert f"{5000 - len(answer['imports'])} more uses" in more["message"]


def test_more_names_than_anybody_can_look_through_are_not_understood() -> None:
    """A person releases a file for the names in its report, so all of them must be in there."""
    enough = b"".join(name("somewhere", f"{'Thing' * 30}{number}") + b"0" for number in range(LIMITS.imports))
    answer = of(payload_zip(enough + b"N")).to_json()
    assert (answer["verdict"], len(answer["imports"])) == ("suspicious", LIMITS.imports)
    report = of(payload_zip(enough + name("somewhere", "Else")))
    assert report.verdict == "error"
    assert "P-LIMIT" in {finding.code for finding in report.findings}


def test_answers_stay_small_however_long_and_strange_the_words_are() -> None:
    """Every character of these names is twelve bytes of JSON."""
    wide = "\U0001f642" * 400
    body = b"".join(stack_name(f"{number}{wide}", f"{wide}{number}") + text(wide) + b"\x85R0" for number in range(3000)) + b"N"
    report = of(payload_zip(body, PROTO4))
    answer = report.to_json()
    assert len(json.dumps(answer)) < 1_000_000
    assert answer["verdict"] == "danger"
    assert len(answer["imports"]) > 50
    assert len(answer["findings"]) > 50


def test_a_late_danger_counts_and_is_told_even_when_the_list_is_full() -> None:
    body = b"".join(name("somewhere", f"Thing{number}") + b"0" for number in range(LIMITS.findings + 5))
    report = of(payload_zip(body + name("os", "system") + b")R"))
    assert report.verdict == "danger"
    assert len(report.findings) == LIMITS.findings
    assert report.findings[-1].code == "P-IMPORT"
    assert {row["name"] for row in report.to_json()["imports"]} >= {"system"}


def test_disassembly_shows_what_stands_around_and_marks_the_culprit() -> None:
    around = b"N0" * 20 + name("os", "system") + b"0" + b"K\x01K\x02K\x03K\x040000N"
    lines = of(payload_zip(around)).findings[0].disassembly
    assert [line.split(maxsplit=1)[1] for line in lines[-4:]] == ["GLOBAL ('os', 'system')   <- P-IMPORT", "POP", "BININT1 1", "BININT1 2"]
    assert len(lines) == 12


def test_a_broken_stream_shows_where_it_breaks() -> None:
    finding = of(payload_zip(b"K\x01K\x02\xee")).findings[0]
    assert (finding.code, finding.disassembly[-1].split(maxsplit=1)[1]) == ("P-PARSE", "BININT1 2   <- the last that could be read")
    assert of(torch_zip(b"", {})).findings[0].disassembly == ()


@pytest.mark.parametrize("behind", [b"", b"\xee\xee", b"X\xff\xff\xff\xff", b".", b"Vabc", b"\x95\xff\xff\xff\xff\xff\xff\xff\xff"])
def test_looking_ahead_never_fails_and_never_moves(behind: bytes) -> None:
    report = of(b"\x80\x02" + name("os", "system") + behind, "model.pkl")
    assert report.verdict == "danger"
    assert report.findings[0].disassembly[1].endswith("<- P-IMPORT")


def test_looking_ahead_sees_the_next_chunk() -> None:
    window = Window(io.BytesIO(b"K\x01" * CHUNK + b"."))
    stream = Stream(window)
    stream.take(CHUNK - 1)
    stream.take(1)
    assert [step[0] for step in ahead(stream, 3)] == [CHUNK, CHUNK + 2, CHUNK + 4]
    assert stream.position == CHUNK


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


def test_a_scan_leaves_the_garbage_collector_as_it_was() -> None:
    assert gc.isenabled()
    of(b"", "model.ckpt")
    assert gc.isenabled()
    gc.disable()
    try:
        of(torch_zip())
        assert not gc.isenabled()
    finally:
        gc.enable()
