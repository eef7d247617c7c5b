"""Where a file comes from, for those who look at it: what was merged into it, without telling of files that they may not see.

One answer for pages and programs. Merging itself is `inference.merges`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from inference import mergewords
from inference.models import Merge, MergeInput
from registry import queries
from registry.models import File, Rating, Visibility

SHORT = 10
"""Digits of a SHA-256 that are told of a file that the reader may not see: enough to know it again, as AutoV2."""

LOOKED_AT, LISTED = 100, 20
"""Merges of one file that are looked at, and those of them that are told."""


@dataclass(frozen=True)
class ShownInput:
    """One input of a merge for one reader: its file, or only the beginning of its SHA-256 where they are not led to that (or it is gone).

    Of what is unlisted not even that: the hub finds files by the beginning of a hash, and an unlisted one is for those who were told.
    """

    role: str
    label: str
    sha256: str
    file: File | None = None
    name: str | None = None


@dataclass
class Lineage:
    """What a file was merged from."""

    merge: Merge
    title: str
    sentence: str
    inputs: list[ShownInput] = field(default_factory=list)

    @property
    def compared(self) -> list[int]:
        """The versions to lay beside each other: those of A, B and C that the reader may see, then the result."""
        shown = [one.file.version_id for one in self.inputs if one.file is not None and one.role in {"a", "b", "c"}]
        result = [self.merge.result.version_id] if self.merge.result else []
        return list(dict.fromkeys([*shown, *result]))[:4]

    @property
    def warnings(self) -> list[str]:
        """Sentences about numbers that did not survive."""
        return [str(text) for text in self.merge.outcome.get("warnings", [])]


def lineage_of(user: Any, file: File) -> Lineage | None:
    """The merge that made this file, as this user may see it; None where it was not merged here."""
    rows = Merge.objects.filter(result=file).prefetch_related("inputs__file__version__entry")
    merge = rows.first()
    return shown(user, merge) if merge else None


def merged_into(user: Any, file: File, cap: int = max(Rating)) -> list[File]:
    """The newest files that were merged of this one, up to this rating: what is listed, or this user's to change."""
    rows = Merge.objects.filter(inputs__file=file).exclude(result=None).distinct().order_by("-pk")
    results = [merge.result for merge in rows.select_related("result__blob", "result__version__entry")[:LOOKED_AT]]
    return [result for result in results if result is not None and is_led_to(user, result, cap)][:LISTED]


def shown(user: Any, merge: Merge) -> Lineage:
    """A merge as this user may see it. No query where inputs, files, versions and entries are loaded."""
    own = queries.is_moderator(user) or bool(user and user.pk == merge.owner_id)
    inputs = [_input(user, row, own) for row in merge.inputs.all()]
    return Lineage(merge, mergewords.title(merge.recipe), mergewords.sentence(merge.recipe), inputs)


def _input(user: Any, row: MergeInput, own: bool) -> ShownInput:
    """Who asked for the merge has named its inputs, and is shown those that they may still see."""
    file, label = row.file, mergewords.label(row.role)
    if file is not None and (queries.may_see_file(user, file) if own else is_led_to(user, file, max(Rating))):
        return ShownInput(row.role, label, row.sha256, file, file.name)
    unlisted = file is not None and file.version.entry.visibility == Visibility.UNLISTED
    return ShownInput(row.role, label, "" if unlisted else row.sha256[:SHORT])


def is_led_to(user: Any, file: File, cap: int) -> bool:
    """Whether a page may lead this user to a file unasked: to what is listed, not to what is only for those who were told."""
    entry = file.version.entry
    listed = entry.visibility == Visibility.PUBLIC and entry.rating <= cap
    return queries.may_see_file(user, file) and (listed or queries.may_edit(user, entry))
