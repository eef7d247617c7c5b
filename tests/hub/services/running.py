"""A whole hub in a child process, for tests of the launcher: starts it, reads what it says, counts what it left behind."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from hub.services.folders import ROOT
from hub.services.ports import free_port
from hub.services.testrun import scrubbed

READY = "Weighhouse is ready:"


def of_folder(data: Path) -> dict[int, str]:
    """Process id -> command line of every process that works for the hub on `data`."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            environment = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if os.fsencode(data) in command or f"WEIGH_DATA={data}".encode() in environment:
            found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace")
    return found


class Hub:
    """`python -m hub.services up` on one data folder and one port; may be stopped and started again."""

    def __init__(self, data: Path, *options: str, before: tuple[str, ...] = (), **environment: str) -> None:
        self.data, self.port = data, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.options, self.before, self.environment = options, before, environment
        self.lines: list[str] = []
        self.heard: queue.Queue[str] = queue.Queue()
        self.process: subprocess.Popen[str] | None = None

    def command(self, *extra: str) -> list[str]:
        base = [*self.before, sys.executable, "-m", "hub.services", "up", "--data", str(self.data), "--port", str(self.port)]
        return [*base, "--no-samples", *self.options, *extra]

    def env(self) -> dict[str, str]:
        return {**scrubbed(), **self.environment}

    def start(self, seconds: float = 120) -> float:
        """Start and wait until it says that it is ready; returns the seconds that took."""
        begun = time.monotonic()
        self.lines = []
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(self.command(), cwd=ROOT, env=self.env(), stdout=pipe, stderr=subprocess.STDOUT, text=True)
        threading.Thread(target=self._listen, args=(self.process,), daemon=True).start()
        self.wait_for(READY, seconds)
        return time.monotonic() - begun

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.lines.append(line.rstrip("\n"))
                self.heard.put(line)

    def wait_for(self, words: str, seconds: float) -> str:
        """The first line, now or later, that holds `words`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for line in list(self.lines):
                if words in line:
                    return line
            if self.process is not None and self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"never said {words!r}; it said:\n" + "\n".join(self.lines))

    def stop(self, number: int = signal.SIGTERM) -> float:
        """Ask it to stop; returns the seconds until it had ended."""
        assert self.process is not None
        begun = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(30)
        return time.monotonic() - begun

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def refused(self, *extra: str, seconds: float = 30) -> str:
        """Start it where it must not start; returns what it says on its way out."""
        done = subprocess.run(self.command(*extra), cwd=ROOT, env=self.env(), capture_output=True, text=True, timeout=seconds, check=False)
        assert done.returncode == 2, done.stdout + done.stderr
        return done.stderr

    def end(self) -> None:
        """Leave nothing behind, whatever a test did."""
        if self.running():
            self.stop()
        for pid in of_folder(self.data):
            os.kill(pid, signal.SIGKILL)
