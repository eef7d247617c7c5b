"""The launcher's own decisions that a whole hub would take long to show."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from hub.services import launcher
from hub.services.console import Refusal
from hub.services.launcher import FAILED_STARTS, Launcher, Stopped, asked_to_stop
from hub.services.options import UpOptions
from hub.services.processes import Child, Fleet


def test_start_is_given_up_when_a_part_ends_again_and_again(tmp_path: Path) -> None:
    one = Launcher(UpOptions(tmp_path, 8000, "127.0.0.1", "local", render=True, samples=True))
    log = tmp_path / "cpu.log"
    log.write_text("ModuleNotFoundError: no such module\n")
    worker = Child("cpu", "The cpu worker", [sys.executable], log, failures=FAILED_STARTS - 1)
    one._give_up_on_what_never_starts([worker])
    worker.failures += 1
    with pytest.raises(Refusal, match=r"(?s)The cpu worker ended 4 times while starting.*no such module"):
        one._give_up_on_what_never_starts([worker])


def test_stop_that_arrives_twice_is_one_stop_and_a_later_one_hurries(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Fleet()
    with asked_to_stop(fleet):
        with pytest.raises(Stopped):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert not fleet.hurry
        monkeypatch.setattr(launcher, "IMPATIENT_SECONDS", -1.0)
        signal.raise_signal(signal.SIGINT)
        assert fleet.hurry
