"""Where the hub's admin keeps compiled UNets, if at all. Free of torch; what lies there is `compiled`'s, who makes it `compiling`."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "WEIGH_RENDER_COMPILE"


def folder() -> Path | None:
    """The folder that the environment names; None where it names none."""
    told = os.environ.get(VARIABLE, "")
    return Path(told) if told else None


def for_child(path: Path | None) -> tuple[tuple[str, ...], dict[str, str]]:
    """What a render child must be allowed to read beside the libraries, and be told in its environment. It may never write there."""
    if path is None:
        return (), {}
    told = str(path.resolve())
    return (told,), {VARIABLE: told}
