"""Reads: who may see what, what is published, what matches. Every page and protocol asks here, so there is one permission check."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import BooleanField, F, Func, Prefetch, Q, QuerySet, TextField, Value
from django.db.models.functions import Concat

from registry import groups, ratings, storage
from registry.lifecycle import SHOWN_STATES, FileState
from registry.models import CLOSED, Blob, BlobHash, Entry, File, Role, Status, User, Verdict, Version, Visibility
from registry.search import HEX
from registry.search import search as search
from registry.statements import Given

PREFIXED = ("SHA256", "AutoV3", "DATA")
"""Hashes that are also found by their first digits: AutoV3 is itself the beginning of one."""
EMPTY_DATA = "E3B0C44298FC"
"""AutoV3 of a file without tensor bytes: it would match anything broken, so it matches nothing."""


def is_moderator(user: Any) -> bool:
    return bool(user and user.is_authenticated and user.moderates)


def is_owner(user: Any, entry: Entry) -> bool:
    return bool(user and user.is_authenticated and entry.owner_id == user.pk)


def may_edit(user: Any, entry: Entry) -> bool:
    """Owners change their own entries; moderators may change any."""
    return is_owner(user, entry) or is_moderator(user)


def may_read(user: Any, entry: Entry) -> bool:
    """The one permission check for reading: public and unlisted by everybody once published, what is a group's by its members then, else
    owner and moderators.

    What is rated above the site's cap is private to both.
    """
    if may_edit(user, entry):
        return True
    if ratings.above_cap(entry.rating) or entry.published_at is None:
        return False
    return entry.visibility not in CLOSED or (entry.visibility == Visibility.GROUP and groups.is_member(user, entry.group_id))


def may_read_version(user: Any, version: Version) -> bool:
    if may_edit(user, version.entry):
        return True
    return may_read(user, version.entry) and version.status != Status.DRAFT


SHOWN_TO_ALL = SHOWN_STATES


def may_see_file(user: Any, file: File) -> bool:
    """Whether this user may know of a file: its version is theirs to read, and it is far enough or theirs to change."""
    seen = file.state in SHOWN_STATES or may_edit(user, file.version.entry)
    return seen and may_read_version(user, file.version)


def listed() -> QuerySet[Entry]:
    """Entries that browsing shows: public, alive, with something published, not rated above the site's cap."""
    return Entry.objects.filter(ratings.within_cap(), visibility=Visibility.PUBLIC, deleted_at=None, live=True)


def readable(user: Any) -> QuerySet[Entry]:
    """Entries that this user may open by address, tombstones included."""
    if is_moderator(user):
        return Entry.objects.all()
    published = ratings.within_cap() & Q(published_at__isnull=False)
    rule = published & ~Q(visibility__in=CLOSED)
    if user and user.is_authenticated:
        rule |= Q(owner=user) | (published & groups.shared_with(user))
    return Entry.objects.filter(rule)


def readable_versions(user: Any) -> QuerySet[Version]:
    """Versions that this user may see by address, tombstones included: `may_read_version` as a query."""
    versions = Version.objects.filter(entry__in=readable(user))
    if is_moderator(user):
        return versions
    rule = ~Q(status=Status.DRAFT)
    if user and user.is_authenticated:
        rule |= Q(entry__owner=user)
    return versions.filter(rule)


def visible_files(user: Any) -> QuerySet[File]:
    """Files that this user may know of: `may_see_file` as a query."""
    files = File.kept.filter(version__in=readable_versions(user))
    if is_moderator(user):
        return files
    rule = Q(state__in=SHOWN_STATES)
    if user and user.is_authenticated:
        rule |= Q(version__entry__owner=user)
    return files.filter(rule)


def published_versions() -> QuerySet[Version]:
    return Version.objects.filter(status=Status.PUBLISHED, deleted_at=None)


def downloadable_files() -> QuerySet[File]:
    """Only what was found clean (or released by a moderator), lies in the open store and is part of its version now."""
    cleared = Q(blob__verdict=Verdict.SUCCESS) | Q(blob__verdict=Verdict.SUSPICIOUS, blob__released=True)
    return File.kept.filter(cleared, state=FileState.READY, blob__stored=True, blob__sealed=False)


def suggested_files(user: Any, rating_cap: int) -> QuerySet[File]:
    """Files that a page may lead this user to unasked: downloadable, published and listed with this rating or less, or its own."""
    rule = Q(version__entry__in=listed(), version__entry__rating__lte=rating_cap)
    if user and user.is_authenticated:
        rule |= Q(version__entry__owner=user, version__entry__deleted_at=None)
    return downloadable_files().filter(rule, version__in=published_versions())


