"""Writes to the catalogue, named by verb: create, change, publish, withdraw, delete. Permission is the caller's to check."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import F, Max
from django.utils import timezone
from django.utils.text import slugify

from registry import agreements, cleanup, facts, indexing, removals, reviews, timeline
from registry.formats.errors import FormatError
from registry.lifecycle import FileState
from registry.models import Entry, File, KeptDeclaration, Status, Subject, Tag, User, Version
from registry.refusals import Refusal

MAX_TAGS = 30
MAX_REASON = 500
IN_WORK = (FileState.UPLOADING, FileState.QUEUED, FileState.SCANNING, FileState.CLEAN, FileState.CONVERTING)


class Refused(FormatError):
    """The catalogue cannot take this change now; code and sentence say why."""


class NoAnswer(Refusal):
    """An answer that answers nothing: there is no such question, or the reason is missing."""


@transaction.atomic
def create_entry(owner: User, *, name: str, kind: str, tags: Iterable[str] = (), **fields: Any) -> Entry:
    """A new entry; its slug is made from the name and unique among the owner's."""
    entry = Entry.objects.create(owner=owner, name=name, kind=kind, slug=_free_slug(owner, name), **fields)
    set_tags(entry, tags)
    reindex(entry)
    return entry


@transaction.atomic
def change_entry(entry: Entry, *, tags: Iterable[str] | None = None, by_hand: bool = True, **fields: Any) -> Entry:
    """Change these fields. `by_hand`: somebody describes the entry, so pushes do no longer; who may see it does not count."""
    entry.by_push = entry.by_push and not (by_hand and (tags is not None or set(fields) - {"visibility", "group"}))
    for name, value in fields.items():
        setattr(entry, name, value)
    entry.save()
    if tags is not None:
        set_tags(entry, tags)
    reindex(entry)
    return entry


@transaction.atomic
def create_version(entry: Entry, *, name: str, base_model: str, **fields: Any) -> Version:
    """A new draft, placed before the versions that exist: the newest comes first."""
    Version.objects.filter(entry=entry).update(position=F("position") + 1)
    version = Version.objects.create(entry=entry, name=name, base_model=base_model, position=0, **fields)
    reindex(entry)
    return version


@transaction.atomic
def change_version(version: Version, **fields: Any) -> Version:
    for name, value in fields.items():
        setattr(version, name, value)
    version.save()
    reindex(version.entry)
    return version


@transaction.atomic
def publish(version: Version) -> Version:
    """Make a version public.

    Raises `Refused`: `publish:removed` where a moderator withdrew it after reports; `publish:not-ready` while it has no file that may be
    downloaded, saying what it waits for;
    `publish:unanswered` while its tensors contradict what it declares and its creator said neither yes nor no to that.
    """
    if version.entry.gone or version.deleted_at:
        raise Refused("publish:gone", "This version was deleted. Create a new one.")
    if version.status == Status.PUBLISHED:
        return version
    if removal := removals.of(version):
        raise Refused("publish:removed", f"A moderator withdrew it: {removal.decision_text} Only a moderator can bring it back.")
    files = list(version.files.select_related("blob"))
    if waiting := waits_for(files):
        raise Refused("publish:not-ready", waiting)
    if asked := agreements.request_for(agreements.unanswered(version, files)):
        raise Refused("publish:unanswered", f"Not published yet. {asked}")
    now = timezone.now()
    version.status, version.published_at = Status.PUBLISHED, version.published_at or now
    version.withdrawn_at, version.withdrawn_reason, version.publish_at = None, "", None
    version.base_model = version.base_model or "Other"  # a push declares none, and not all tensors tell
    version.save()
    Entry.objects.filter(pk=version.entry_id).update(published_at=now, live=True)
    for file in files:
        if file.role == "uploaded":
            timeline.mark(file, "published")
    reviews.weigh(version.entry_id)
    reindex(version.entry)
    return version


def waits_for(files: list[File]) -> str:
    """Why a version with these files cannot be published yet, as a sentence; "" when it can."""
    if any(file.downloadable for file in files):
        return ""
    if not files:
        return "There is nothing to publish yet: upload a file to this version first."
    if any(file.state in IN_WORK for file in files):
        return "Its files are still being examined. Wait until one is ready, then publish."
    return "None of its files may be downloaded: look at each file's page for the reason and what to do."


