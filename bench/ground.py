"""Gives a bench its ground: throw-away stores with a migrated database, or the ones that the environment names. Measures nothing."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def stand(module: str) -> None:
    """Return with Django set up over a migrated database; starts throw-away stores and runs `module` again inside them if need be.

    `module` is the bench's own name, as in `python -m bench.intake`.
    """
    if "DATABASE_URL" in os.environ:
        import django

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
        django.setup()
        return
    from hub.services.testrun import stores

    with stores() as services:
        services.start()
        services.finish()
        environment = {**os.environ, **services.environment()}
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=environment, check=True)
        status = subprocess.run([sys.executable, "-m", module, *sys.argv[1:]], cwd=ROOT, env=environment).returncode
    sys.exit(status)


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie; nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def report(name: str, ours: Sequence[float], baseline: Sequence[float], baseline_name: str, unit: str = "s") -> None:
    """Print medians of both and the ratio of medians, last."""
    mine, theirs = statistics.median(ours), statistics.median(baseline)
    print(f"{name}: {mine:.3f} {unit} (min {min(ours):.3f}, max {max(ours):.3f}, n={len(ours)})")
    print(f"{baseline_name}: {theirs:.3f} {unit} (min {min(baseline):.3f}, max {max(baseline):.3f}, n={len(baseline)})")
    print(f"ratio {name} / {baseline_name}: {mine / theirs:.2f}x")
