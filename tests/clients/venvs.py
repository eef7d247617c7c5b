"""Virtual environments of the client programs that tests run: one for each file in `requirements/`, made by uv when first asked for.
They lie in `.venv/clients`, which git ignores; nothing of them enters the project's own environment.

A file pins everything that is installed (`uv pip freeze`), because nothing else is: what a program names and does not need
for what is tested, such as a web interface, may be left out. A first line `# python 3.12` asks for that version or a newer one.
"""

from __future__ import annotations

import fcntl
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hub.services import bootstrap

LISTINGS = Path(__file__).parent / "requirements"
FOLDER = bootstrap.VENV / "clients"
SECONDS = 240
NOT_TO_BE_HAD = re.compile(r"Request failed|Failed to fetch|error sending request|dns error|not found in the package registry|offline")
"""What uv says where no index can be reached, or where the index that is reached does not hold the package."""
_refused: dict[str, str] = {}


def client_python(name: str) -> Path:
    """The interpreter of `requirements/<name>.txt`'s environment, which is made unless it is there.

    Skips the calling test, with the reason, where the packages or a fitting Python cannot be had.
    """
    listing = LISTINGS / f"{name}.txt"
    if name in _refused:
        pytest.skip(_refused[name])
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two processes of one run may want it at once
        try:
            return _environment(name, listing)
        except _NotToBeHad as reason:
            _refused[name] = f"{name} cannot be installed here: {reason}"
            pytest.skip(_refused[name])


def client_program(name: str, program: str) -> Path:
    """A console script of that environment."""
    return client_python(name).parent / program


class _NotToBeHad(Exception):
    """Nothing that a change of the project could mend."""


def _environment(name: str, listing: Path) -> Path:
    base = _interpreter(listing)
    text = f"{base} {listing.read_text()}"
    folder = FOLDER / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    python, done = folder / "bin" / "python", folder / "complete"
    if done.exists():
        return python
    for older in FOLDER.glob(f"{name}-{'[0-9a-f]' * 12}"):
        shutil.rmtree(older)
    tools = bootstrap.tool_environment()
    if not bootstrap.has_uv(tools):
        raise _NotToBeHad("uv, which makes the environment, could not be installed")
    _uv("venv", "--no-python-downloads", "--python", base, str(folder), tools=tools)
    _uv("pip", "install", "--no-deps", "--python", str(python), "-r", str(listing), tools=tools)
    done.touch()
    return python


def _uv(*arguments: str, tools: dict[str, str]) -> None:
    command = [bootstrap.VENV / "bin" / "uv", *arguments, "-q"]
    try:
        done = subprocess.run(command, env=tools, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise _NotToBeHad(f"uv did not end within {SECONDS} s") from None
    if done.returncode and NOT_TO_BE_HAD.search(done.stderr):
        raise _NotToBeHad(" ".join(done.stderr.split())[:300])
    assert done.returncode == 0, done.stderr


def _interpreter(listing: Path) -> str:
    """Path of a Python that the listing allows: the one that runs the tests, else a newer one from the path or from pyenv."""
    wanted = re.match(r"# python (\d+)\.(\d+)", listing.read_text())
    if wanted is None or sys.version_info[:2] >= (least := (int(wanted[1]), int(wanted[2]))):
        return getattr(sys, "_base_executable", None) or sys.executable
    pyenv = os.environ.get("PYENV_ROOT") or str(Path("~/.pyenv").expanduser())
    names = [f"3.{minor}" for minor in range(least[1], 15)]
    for path in [f"python{name}" for name in names] + [
        path for name in names for path in glob.glob(f"{pyenv}/versions/{name}*/bin/python")
    ]:
        found = shutil.which(path)
        if (
            found and subprocess.run([found, "-c", "import venv"], capture_output=True, check=False).returncode == 0
        ):  # a shim may lead nowhere
            return found
    raise _NotToBeHad(f"it needs Python {wanted[1]}.{wanted[2]} or newer, and none was found")
