"""What a push means for the catalogue: entries and drafts that it makes, and what they say of themselves until somebody describes them.

A push declares nothing. While nobody has, an entry's kind and a version's base model are what the tensors show, and words come from the
README that was pushed. As soon as they are declared by hand, only `agreements` compares them.
"""

from __future__ import annotations

import re

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from registry import agreements, catalog, facts, indexing
from registry.branches import MAX_BRANCH, branch_name
from registry.cards import Card
from registry.models import Entry, File, Kind, User, Version, Visibility
from registry.refusals import Refusal

FIRST = "v1"
NAME = re.compile(r"[A-Za-z0-9_]+(?:[.-]?[A-Za-z0-9_]+)*")
MAX_NAME = 80
"""Characters of `Entry.slug`."""


class Refused(Refusal):
    """A repository or branch cannot be made as asked."""

    STATUS = 400


class Exists(Refusal):
    """There is one of this name already."""


def create(owner: User, name: str, visibility: str) -> Entry:
    """A new entry whose address is `name` as it is. Raises `Exists`, or `Refused` for a name that no address may have."""
    if not NAME.fullmatch(name) or len(name) > MAX_NAME or name.lower().endswith(".git"):
        text = f"A name has 1 to {MAX_NAME} letters (a-z), digits and _, with single dots or hyphens between them. Choose another."
        raise Refused("repo:name", text)
    known = Entry.objects.filter(owner=owner, slug__iexact=name).first()
    if known is not None and known.slug == name and not known.gone:
        raise Exists("repo:exists", "You already created this model repo")
    if known is not None:
        other = "was deleted, and its address is kept for those who look for it" if known.gone else f"is there as {known.slug}"
        raise Refused("repo:name", f"The name {name} {other}. Choose another.")
    try:
        with transaction.atomic():
            entry = Entry.objects.create(owner=owner, name=name, slug=name, kind=Kind.OTHER, visibility=visibility, by_push=True)
            catalog.reindex(entry)
    except IntegrityError:
        raise Exists("repo:exists", "You already created this model repo") from None
    return entry


def rename(entry: Entry, name: str) -> None:
    """Give an entry that was never public another address. Raises as `create`, and `Refused` for one that was: others have its address."""
    if entry.published_at is not None:
        raise Refused(
            "repo:published", "This model was published, so its address stays: people and programs have it. Its name can be edited."
        )
    trial = create(entry.owner, name, Visibility.PRIVATE)  # one set of rules for names
    trial.delete()
    Entry.objects.filter(pk=entry.pk).update(slug=name, name=name if entry.name == entry.slug else entry.name)
    indexing.index([entry.pk])


def create_branch(entry: Entry, name: str) -> Version:
    """A draft whose branch is `name` as it is. Raises `Exists`, or `Refused` with the nearest name that is legal."""
    legal = branch_name(name, ())
    if legal != name:
        text = (
            f"A branch has at most {MAX_BRANCH} letters (a-z), digits and .-_ and is no number, no commit and not main: {legal} would do."
        )
        raise Refused("branch:name", text)
    if Version.objects.filter(entry=entry, branch=name).exists():
        raise Exists("branch:exists", f"Reference already exists: {name}")
    try:
        with transaction.atomic():
            return catalog.create_version(entry, name=name, base_model="", branch=name)
    except IntegrityError:
        raise Exists("branch:exists", f"Reference already exists: {name}") from None


def first_version(entry: Entry) -> Version:
    """The draft that a push to an entry without versions goes to; two pushes at once get the same one."""
    with transaction.atomic():
        Entry.objects.select_for_update(no_key=True, of=("self",)).get(pk=entry.pk)
        draft = entry.versions.filter(deleted_at=None, status="draft").order_by("id").first()
        return draft or catalog.create_version(entry, name=FIRST, base_model="")


def remove(file: File) -> None:
    """Take a file, and what was derived from it, out of its version. Trees that were frozen before keep it."""
    _take_out(file)
    indexing.index([file.version.entry_id])
    facts.refresh([file.version.entry_id])


def _take_out(file: File) -> None:
    now = timezone.now()
    File.objects.filter(pk=file.pk, removed_at=None).update(removed_at=now)
    for derived in File.objects.filter(source=file, removed_at=None):
        _take_out(derived)


def describe(version: Version, card: Card) -> None:
    """Take over what a pushed README says, where nobody has said anything by hand. In the transaction of the commit that holds it."""
    changes: dict[str, object] = {}
    if card.base_model and not version.base_model:
        changes["base_model"] = card.base_model
    if card.trigger_words and (version.entry.by_push or not version.trigger_words):
        changes["trigger_words"] = list(card.trigger_words)
    changed = {name: value for name, value in changes.items() if getattr(version, name) != value}
    if changed:
        catalog.change_version(version, **changed)
    if version.entry.by_push:
        _describe_entry(version.entry, card)


def _describe_entry(entry: Entry, card: Card) -> None:
    wanted = {"description": card.description, "spdx": card.spdx or entry.spdx}
    changed = {name: value for name, value in wanted.items() if getattr(entry, name) != value}
    tags = card.tags if set(card.tags) != set(entry.tags.values_list("name", flat=True)) else None
    if changed or tags is not None:
        catalog.change_entry(entry, tags=tags, by_hand=False, **changed)


def adopt(file: File) -> None:
    """A file was found clean and told what it is: where nobody declared anything, that is what its version and entry become.

    A base model that metadata alone tells is good enough to begin with; it is asked of nobody, as everywhere.
    """
    version = Version.objects.select_related("entry").get(pk=file.version_id)
    entry, detected = version.entry, file.blob.detected if file.blob else {}
    if file.removed_at is not None or (version.base_model and not entry.by_push):
        return
    base = agreements.suggested_base(detected)
    if not version.base_model and base:
        catalog.change_version(version, base_model=base)
    if entry.by_push and (kind := _kind(version)) not in ("", entry.kind):
        catalog.change_entry(entry, by_hand=False, kind=kind)


def _kind(version: Version) -> str:
    """What a version's largest file that is of any kind makes it; "" where none is."""
    files = version.files.filter(state__in=agreements.TOLD, blob__isnull=False).select_related("blob")
    kinds = [(file.size_bytes, agreements.DECLARABLE.get(str(file.blob.detected.get("kind")), ("",))[0]) for file in files if file.blob]
    return str(max((pair for pair in kinds if pair[1] not in ("", Kind.OTHER)), default=(0, ""))[1])


def count_text(entry: Entry, size_bytes: int) -> None:
    """Add to what an entry's owner has pushed as texts."""
    Entry.objects.filter(pk=entry.pk).update(text_bytes=F("text_bytes") + size_bytes)
