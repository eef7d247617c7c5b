"""The process that reads hostile bytes: imports all it needs, locks itself in, scans one open file, prints JSON, ends.

Started by `scanner.run` only; it never opens a file itself and never returns to a caller.
"""

from __future__ import annotations

import encodings.ascii
import encodings.idna
import encodings.latin_1
import encodings.raw_unicode_escape
import encodings.utf_8
import gc
import json
import os
import socket
import sys
import zlib

from registry.formats.window import Window
from scanner.pickles import scan
from scanner.sandbox import lock

PRELOADED = (encodings.ascii, encodings.idna, encodings.latin_1, encodings.raw_unicode_escape, encodings.utf_8, zlib)
"""Modules that are otherwise imported on first use, when nothing can be opened any more."""


def main() -> None:
    """`fd name cpu_seconds memory_bytes tensors` on the command line ("canary" as the name tries the locks instead)."""
    gc.disable()  # one short life: looking for cycles among a million values would take most of it
    descriptor, name, cpu, memory, tensors = sys.argv[-5:]
    window = Window(int(descriptor))
    json.loads(json.dumps({"warm": [1.5, "ü"]}))
    layers = lock(cpu_seconds=int(cpu), memory_bytes=int(memory))
    if tensors == "canary":
        _say({"sandbox": layers, "canary": _canary()})
    report = scan(window, name=name)
    report.sandbox = layers
    _say(report.to_json(tensors=tensors == "tensors"))


def _say(answer: dict[str, object]) -> None:
    data = memoryview(json.dumps(answer).encode())
    while data:
        data = data[os.write(1, data) :]
    os._exit(0)


def _canary() -> dict[str, str]:
    """What the locked process gets for things it must not do: an error's name, or "ALLOWED"."""
    attempts = {
        "open": lambda: os.open("/etc/passwd", os.O_RDONLY),
        "create": lambda: os.open("canary", os.O_WRONLY | os.O_CREAT),
        "socket": lambda: socket.socket(),
        "fork": lambda: os.fork() or os._exit(0),
        "exec": lambda: os.execv("/bin/true", ["true"]),  # noqa: S606 - the point is that it is refused
        "kill": lambda: os.kill(os.getppid(), 0),
        "stat": lambda: os.stat("/etc"),
    }
    answers = {}
    for name, attempt in attempts.items():
        try:
            attempt()
            answers[name] = "ALLOWED"
        except OSError as error:
            answers[name] = "EPERM" if isinstance(error, PermissionError) else type(error).__name__
    return answers
