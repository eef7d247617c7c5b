"""`python -m scanner.pickles FILE [--json] [--tensors]`: one file, one JSON object; exit 0 success, 1 suspicious, 2 danger, 3 error.

The file is opened, then the process locks itself in for good, then it reads. `scanner.run` is the way that the hub takes.
"""

from __future__ import annotations

import argparse
import encodings.ascii
import encodings.latin_1
import encodings.raw_unicode_escape
import encodings.utf_8
import gc
import json
import os
import stat
import sys
import time
import zlib
from collections.abc import Callable

from registry.formats.window import Window
from scanner.pickles import EXIT_CODES, POLICY_VERSION, Report, scan
from scanner.pickles.limits import OutOfTime
from scanner.pickles.templates import prepare

SECONDS = 60
"""Of wall and of processor time for one file."""

MEMORY = 1 << 30
ANSWER = 64 << 20
"""Bytes that may be written where standard output is a file."""

PRELOADED = (encodings.ascii, encodings.latin_1, encodings.raw_unicode_escape, encodings.utf_8, zlib)
"""Modules that are otherwise imported on first use, when nothing can be opened any more."""


def main(arguments: list[str] | None = None) -> int:
    """Print the report of one file and return the exit code of its verdict."""
    options = _options(arguments)
    gc.disable()  # one short life: looking for cycles among a million values would take most of it
    name = os.path.basename(os.path.abspath(options.file))
    try:
        window = _open(options.file)
        prepare(window, name)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        print(f"{options.file}: {reason}".encode("ascii", "backslashreplace").decode(), file=sys.stderr)
        return _print(_unread("F-OPEN", f"The file cannot be read: {reason}."), options)
    finish, layers = (lambda: None, []) if options.no_sandbox else _lock()
    try:
        report = scan(window, name=name)
        finish()
    except OSError as error:
        report = _unread("F-READ", f"The file cannot be read to its end: {error.strerror}.")
    except OutOfTime:
        report = _unread("F-LIMIT", "The file takes more time to understand than is allowed.")
    report.sandbox = layers
    return _print(report, options)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scanner.pickles", description="Says whether loading a weight file could run code.")
    parser.add_argument("file")
    parser.add_argument("--json", action="store_true", help="one compact line instead of indented text")
    parser.add_argument("--tensors", action="store_true", help="also print where every tensor lies")
    parser.add_argument("--no-sandbox", action="store_true", help="do not lock the process in before reading")
    return parser.parse_args(arguments)


def _open(path: str) -> Window:
    """The file, which must be a plain one: a pipe or device blocks, has no size, or never ends. Raises `OSError`, `ValueError`."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):
        os.close(fd)
        raise ValueError("it is a folder" if stat.S_ISDIR(mode) else "it is no plain file but a pipe, socket or device")
    return Window(fd)


def _lock() -> tuple[Callable[[], None], list[str]]:
    """Lock this process in; returns what calls its deadline off, and the layers. Nothing where the system knows no such thing."""
    try:
        from registry.sandbox.child import watch
        from registry.sandbox.locks import lock
    except ImportError:
        return lambda: None, []
    place = os.fstat(1)
    used = max(place.st_size, os.lseek(1, 0, os.SEEK_CUR)) + ANSWER if stat.S_ISREG(place.st_mode) else 0
    finish = watch(SECONDS, OutOfTime)
    return finish, lock(cpu_seconds=time.process_time() + SECONDS, memory_bytes=MEMORY, file_bytes=used)


def _unread(code: str, sentence: str) -> Report:
    report = Report(policy=POLICY_VERSION)
    report.say("error", code, sentence)
    report.settle()
    return report


def _print(report: Report, options: argparse.Namespace) -> int:
    print(json.dumps(report.to_json(tensors=options.tensors), indent=None if options.json else 2), flush=True)
    return EXIT_CODES[report.verdict]


if __name__ == "__main__":
    sys.exit(main())
