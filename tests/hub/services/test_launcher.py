"""The launcher's own decisions that a whole hub would take long to show."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hub.services.console import Refusal
from hub.services.launcher import FAILED_STARTS, Launcher
from hub.services.options import UpOptions
from hub.services.processes import Child


def test_start_is_given_up_when_a_part_ends_again_and_again(tmp_path: Path) -> None:
    launcher = Launcher(UpOptions(tmp_path, 8000, "127.0.0.1", "local", render=True, samples=True))
    log = tmp_path / "cpu.log"
    log.write_text("ModuleNotFoundError: no such module\n")
    worker = Child("cpu", "The cpu worker", [sys.executable], log, failures=FAILED_STARTS - 1)
    launcher._give_up_on_what_never_starts([worker])
    worker.failures += 1
    with pytest.raises(Refusal, match=r"(?s)The cpu worker ended 4 times while starting.*no such module"):
        launcher._give_up_on_what_never_starts([worker])
