"""`./weigh test` itself: real stores for pytest, its summary last, its status handed on, nothing left behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hub.services import testrun
from hub.services.folders import ROOT
from hub.services.launcher import Stopped
from hub.services.testrun import scrubbed
from tests.hub.services.running import of_folder

PROBE = """
import os, urllib.request, urllib.error
import psycopg, pytest, redis

def test_stores_are_real():
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert redis.Redis.from_url(os.environ["WEIGH_CACHE_URL"]).ping()
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(os.environ["WEIGH_S3_ENDPOINT"])
    assert os.environ["WEIGH_STORAGE"] == "local"
    print("data:", os.environ["WEIGH_DATA"])

def test_fails():
    assert False
"""
SLEEPER = "import time\n\ndef test_sleeps():\n    time.sleep(60)\n"


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    (tmp_path / "probe").mkdir()
    (tmp_path / "probe" / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "tmp").mkdir()
    return tmp_path


def command(temporary: Path, source: str) -> list[str]:
    file = temporary / "probe" / "test_probe.py"
    file.write_text(source)
    options = ["-c", str(file.with_name("pytest.ini")), "-p", "no:django", "-p", "no:cacheprovider", "-rf", str(file)]
    return [sys.executable, "-m", "hub.services", "test", *options]


def test_pytest_runs_on_real_stores_and_has_the_last_word(temporary: Path) -> None:
    env = {**scrubbed(), "TMPDIR": str(temporary / "tmp")}
    done = subprocess.run(command(temporary, PROBE), cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 1 passed" in done.stdout.splitlines()[-1]
    assert "ruff" not in done.stdout
    assert list((temporary / "tmp").glob("weighhouse-test-*")) == []


def test_stopped_test_run_leaves_nothing_behind(temporary: Path) -> None:
    env = {**scrubbed(), "TMPDIR": str(temporary / "tmp")}
    with subprocess.Popen(command(temporary, SLEEPER), cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if "collected 1 item" in line:
                break
        run.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        assert run.wait(30) == 130
        assert time.monotonic() - begun < 20
    assert list((temporary / "tmp").iterdir()) == []
    assert of_folder(temporary / "tmp") == {}


def test_checks_run_together_and_speak_in_their_order(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Each waits until the others have begun as well, and the first ends last."""
    meet = """
import pathlib, sys, time
here, me, pause, status = pathlib.Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
(here / me).touch()
while len(list(here.iterdir())) < 3:
    time.sleep(0.01)
time.sleep(pause)
print(f"{me} is done")
print("to stderr", file=sys.stderr)
sys.exit(status)
"""
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    told = {"one": ("0.2", "3"), "two": ("0", "0"), "three": ("0", "5")}
    commands = {name: [sys.executable, "-S", "-c", meet, str(meeting), name, *rest] for name, rest in told.items()}
    assert testrun.run_together(commands, scrubbed()) == {"one": 3, "three": 5}
    lines = [line.rpartition("] ")[2] for line in capfd.readouterr().out.splitlines()]
    assert lines[::3] == list(told)
    assert [set(lines[at + 1 : at + 3]) for at in (0, 3, 6)] == [{f"{name} is done", "to stderr"} for name in told]


def test_checks_end_with_whoever_waits_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(_sentence: str) -> None:
        raise Stopped

    monkeypatch.setattr(testrun, "say", stopped)
    file = str(tmp_path / "pid")
    slow = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(f'{os.getpid():9}'); time.sleep(60)"
    quick = "import os, sys\nwhile not os.path.exists(sys.argv[1]) or not os.path.getsize(sys.argv[1]): pass"
    commands = {name: [sys.executable, "-S", "-c", code, file] for name, code in (("quick", quick), ("slow", slow))}
    with pytest.raises(Stopped):
        testrun.run_together(commands, scrubbed())
    assert not Path("/proc", Path(file).read_text().strip()).exists()
