"""Programs that only tests need: found on the path, or installed from Debian where we may.
The hub itself needs none of them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable

from hub.services.console import say

STEPS = (["apt-get", "update", "-q"], ["apt-get", "install", "-qy", "--no-install-recommends"])
DOWNLOADERS = ("curl", "wget", "aria2c")
PACKAGE_OF = {"aria2c": "aria2"}


def install(what: str, packages: Iterable[str]) -> str:
    """Install Debian packages as root; "", or why not, with what apt said last and what a person can do."""
    names = list(packages)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return f"{what} was not found. As root: apt-get install {' '.join(names)}"
    say(f"Installing {what} for the tests")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (STEPS[0], [*STEPS[1], *names]):
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return f"{what} could not be installed. apt-get said: {done.stderr.strip()[-500:]}" if done.returncode else ""


def provide_downloaders() -> None:
    """Programs that people fetch models with. Tests of those that cannot be had are skipped, with a sentence here."""
    missing = [name for name in DOWNLOADERS if shutil.which(name) is None]
    if missing and (trouble := install(", ".join(missing), [PACKAGE_OF.get(name, name) for name in missing])):
        say(f"{trouble}; its tests are skipped")
