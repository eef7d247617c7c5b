"""Merges on request: wanted by a person, made by a worker, kept as lineage. The arithmetic is `inference.weights.merging`'s.

Inputs and permissions are asked twice, when a merge is wanted and when a worker begins it. The result is a file like any upload:
queued, scanned and ready by its own bytes, in a draft version that is made together with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet

from inference import mergeinputs, merger, mergewords, terms
from inference.mergeinputs import Input
from inference.models import Merge, MergeInput
from inference.weights.merging.plan import MergePlan
from inference.weights.merging.recipe import MergeRecipe
from registry import catalog, lifecycle, storage, timeline, uploads
from registry.intake import record_blob
from registry.lifecycle import FileState, MergeState
from registry.models import Blob, Entry, File, Kind, User, Visibility
from registry.names import clean_file_name
from registry.refusals import Refusal

OPEN = (MergeState.WANTED, MergeState.MERGING)
OPEN_AT_ONCE = 3
"""Merges of one person that wait or run; each keeps a worker busy for as long as its inputs take to read."""
ENDING = ".safetensors"


class NoMerge(Refusal):
    """This cannot be merged, cancelled or tried again, or not now."""


@dataclass(frozen=True)
class Forecast:
    """What a merge would make: its inputs, its tensors, what the result may be given on under, and remarks to its owner."""

    recipe: MergeRecipe
    inputs: list[Input]
    plan: MergePlan
    terms: terms.Terms
    notes: list[str]


def foresee(user: User, *, recipe: Mapping[str, Any], files: Mapping[str, int], entry: Entry | None = None) -> Forecast:
    """What a merge of `files` (role -> file id) by `recipe` would make, without wanting it. Raises what `request_merge` raises."""
    asked = merger.recipe_of(recipe)
    inputs = [mergeinputs.find(user, role, pk) for role, pk in files.items()]
    mergeinputs.check_counts(inputs)
    bound = _bound(user, inputs, entry)
    plan = merger.plan(asked, inputs)
    uploads.check_size(plan.data_bytes, user)
    notes = [*(one.note for one in inputs if one.note), *plan.notes, *_hidden(bound, entry)]
    return Forecast(asked, inputs, plan, terms.terms_of(entry) if entry else bound, notes)


def request_merge(
    user: User, *, recipe: Mapping[str, Any], files: Mapping[str, int], entry: Entry | None = None, name: str = "", file_name: str = ""
) -> Merge:
    """Want a merge of `files` (role -> file id) by `recipe`, into a new draft version of `entry` or of a new entry called `name`.

    The caller has checked that the user may change `entry`. Raises `NoInput`, `NotAllowed`, `NoMerge` and what the merger finds wrong
    with recipe and inputs as `FormatError`.
    """
    found = foresee(user, recipe=recipe, files=files, entry=entry)
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        _check_room(user)
        merge = Merge.objects.create(
            owner=user,
            recipe=found.recipe.to_json(),
            entry=entry,
            entry_name="" if entry else name,
            file_name=_file_name(file_name, entry.name if entry else name, found.plan),
            licence=found.terms.to_json(),
            notes=found.notes,
            total_bytes=2 * found.plan.data_bytes,  # written, and read back
        )
        rows = [MergeInput(merge=merge, role=one.role, file=one.file, sha256=one.file.sha256, name=one.file.name) for one in found.inputs]
        MergeInput.objects.bulk_create(rows)
        return lifecycle.born(merge)


def _bound(user: User, inputs: list[Input], entry: Entry | None) -> terms.Terms:
    """What the inputs allow together at most. Raises `NotAllowed`, and `NoMerge` for an entry of another kind."""
    parts = [terms.part_of(user, one.file) for one in inputs]
    if entry is not None and entry.kind != Kind.CHECKPOINT:
        raise NoMerge("merge:entry-kind", f"{entry.name} is no checkpoint. Merge into one, or into a new model.")
    if entry is not None:
        terms.check_target(entry, parts)
    return terms.joined(parts)


def _hidden(bound: terms.Terms, entry: Entry | None) -> list[str]:
    """What to tell of a new entry that not everybody will find."""
    if entry is not None or bound.visibility == Visibility.PUBLIC:
        return []
    return [f"The new model will be {bound.visibility}, since not every file that is merged is public. You can change that on its page."]


def _check_room(user: User) -> None:
    if Merge.objects.filter(owner=user, state__in=OPEN).count() >= OPEN_AT_ONCE:
        text = f"You have {OPEN_AT_ONCE} merges waiting or running. Wait until one is done, or cancel one."
        raise NoMerge("merge:too-many", text, 429)


def _file_name(given: str, model: str, plan: MergePlan) -> str:
    """The result's file name: as given, or made from the model's name, with the ending that A1111 gives to special models.

    Raises `FormatError` `name:...`.
    """
    if given:
        return clean_file_name(given if given.lower().endswith(ENDING) else given + ENDING)
    stem = catalog.slugify(model)[:70] or "merge"
    special = ".inpainting" if plan.is_inpainting else ".instruct-pix2pix" if plan.is_pix2pix else ""
    return clean_file_name(f"{stem}{'' if stem.endswith('merge') else '-merge'}{special}{ENDING}")


def cancel(merge: Merge) -> Merge:
    """End a merge that waits or runs; its worker learns it within a second or two and leaves nothing. Raises `NoMerge` where it is over."""
    ended = lifecycle.cancel(merge, MergeState.CANCELLED, OPEN)
    if ended is not None:
        return ended
    raise NoMerge("merge:over", f"This merge is {merge.state} already: there is nothing to cancel.")


def retry(merge: Merge) -> Merge:
    """Want a failed merge once more. Raises `NoMerge`."""
    if merge.state != MergeState.FAILED:
        raise NoMerge("retry:nothing", f"This merge is {merge.state}; only a failed one can be tried again.")
    try:
        with transaction.atomic():
            User.objects.select_for_update().get(pk=merge.owner_id)
            _check_room(merge.owner)
            Merge.objects.filter(pk=merge.pk).update(done_bytes=0)
            return lifecycle.retry(merge, MergeState.WANTED)
    except lifecycle.LostRace:
        raise NoMerge("retry:moved", "Something else happened to this merge just now. Look at it again.") from None


def of(user: User) -> QuerySet[Merge]:
    """A person's merges, newest first, with what answers and pages show of them."""
    rows = Merge.objects.filter(owner=user).select_related("entry", "result__version__entry__owner")
    return rows.prefetch_related("inputs__file__version__entry__owner").order_by("-pk")


