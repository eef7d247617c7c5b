"""Hostile files, one small builder a trick, made as bytes when a test asks; nothing is stored, loaded or run.

Each builder states with `@attack` what the scanner must answer. Other tests may call any of them, `os_system_checkpoint()` above all.
"""

from __future__ import annotations

from tests.attacks.catalogue import ATTACKS, Attack
from tests.attacks.imports import os_system_checkpoint

from tests.attacks import arrays, bundles, calls, disguises, doubles, floods, gadgets, geometry, ggufs  # isort: skip
from tests.attacks import headers, imports, legacies, oddities, onnxes, second_wave, states, streams, tars, zips  # isort: skip

__all__ = [
    "ATTACKS",
    "Attack",
    "arrays",
    "bundles",
    "calls",
    "disguises",
    "doubles",
    "floods",
    "gadgets",
    "geometry",
    "ggufs",
    "headers",
    "imports",
    "legacies",
    "oddities",
    "onnxes",
    "os_system_checkpoint",
    "second_wave",
    "states",
    "streams",
    "tars",
    "zips",
]
