"""Reports and decisions on them, named by verb. Who may do what is asked here; forms and pages are `hub/web/reports.py`'s."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from registry import catalog, images, queries, reviews
from registry.models import Decision, Entry, Rating, Report, Reported, ReportReason, Review, Status, User
from registry.refusals import Refusal

MAX_TEXT, MIN_DECISION, MAX_DECISION = 2_000, 5, 500
SHOWN = 300
"""Open reports that the moderators' page reads at once, the oldest first."""


class NoReport(Refusal):
    """What was asked of a report cannot be: code, sentence and HTTP status say why."""


@dataclass(frozen=True)
class Thing:
    """What a report is about, as this visitor may read it."""

    about: str
    pk: int
    title: str
    entry: Entry
    owner: User
    row: Any


@dataclass
class Group:
    """All open reports of one thing; of a review also its text."""

    about: str
    thing: int
    title: str
    entry: Entry | None
    owner: User | None
    rows: list[Report] = field(default_factory=list)
    version: int | None = None
    said: str = ""

    @property
    def since(self) -> datetime:
        return self.rows[0].created_at


def _model(user: Any, pk: int) -> Thing | None:
    entry = queries.readable(user).select_related("owner").filter(pk=pk).first()
    return entry and Thing(Reported.MODEL, pk, entry.name, entry, entry.owner, entry)


def _version(user: Any, pk: int) -> Thing | None:
    version = queries.readable_versions(user).select_related("entry__owner").filter(pk=pk).first()
    return version and Thing(Reported.VERSION, pk, str(version), version.entry, version.entry.owner, version)


def _review(user: Any, pk: int) -> Thing | None:
    review = Review.objects.select_related("author", "version__entry__owner").filter(pk=pk).first()
    if review is None or not reviews.shown(review.version, user).filter(pk=pk).exists():
        return None
    if not queries.may_read_version(user, review.version):
        return None
    title = _("Review of %(version)s by %(author)s") % {"version": review.version, "author": review.author.username}
    return Thing(Reported.REVIEW, pk, title, review.version.entry, review.author, review)


def _image(user: Any, pk: int) -> Thing | None:
    image = images.find(pk)
    if image is None or not images.may_get(user, image):
        return None
    title = _("Image by %(who)s") % {"who": image.owner.username}
    return Thing(Reported.IMAGE, pk, title, image.version.entry, image.owner, image)


FINDERS: dict[str, Callable[[Any, int], Thing | None]] = {
    Reported.MODEL: _model,
    Reported.VERSION: _version,
    Reported.IMAGE: _image,
    Reported.REVIEW: _review,
}


def find(user: Any, about: str, pk: int) -> Thing | None:
    """The thing of this sort and id if this visitor may read it. None for what is hidden, missing, or of no sort that there is."""
    finder = FINDERS.get(about)
    return finder(user, pk) if finder else None


def report(user: User | None, thing: Thing, *, reason: str, text: str) -> Report:
    """Tell the moderators. Raises `NoReport`: 409 where one has told them already, 400 for no reason or too many words."""
    text = text.strip()
    if reason not in ReportReason.values or len(text) > MAX_TEXT:
        sentence = _("Choose a reason, and use at most %(most)s characters.") % {"most": MAX_TEXT}
        raise NoReport("report:unreadable", sentence, status=400)
    told = {"title": thing.title[:200], "entry": thing.entry, "owner": thing.owner, "reason": reason, "text": text}
    if user is None:
        return Report.objects.create(about=thing.about, thing=thing.pk, **told)
    row, new = Report.objects.get_or_create(about=thing.about, thing=thing.pk, reporter=user, decision=Decision.OPEN, defaults=told)
    if not new:
        raise NoReport("report:twice", _("You have reported this already. A moderator will look at it."))
    return row


def open_reports() -> QuerySet[Report]:
    return Report.objects.filter(decision=Decision.OPEN)


def groups() -> list[Group]:
    """What waits for a decision, one group a thing, the longest waiting first. Two queries."""
    found: dict[tuple[str, int], Group] = {}
    for row in open_reports().select_related("reporter", "entry__owner", "owner").order_by("pk")[:SHOWN]:
        group = found.setdefault((row.about, row.thing), Group(row.about, row.thing, row.title, row.entry, row.owner))
        group.rows.append(row)
    written = Review.objects.filter(pk__in=[pk for about, pk in found if about == Reported.REVIEW])
    for pk, version, text in written.values_list("pk", "version_id", "text"):
        found[Reported.REVIEW, pk].version, found[Reported.REVIEW, pk].said = version, text
    return list(found.values())


