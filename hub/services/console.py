"""What the launcher says to the person at the terminal: steps with their time, and refusals.
Logs of the started processes are not its business."""

from __future__ import annotations

import os
import sys
import time

_STARTED = float(os.environ.get("WEIGH_STARTED") or time.time())


class Refusal(Exception):
    """A reason not to go on, as a sentence for the person at the terminal: what is wrong and what to do."""


def elapsed() -> float:
    """Seconds since the command was typed (the shell script hands its own start time on)."""
    return time.time() - _STARTED


def say(sentence: str) -> None:
    """Print one step with its time: `[  3.2s] PostgreSQL ready`."""
    print(f"[{elapsed():5.1f}s] {sentence}", flush=True)


def complain(sentence: str) -> None:
    """Print a refusal to stderr."""
    print(f"weigh: {sentence}", file=sys.stderr, flush=True)
