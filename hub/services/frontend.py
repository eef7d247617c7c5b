"""Building the site's JavaScript and CSS with npm and Vite, when their sources changed.
Standard library only; the output (`static/dist/`) and `node_modules/` are ignored by git."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from hub.services.console import say
from hub.services.folders import ROOT

NODE = "requirements-node.txt"
OLDEST_NODE = 20
DIST = ROOT / "static" / "dist"
# Tailwind reads class names out of templates and Python, so those are sources too.
SOURCES = ("package.json", "package-lock.json", "vite.config.js", "frontend", "templates", "hub/templatetags", "hub/web")
SUFFIXES = (".js", ".mjs", ".ts", ".css", ".json", ".html", ".svg", ".py")


def digest(paths: list[Path]) -> str:
    """SHA-256 over names and contents of files."""
    found = hashlib.sha256()
    for path in sorted(paths):
        found.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()


def sources() -> list[Path]:
    """Every file that the build reads."""
    found: list[Path] = []
    for name in SOURCES:
        path = ROOT / name
        if path.is_file():
            found.append(path)
        elif path.is_dir():
            found += [file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file()]
    return found


def node_folder() -> Path | None:
    """Folder of a Node that is new enough and has npm; None when the machine has none."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return None
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    major = version.removeprefix("v").split(".")[0]
    return Path(node).parent if major.isdigit() and int(major) >= OLDEST_NODE else None


def build(environment: dict[str, str], install: Callable[[str], None], run: Callable[..., None]) -> None:
    """Run `npm ci` (when the lock file changed) and `npm run build` (when a source changed).

    `install` brings a requirements file into `.venv`, `run` a command to its end; both raise Refusal."""
    if not (ROOT / "package.json").exists():
        return
    wanted, stamp = digest(sources()), DIST / ".stamp"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    path = environment.get("PATH", "/usr/bin:/bin")
    if node_folder() is None:
        install(NODE)
        path = f"{ROOT / '.venv' / 'bin'}:{path}"
    environment = {**environment, "PATH": path}
    lock, installed = digest([ROOT / "package-lock.json"]), ROOT / "node_modules" / ".weigh-stamp"
    if not installed.exists() or installed.read_text() != lock:
        run(["npm", "ci", "--include=dev", "--no-audit", "--no-fund"], "Installing the front end's packages (npm ci)", environment)
        installed.write_text(lock)
    run(["npm", "run", "build"], "Building the front end", environment)
    DIST.mkdir(parents=True, exist_ok=True)
    stamp.write_text(wanted)
    say("Front end built")
