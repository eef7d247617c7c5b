"""How a version is used, as Markdown with lines to copy: fetching with `hf`, loading with diffusers. Client tests make the same calls."""

from __future__ import annotations

import re
import shlex

from hub.api.huggingface.markdowntext import fenced
from hub.snippets import Usage, literal, python_lines

__all__ = ["Usage", "lines"]
PATTERN = re.compile(r"([*?\[])")
"""Signs that mean something to `fnmatch`, by which clients compare paths."""


def lines(use: Usage) -> str:
    """The whole section in Markdown, without its heading."""
    parts = [_fetching(use)]
    python = python_lines(use)
    if python:
        parts += ["With diffusers, which asks this hub as long as `HF_ENDPOINT` names it:", fenced(python, "python")]
    return "\n\n".join(parts)


def _fetching(use: Usage) -> str:
    path, revision = shlex.quote(use.path or "FILE"), shlex.quote(use.revision)
    shell = [f"export HF_ENDPOINT={shlex.quote(use.endpoint)}", f"hf download {use.repo} {path} --revision {revision}"]
    wanted = [PATTERN.sub(r"[\1]", use.path) if use.path else "FILE", *(["*.json", "*.txt"] if use.pipeline else [])]
    snapshot = [
        "from huggingface_hub import snapshot_download",
        "",
        f"folder = snapshot_download({literal(use.repo)}, revision={literal(use.revision)}, allow_patterns={literal(wanted)})",
    ]
    many = "The repository holds every variant. Name what you want, or all of them are fetched:"
    return "\n\n".join([fenced(shell, "sh"), many, fenced(snapshot, "python")])
