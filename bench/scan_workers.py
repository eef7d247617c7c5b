"""One process per scanner that is asked about file after file, killed and started again when it hangs or dies. Reads no file itself."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from bench.ground import ROOT
from bench.scan_peers import OURS, Tool, Unavailable, python_of

DRIVER = Path(__file__).with_name("scan_driver.py")
START_SECONDS = 60
SLACK_SECONDS = 5
"""How much longer than the sandboxed scan's own limit is waited for its answer, before it counts as hung."""


@dataclass(frozen=True)
class Answer:
    """What one scanner said of one file: its own word, or "hang" or "crash"; wall seconds in the scanner, peak resident KiB so far."""

    word: str
    seconds: float
    rss_kb: int
    codes: tuple[str, ...] = ()
    detail: str = ""


class Worker:
    """Asks one scanner, in its own environment; a context manager that leaves no process behind."""

    def __init__(self, tool: Tool, timeout: float) -> None:
        self.tool, self.timeout = tool, timeout
        self.command = [*python_of(tool), str(DRIVER), tool.title, *([str(ROOT)] if tool in OURS else [])]
        self.process: subprocess.Popen[bytes] | None = None
        self.folder = tempfile.TemporaryDirectory(prefix="bench-scan-")

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop()
        self.folder.cleanup()

    def ask(self, path: Path, name: str) -> Answer:
        """The answer for one file, called `name` by its uploader. Raises `Unavailable` where the scanner cannot be started at all."""
        process = self.process or self._start()
        started = time.monotonic()
        slack = SLACK_SECONDS if self.tool.title == "ours sandboxed" else 0
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps([str(path), name]).encode() + b"\n")
            process.stdin.flush()
        line, ended = _line(process, self.timeout + slack)
        if line:
            said = json.loads(line)
            return Answer(said["word"], said["seconds"], said["rss_kb"], tuple(said.get("codes", ())), said.get("detail", ""))
        peak = _peak_kb(process.pid)
        self._stop()
        return Answer("crash" if ended else "hang", time.monotonic() - started, peak)

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "HOME": self.folder.name, "BENCH_TIMEOUT": str(self.timeout)}
        complaints = Path(self.folder.name) / "stderr"
        with complaints.open("wb") as errors:
            self.process = process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=self.folder.name,
                env=environment,
                start_new_session=True,
            )
        line, _ = _line(process, START_SECONDS)
        if not line:
            self._stop()
            raise Unavailable(f"it does not start:\n{complaints.read_text(errors='replace')[-2000:]}")
        return process

    def _stop(self) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()


def _line(process: subprocess.Popen[bytes], seconds: float) -> tuple[bytes, bool]:
    """(one line, or b"" where none came, whether the process ended instead). Lines are only sent one by one, so none is left over."""
    assert process.stdout is not None
    pipe, end, parts = process.stdout.fileno(), time.monotonic() + seconds, b""
    while not parts.endswith(b"\n"):
        ready, _, _ = select.select([pipe], [], [], max(end - time.monotonic(), 0))
        if not ready:
            return b"", False
        part = os.read(pipe, 1 << 16)
        if not part:
            return b"", True
        parts += part
    return parts, False


def _peak_kb(pid: int) -> int:
    """Peak resident KiB of a running process and of its largest child, 0 where it is gone."""
    peaks = [0]
    with suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (str(pid), *children):
            status = Path(f"/proc/{each}/status").read_text()
            peaks += [int(row.split()[1]) for row in status.splitlines() if row.startswith("VmHWM")]
    return max(peaks)
