"""What a merge may be given on under, from what its inputs allow: rules over plain values. Who may read an input is not asked here.

The four permissions and their meaning are Civitai's; what the owner of a merge has made alone, the owner may give on as they like.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from registry.models import CommercialUse, Entry, File, Status, User, Visibility
from registry.refusals import Refusal

HIDDEN = (Visibility.PUBLIC, Visibility.UNLISTED, Visibility.PRIVATE)
"""From open to closed: a merge is as closed as its most closed input."""
MAX_SPDX = 80


class NotAllowed(Refusal):
    """The permissions of an input do not let this merge be made, or not for that entry."""


@dataclass(frozen=True)
class Terms:
    """What an entry allows: its columns of these names, `allow_commercial_use` as a sorted tuple."""

    visibility: str = Visibility.PUBLIC
    rating: int = 1
    allow_no_credit: bool = True
    allow_commercial_use: tuple[str, ...] = ()
    allow_derivatives: bool = True
    allow_different_license: bool = True
    spdx: str = ""

    def to_json(self) -> dict[str, Any]:
        """As columns for an entry."""
        return {**asdict(self), "allow_commercial_use": list(self.allow_commercial_use)}

    @property
    def permissions(self) -> tuple[bool, tuple[str, ...], bool]:
        """What must stay the same where nothing else is allowed: credit, commercial use, derivatives."""
        return self.allow_no_credit, self.allow_commercial_use, self.allow_derivatives


@dataclass(frozen=True)
class Part:
    """The terms of one input: what it is called in a sentence to the owner, and whether it is the owner's own work."""

    name: str
    terms: Terms
    own: bool


def terms_of(entry: Entry) -> Terms:
    columns = {name: getattr(entry, name) for name in Terms.__dataclass_fields__}
    if entry.visibility == Visibility.GROUP:  # what is made of it is for nobody else until its creator names a group
        columns["visibility"] = Visibility.PRIVATE
    return Terms(**{**columns, "allow_commercial_use": tuple(sorted(entry.allow_commercial_use))})


def part_of(user: User, file: File) -> Part:
    """The terms of a file of a merge for this user. What is not published yet counts as private."""
    version = file.version
    entry, terms = version.entry, terms_of(version.entry)
    if version.status == Status.DRAFT or entry.published_at is None:
        terms = Terms(**{**asdict(terms), "visibility": Visibility.PRIVATE})
    return Part(f"{entry.name} {version.name}", terms, entry.owner_id == user.pk)


def joined(parts: Iterable[Part]) -> Terms:
    """The strictest of all: what the result of these inputs allows at most.

    Raises `NotAllowed` `merge:no-derivatives` where somebody else forbids merges, and `merge:licences-differ` where somebody else
    demands the very same permissions for a merge and another input is stricter than those.
    """
    parts = list(parts)
    others = [part for part in parts if not part.own]
    for part in others:
        if not part.terms.allow_derivatives:
            raise NotAllowed("merge:no-derivatives", f"{part.name} must not be merged: its creator does not allow merges of it.", 403)
    bound = _strictest([part.terms for part in others])
    fixed = [part for part in others if not part.terms.allow_different_license]
    for part in fixed:
        if part.terms.permissions != bound.permissions:
            raise NotAllowed(
                "merge:licences-differ",
                f"{part.name} may only be merged into what has exactly its own permissions, and another input is stricter than that. "
                "Leave one of them out.",
            )
    everything = _strictest([part.terms for part in parts])
    if not fixed:
        return everything
    kept = {name: getattr(bound, name) for name in ("allow_no_credit", "allow_commercial_use", "allow_derivatives", "spdx")}
    return Terms(visibility=everything.visibility, rating=everything.rating, allow_different_license=False, **kept)


def check_target(entry: Entry, parts: Iterable[Part]) -> None:
    """That a known entry allows no more than the inputs of others do. Raises `NotAllowed`, saying what to change, and as `joined`."""
    others = [part for part in parts if not part.own]
    if not others:
        return
    bound, has = joined(others), terms_of(entry)
    wrong = _laxer(has, bound)
    if not bound.allow_different_license and not wrong and has.permissions != bound.permissions:
        wrong = ["other permissions than an input that allows no others"]
    if wrong:
        why = f"{entry.name} cannot take this merge, because it has {' and '.join(wrong)}."
        raise NotAllowed("merge:entry-permissions", f"{why} Change that on its page, or merge into a new model.")


def _laxer(has: Terms, bound: Terms) -> list[str]:
    """What an entry allows although the inputs do not, as ends of a sentence."""
    labels = dict(CommercialUse.choices)
    more = [labels[use].lower() for use in has.allow_commercial_use if use not in bound.allow_commercial_use]
    rows = [
        (HIDDEN.index(Visibility(has.visibility)) < HIDDEN.index(Visibility(bound.visibility)), "more visitors than an input of it"),
        (has.allow_no_credit and not bound.allow_no_credit, "no demand to name the creators"),
        (bool(more), f"more commercial use than its inputs ({', '.join(more)})"),
        (has.allow_different_license and not bound.allow_different_license, "no demand to keep its permissions"),
    ]
    return [text for holds, text in rows if holds]


def _strictest(all_terms: list[Terms]) -> Terms:
    if not all_terms:
        return Terms()
    uses = set(all_terms[0].allow_commercial_use).intersection(*(terms.allow_commercial_use for terms in all_terms))
    return Terms(
        visibility=max((terms.visibility for terms in all_terms), key=lambda name: HIDDEN.index(Visibility(name))),
        rating=max(terms.rating for terms in all_terms),
        allow_no_credit=all(terms.allow_no_credit for terms in all_terms),
        allow_commercial_use=tuple(sorted(uses)),
        allow_derivatives=all(terms.allow_derivatives for terms in all_terms),
        allow_different_license=all(terms.allow_different_license for terms in all_terms),
        spdx=_spdx(terms.spdx for terms in all_terms),
    )


def _spdx(named: Iterable[str]) -> str:
    """The licences together as an SPDX expression: AND means that all of them hold. "" where that is too long for the column."""
    names = list(dict.fromkeys(name for name in named if name))
    if len(names) < 2:
        return "".join(names)
    text = " AND ".join(f"({name})" if " " in name else name for name in names)
    return text if len(text) <= MAX_SPDX else ""


def in_words(terms: Terms) -> str:
    """The permissions of a result as one sentence for its description."""
    labels = dict(CommercialUse.choices)
    uses = ", ".join(str(labels[use]).lower() for use in terms.allow_commercial_use)
    rows = [
        "no credit is needed" if terms.allow_no_credit else "name the creators",
        f"commercial use: {uses}" if uses else "no commercial use",
        "merges of it may be shared" if terms.allow_derivatives else "merges of it may not be shared",
        "under other permissions too" if terms.allow_different_license else "under the same permissions only",
    ]
    if not terms.allow_derivatives:
        rows.pop()
    return "; ".join(rows) + (f"; licence {terms.spdx}" if terms.spdx else "") + "."
