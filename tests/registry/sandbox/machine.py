"""Which machines the locks are written for. No tests of its own."""

from __future__ import annotations

import platform

import pytest

on_linux = pytest.mark.skipif(
    platform.system() != "Linux" or platform.machine() not in ("x86_64", "aarch64"),
    reason="the system-call filter is written for Linux on x86_64 and aarch64",
)
