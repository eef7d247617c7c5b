"""Builds files that are neither clean nor dangerous: real checkpoints that need a class of a package that nobody has reviewed."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import torch

from tests.tiny import once, state_dict

NAME = "acme_networks.blocks.Unknown"


@once
def suspicious_checkpoint(path: Path, *names: str, seed: int = 0) -> Path:
    """A .ckpt with a small SD state dict, and beside it an instance of each class of `names` (default: `NAME`)."""
    extras = [_instance(name) for name in names or (NAME,)]
    modules = _modules(type(extra) for extra in extras)
    sys.modules.update(modules)
    try:
        torch.save({"state_dict": state_dict(seed=seed), "extras": extras}, path)
    finally:
        for name in modules:
            del sys.modules[name]
    return path


def _instance(dotted: str) -> object:
    module, _, name = dotted.rpartition(".")
    return type(name, (), {"__module__": module, "__qualname__": name})()


def _modules(classes: object) -> dict[str, types.ModuleType]:
    """Modules that hold these classes, so that pickling by name finds them."""
    found: dict[str, types.ModuleType] = {}
    for made in classes:  # type: ignore[attr-defined]
        parts = made.__module__.split(".")
        for depth in range(1, len(parts) + 1):
            found.setdefault(".".join(parts[:depth]), types.ModuleType(".".join(parts[:depth])))
        setattr(found[made.__module__], made.__name__, made)
    return found
