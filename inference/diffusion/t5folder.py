"""Where the hub's admin keeps the T5 text encoder: its folder, and what is said where there is none. Free of torch; it loads nothing.

SD 3 and Flux read prompts with T5 v1.1 XXL. Its vocabulary is in no checkpoint and in no package, so it must be given once for the hub.
"""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "WEIGH_T5_DIR"
TOKENIZER = "tokenizer.json"
NEEDS_T5 = f"This model needs T5: set {VARIABLE} to a folder with the T5 v1.1 XXL encoder and its tokenizer ({TOKENIZER})."


def t5_folder() -> Path | None:
    """The folder that the environment names; None where it names none. Whether anything lies there is found out when it is read."""
    told = os.environ.get(VARIABLE, "")
    return Path(told) if told else None


def size_bytes(folder: Path | None) -> int:
    """Bytes of the weights in a folder; 0 for none."""
    try:
        return sum(path.stat().st_size for path in folder.glob("*.safetensors")) if folder else 0
    except OSError:
        return 0


def for_child(folder: Path | None) -> tuple[tuple[str, ...], dict[str, str]]:
    """What a render child must be allowed to read beside the libraries, and be told in its environment, to find T5."""
    if folder is None:
        return (), {}
    told = str(folder.resolve())
    return (told,), {VARIABLE: told}
