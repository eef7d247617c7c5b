"""Where a version's files lie in its repository, and in which order programs see them. For the Hugging Face protocol and for pages.

Order matters: loaders that are given no file name take the first safetensors file that a repository lists.
"""

from __future__ import annotations

from collections.abc import Iterable

from hub.verdicts.sentences import PICKLES
from registry.models import File, Role
from registry.names import stem_of

PARTS = {"weights": "pruned", "ema": "ema"}
"""What a variant keeps -> the word before the precision in its name."""
KEPT_ORDER = {"all": 1, "weights": 2, "ema": 3}


def ordered(files: Iterable[File]) -> list[File]:
    """The primary file first, pickles last: safetensors, then pruned, then half precision, then what its creator uploaded.

    The same choice as a download without wishes through the hub's other protocol.
    """
    return sorted(files, key=_rank)


def _rank(file: File) -> tuple[int, bool, bool, int, int, int]:
    keep, blob = file.recipe.get("keep", "all"), file.blob
    container = blob.container if blob else ""
    precision = blob.detected.get("precision") if blob else None
    kind = 0 if container == "safetensors" else 2 if container in PICKLES else 1
    half = {"fp16": 0, "fp32": 2, "bf16": 2, "fp8": 2}.get(precision or "", 1)
    uploaded = 0 if file.role == Role.UPLOADED else KEPT_ORDER.get(keep, 4)
    return kind, bool(file.recipe.get("overflow")), keep == "all", half, uploaded, file.pk


def assign(files: Iterable[File]) -> dict[int, str]:
    """File id -> its path, no two alike.

    Uploads keep their place and name; variants are named as loaders' `variant=` expects: `x.fp16.safetensors`.
    """
    files = list(files)
    taken: set[str] = set()
    found: dict[int, str] = {}
    for file in sorted(files, key=lambda file: (file.role != Role.UPLOADED, file.pk)):
        candidates = (_wished(file), file.name, f"{stem_of(file.name)}-{file.pk}.{file.name.rpartition('.')[2]}")
        found[file.pk] = next(path for path in candidates if path not in taken)
        taken.add(found[file.pk])
    return found


def _wished(file: File) -> str:
    if file.path or file.role == Role.UPLOADED or file.source is None:
        return file.path or file.name
    keep, precision = file.recipe.get("keep", "all"), file.recipe.get("precision", "keep")
    words = [PARTS[keep]] if keep in PARTS else []
    words += [precision] if precision != "keep" else []
    stem = stem_of(file.source.path or file.source.name)
    return ".".join([stem, *words, "safetensors"])
