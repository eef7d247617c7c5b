"""Writes about reviews, named by verb, and what they add up to. Who may do what is asked here; pages are `hub/web/reviews.py`'s."""

from __future__ import annotations

from math import sqrt
from typing import Any

from django.db import transaction
from django.db.models import Count, F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from registry import queries
from registry.lifecycle import ImageState
from registry.models import Entry, Review, Status, User, UserImage, Version
from registry.models.community import MAX_ANSWER, MAX_REVIEW
from registry.refusals import Refusal

Z = 1.959963984540054
"""Of the normal distribution, for 95 % between both sides (E. B. Wilson 1927, "Probable inference, the law of succession")."""
MIN_REASON, MAX_REASON = 5, 500
UP = Count("pk", filter=Q(positive=True))
DOWN = Count("pk", filter=Q(positive=False))


class NoReview(Refusal):
    """What was asked of a review cannot be: code, sentence and HTTP status say why."""


def lower_bound(up: int, down: int) -> float:
    """Wilson's lower bound of the share of thumbs up, 0 to 1: with few thumbs it stays low however good they are. No thumbs: 0."""
    n = up + down
    if n == 0:
        return 0.0
    share, spread = up / n, Z * Z / n
    return max(0.0, (share + spread / 2 - Z * sqrt((share * (1 - share) + spread / 4) / n)) / (1 + spread))


def shown(version: Version, user: Any) -> QuerySet[Review]:
    """Reviews of a version that this visitor reads: hidden ones only by their authors and moderators."""
    reviews = Review.objects.filter(version=version).select_related("author", "image__file", "image__owner")
    if queries.is_moderator(user):
        return reviews
    rule = Q(hidden_at=None)
    if user and user.is_authenticated:
        rule |= Q(author=user)
    return reviews.filter(rule)


def why_not(user: Any, version: Version) -> str:
    """Why this person cannot review this version, as a sentence; "" when they can."""
    if not user or not user.is_authenticated:
        return _("Sign in to review this version.")
    if queries.is_owner(user, version.entry):
        return _("You made this model: others review it.")
    if version.gone or version.status != Status.PUBLISHED:
        return _("Only versions that are published can be reviewed.")
    return ""


def pictures_for(user: User, version: Version) -> QuerySet[UserImage]:
    """What one may put beside a review: one's own images of this version that are shown, newest first."""
    return UserImage.objects.filter(owner=user, version=version, state=ImageState.SHOWN, hidden_at=None).order_by("-pk")


@transaction.atomic
def give(user: User, version: Version, *, positive: bool, text: str = "", image: UserImage | None = None) -> Review:
    """Say what one thinks of a version, or say it anew, with one of `pictures_for` as proof. A hidden review stays hidden.

    Raises `NoReview`: 403 where one may not, 400 for a text that is too long or somebody else's image.
    """
    if refusal := why_not(user, version):
        raise NoReview("review:not-here", refusal, status=403)
    text = text.strip()
    if len(text) > MAX_REVIEW:
        raise NoReview("review:too-long", _("At most %(most)s characters fit.") % {"most": MAX_REVIEW}, status=400)
    if image is not None and not pictures_for(user, version).filter(pk=image.pk).exists():
        raise NoReview("review:image", _("Choose an image that you attached to this version."), status=400)
    said = {"positive": positive, "text": text, "image": image}
    review, new = Review.objects.get_or_create(version=version, author=user, defaults=said)
    if not new:
        Review.objects.filter(pk=review.pk).update(**said, changed_at=timezone.now())
        review.refresh_from_db()
    count(version)
    return review


@transaction.atomic
def take_back(user: User, version: Version) -> bool:
    """Delete one's own review. Whether there was one. A hidden one stays: it could otherwise be written anew at once."""
    deleted, _rows = Review.objects.filter(version=version, author=user, hidden_at=None).delete()
    count(version)
    return deleted > 0


def answer(user: User, review: Review, text: str) -> Review:
    """The creator's one answer to a review. Raises `NoReview`: 403 for others, 409 for a second one, 400 for nothing or too much."""
    if not queries.is_owner(user, review.version.entry):
        raise NoReview("review:not-yours", _("Only the model's creator may answer."), status=403)
    text = text.strip()
    if not 0 < len(text) <= MAX_ANSWER:
        sentence = _("An answer has 1 to %(most)s characters.") % {"most": MAX_ANSWER}
        raise NoReview("review:answer-length", sentence, status=400)
    if not Review.objects.filter(pk=review.pk, answered_at=None).update(answer=text, answered_at=timezone.now()):
        raise NoReview("review:answered", _("You have answered this review already."))
    review.refresh_from_db()
    return review


@transaction.atomic
def hide(user: User, review: Review, reason: str) -> Review:
    """Hide a review, for a reason that its author reads; its thumb counts no more. Raises `NoReview`: 403, or 400 without a reason."""
    if not queries.is_moderator(user):
        raise NoReview("review:not-moderator", _("Only moderators may hide a review."), status=403)
    reason = " ".join(reason.split())
    if not MIN_REASON <= len(reason) <= MAX_REASON:
        sentence = _("Give a reason of %(least)s to %(most)s characters: its author reads it.")
        raise NoReview("review:no-reason", sentence % {"least": MIN_REASON, "most": MAX_REASON}, status=400)
    Review.objects.filter(pk=review.pk).update(hidden_at=timezone.now(), hidden_reason=reason, hidden_by=user)
    count(review.version)
    review.refresh_from_db()
    return review


@transaction.atomic
def show_again(user: User, review: Review) -> Review:
    """Undo `hide`. Raises `NoReview` 403 for whoever is no moderator."""
    if not queries.is_moderator(user):
        raise NoReview("review:not-moderator", _("Only moderators may show it again."), status=403)
    Review.objects.filter(pk=review.pk).update(hidden_at=None, hidden_reason="", hidden_by=None)
    count(review.version)
    review.refresh_from_db()
    return review


def count(version: Version) -> None:
    """Add up a version's thumbs and its entry's. In the writer's transaction; the entry's row is locked, so that none is lost."""
    Entry.objects.select_for_update(of=("self",)).get(pk=version.entry_id)
    found = Review.objects.filter(version=version, hidden_at=None).aggregate(up=UP, down=DOWN)
    Version.objects.filter(pk=version.pk).update(thumbs_up=found["up"], thumbs_down=found["down"])
    weigh(version.entry_id)


def weigh(entry_id: int) -> None:
    """Bring an entry's thumbs and approval up to date with its published versions."""
    versions = queries.published_versions().filter(entry=entry_id).values_list("thumbs_up", "thumbs_down")
    up, down = (sum(column) for column in zip(*versions, strict=True)) if versions else (0, 0)
    counted = Entry.objects.filter(pk=entry_id).exclude(thumbs_up=up, thumbs_down=down)
    counted.update(thumbs_up=up, thumbs_down=down, approval=lower_bound(up, down))


def newest_first(reviews: QuerySet[Review], after: tuple[int, int] | None) -> QuerySet[Review]:
    """By age; `after` is (anything, id) of the last one that was shown."""
    return (reviews.filter(pk__lt=after[1]) if after else reviews).order_by("-pk")


def best_first(reviews: QuerySet[Review], after: tuple[int, int] | None) -> QuerySet[Review]:
    """Thumbs up first, newest of each first; `after` is (1 for up or 0, id) of the last one that was shown."""
    if after and after[0]:
        reviews = reviews.filter(Q(positive=False) | Q(pk__lt=after[1]))
    elif after:
        reviews = reviews.filter(positive=False, pk__lt=after[1])
    return reviews.order_by(F("positive").desc(), "-pk")
