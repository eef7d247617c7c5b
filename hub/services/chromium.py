"""The browser of the tests: found, or installed from Debian where we may.
The hub itself needs no browser."""

from __future__ import annotations

import os
import shutil
import subprocess

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
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        say("Chromium was not found; the browser tests are skipped. As root: apt-get install chromium fonts-liberation")
        return None
    say("Installing Chromium for the browser tests")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-q"], ["apt-get", "install", "-qy", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    found = find()
    say(
        "Chromium installed"
        if found
        else f"Chromium could not be installed; the browser tests are skipped. apt-get said: {done.stderr.strip()[-500:]}"
    )
    return found
