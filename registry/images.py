"""Images of people on versions: who may attach, see, hide and delete them, and the writes, named by verb. Bytes are `imagestore`'s.

Whether bytes are an image is found out before (`hub.imagedoor`) and by a worker (`hub.imagecheck`), never here.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from registry import imagestore, lifecycle, queries, ratings
from registry.formats.plaintext import printable
from registry.lifecycle import ImageState
from registry.models import Status, StoredImage, User, UserImage, Version
from registry.refusals import Refusal

MAX_WAITING = 48
"""Images of one person that wait for a worker at once."""
KEEP_REFUSED = timedelta(days=7)
"""How long its uploader can read why an image was refused."""


class NoImage(Refusal):
    """An image cannot be attached, hidden or shown: code, sentence and HTTP status say why."""


def attachable(user: Any, version: Version) -> bool:
    """Members attach images to whatever they may read that is not gone; a draft's are its creator's business."""
    return bool(user and user.is_authenticated) and not version.gone and queries.may_read_version(user, version)


def shown(user: Any) -> QuerySet[UserImage]:
    """Images that pages lead this visitor to: decoded, not hidden, within what they want to see, of versions that are theirs to read and
    not gone; with their bytes' row, version, entry and people, without the long texts. Newest first."""
    return _within(user, UserImage.objects.filter(version__in=queries.readable_versions(user)))


def of_versions(user: Any, version_ids: list[int]) -> QuerySet[UserImage]:
    """The same of versions that the visitor is known to be allowed to read."""
    return _within(user, UserImage.objects.filter(version__in=version_ids))


def _within(user: Any, found: QuerySet[UserImage]) -> QuerySet[UserImage]:
    limit = ratings.sight_of(user).limit
    found = found.filter(state=ImageState.SHOWN, hidden_at=None, rating__lte=limit, version__entry__rating__lte=limit)
    alive = found.filter(version__deleted_at=None, version__entry__deleted_at=None).exclude(version__status=Status.WITHDRAWN)
    return _loaded(alive)


def of_uploader(user: User, version: Version) -> QuerySet[UserImage]:
    """What one person attached to a version, whatever became of it; newest first."""
    return _loaded(UserImage.objects.filter(owner=user, version=version))


def _loaded(images: QuerySet[UserImage]) -> QuerySet[UserImage]:
    return images.select_related("file", "owner", "version__entry__owner").defer("file__meta", "file__workflow").order_by("-id")


def find(pk: int) -> UserImage | None:
    return UserImage.objects.select_related("file", "owner", "version__entry__owner").filter(pk=pk).first()


def may_get(user: Any, image: UserImage) -> bool:
    """Whether this visitor may have the page and the bytes of an image, by address. Its uploader, the version's creator and moderators
    also when it is hidden or rated above the site's cap. What no worker has decoded nobody gets; a visitor's own limit is the page's."""
    if image.state != ImageState.SHOWN or not queries.may_read_version(user, image.version):
        return False
    if may_manage(user, image):
        return True
    return not image.version.gone and image.hidden_at is None and not ratings.above_cap(image.rating)


def may_manage(user: Any, image: UserImage) -> bool:
    """Its uploader, the creator of the version and moderators hide and delete it."""
    if not user or not user.is_authenticated:
        return False
    return image.owner_id == user.pk or queries.may_edit(user, image.version.entry)


def is_public(image: UserImage) -> bool:
    """Whether everybody may have it: then its bytes may lie in caches for a while."""
    return may_get(None, image)


