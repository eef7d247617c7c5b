"""The locked child can read what is open and answer, and nothing else; whatever becomes of it, there is an answer."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from scanner import run
from tests.attacks import os_system_checkpoint
from tests.attacks.assemble import torch_zip
from tests.attacks.floods import large_stored_pickle

LINUX = platform.system() == "Linux" and platform.machine() in ("x86_64", "aarch64")
pytestmark = pytest.mark.skipif(not LINUX, reason="the system-call filter is written for Linux on x86_64 and aarch64")


@pytest.fixture(scope="module")
def canary() -> dict[str, str]:
    found = run.probe()
    assert "seccomp" in found["sandbox"]
    answers = found["canary"]
    assert isinstance(answers, dict)
    return answers


@pytest.mark.parametrize("door", ["open", "create", "socket", "fork", "exec", "kill", "stat"])
def test_the_child_cannot(door: str, canary: dict[str, str]) -> None:
    assert canary[door] == "EPERM"


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


def test_timeout_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "stored"
    path.write_bytes(large_stored_pickle()[:-60_000_000])
    report = run.scan_path(path, name="model.ckpt", timeout=0.001)
    assert report["verdict"] == "error"
    assert report["findings"][0]["code"] == "F-SANDBOX"
    assert "0.001 seconds" in report["findings"][0]["message"]
    assert report["directory"] is None


def test_killed_child_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "START", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert_unscanned(tmp_path, f"signal {signal.SIGKILL.value}")


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ("print('not json')", "cannot be read"),
        ("print('[1, 2]')", "cannot be read"),
        ('print(\'{"verdict": "fine"}\')', "cannot be read"),
        ("raise SystemExit(1)", "ended without an answer"),
        ("import sys\nwhile True: sys.stdout.write('x' * 1000000)", "said more"),
        ("import time, os; os.close(1); time.sleep(60)", "did not finish"),
        ("print('[' * 200000)", "cannot be read"),
    ],
)
def test_child_that_answers_nonsense_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, sentence: str) -> None:
    monkeypatch.setattr(run, "START", program)
    assert_unscanned(tmp_path, sentence)


def assert_unscanned(tmp_path: Path, sentence: str) -> None:
    path = tmp_path / "stored"
    path.write_bytes(torch_zip())
    report = run.scan_path(path, name="model.ckpt", timeout=10)
    assert report["verdict"] == "error"
    assert any(part in report["findings"][0]["message"] for part in sentence.split("|"))


def test_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run.scan_path(tmp_path / "nothing", name="model.ckpt")


def test_hopeless_child_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "pid"
    monkeypatch.setattr(run, "START", f"import os, time; open({str(marker)!r}, 'w').write(str(os.getpid())); time.sleep(60)")
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
