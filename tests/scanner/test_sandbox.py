"""The locked child can read what is open and answer, and nothing else; whatever becomes of it, there is an answer."""

from __future__ import annotations

import functools
import io
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from registry.sandbox import parent
from scanner import run
from scanner.pickles import scan
from tests.attacks import ATTACKS, os_system_checkpoint
from tests.attacks.assemble import pickled, torch_zip
from tests.attacks.catalogue import CLASSES
from tests.scanner.honest_kinds import HONEST_KINDS

LINUX = platform.system() == "Linux" and platform.machine() in ("x86_64", "aarch64")
pytestmark = pytest.mark.skipif(not LINUX, reason="the system-call filter is written for Linux on x86_64 and aarch64")


def test_scan_reports_its_layers(tmp_path: Path) -> None:
    path = tmp_path / "stored"
    path.write_bytes(torch_zip())
    report = run.scan_path(path, name="model.ckpt")
    assert report["verdict"] == "success"
    assert {"rlimit", "seccomp"} <= set(report["sandbox"])
    assert report["directory"]["tensors"] == [[["weight"], "F32", [2, 2], 0, 0, [2, 1]]]


def test_danger_is_told_through_the_sandbox(tmp_path: Path) -> None:
    path = tmp_path / "stored"
    path.write_bytes(os_system_checkpoint())
    report = run.scan_path(path, name="model.ckpt", tensors=False)
    assert report["verdict"] == "danger"
    assert "directory" not in report
    assert [row["module"] for row in report["imports"] if row["safety"] == "dangerous"] == ["os"]


@pytest.mark.parametrize("klass", CLASSES)
def test_attacks_of_every_class_are_answered_in_the_sandbox_as_outside(klass: int, tmp_path: Path) -> None:
    """What is only imported when it is needed cannot be had any more once the doors are closed."""
    path = tmp_path / "stored"
    kinds = {attack.code: attack for attack in ATTACKS if attack.klass == klass}
    for attack in list(kinds.values())[:2]:
        path.write_bytes(attack.build())
        report = run.scan_path(path, name=attack.name)
        assert report["verdict"] == attack.verdict, attack.title
        assert attack.code in {finding["code"] for finding in report["findings"]}, attack.title


@pytest.mark.parametrize("title", {name.rpartition(".")[2]: title for title, (name, _) in HONEST_KINDS.items()}.values())
def test_honest_files_of_every_kind_are_taken_in_the_sandbox(title: str, tmp_path: Path) -> None:
    name, make = HONEST_KINDS[title]
    path = tmp_path / "stored"
    path.write_bytes(make())
    outside = scan(io.BytesIO(make()), name=name)
    assert run.scan_path(path, name=name)["verdict"] == outside.verdict


def test_position_of_the_descriptor_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "stored"
    path.write_bytes(torch_zip())
    with path.open("rb") as file:
        os.lseek(file.fileno(), 7, os.SEEK_SET)
        assert run.scan_fd(file.fileno(), name="model.ckpt")["verdict"] == "success"
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 7


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a\0b.ckpt", "é\U0001f642.ckpt", "-c.ckpt", "x" * 5000 + ".ckpt", "\ud800.ckpt", "a\r\nb.ckpt", ""]
)
def test_strange_file_names_are_only_names(tmp_path: Path, name: str) -> None:
    path = tmp_path / "stored"
    path.write_bytes(torch_zip())
    assert run.scan_path(path, name=name)["verdict"] == ("success" if name.endswith(".ckpt") else "error" if not name else "danger")


def test_child_that_runs_out_of_time_says_so(tmp_path: Path) -> None:
    path = tmp_path / "stored"
    path.write_bytes(pickled(b"N0" * 1_900_000 + b"N"))
    report = run.scan_path(path, name="model.pkl", timeout=0.3)
    assert (report["verdict"], report["findings"][0]["code"]) == ("error", "F-LIMIT")
    assert "more time" in report["findings"][0]["message"]
    assert report["directory"] is None
    assert "seccomp" in report["sandbox"]


