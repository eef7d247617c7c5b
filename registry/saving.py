"""What people keep for themselves: notes, collections, follows, and which followed models have something newer. Reads and writes.

Which entries a person may read is `registry.queries`' to say, and the caller's to ask.
"""

from __future__ import annotations

from collections.abc import Collection as Several
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from django.utils.translation import gettext as _

from registry import queries, ratings
from registry.formats.plaintext import printable
from registry.models import Collected, Collection, Entry, Follow, Note, User, Version
from registry.models.community import MAX_NOTE
from registry.refusals import Refusal

MOST_COLLECTIONS, MOST_ITEMS, MOST_FOLLOWS = 100, 5_000, 5_000
"""Of one person; models in one collection."""
MAX_NAME = 80


class NoSaving(Refusal):
    """What was asked cannot be kept: code, sentence and HTTP status say why."""


@dataclass
class Saved:
    """What one person keeps of one entry."""

    entry: Entry
    note: str
    collections: list[Collection]
    follow: Follow | None
    follows_creator: bool

    @property
    def inside(self) -> int:
        """In how many of the collections it is."""
        return sum(1 for one in self.collections if one.holds)  # type: ignore[attr-defined]


def state(user: User, entry: Entry) -> Saved:
    """Three queries."""
    note = Note.objects.filter(owner=user, entry=entry).values_list("text", flat=True).first() or ""
    held = Exists(Collected.objects.filter(collection=OuterRef("pk"), entry=entry))
    mine = list(Collection.objects.filter(owner=user).annotate(holds=held).order_by("name")[:MOST_COLLECTIONS])
    follows = list(Follow.objects.filter(Q(entry=entry) | Q(creator=entry.owner_id), owner=user))
    model = next((one for one in follows if one.entry_id), None)
    return Saved(entry, note, mine, model, any(one.creator_id for one in follows))


def note(user: User, entry: Entry, text: str) -> None:
    """Keep a private note, or none where it is empty. Raises `NoSaving` 400 for one that is too long or holds NUL."""
    text = text.strip()
    if len(text) > MAX_NOTE or "\x00" in text:
        raise NoSaving("note:too-long", _("At most %(most)s characters fit into a note.") % {"most": MAX_NOTE}, status=400)
    if text:
        Note.objects.update_or_create(owner=user, entry=entry, defaults={"text": text})
    else:
        Note.objects.filter(owner=user, entry=entry).delete()


def create(user: User, name: str, *, public: bool = False) -> Collection:
    """A new collection. Raises `NoSaving`: 400 for its name, 409 where there is one of that name, or too many."""
    name = _name(name)
    if Collection.objects.filter(owner=user).count() >= MOST_COLLECTIONS:
        raise NoSaving("collection:many", _("You have %(most)s collections: that is as many as fit.") % {"most": MOST_COLLECTIONS})
    try:
        with transaction.atomic():
            return Collection.objects.create(owner=user, name=name, public=public)
    except IntegrityError:
        raise NoSaving("collection:known", _("You have a collection of this name already.")) from None


def change(collection: Collection, name: str, *, public: bool) -> None:
    """Rename it, or show it to others or no longer. Raises as `create`."""
    try:
        with transaction.atomic():
            Collection.objects.filter(pk=collection.pk).update(name=_name(name), public=public)
    except IntegrityError:
        raise NoSaving("collection:known", _("You have a collection of this name already.")) from None


def _name(name: str) -> str:
    name = " ".join(name.split())
    if not 0 < len(name) <= MAX_NAME or printable(name, MAX_NAME) != name:
        sentence = _("A name has 1 to %(most)s characters, and none that cannot be seen.")
        raise NoSaving("collection:name", sentence % {"most": MAX_NAME}, status=400)
    return name


@transaction.atomic
def put(user: User, entry: Entry, wanted: Several[int]) -> None:
    """Have the entry in exactly these of one's collections. Raises `NoSaving` 409 where one of them is full."""
    mine = Collection.objects.filter(owner=user)
    Collected.objects.filter(collection__in=mine, entry=entry).exclude(collection__in=wanted).delete()
    new = list(mine.filter(pk__in=wanted).exclude(items__entry=entry).annotate(size=Count("items")))
    if full := next((one for one in new if one.size >= MOST_ITEMS), None):
        raise NoSaving("collection:full", _("%(name)s holds %(most)s models: it is full.") % {"name": full.name, "most": MOST_ITEMS})
    Collected.objects.bulk_create([Collected(collection=one, entry=entry) for one in new], ignore_conflicts=True)


