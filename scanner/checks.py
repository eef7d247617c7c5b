"""Says where hostile files would be read without the system-call filter: such a machine must not scan in production.

It starts a locked child to see, so it runs when a worker starts and in `check --deploy`, not with every command.
"""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.core.checks import Error, Tags, register

from registry.sandbox import canary

ALLOW = "WEIGH_ALLOW_WEAK_SANDBOX"


@register(Tags.security, deploy=True)
def sandbox_holds(**_: Any) -> list[Error]:
    """`scanner.E001` where debugging is off, seccomp is missing, and nobody said that this is wanted."""
    sentence = weakness()
    return [Error(sentence, hint=f"Or set {ALLOW}=1 to scan without it.", id="scanner.E001")] if sentence else []


def weakness() -> str:
    """Why this machine must not scan, or ""."""
    if settings.DEBUG or os.environ.get(ALLOW) == "1":
        return ""
    layers = canary.probe().get("sandbox", [])
    if "seccomp" in layers:
        return ""
    has = ", ".join(layers) or "nothing"
    return f"The scanner cannot lock itself in here: it needs seccomp and gets {has}. Use Linux on x86_64 or aarch64 that allows it."


def refuse_to_work(**_: Any) -> None:
    """For a worker that starts: end it with the reason, before it takes a file."""
    if sentence := weakness():
        raise SystemExit(f"{sentence} Or set {ALLOW}=1 to scan without it.")
