"""Merges in a locked child process, for callers that have files or stored objects. It parses nothing of them: that is the child's."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from inference.weights import libtorch
from inference.weights.locked import Made, Progress, work_locked
from inference.weights.merging.plan import TORCH_PAYS
from inference.weights.merging.recipe import MergeRecipe, Origin
from registry.formats.errors import FormatError
from registry.formats.reader import Reader

MERGE = "inference.weights.merging.inside:main"


def merge_locked(
    sources: Mapping[str, str | os.PathLike[str] | Reader],
    recipe: MergeRecipe,
    target: Path,
    *,
    origins: Mapping[str, Origin] | None = None,
    small_bytes: int | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Made:
    """Merge `sources` (role -> path or `Reader`; see `MergeRecipe.roles`) into `target`; what was made, with `MergeOutcome.to_json()`.

    The child reads the headers itself. `origins`: what is known of the sources, for the metadata. `small_bytes`: those of the result that
    are of 16 bits, where known (`plan.small_bytes`): a large job opens torch's library first; where unknown, A's size stands for it.
    Raises FormatError where files or recipe are at fault, and otherwise as `inference.weights.locked.work_locked`; then nothing is at
    `target`, nor was for a moment. `cancelled` is asked ten times a second; `progress` and it may end the work by raising.
    """
    known = origins or {}
    orders = {
        "recipe": recipe.to_json(),
        "roles": list(sources),
        "origins": [asdict(known.get(role, Origin())) for role in sources],
    }
    given = list(sources.values())
    large = (_size(given[0]) if small_bytes is None and given else small_bytes or 0) >= TORCH_PAYS
    torch = large and recipe.method in ("weighted_sum", "add_difference") and libtorch.installed()
    (made,) = work_locked(MERGE, given, [target], orders, progress=progress, cancelled=cancelled, torch=torch)
    if isinstance(made, FormatError):
        raise made
    return made


def _size(source: str | os.PathLike[str] | Reader) -> int:
    return os.stat(source).st_size if isinstance(source, str | os.PathLike) else source.size
