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
import zlib

from registry.formats.window import Window
from registry.sandbox.child import orders, say, watch
from registry.sandbox.locks import lock
from scanner.pickles import scan
from scanner.pickles.limits import OutOfTime
from scanner.pickles.templates import prepare

PRELOADED = (encodings.ascii, encodings.idna, encodings.latin_1, encodings.raw_unicode_escape, encodings.utf_8, zlib)
"""Modules that are otherwise imported on first use, when nothing can be opened any more."""


def main() -> None:
    """Orders' arguments: the file's name, "tensors" or "plain", and the folder where jinja2 lies ("" where there is none)."""
    gc.disable()  # one short life: looking for cycles among a million values would take most of it
    given = orders()
    name, tensors, jinja2 = given.arguments
    window = Window(given.fd)
    prepare(window, name, jinja2)
    json.loads(json.dumps({"warm": [1.5, "ü"]}))
    finish = watch(given.seconds, OutOfTime)
    layers = lock(cpu_seconds=given.seconds, memory_bytes=given.memory_bytes)
    report = scan(window, name=name)
    finish()
    report.sandbox = layers
    say(report.to_json(tensors=tensors == "tensors"))