@transaction.atomic
def attach(user: User, version: Version, data: bytes, *, name: str, kind: str, size: tuple[int, int], rating: int) -> UserImage:
    """Take an image whose form was checked, and have a worker look at it. The same image of the same person is one: the known row.

    Raises `NoImage` for who may not, for a full quota and for too many that wait.
    """
    if not attachable(user, version):
        raise NoImage("image:not-yours", _("Images can be attached by members, to models that are not withdrawn."), 403)
    _check_room(user, len(data))
    sha256 = hashlib.sha256(data).hexdigest()
    width, height = size
    known = {"size_bytes": len(data), "kind": kind, "width": width, "height": height}
    file = StoredImage.objects.select_for_update().get_or_create(sha256=sha256, defaults=known)[0]
    imagestore.place(file.stored_name, data)
    title = printable(name, 120) or kind
    image, made = UserImage.objects.get_or_create(version=version, owner=user, file=file, defaults={"name": title, "rating": rating})
    if made:
        lifecycle.moved.send(sender=UserImage, row=image, came_from="")
    elif image.state == ImageState.REFUSED:
        lifecycle.retry(image, ImageState.RECEIVED)
    return image


def _check_room(user: User, size: int) -> None:
    mine = UserImage.objects.filter(owner=user)
    if mine.filter(state__in=[ImageState.RECEIVED, ImageState.CHECKING]).count() >= MAX_WAITING:
        raise NoImage("image:waiting", _("Many of your images still wait to be checked. Attach more when these are done."), 429)
    used = mine.aggregate(total=Sum("file__size_bytes"))["total"] or 0
    if used + size > settings.USER_IMAGE_BYTES:
        raise NoImage("image:quota", _("Your images would take more room than a member has here. Delete some first."), 413)


def accept(image: UserImage, **found: Any) -> None:
    """Record what a worker found in the bytes (columns of `StoredImage`) and show the image."""
    with transaction.atomic():
        StoredImage.objects.filter(pk=image.file_id).update(checked_at=timezone.now(), **found)
        lifecycle.advance(image, ImageState.SHOWN)


def hide(image: UserImage, by: User, reason: str) -> None:
    """Take it out of sight; it stays for its uploader, the version's creator and moderators. The reason is for its uploader."""
    if not may_manage(by, image):
        raise NoImage("image:not-yours", _("Only its uploader, the model's creator and moderators can do this."), 403)
    said = printable(reason, 300)
    UserImage.objects.filter(pk=image.pk).update(hidden_at=timezone.now(), hidden_by_name=by.username, hidden_reason=said)


def show_again(image: UserImage, by: User) -> None:
    """Undo `hide`. What a moderator hid only moderators bring back."""
    hider = User.objects.filter(username=image.hidden_by_name).first()
    moderated = hider is not None and hider.moderates and hider.pk not in (image.owner_id, image.version.entry.owner_id)
    if not may_manage(by, image) or (moderated and not queries.is_moderator(by)):
        raise NoImage("image:not-yours", _("A moderator hid this image; only a moderator can show it again."), 403)
    UserImage.objects.filter(pk=image.pk).update(hidden_at=None, hidden_by_name="", hidden_reason="")


def rate(image: UserImage, by: User, rating: int) -> None:
    """Give it another content rating. Its uploader and the model's creator may only raise it: lowering is a moderator's word."""
    if not may_manage(by, image) or (rating < image.rating and not queries.is_moderator(by)):
        raise NoImage("image:rating", _("Only a moderator can lower the rating of an image."), 403)
    UserImage.objects.filter(pk=image.pk).update(rating=rating)


def delete(image: UserImage, by: User) -> None:
    """Remove it for good; `imagestore.collect` removes the bytes when nobody else attached them."""
    if not may_manage(by, image):
        raise NoImage("image:not-yours", _("Only its uploader, the model's creator and moderators can do this."), 403)
    UserImage.objects.filter(pk=image.pk).delete()


def forget_old(limit: int = 200) -> int:
    """Remove images that were refused a week ago, and those of versions that were deleted as long ago as bytes are kept; how many."""
    before = timezone.now() - timedelta(days=settings.KEEP_DELETED_DAYS)
    gone = Q(version__deleted_at__lt=before) | Q(version__entry__deleted_at__lt=before)
    refused = Q(state=ImageState.REFUSED, moved_at__lt=timezone.now() - KEEP_REFUSED)
    pks = list(UserImage.objects.filter(gone | refused).values_list("pk", flat=True)[:limit])
    return UserImage.objects.filter(pk__in=pks).delete()[0]