def test_child_that_runs_out_of_memory_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "stored"
    path.write_bytes(pickled(b"".join(b"B\x00\x00\x10\x00" + bytes(1 << 20) for _ in range(60)) + b"N"))
    limited = functools.partial(run.run_child, memory_bytes=60 << 20)
    monkeypatch.setattr(run, "run_child", limited)
    report = run.scan_path(path, name="model.pkl")
    assert (report["verdict"], [finding["code"] for finding in report["findings"]]) == ("error", ["F-LIMIT"])
    assert "memory" in report["findings"][0]["message"]


def test_silent_child_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent, "GRACE", 0.1)
    monkeypatch.setattr(parent, "START", "while True: pass")
    path = tmp_path / "stored"
    path.write_bytes(torch_zip())
    report = run.scan_path(path, name="model.ckpt", timeout=0.2)
    assert (report["verdict"], report["findings"][0]["code"]) == ("error", "F-SANDBOX")
    assert "0.2 seconds" in report["findings"][0]["message"]


def test_killed_child_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent, "START", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert_unscanned(tmp_path, f"signal {signal.SIGKILL.value}")


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ("print('not json')", "cannot be read"),
        ("print('[1, 2]')", "cannot be read"),
        ('print(\'{"verdict": "fine"}\')', "cannot be read"),
        ('print(\'{"verdict": "success"}\')', "cannot be read"),
        ('print(\'{"verdict": ["success"], "imports": [], "findings": []}\')', "cannot be read"),
        ('print(\'{"verdict": "success", "imports": [5], "findings": []}\')', "cannot be read"),
        ('print(\'{"verdict": "success", "imports": [], "findings": [{"severity": {}}]}\')', "cannot be read"),
        ("raise SystemExit(1)", "ended without an answer"),
        ("import sys\nwhile True: sys.stdout.write('x' * 1000000)", "said more"),
        ("import time, os; os.close(1); time.sleep(60)", "did not finish"),
        ("print('[' * 200000)", "cannot be read"),
    ],
)
def test_child_that_answers_nonsense_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, sentence: str) -> None:
    monkeypatch.setattr(parent, "START", program)
    if "sleep" in program:
        monkeypatch.setattr(parent, "TO_END", 0.3)
    assert_unscanned(tmp_path, sentence)


def assert_unscanned(tmp_path: Path, sentence: str) -> None:
    path = tmp_path / "stored"
    path.write_bytes(torch_zip())
    report = run.scan_path(path, name="model.ckpt", timeout=1)
    assert report["verdict"] == "error"
    assert any(part in report["findings"][0]["message"] for part in sentence.split("|"))


def test_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run.scan_path(tmp_path / "nothing", name="model.ckpt")


def test_hopeless_child_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "pid"
    monkeypatch.setattr(parent, "GRACE", 0.5)
    monkeypatch.setattr(parent, "START", f"import os, time; open({str(marker)!r}, 'w').write(str(os.getpid())); time.sleep(60)")
    path = tmp_path / "stored"
    path.write_bytes(torch_zip())
    assert run.scan_path(path, name="model.ckpt", timeout=1)["verdict"] == "error"
    with pytest.raises(ProcessLookupError):
        os.kill(int(marker.read_text()), 0)


def test_child_needs_no_installed_package(tmp_path: Path) -> None:
    """The interpreter starts isolated and without site-packages, so nothing a venv holds can be imported by accident."""
    path = tmp_path / "model.ckpt"
    path.write_bytes(torch_zip())
    check = "; assert not {'numpy', 'torch', 'django'} & set(sys.modules)"
    root = Path(run.__file__).resolve().parents[1]
    start = (
        f"import sys; sys.path.insert(0, {str(root)!r}); from scanner.pickles.__main__ import main; code = main([{str(path)!r}, '--json'])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", start + check + "; sys.exit(code)"], capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b'{"verdict": "success"')


def test_scans_may_run_side_by_side(tmp_path: Path) -> None:
    path = tmp_path / "stored"
    path.write_bytes(torch_zip())
    verdicts: list[str] = []
    threads = [threading.Thread(target=lambda: verdicts.append(run.scan_path(path, name="a.ckpt")["verdict"])) for _ in range(4)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verdicts == ["success"] * 4
    assert time.monotonic() - started < 10
