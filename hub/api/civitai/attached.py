"""People's images in the picture feed: which of them answer a question, and how one is told. What the hub rendered is `feed`'s.

Pictures and images are rows of two tables, so their ids meet. In the feed images have theirs raised by `RAISED`: this module alone
knows that, and programs that keep ids in 32 bits with a sign can hold both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Greatest
from django.utils import timezone

from hub import imagefiles
from hub.api.civitai import vocabulary
from hub.api.civitai.feedquery import FeedQuery
from inference.diffusion import infotext
from registry import ratings
from registry.formats.errors import FormatError
from registry.lifecycle import ImageState
from registry.models import Rating, Status, UserImage, Version

RAISED = 1 << 30
"""The feed's ids below are those of rendered pictures, those above of images, whose posts have the same numbers."""
EVERY_RATING = sum(Rating.values)


def raised(image_id: int) -> int:
    return image_id + RAISED


def lowered(ids: Iterable[int]) -> list[int]:
    """The images' own ids of those of the feed's ids that name images."""
    return [pk - RAISED for pk in ids if pk > RAISED]


def of_pictures(ids: Iterable[int]) -> list[int]:
    """Those of the feed's ids that name rendered pictures."""
    return [pk for pk in ids if pk <= RAISED]


def any_author(query: FeedQuery) -> FeedQuery:
    """The same question about versions whoever made them and however they are rated: of an image both are its own."""
    return replace(query, username="", user=None, level=EVERY_RATING)


def images_of(versions: QuerySet[Version], query: FeedQuery) -> QuerySet[UserImage]:
    """Images of these versions, which this caller may see, that answer the question. What is hidden, or rated above the site's cap, does
    not, whoever asks. An image counts as rated as its model where that is rated higher."""
    images = UserImage.objects.filter(version__in=versions, state=ImageState.SHOWN, hidden_at=None, rating__lte=ratings.cap())
    images = images.filter(version__deleted_at=None, version__entry__deleted_at=None).exclude(version__status=Status.WITHDRAWN)
    images = images.annotate(rated=Greatest("rating", "version__entry__rating"))
    images = images.filter(rated__in=[bit for bit in Rating.values if bit & query.level])
    if query.username:
        images = images.filter(owner__username__iexact=query.username)
    if query.user is not None:
        images = images.filter(owner=query.user)
    days = vocabulary.PERIOD_DAYS[query.period]
    if days is not None:
        images = images.filter(created_at__gte=timezone.now() - timedelta(days=days))
    if query.images is not None:
        images = images.filter(pk__in=lowered(query.images))
    if query.post is not None:
        images = images.filter(pk__in=lowered([query.post]))
    if query.only_with_meta:
        images = images.exclude(file__tool="")
    return images.none() if query.media not in {"", "image"} else images.order_by()


def loaded(images: QuerySet[UserImage], ids: Collection[int]) -> list[UserImage]:
    """What is told of images, without their workflows; one query, none for none."""
    rows = images.filter(pk__in=ids).select_related("file", "owner", "version__entry")
    return list(rows.defer("file__workflow")) if ids else []


def path(image: UserImage) -> str:
    return imagefiles.path(image, None)


def meta(image: UserImage) -> dict[str, Any]:
    """What its maker's program wrote into it, as the site spells it; {} where nothing was understood."""
    text = image.file.meta.get("parameters")
    try:
        return dict(infotext.meta(text)) if isinstance(text, str) and text else {}
    except FormatError:
        return {}