@transaction.atomic
def answer(version: Version, by: User, *, about: str, keep: bool, reason: str = "", detected: str = "") -> Version:
    """Answer what `agreements` asks of a version: keep the declaration for a reason, or declare what was detected.

    `detected` says which question is meant, where the tensors of several files contradict the same declaration; else it is the first.
    Raises `NoAnswer` (409 where there is no such question, 400 where a reason is needed).
    """
    version = Version.objects.select_for_update(of=["self"]).select_related("entry__owner").get(pk=version.pk)
    asked = agreements.contradictions(version, list(version.files.select_related("blob")))
    fitting = [question for question in asked if question.about == about and detected in ("", question.detected)]
    if not fitting:
        raise NoAnswer("answer:not-asked", "There is no such question any more: load the version again and look what it asks.")
    question = min(fitting, key=lambda one: one.answered)
    if keep:
        _keep_declaration(version, question, by, " ".join(reason.split()))
    elif question.about == Subject.KIND:
        change_entry(version.entry, kind=question.suggestion)
    else:
        change_version(version, base_model=question.suggestion)
    return version


def _keep_declaration(version: Version, question: agreements.Question, by: User, reason: str) -> None:
    if not reason:
        raise NoAnswer("answer:no-reason", "Say why you keep it: visitors read the reason beside what the tensors say.", status=400)
    if len(reason) > MAX_REASON:
        raise NoAnswer("answer:too-long", f"A reason may have {MAX_REASON} characters; this has {len(reason):,}.", status=400)
    key = {"about": question.about, "declared": question.declared, "detected": question.detected}
    KeptDeclaration.objects.update_or_create(version=version, **key, defaults={"reason": reason, "by": by})


@transaction.atomic
def withdraw(version: Version, reason: str = "") -> Version:
    """Take a version back: a tombstone stays, which keeps name, metadata and hashes."""
    version.status, version.withdrawn_at, version.withdrawn_reason = Status.WITHDRAWN, timezone.now(), reason[:300]
    version.save()
    _after_removal(version.entry)
    return version


@transaction.atomic
def delete_version(version: Version, reason: str = "") -> None:
    """Delete for good; a version that was never published leaves nothing, any other leaves a tombstone."""
    _hold(version)
    cleanup.abandon_uploads(version)
    if version.published_at is None:
        version.delete()
        reindex(version.entry)
        return
    version.deleted_at = timezone.now()
    version.withdrawn_reason = reason[:300]
    version.save()
    _after_removal(version.entry)


@transaction.atomic
def delete_entry(entry: Entry, reason: str = "") -> None:
    """As `delete_version`, for a whole entry."""
    _hold(*entry.versions.all())
    for version in entry.versions.all():
        cleanup.abandon_uploads(version)
    if entry.published_at is None:
        words = indexing.words_of(entry)
        entry.delete()
        indexing.forget(words)
        return
    entry.deleted_at, entry.deleted_reason = timezone.now(), reason[:300]
    entry.save()
    reindex(entry)


def _hold(*versions: Version) -> None:
    """Lock these versions until the transaction ends: a push that is under way comes to its end first, the next finds nothing."""
    pks = [version.pk for version in versions]
    list(Version.objects.select_for_update(of=("self",)).filter(pk__in=pks).order_by("pk").values_list("pk"))


def _after_removal(entry: Entry) -> None:
    left = entry.versions.filter(status=Status.PUBLISHED, deleted_at=None).aggregate(newest=Max("published_at"))
    Entry.objects.filter(pk=entry.pk).update(live=left["newest"] is not None, published_at=left["newest"] or F("published_at"))
    reviews.weigh(entry.pk)
    reindex(entry)


def set_tags(entry: Entry, names: Iterable[str]) -> None:
    """Replace the tags: lower-case, single spaces, at most `MAX_TAGS`."""
    clean = list(dict.fromkeys(" ".join(name.lower().split())[:60] for name in names if name.strip()))[:MAX_TAGS]
    Tag.objects.bulk_create([Tag(name=name) for name in clean], ignore_conflicts=True)
    entry.tags.set(Tag.objects.filter(name__in=clean))


def reindex(entry: Entry) -> None:
    """Bring the search and the facts for browsing up to date, in the writer's transaction: what is saved is found."""
    indexing.index([entry.pk])
    facts.refresh([entry.pk])


def _free_slug(owner: User, name: str) -> str:
    stem = slugify(name)[:70] or "model"
    taken = set(Entry.objects.filter(owner=owner, slug__startswith=stem).values_list("slug", flat=True))
    candidates = [stem, *(f"{stem}-{n}" for n in range(2, len(taken) + 3))]
    return next(slug for slug in candidates if slug not in taken)
