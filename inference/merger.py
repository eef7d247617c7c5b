"""Between rows of the hub and the merging library: recipes, plans and the run itself, with progress in the row. No rule of its own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from inference import mergewords
from inference.mergeinputs import Input
from inference.models import Merge
from inference.weights.locked import Made
from inference.weights.merging.locked import merge_locked
from inference.weights.merging.plan import MergePlan, plan_merge
from inference.weights.merging.recipe import MergeRecipe, Origin
from registry import storage
from registry.lifecycle import LostRace
from registry.timeline import PROGRESS_EVERY


def recipe_of(fields: Mapping[str, Any]) -> MergeRecipe:
    """A recipe of what a person asked for. Raises FormatError `merge:recipe`, `merge:discard`."""
    return MergeRecipe.from_json(dict(fields))


def plan(recipe: MergeRecipe, inputs: list[Input]) -> MergePlan:
    """What will be made, from what is stored of the inputs. Raises FormatError for inputs that do not go together, as the merge would."""
    return plan_merge({one.role: one.directory for one in inputs}, recipe)


def run(merge: Merge, inputs: list[Input], target: Path) -> Made:
    """Merge into the new file `target`, in a process that can do nothing else.

    Raises FormatError, `Unfinished` for trouble of ours, and `LostRace` as soon as the row is not this worker's any more.
    """
    recipe, watch = MergeRecipe.from_json(merge.recipe), Watch(merge)
    with ExitStack() as stack:
        return merge_locked(
            {one.role: stack.enter_context(storage.reader(one.blob)) for one in inputs},
            recipe,
            target,
            origins={one.role: origin(one) for one in inputs},
            small_bytes=plan(recipe, inputs).small_bytes,
            progress=watch.progress,
            cancelled=watch.cancelled,
        )


def origin(given: Input) -> Origin:
    """What the result says of an input in its metadata. Names of what is not public stay out of it, and hashes that would find it."""
    file = given.file
    if not mergewords.public(file.version):
        return Origin(sha256=mergewords.digest_for_all(file))
    name = f"{file.version.entry.name} {file.version.name}"
    return Origin(sha256=file.sha256, name=name, autov1=given.blob.hash_values().get("AutoV1", "").lower())


class Watch:
    """Writes the progress of a claimed merge to its row, a second apart at least, and learns there when it is not ours any more."""

    def __init__(self, merge: Merge) -> None:
        self.mine = Merge.objects.filter(pk=merge.pk, state=merge.state, turn=merge.turn)
        self._told = self._asked = 0.0

    def progress(self, done_bytes: int, total_bytes: int) -> None:
        """Raises `LostRace` when the merge was cancelled, or its lease given to somebody else."""
        now = time.monotonic()
        if now - self._told >= PROGRESS_EVERY:
            self._told = self._asked = now
            if not self.mine.update(done_bytes=done_bytes, total_bytes=total_bytes):
                raise LostRace("this merge was cancelled or taken from us")

    def cancelled(self) -> bool:
        """The same question without news, for a library that asks while it waits."""
        now = time.monotonic()
        if now - self._asked >= PROGRESS_EVERY:
            self._asked = now
            if not self.mine.exists():
                raise LostRace("this merge was cancelled or taken from us")
        return False