def remove(collection: Collection, entry_id: int) -> None:
    Collected.objects.filter(collection=collection, entry=entry_id).delete()


def follow(user: User, entry: Entry, version: Version | None) -> None:
    """Follow a model; `version` is the one that the person looks at. Raises `NoSaving` 409 for too many follows."""
    _check_room(user)
    Follow.objects.get_or_create(owner=user, entry=entry, defaults={"version": version})


def follow_creator(user: User, creator: User) -> None:
    """Raises `NoSaving`: 409 for too many follows, 400 for oneself."""
    if creator.pk == user.pk:
        raise NoSaving("follow:self", _("You need not follow yourself."), status=400)
    _check_room(user)
    Follow.objects.get_or_create(owner=user, creator=creator)


def unfollow(user: User, entry: Entry) -> None:
    Follow.objects.filter(owner=user, entry=entry).delete()


def unfollow_creator(user: User, creator_id: int) -> None:
    Follow.objects.filter(owner=user, creator=creator_id).delete()


def _check_room(user: User) -> None:
    if Follow.objects.filter(owner=user).count() >= MOST_FOLLOWS:
        raise NoSaving("follow:many", _("You follow %(most)s models and creators: that is as many as fit.") % {"most": MOST_FOLLOWS})


def had(user: User, version: Version) -> None:
    """Somebody downloaded this version: who follows its model is told of what is newer than that. Nothing is kept of other downloads."""
    Follow.objects.filter(owner=user, entry=version.entry_id).update(version=version)


def followed(user: User) -> QuerySet[Follow]:
    """Followed models that this person may still read, each with `newer`, the id of the newest version for the same base model that came
    out after the one the person has, and `newer_name`; those with something newer first.
    """
    fresh = queries.published_versions().filter(
        entry=OuterRef("entry"), base_model__iexact=OuterRef("version__base_model"), published_at__gt=OuterRef("version__published_at")
    )
    newest = fresh.order_by("-published_at", "-pk")
    rows = Follow.objects.filter(owner=user, entry__in=queries.readable(user)).select_related("entry__owner", "version")
    found = rows.annotate(newer=Subquery(newest.values("pk")[:1]), newer_name=Subquery(newest.values("name")[:1]))
    return found.order_by("newer", "-pk")  # those without one come last


def followed_creators(user: User) -> QuerySet[Follow]:
    """Followed creators, each with `models`, how many models of theirs are listed."""
    listed = queries.listed().filter(owner=OuterRef("creator")).order_by().values("owner").annotate(n=Count("pk")).values("n")
    rows = Follow.objects.filter(owner=user, creator__is_active=True).select_related("creator")
    return rows.annotate(models=Subquery(listed)).order_by("creator__username")


def notes(user: User) -> QuerySet[Note]:
    """One's notes, newest first; `readable` says whether the model may still be read."""
    seen = Exists(queries.readable(user).filter(pk=OuterRef("entry")))
    return Note.objects.filter(owner=user).select_related("entry__owner").annotate(readable=seen).order_by("-changed_at", "-pk")


def collections(user: User) -> QuerySet[Collection]:
    return Collection.objects.filter(owner=user).annotate(size=Count("items")).order_by("name")


def collection(user: Any, pk: int) -> Collection | None:
    """A collection that this visitor may open: one's own, or a public one."""
    rule = Q(public=True, owner__is_active=True)
    if user and user.is_authenticated:
        rule |= Q(owner=user)
    return Collection.objects.filter(rule, pk=pk).select_related("owner").first()


def contents(user: Any, collection: Collection, after: int = 0) -> QuerySet[Collected]:
    """The models of a collection behind the item `after`, newest first: to its owner what they may read, to others what is listed and
    not rated above their limit.
    """
    own = bool(user and user.is_authenticated and collection.owner_id == user.pk)
    seen = queries.readable(user) if own else queries.listed().filter(rating__lte=ratings.sight_of(user).limit)
    items = Collected.objects.filter(collection=collection, entry__in=seen).select_related("entry__owner", "entry__facts")
    return (items.filter(pk__lt=after) if after else items).order_by("-pk")