@transaction.atomic
def decide(moderator: User, about: str, pk: int, *, decision: str, reason: str, rating: int | None = None) -> int:
    """Decide on all open reports of a thing, and do what was decided. How many reports that were.

    Raises `NoReport`: 403 for others than moderators and for the thing's own owner, 400 without a reason or a known decision, 409 where
    nothing is open or the thing is no more.
    """
    if not queries.is_moderator(moderator):
        raise NoReport("report:not-moderator", _("Only moderators may do this."), status=403)
    rows = list(open_reports().select_for_update(of=("self",)).filter(about=about, thing=pk))
    if not rows:
        raise NoReport("report:none-open", _("Somebody has decided on this already."))
    reason = " ".join(reason.split())
    if not MIN_DECISION <= len(reason) <= MAX_DECISION:
        sentence = _("Give a reason of %(least)s to %(most)s characters: its owner and who reported it read it.")
        raise NoReport("report:no-reason", sentence % {"least": MIN_DECISION, "most": MAX_DECISION}, status=400)
    if decision != Decision.DISMISSED:
        _do(moderator, about, pk, decision, reason, rating)
    told = {"decided_at": timezone.now(), "decided_by": moderator, "decided_by_name": moderator.username, "decision_text": reason}
    return Report.objects.filter(pk__in=[row.pk for row in rows]).update(decision=decision, **told)


def _do(moderator: User, about: str, pk: int, decision: str, reason: str, rating: int | None) -> None:
    thing = find(moderator, about, pk)
    if thing is None:
        raise NoReport("report:gone", _("It is no more. Dismiss the reports."))
    if thing.owner.pk == moderator.pk:
        raise NoReport("report:own", _("It is yours: another moderator decides about it."), status=403)
    if decision == Decision.REMOVED:
        _remove(moderator, thing, reason)
    elif decision == Decision.RERATED and rating in Rating.values and about == Reported.IMAGE:
        images.rate(thing.row, moderator, int(rating or 0))
    elif decision == Decision.RERATED and rating in Rating.values and about != Reported.REVIEW:
        catalog.change_entry(thing.entry, by_hand=False, rating=rating)
    else:
        raise NoReport("report:no-decision", _("Choose what to do."), status=400)


def _remove(moderator: User, thing: Thing, reason: str) -> None:
    if thing.about == Reported.REVIEW:
        reviews.hide(moderator, thing.row, reason)
        return
    if thing.about == Reported.IMAGE:
        images.hide(thing.row, moderator, reason)
        return
    versions = [thing.row] if thing.about == Reported.VERSION else list(thing.entry.versions.filter(deleted_at=None))
    for version in versions:
        if version.status == Status.PUBLISHED:
            version.entry = thing.entry
            catalog.withdraw(version, reason)


@transaction.atomic
def take_back(moderator: User, row: Report) -> None:
    """Undo a removal: what was hidden is shown again, what was withdrawn may be published again. Raises `NoReport` 403, 409."""
    if not queries.is_moderator(moderator):
        raise NoReport("report:not-moderator", _("Only moderators may do this."), status=403)
    same = Report.objects.filter(about=row.about, thing=row.thing, decision=Decision.REMOVED)
    if not same.update(decision=Decision.DISMISSED, decided_at=timezone.now(), decided_by=moderator, decided_by_name=moderator.username):
        raise NoReport("report:not-removed", _("It was not removed, or is back already."))
    review = Review.objects.select_related("version").filter(pk=row.thing).first() if row.about == Reported.REVIEW else None
    if review is not None:
        reviews.show_again(moderator, review)
    image = images.find(row.thing) if row.about == Reported.IMAGE else None
    if image is not None:
        images.show_again(image, moderator)


def removed() -> QuerySet[Report]:
    """Decisions in force that took something away, the newest first, one a thing."""
    newest = Report.objects.filter(decision=Decision.REMOVED).order_by("about", "thing", "-pk").distinct("about", "thing").values("pk")
    return Report.objects.filter(pk__in=newest).select_related("entry", "owner").order_by("-decided_at", "-pk")


def made_by(user: User) -> QuerySet[Report]:
    """What this person reported, the newest first."""
    return Report.objects.filter(reporter=user).select_related("entry__owner").order_by("-pk")


def about_mine(user: User) -> QuerySet[Report]:
    """Decisions about this person's things, newest first; nothing of who reported them, nor what was dismissed."""
    decided = Report.objects.filter(owner=user, decision__in=[Decision.REMOVED, Decision.RERATED])
    newest = decided.order_by("about", "thing", "-decided_at").distinct("about", "thing", "decided_at").values("pk")
    return Report.objects.filter(pk__in=newest).select_related("entry__owner").order_by("-decided_at", "-pk")
