"""Starting, watching and ending the processes of the hub: ordered stop within a time limit, restart with back-off.
Knows nothing of what the processes are."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hub.services import guardian
from hub.services.console import Refusal, say
from hub.services.folders import ROOT
from hub.services.parent import die_with

STOP_SECONDS = 9.0  # everything has ended by then, whatever it takes
LONGEST_PAUSE = 30.0
STEADY_SECONDS = 60.0  # a child that lived so long starts again without a pause
RUN = secrets.token_hex(8)


def leashed(name: str, env: dict[str, str]) -> dict[str, Any]:
    """Arguments for `Popen`: a session of its own, no stdin, the mark of this run, and death with the launcher."""
    launcher = os.getpid()
    return {
        "cwd": ROOT,
        "env": {**env, guardian.MARK: RUN, guardian.PART: name},
        "stdin": subprocess.DEVNULL,
        "start_new_session": True,
        "preexec_fn": lambda: die_with(launcher),
    }


@dataclass
class Child:
    """One process to keep alive. Children of a lower `wave` are stopped first, those of one wave together."""

    name: str
    label: str
    argv: list[str]
    log: Path
    env: dict[str, str] = field(default_factory=dict)
    wave: int = 0
    stop_signal: int = signal.SIGTERM
    grace: float = 5.0
    failures: int = 0
    started: float = 0.0
    due: float | None = None
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it in a session of its own (a terminal's Ctrl-C reaches the launcher only), its output appended to its log."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.argv, stdout=log, stderr=subprocess.STDOUT, **leashed(self.name, self.env))
        self.started, self.due = time.monotonic(), None

    def running(self) -> bool:
        """Whether the process lives (it is reaped when it does not)."""
        return self.process is not None and self.process.poll() is None

    def ask(self, number: int | None = None) -> None:
        """Send the stop signal, or `number`, to the process alone: it ends its own children."""
        if self.process is not None and self.running():
            self.process.send_signal(number or self.stop_signal)

    def kill(self) -> None:
        """SIGKILL the process and everything in its session's group."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def tail(self, lines: int = 12) -> str:
        """The last lines of its log."""
        with contextlib.suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return ""


class Fleet:
    """The children of one launcher, and the guardian that ends them if the launcher is killed."""

    def __init__(self) -> None:
        self.children: list[Child] = []
        self.hurry = False
        self._guardian: subprocess.Popen[bytes] | None = None

    def start(self, child: Child) -> None:
        """Start a child and look after it from now on."""
        self._guard()
        self.children.append(child)
        child.start()

    def _guard(self) -> None:
        if self._guardian is None or self._guardian.poll() is not None:
            command = [sys.executable, "-m", "hub.services.guardian", RUN]
            # Without a mark of its own: under `./weigh test` another launcher's guardian must not end this one.
            env = {name: value for name, value in os.environ.items() if name not in (guardian.MARK, guardian.PART)}
            self._guardian = subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.PIPE, start_new_session=True)

    def wait_for(self, child: Child, ready: Callable[[], bool], seconds: float) -> None:
        """Ask `ready` until it is true; Refusal with the end of the log when the child ends first or the time is over.

        Exceptions of `ready` count as "not yet"."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(Exception):
                if ready():
                    return
            if not child.running():
                code = child.process.returncode if child.process else None
                raise Refusal(f"{child.label} ended while starting (status {code}). The end of {child.log}:\n{child.tail()}")
            if time.monotonic() > deadline:
                raise Refusal(f"{child.label} was not ready after {seconds:.0f} s. The end of {child.log}:\n{child.tail()}")
            time.sleep(0.05)

    def tend(self) -> None:
        """One round of care: notice children that ended, start them again when their pause is over."""
        self._guard()
        for child in self.children:
            if child.due is not None:
                if time.monotonic() >= child.due:
                    child.start()
            elif not child.running() and child.process is not None:
                self._schedule(child, child.process.returncode)

    def _schedule(self, child: Child, code: int) -> None:
        if time.monotonic() - child.started > STEADY_SECONDS:
            child.failures = 0
        pause = 0.0 if child.failures == 0 else min(LONGEST_PAUSE, 2.0 ** (child.failures - 1))
        child.failures += 1
        child.kill()  # what it left behind in its session
        child.due = time.monotonic() + pause
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        when = "at once" if pause == 0 else f"in {pause:.0f} s"
        say(f"{child.label} {how}; starting it again {when} (log: {child.log})")

    def stop(self) -> None:
        """End every child, wave after wave, within STOP_SECONDS; what does not end in its grace is killed."""
        end = time.monotonic() + STOP_SECONDS
        waves = sorted({child.wave for child in self.children})
        for position, wave in enumerate(waves):
            members = [child for child in self.children if child.wave == wave]
            reserve = 1.0 * (len(waves) - position - 1)
            self._stop_wave(members, end - reserve)
        self._release_guardian()

    def _stop_wave(self, members: list[Child], end: float) -> None:
        begun = time.monotonic()
        for child in members:
            child.ask()
        for child in members:
            while child.running() and not self.hurry and time.monotonic() < min(end, begun + child.grace):
                time.sleep(0.02)
            if child.running() and child.stop_signal == signal.SIGINT:
                child.ask(signal.SIGQUIT)  # PostgreSQL: immediate shutdown, replayed from the log at the next start
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.process.wait(0.5) if child.process else None
            child.kill()

    def _release_guardian(self) -> None:
        if self._guardian is not None and self._guardian.stdin is not None:
            self._guardian.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._guardian.wait(5)
