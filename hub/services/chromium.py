"""The browser of the tests: found, or installed from Debian where we may.
The hub itself needs no browser."""

from __future__ import annotations

import os
import shutil

from hub.services import debian
from hub.services.console import say

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGES = ("chromium", "fonts-liberation")


def find() -> str | None:
    """Path of a Chromium: the variable CHROMIUM, else the first known name on the path."""
    given = os.environ.get("CHROMIUM")
    if given:
        return shutil.which(given)
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def provide() -> str | None:
    """Find Chromium, or install it as root with apt; None, with a sentence, when it cannot be had (its tests are then skipped)."""
    found = find()
    if found:
        return found
    trouble = debian.install("Chromium", PACKAGES)
    found = find()
    say("Chromium installed" if found else f"{trouble or 'Chromium was not found'}; the browser tests are skipped")
    return found
