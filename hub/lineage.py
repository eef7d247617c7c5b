"""Where a version comes from and what came of it: recorded here, declared by its files, or inferred because tensors are equal.

Nobody is told of what they may not be led to. Merges that nobody recorded or declared are not guessed from numbers.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext_lazy as _

from hub import merging
from inference import mergewords
from inference.models import Merge
from registry import components, merged, queries
from registry.components import Shared
from registry.merged import Stated
from registry.models import Blob, File, Kind, Role, TensorIndex, Version

RECORDED, DECLARED, INFERRED = "recorded", "declared", "inferred"
HOW = {
    RECORDED: _("recorded: this hub made it"),
    DECLARED: _("declared: the file says so, nobody checked"),
    INFERRED: _("inferred: equal bit for bit"),
}
MAX_LIST = 2 << 20
"""Bytes of a tensor list (unpacked) whose metadata is read for it; ten times that of an SDXL checkpoint would be."""
MAX_CHILDREN = 20
TRAINED = (Kind.LORA, Kind.EMBEDDING, Kind.HYPERNETWORK, Kind.CONTROLNET)
SEARCHED = 5_000
"""The newest files of those kinds that are asked what they were trained on: no index knows it."""
SHORT = 10
"""Digits of a SHA-256 that name what is not here, or not this visitor's to see."""


@dataclass(frozen=True)
class Relative:
    """A model beside this one: `share` in percent or None, `file` where this visitor may be led to it, `how` a key of `HOW`."""

    how: str
    label: Any
    name: str
    file: File | None = None
    share: int | None = None
    sha256: str = ""
    parents: list[Relative] = field(default_factory=list)

    @property
    def said(self) -> Any:
        return HOW[self.how]


@dataclass
class Lineage:
    """What is known of one version. `same` are parts with other files that have them; `made` the hub's files by their source."""

    version: Version
    parents: list[Relative] = field(default_factory=list)
    children: list[Relative] = field(default_factory=list)
    same: list[Shared] = field(default_factory=list)
    made: list[tuple[File, list[File]]] = field(default_factory=list)
    method: str = ""
    compared: File | None = None

    def __bool__(self) -> bool:
        return bool(self.parents or self.children or self.made or any(shared.count for shared in self.same))

    @property
    def older(self) -> list[Relative]:
        """Parents of whom parents are stated in turn."""
        return [one for one in self.parents if one.parents]


def of_version(user: Any, version: Version, cap: int) -> Lineage:
    """A constant number of queries. `cap`: the highest rating of what is linked; `version.entry.owner` is loaded, and may be read."""
    rows = queries.files_with_blobs().filter(version=version).order_by("id")
    files = [file for file in rows if file.blob_id and _sees(user, file, version)]
    found = Lineage(version)
    _add_merge(found, user, files)
    if not found.parents:
        found.parents = _declared(user, files, cap)
    found.children = [*_children(user, files, cap), *_trained(user, version, files, cap)][:MAX_CHILDREN]
    found.made = _made(files)
    found.compared = _compared(files)
    if found.compared is not None:
        found.same = components.shared_parts(user, found.compared, cap)
    return found


def _sees(user: Any, file: File, version: Version) -> bool:
    file.version = version
    return queries.may_see_file(user, file)


def _add_merge(found: Lineage, user: Any, files: list[File]) -> None:
    merge = Merge.objects.filter(result__in=files).prefetch_related("inputs__file__version__entry").first()
    if merge is None:
        return
    shown = merging.shown(user, merge)
    recipe = merge.recipe
    parts = merged.shares(str(recipe.get("method", "")), float(recipe.get("multiplier", 0)))
    found.method = shown.title
    for one in shown.inputs:
        strengths = recipe.get("loras") or []
        number = one.role.removeprefix("lora")
        share = round(100 * float(strengths[int(number)])) if number.isdecimal() and int(number) < len(strengths) else parts.get(one.role)
        found.parents.append(Relative(RECORDED, one.label, _title(one.file), one.file, share, one.sha256[:SHORT]))


def _declared(user: Any, files: list[File], cap: int) -> list[Relative]:
    """By the first of the creator's files that says anything: what it was merged from, or trained on."""
    own = [file for file in files if file.role == Role.UPLOADED][:3]
    for file in own:
        said = merged.stated(_metadata(file.blob))  # type: ignore[arg-type]
        if said:
            here = _here(user, {digest for one in _all(said) if (digest := one.sha256)}, files, cap)
            return [_relative(one, here) for one in said]
    for file in own:
        training = (file.blob.detected if file.blob else {}).get("training")
        base = training.get("base_sha256") if isinstance(training, dict) else None
        if isinstance(base, str) and len(base) == 64:
            name = str(training.get("base_file") or "")  # type: ignore[union-attr]
            return [_relative(Stated("base", name, base.lower()), _here(user, {base.lower()}, files, cap))]
    return []