def work(merge: Merge) -> None:
    """Make a claimed merge (state `merging`). Raises `FormatError` for what is wrong with it, `LostRace` once it is not ours any more."""
    inputs, _ = _allowed(merge)
    with storage.scratch_file(ENDING) as path:
        made = merger.run(merge, inputs, path)
        inputs, bound = _allowed(merge)  # anew: the work takes minutes, in which files are withdrawn, hidden and found dangerous
        storage.place_file(path, made.hashes.sha256)
    _finish(merge, inputs, bound, record_blob(made.hashes), made.report)


def _allowed(merge: Merge) -> tuple[list[Input], terms.Terms]:
    """The inputs as they are now, and what they allow together. Raises `FormatError` where this merge may not be made any more."""
    merge.refresh_from_db(fields=["owner", "entry"])
    rows = list(merge.inputs.select_related("file__blob", "file__version__entry__owner"))
    inputs = [mergeinputs.still_allowed(merge.owner, row.role, row.file, row.name) for row in rows]
    for row, one in zip(rows, inputs, strict=True):
        if one.file.sha256 != row.sha256:
            raise NoMerge("merge:input-changed", f"{row.name} has other bytes than when this merge was asked for. Ask for it again.")
    return inputs, _bound(merge.owner, inputs, _target(merge))


def _target(merge: Merge) -> Entry | None:
    """The known entry that takes the result; None where a new one is made. Raises `NoMerge` for one that is gone or changed hands."""
    entry = merge.entry
    if entry is None and merge.entry_name:
        return None
    if entry is None or entry.gone or entry.owner_id != merge.owner_id:
        raise NoMerge("merge:entry-gone", "The model that was to take this merge was deleted or is not yours any more.")
    return entry


@transaction.atomic
def _finish(merge: Merge, inputs: list[Input], bound: terms.Terms, blob: Blob, report: dict[str, Any]) -> None:
    """Version, file and the end of the merge, all or nothing: who lost the race leaves no trace."""
    first = next(one.file for one in inputs if one.role == "a")
    entry = _target(merge) or catalog.create_entry(merge.owner, name=merge.entry_name, kind=Kind.CHECKPOINT, **bound.to_json())
    version = catalog.create_version(
        entry,
        name=mergewords.for_all(mergewords.title, merge.recipe)[:80],
        base_model=_base_model(first),
        description=mergewords.for_all(mergewords.description, merge.recipe, inputs, bound),
    )
    file = File.objects.create(
        version=version,
        name=merge.file_name,
        blob=blob,
        size_bytes=blob.size_bytes,
        recipe={"merge": merge.pk, "method": merge.recipe["method"]},
        state=FileState.QUEUED,
    )
    timeline.mark(file, "received", f"Merged by this hub: {mergewords.for_all(mergewords.sentence, merge.recipe)}")
    changes = {"result": file, "entry": entry, "licence": terms.terms_of(entry).to_json(), "outcome": report, "error": "", "error_code": ""}
    lifecycle.advance(merge, MergeState.MADE, done_bytes=F("total_bytes"), **changes)
    lifecycle.born(file)


def _base_model(first: File) -> str:
    """What the tensors of A say it is based on; where they do not tell, what its creator says."""
    detected = first.blob.detected if first.blob else {}
    return str(detected.get("base_model") or first.version.base_model)[:60]