def checkpoints_of(user: Any, families: Iterable[str], cap: int) -> QuerySet[File]:
    """Checkpoints of these detected families to download, up to this rating: what is listed, or the user's own; most downloaded first."""
    found = Q(version__entry__in=listed().filter(rating__lte=cap))
    if user and user.is_authenticated:
        found |= Q(version__entry__owner=user, version__entry__deleted_at=None)
    proved = Q(blob__detected__kind__in=["checkpoint", "unet"], blob__detected__family__in=list(families))
    files = downloadable_files().filter(found, proved, version__in=published_versions())
    return files.select_related("blob", "version__entry__owner").order_by("-version__entry__download_count", "-version_id", "id")


def with_cards(entries: QuerySet[Entry]) -> QuerySet[Entry]:
    """Everything a card or a list row shows, in a constant number of queries."""
    versions = published_versions().prefetch_related(Prefetch("files", files_with_blobs())).order_by("position", "-id")
    return entries.select_related("owner").prefetch_related("tags", Prefetch("versions", versions, to_attr="shown_versions"))


def files_with_blobs() -> QuerySet[File]:
    return File.kept.select_related("blob", "source").prefetch_related("blob__hashes").order_by("id")


def blobs_by_hash(value: str) -> QuerySet[Blob]:
    """Blobs with this hash of any kind, any case, `0x` tolerated; prefixes of SHA256 and of the data's, as AutoV3, from 8 digits on."""
    digits = hash_digits(value)
    return Blob.objects.filter(has_hash("pk", Value(digits))) if digits else Blob.objects.none()


def hash_digits(value: str) -> str:
    """A hash as it is stored: upper-case, without `0x`; "" for what is none, and for that of nothing at all."""
    value = value.strip().upper().removeprefix("0X")
    return value if HEX.fullmatch(value) and not value.startswith(EMPTY_DATA) else ""


def has_hash(blob: str, digits: Value | Given) -> Func:
    """The condition that the blob whose id is in the column `blob` is meant by `hash_digits`.

    All hashes that begin with the digits lie beside each other in the index, so one walk finds the equal one and the longer ones. The
    planner cannot know how few they are: asked as an array, the blobs are looked up by id whatever it believes.
    """
    from_here, to_there = (
        Func(F("value"), bound, template="%(expressions)s", arg_joiner=joiner, output_field=BooleanField())
        for joiner, bound in ((" ~>=~ ", digits), (" ~<~ ", Concat(digits, Value("G"), output_field=TextField())))
    )
    hashes = BlobHash.objects.filter(from_here, to_there, Q(value=digits) | Q(kind__in=PREFIXED)).values("blob_id")
    return Func(F(blob), ArraySubquery(hashes), template="%(expressions)s)", arg_joiner=" = ANY(", output_field=BooleanField())


def readable_blob(user: User, sha256: str) -> Blob | None:
    """The stored blob of this SHA-256 if the user may read a file of it already: otherwise its existence stays a secret."""
    blob = Blob.objects.filter(sha256=sha256, stored=True, sealed=False).exclude(verdict=Verdict.DANGER).first()
    if blob is None or not storage.exists(blob):
        return None
    files = File.objects.filter(blob=blob, role=Role.UPLOADED).select_related("blob", "version__entry")
    own = files.filter(version__entry__owner=user).first()
    may = (own is not None and may_edit(user, own.version.entry)) or any(
        may_edit(user, file.version.entry)
        or (file.downloadable and file.version.status == Status.PUBLISHED and not file.version.gone and may_read(user, file.version.entry))
        for file in files.iterator(chunk_size=50)  # the same bytes may lie in thousands of places
    )
    return blob if may else None


def shared_with(user: User) -> QuerySet[Entry]:
    """What others published for a group of this user, newest first."""
    found = Entry.objects.filter(ratings.within_cap(), groups.shared_with(user), live=True, deleted_at=None).exclude(owner=user)
    return found.select_related("owner", "group").order_by("-published_at", "-id")


def owned_by(user: User) -> QuerySet[Entry]:
    """A creator's own entries, drafts first, newest first."""
    return (
        Entry.objects.filter(owner=user, deleted_at=None).select_related("owner").order_by(F("published_at").desc(nulls_first=True), "-id")
    )
