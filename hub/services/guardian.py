"""A tiny process that outlives a killed launcher just long enough to end everything it had started.
Run as a script: it reads stdin until the launcher is gone, then looks for processes that carry the run's mark; stdlib only."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import sys
import time

MARK = "WEIGH_RUN"
PART = "WEIGH_PART"
_POSTGRES_SECONDS = 4.0  # a fast shutdown (SIGINT) of an idle cluster takes well under a second


def marked(run: str) -> dict[int, str]:
    """Process id -> part name, of every readable process whose environment carries this run's mark."""
    found: dict[int, str] = {}
    wanted = f"{MARK}={run}".encode()
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            pairs = (entry / "environ").read_bytes().split(b"\0")
            if wanted in pairs:
                parts = [pair.split(b"=", 1)[1].decode() for pair in pairs if pair.startswith(f"{PART}=".encode())]
                found[int(entry.name)] = parts[0] if parts else ""
    return found


def end_all(run: str) -> None:
    """SIGKILL what carries the mark; PostgreSQL first gets SIGINT (a clean fast shutdown) and a few seconds."""
    deadline = time.monotonic() + _POSTGRES_SECONDS
    asked: set[int] = set()
    while left := marked(run):
        for pid, part in left.items():
            patient = part == "postgres" and time.monotonic() < deadline
            if patient and pid in asked:
                continue
            asked.add(pid)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGINT if patient else signal.SIGKILL)
        if time.monotonic() > deadline + 2:
            return
        time.sleep(0.05)


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    end_all(sys.argv[1])


if __name__ == "__main__":
    main()
