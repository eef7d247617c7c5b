"""The scanners that are compared: their pinned versions, what their words mean, and an environment of its own for each peer.

A peer is only ever asked about files; it is never installed into the project's environment and never anything that brings torch or CUDA.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.ground import ROOT

CACHE = ROOT / "var" / "bench" / "scanners"
"""Where the peers' environments lie; deleting it only makes the next run install them again."""

HEAVY = ("torch", "nvidia", "triton", "cuda", "tensorflow", "jax")


class Unavailable(Exception):
    """A scanner that could not be installed or started; the message says why."""


@dataclass(frozen=True)
class Tool:
    """One scanner. Words that are neither `unsafe` nor `silent` are "not clean": it did not say yes, and did not say no.

    `silent` are the words under which its command exits with 0. `pins` are exact requirements, empty for ours.
    """

    title: str
    version: str
    unsafe: frozenset[str]
    silent: frozenset[str]
    pins: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return f"{self.title} {self.version}".strip()


def words(text: str) -> frozenset[str]:
    return frozenset(text.split(", "))


NUMPY = "numpy==2.4.6"
PEERS = (
    Tool(
        "picklescan", "1.0.5", words("dangerous"), words("innocuous, suspicious, nothing scanned"), ("picklescan==1.0.5", NUMPY)
    ),  # it asks for no numpy, and cannot read .npy without
    Tool(
        "modelscan",
        "0.8.8",
        words("CRITICAL, HIGH"),
        words("clean"),
        ("modelscan==0.8.8", NUMPY, "click==8.5.1", "rich==14.3.4", "tomlkit==0.13.3"),
    ),
    Tool(
        "fickling",
        "0.1.12",
        words("LIKELY_UNSAFE, LIKELY_OVERTLY_MALICIOUS, OVERTLY_MALICIOUS"),
        words("LIKELY_SAFE, nothing scanned"),
        ("fickling==0.1.12", "typing_extensions==4.16.0"),
    ),
    Tool("modelaudit-picklescan", "0.1.12", words("malicious, suspicious"), words("clean"), ("modelaudit-picklescan==0.1.12",)),
)
OURS = tuple(Tool(title, "", words("danger"), words("success")) for title in ("ours", "ours sandboxed"))


def environment(tool: Tool) -> Path:
    """The folder of the peer's environment, made on first use; raises `Unavailable` where it cannot be made."""
    folder = CACHE / f"{tool.title}-{tool.version}"
    done = folder / "complete"
    if done.exists() and done.read_text() == " ".join(tool.pins):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True, timeout=120, capture_output=True)
        _refuse_heavy(tool, _pip(folder, "--dry-run", "--report", "-", *tool.pins))
        _pip(folder, *tool.pins)
    except (subprocess.SubprocessError, OSError) as error:
        said = getattr(error, "stderr", None) or b""
        raise Unavailable(f"it could not be installed: {error} {said.decode(errors='replace')[-300:]}".strip()) from error
    done.write_text(" ".join(tool.pins))
    return folder


def _pip(folder: Path, *arguments: str) -> bytes:
    command = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--only-binary", ":all:", *arguments]
    return subprocess.run(command, check=True, timeout=300, capture_output=True).stdout


def _refuse_heavy(tool: Tool, report: bytes) -> None:
    names = [row["metadata"]["name"].lower() for row in json.loads(report)["install"]]
    if heavy := [name for name in names if name.startswith(HEAVY)]:
        raise Unavailable(f"it would bring {', '.join(heavy)}")


def python_of(tool: Tool) -> list[str]:
    """The interpreter to run `bench.scan_driver` with, and its flags: nothing of the user's or the folder's is importable."""
    if tool in OURS:
        return [sys.executable, "-I", "-B"]  # with site-packages: chat templates need jinja2, and the child is told where it lies
    return [str(environment(tool) / "bin" / "python"), "-I", "-B"]
