"""`python -m inference.weights COMMAND`: work on weights from the command line. Each command stands in a module of its own."""

from __future__ import annotations

import argparse
import signal
import sys
from types import FrameType
from typing import NoReturn

from inference.weights.command import add_convert
from inference.weights.merging.command import add_merge

COMMANDS = (add_convert, add_merge)
"""Each adds its own parser to the subparsers that it is given, with what answers it as the default of `run`."""


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    """Leave as for Ctrl-C: through every context manager, so that no half file and no child stays."""
    raise SystemExit(128 + number)


def main(arguments: list[str] | None = None) -> int:
    """The exit code of the command: 0 done, 1 with a sentence on stderr, 2 for a wrong command, 130 for Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m inference.weights", description="Work on files of weights without running them.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in COMMANDS:
        add(commands)
    asked = parser.parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        return int(asked.run(asked))
    except KeyboardInterrupt:
        print("Stopped; nothing was written.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
