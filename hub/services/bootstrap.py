"""Run as a program before anything is installed: makes `.venv`, installs the pinned requirements, builds the front end.
Standard library only. Each step is skipped when a stamp says that its inputs have not changed."""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from hub.services import frontend
from hub.services.console import Refusal, complain, say
from hub.services.folders import ROOT
from hub.services.options import up_options
from hub.services.parent import die_with, die_with_parent

VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
UV = "uv==0.13.9"
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
WEB, FULL, TESTS = "requirements-web.txt", "requirements.txt", "requirements-dev.txt"
EMBEDDED = "requirements-embedded.txt"
CLIP = "requirements-clip.txt"  # what rendering reads of a wheel that would pull in a second torch's worth of packages


def run(command: list[str | Path], what: str, env: dict[str, str] | None = None) -> None:
    """Run one step in the checkout. Raises Refusal with the end of its output when it fails."""
    us, arguments = os.getpid(), [str(part) for part in command]
    options: dict[str, Any] = {"cwd": ROOT, "env": env, "stdin": subprocess.DEVNULL, "preexec_fn": lambda: die_with(us)}
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        output = (done.stdout + done.stderr).strip()
        raise Refusal(f"{what} failed (status {done.returncode}):\n{output[-3000:]}")


def tool_environment() -> dict[str, str]:
    """The caller's environment for pip, uv and npm: caches inside `.venv` when the home folder cannot be written."""
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "UV_NO_PROGRESS": "1"}
    if os.environ.get("PIP_FIND_LINKS"):
        environment.setdefault("UV_FIND_LINKS", os.environ["PIP_FIND_LINKS"])
    if SYSTEM_CERTIFICATES.exists():  # a site's own certificate authority is known there, and to neither uv nor npm
        environment.setdefault("SSL_CERT_FILE", str(SYSTEM_CERTIFICATES))
        environment.setdefault("NODE_EXTRA_CA_CERTS", str(SYSTEM_CERTIFICATES))
    if not os.access(Path("~").expanduser(), os.W_OK):
        caches = VENV / "cache"
        caches.mkdir(exist_ok=True)
        environment["HOME"] = str(caches)
        for tool in ("PIP_CACHE_DIR", "UV_CACHE_DIR", "npm_config_cache"):
            environment.setdefault(tool, str(caches / tool.lower()))
    return environment


def make_venv() -> None:
    """Make `.venv` from the interpreter that runs this, unless it works already."""
    if PYTHON.exists() and subprocess.run([PYTHON, "-c", "import pip"], capture_output=True, check=False).returncode == 0:
        return
    try:
        import ensurepip  # noqa: F401 (Debian ships it apart)
    except ImportError:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise Refusal(f"This Python {version} cannot make virtual environments. On Debian: apt-get install python{version}-venv") from None
    base = getattr(sys, "_base_executable", None) or sys.executable
    run([base, "-m", "venv", "--clear", VENV], "Making the virtual environment")
    say(f"Virtual environment made (Python {platform.python_version()})")


def stamp_of(listings: tuple[str, ...]) -> str:
    """Digest of everything that decides what an installation of some requirements files brings."""
    digest = hashlib.sha256(f"{platform.python_version()} {os.environ.get('WEIGH_TORCH_INDEX', '')}".encode())
    clip = (CLIP,) if listings[0] in (FULL, TESTS) else ()
    for path in [ROOT / "constraints.txt", *(path for listing in (*listings, *clip) for path in closure(ROOT / listing))]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def closure(listing: Path) -> list[Path]:
    """A requirements file and those it includes with `-r`."""
    included = re.findall(r"^-r\s+(\S+)", listing.read_text(), re.MULTILINE)
    return [listing, *(path for name in included for path in closure(listing.parent / name))]


def has_uv(environment: dict[str, str]) -> bool:
    """Whether uv is in the venv, put there by pip if need be; False where it cannot be had."""
    if not (VENV / "bin" / "uv").exists():
        subprocess.run([PYTHON, "-m", "pip", "install", "-q", UV], cwd=ROOT, env=environment, capture_output=True, check=False)
    return (VENV / "bin" / "uv").exists()


def fetch(arguments: list[str | Path], environment: dict[str, str]) -> None:
    """Install with uv, else with pip, which is slower but reads a pip.conf that uv does not know. Raises Refusal when both fail."""
    what = "Installing the Python packages"
    if has_uv(environment):
        try:
            return run([VENV / "bin" / "uv", "pip", "install", "-q", "--python", PYTHON, *arguments], what, environment)
        except Refusal as refusal:
            first = str(refusal).splitlines()
            say(f"uv could not install the packages ({first[min(1, len(first) - 1)]}); trying pip, which takes longer")
    return run([PYTHON, "-m", "pip", "install", "-q", *arguments], what, environment)


def install(*listings: str) -> None:
    """Install requirements files unless their stamp is fresh. Raises Refusal when a package cannot be had."""
    stamp = VENV / f"{listings[0]}.stamp"
    wanted = stamp_of(listings)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    say(f"Installing Python packages ({', '.join(listings)})")
    environment = tool_environment()
    index = os.environ.get("WEIGH_TORCH_INDEX")
    if index and listings[0] in (FULL, TESTS):
        torch = re.findall(r"^torch==\S+", (ROOT / FULL).read_text(), re.MULTILINE)
        fetch(["--no-deps", "--index-url", index, *torch], environment)
    fetch([part for listing in listings for part in ("-r", ROOT / listing)], environment)
    if listings[0] in (FULL, TESTS):
        fetch(["--no-deps", "-r", ROOT / CLIP], environment)
    stamp.write_text(wanted)
    say("Python packages installed")


def bootstrap(command: str, arguments: list[str]) -> None:
    """Everything that `up` or `test` needs installed. Raises Refusal."""
    if not os.access(ROOT, os.W_OK):
        raise Refusal(f"This user cannot write to {ROOT}, where packages are installed; make a checkout of your own.")
    handle = os.open(ROOT, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)  # two commands in one checkout install one after the other
    make_venv()
    if command == "test":
        install(TESTS)
    else:
        install(FULL if up_options(arguments).render else WEB, EMBEDDED)
    frontend.build(tool_environment(), install, run)
    os.close(handle)


def main() -> int:
    """`bootstrap up|test [options of up]`; ends with the shell script that runs it."""
    die_with_parent()
    try:
        bootstrap(sys.argv[1], sys.argv[2:])
    except Refusal as refusal:
        complain(str(refusal))
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