def _all(said: Iterable[Stated]) -> Iterator[Stated]:
    for one in said:
        yield one
        yield from _all(one.parents)


def _here(user: Any, digests: set[str], files: list[File], cap: int) -> dict[str, File]:
    """SHA-256 -> a file of this hub with these bytes that this visitor may be led to; none of the version itself."""
    own = {file.version_id for file in files}
    rows = queries.suggested_files(user, cap).filter(blob__sha256__in=digests).exclude(version__in=own)
    return {file.sha256: file for file in rows.select_related("blob", "version__entry__owner").order_by("-id")}


def _relative(one: Stated, here: dict[str, File]) -> Relative:
    file = here.get(one.sha256)
    label = _("trained on") if one.role == "base" else mergewords.label(one.role) if one.role else ""
    parents = [_relative(parent, here) for parent in one.parents]
    return Relative(DECLARED, label, _title(file) or one.name, file, one.share, one.sha256[:SHORT], parents)


def _metadata(blob: Blob) -> dict[str, str]:
    """The metadata of a file as the scan wrote it down, without its tensors; {} where there is none, or the list is too long to unpack."""
    index = TensorIndex.objects.filter(blob=blob).first()
    if index is None or index.unpacked_bytes > MAX_LIST:
        return {}
    found = json.loads(gzip.decompress(bytes(index.packed))).get("metadata")
    return found if isinstance(found, dict) else {}


def _children(user: Any, files: list[File], cap: int) -> list[Relative]:
    """Versions that were merged here of this one's files, the newest first, each once."""
    merges = Merge.objects.filter(inputs__file__in=files).exclude(result=None).distinct().order_by("-pk")
    found: dict[int, Relative] = {}
    for merge in merges.select_related("result__blob", "result__version__entry__owner").prefetch_related("inputs")[: merging.LOOKED_AT]:
        result = merge.result
        if result is None or result.version_id in found or not merging.is_led_to(user, result, cap):
            continue
        own = {file.pk for file in files}
        role = next((row.role for row in merge.inputs.all() if row.file_id in own), "")
        share = merged.shares(str(merge.recipe.get("method", "")), float(merge.recipe.get("multiplier", 0))).get(role)
        found[result.version_id] = Relative(RECORDED, mergewords.label(role), _title(result), result, share)
    return list(found.values())[:MAX_CHILDREN]


def _trained(user: Any, version: Version, files: list[File], cap: int) -> list[Relative]:
    """What says, by SHA-256, that it was trained on a file of this checkpoint; the newest first, each version once. One query."""
    digests = [digest for file in files for digest in (file.sha256, file.sha256.upper())]
    if version.entry.kind != Kind.CHECKPOINT or not digests:
        return []
    newest = queries.suggested_files(user, cap).filter(version__entry__kind__in=TRAINED, role=Role.UPLOADED).order_by("-pk")[:SEARCHED]
    rows = File.kept.filter(pk__in=newest.values("pk"), blob__detected__training__base_sha256__in=digests).order_by("-pk")
    found = {file.version_id: file for file in rows.select_related("blob", "version__entry__owner")[: 2 * MAX_CHILDREN]}
    return [Relative(DECLARED, _("trained on it"), _title(file), file) for file in found.values() if merging.is_led_to(user, file, cap)]


def _made(files: list[File]) -> list[tuple[File, list[File]]]:
    """The hub's own files under what they were made of, which are files of the same version."""
    of: dict[int, list[File]] = {}
    for file in files:
        if file.role == Role.DERIVED and file.source_id:
            of.setdefault(file.source_id, []).append(file)
    return [(file, of[file.pk]) for file in files if file.pk in of]


def _compared(files: list[File]) -> File | None:
    """The file whose parts are looked for elsewhere: the creator's first of which digests are known, or the twin that speaks for it."""
    for file in files[:3]:
        if file.role == Role.UPLOADED and (known := components.digested(file)) is not None:
            return known
    return None


def _title(file: File | None) -> str:
    return f"{file.version.entry.name} {file.version.name}" if file else ""
