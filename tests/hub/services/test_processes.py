"""How processes live and die, with small scripts instead of servers: order, grace, back-off, and the killed launcher."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.services import processes
from hub.services.console import Refusal
from hub.services.folders import ROOT
from hub.services.guardian import marked
from hub.services.processes import Child, Fleet

UP = "print('up', flush=True); time.sleep(60)"
OBEDIENT = f"import signal, sys, time; signal.signal(signal.SIGTERM, lambda *a: (print(time.monotonic()), sys.exit())); {UP}"
STUBBORN = f"import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); {UP}"
SLEEPER = "[sys.executable, '-c', 'import time; time.sleep(60)']"
WITH_CHILD = f"import subprocess, sys, time; subprocess.Popen({SLEEPER}); {UP}"
DETACHED = f"import subprocess, sys, time; subprocess.Popen({SLEEPER}, start_new_session=True); {UP}"


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    made = Fleet()
    yield made
    made.hurry = True
    made.stop()


def child(tmp_path: Path, name: str, script: str, **options: object) -> Child:
    return Child(name, name.capitalize(), [sys.executable, "-c", script], tmp_path / f"{name}.log", env=dict(os.environ), **options)  # type: ignore[arg-type]


def is_up(one: Child) -> bool:
    return "up" in one.log.read_text()


def test_lower_waves_have_ended_before_higher_ones_are_asked(tmp_path: Path, fleet: Fleet) -> None:
    store = child(tmp_path, "store", OBEDIENT, wave=1)
    web = child(tmp_path, "web", OBEDIENT, wave=0)
    for one in (store, web):
        fleet.start(one)
        fleet.wait_for(one, lambda one=one: is_up(one), 10)  # type: ignore[misc]
    fleet.stop()
    ended = [float(one.log.read_text().split()[-1]) for one in (web, store)]
    assert ended == sorted(ended)


def test_child_that_ignores_the_stop_is_killed_after_its_grace(tmp_path: Path, fleet: Fleet) -> None:
    one = child(tmp_path, "stubborn", STUBBORN, grace=0.3)
    fleet.start(one)
    fleet.wait_for(one, lambda: is_up(one), 10)
    begun = time.monotonic()
    fleet.stop()
    assert 0.3 <= time.monotonic() - begun < 3
    assert one.process is not None
    assert one.process.returncode == -signal.SIGKILL


def test_children_of_a_killed_child_go_with_it(tmp_path: Path, fleet: Fleet) -> None:
    one = child(tmp_path, "parent", WITH_CHILD)
    fleet.start(one)
    fleet.wait_for(one, lambda: is_up(one), 10)
    assert len(marked(processes.RUN)) == 2
    one.kill()
    end = time.monotonic() + 3
    while marked(processes.RUN) and time.monotonic() < end:
        time.sleep(0.02)
    assert marked(processes.RUN) == {}


def test_child_that_ends_while_starting_is_refused_with_the_end_of_its_log(tmp_path: Path, fleet: Fleet) -> None:
    one = child(tmp_path, "broken", "print('no such setting'); raise SystemExit(3)")
    fleet.start(one)
    with pytest.raises(Refusal, match=r"(?s)Broken ended while starting \(status 3\).*no such setting"):
        fleet.wait_for(one, lambda: False, 10)


def test_child_that_is_never_ready_is_refused(tmp_path: Path, fleet: Fleet) -> None:
    one = child(tmp_path, "slow", STUBBORN, grace=0.1)
    fleet.start(one)
    with pytest.raises(Refusal, match="Slow was not ready after 0 s"):
        fleet.wait_for(one, lambda: False, 0.2)


def test_restart_is_at_once_then_ever_later_and_each_is_said(tmp_path: Path, fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    one = child(tmp_path, "crasher", "raise SystemExit(4)")
    fleet.start(one)
    end = time.monotonic() + 20
    while one.failures < 4 and time.monotonic() < end:
        fleet.tend()
        time.sleep(0.01)
    said = re.findall(r"Crasher ended with status 4; starting it again (at once|in \d+ s)", capsys.readouterr().out)
    assert said == ["at once", "in 1 s", "in 2 s", "in 4 s"]


def test_pause_before_a_restart_is_never_longer_than_half_a_minute(tmp_path: Path, fleet: Fleet) -> None:
    one = child(tmp_path, "crasher", "raise SystemExit(4)", failures=20)
    fleet.start(one)
    assert one.process is not None
    one.process.wait()
    begun = time.monotonic()
    fleet.tend()
    assert one.due is not None
    assert 29 < one.due - begun < 31


def test_long_lived_child_starts_again_without_a_pause(tmp_path: Path, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "STEADY_SECONDS", -1.0)
    one = child(tmp_path, "steady", "raise SystemExit(4)", failures=6)
    fleet.start(one)
    assert one.process is not None
    one.process.wait()
    fleet.tend()
    assert one.failures == 1


LAUNCHER = """
import os, sys, time
from pathlib import Path
from hub.services import processes
from hub.services.processes import Child, Fleet
fleet = Fleet()
one = Child("one", "One", [sys.executable, "-c", {script!r}], Path({log!r}), env=dict(os.environ))
fleet.start(one)
fleet.wait_for(one, lambda: "up" in one.log.read_text(), 10)
print(processes.RUN, flush=True)
time.sleep(60)
"""


def test_grandchild_in_a_session_of_its_own_does_not_outlive_a_killed_launcher(tmp_path: Path) -> None:
    script = LAUNCHER.format(script=DETACHED, log=str(tmp_path / "one.log"))
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout is not None
        run = launcher.stdout.readline().strip()
        assert len(marked(run)) == 2
        launcher.kill()
    end = time.monotonic() + 5
    while marked(run) and time.monotonic() < end:
        time.sleep(0.05)
    assert marked(run) == {}
