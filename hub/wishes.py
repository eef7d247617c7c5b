"""What somebody wants a file for: GPU memory, purpose, format, precision; and what that means for one file. Plain values, no queries.

Which file of several is recommended is `hub.web.filelist`'s rule; members keep their wish with their account, visitors in a cookie.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from registry.models import File

MEMORY_GB = (4, 6, 8, 10, 12, 16, 24, 32)
PURPOSES = ("pictures", "train")
FORMS = ("safetensors", "ckpt")
PRECISIONS = ("fp16", "bf16", "fp32")
COOKIE = "files"
PART_OF_CARD = 7 / 8
"""Share of a GPU's memory that weights may take, so that room is left to compute in. Calibrated by what is published: SDXL, 6.9 GB of
weights in half precision, is said to run on 8 GB (Stability AI's release, A1111's wiki), SD 1.5 with 2.1 GB on 4 GB (A1111's readme)."""
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Wish:
    """Zero and "" stand for what nobody said. `memory_gb` is of one GPU, as its maker counts (GiB)."""

    memory_gb: int = 0
    purpose: str = ""
    form: str = ""
    precision: str = ""

    @property
    def said(self) -> bool:
        return self != NO_WISH

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def to_text(self) -> str:
        """As a cookie keeps it: "8.pictures..fp16"."""
        return ".".join(str(part or "") for part in asdict(self).values())


NO_WISH = Wish()


def read(told: Mapping[str, Any]) -> Wish:
    """A wish out of a form or a database; whatever is not offered counts as not said."""
    memory = str(told.get("memory_gb") or "")
    return Wish(
        memory_gb=int(memory) if memory in map(str, MEMORY_GB) else 0,
        purpose=_one_of(PURPOSES, told.get("purpose")),
        form=_one_of(FORMS, told.get("form")),
        precision=_one_of(PRECISIONS, told.get("precision")),
    )


def read_text(text: str) -> Wish:
    """`Wish.to_text`'s; anything else is no wish."""
    parts = text.split(".")
    return read(dict(zip(("memory_gb", "purpose", "form", "precision"), parts, strict=True))) if len(parts) == 4 else NO_WISH


def _one_of(choices: tuple[str, ...], value: Any) -> str:
    return value if isinstance(value, str) and value in choices else ""


def memory_bytes(file: File) -> int:
    """GPU memory that the weights of a checkpoint take, in bytes; 0 where it is not known, and for what loads beside a checkpoint.

    Computed: programs load weights in half precision, two bytes a number, whatever precision the file has, and without averages (EMA);
    what is stored in less (fp8, GGUF) stays as it is stored. Pictures need room beside that.
    """
    detected = file.blob.detected if file.blob else {}
    numbers = detected.get("parameters")
    if detected.get("kind") not in {"checkpoint", "unet"} or type(numbers) is not int or numbers <= 0:
        return 0
    return min(2 * numbers, file.size_bytes)


def fits(file: File, wish: Wish) -> bool:
    """Whether the weights leave room on the GPU; True where nobody can tell."""
    return not wish.memory_gb or memory_bytes(file) <= PART_OF_CARD * wish.memory_gb * GIB
