"""Keeps the bytes of people's images in the `media` store: originals under their SHA-256, copies for pages beside them.

Names follow from `StoredImage`; what is there already under a name stays, since the name says what it is.
Who may attach and see is `images.py`'s.
"""

from __future__ import annotations

from datetime import timedelta

from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from registry.imagesizes import WIDTHS
from registry.models import StoredImage, UserImage

GRACE = timedelta(hours=1)
"""Younger orphans may belong to work in progress."""


def place(name: str, data: bytes) -> None:
    """Store bytes under a name that follows from them. OSError, or what S3's client raises, where the store fails."""
    media = storages["media"]
    if media.exists(name) and media.size(name) == len(data):
        return
    media.delete(name)
    stored = media.save(name, ContentFile(data))
    if stored != name:  # another was quicker
        media.delete(stored)


def original(file: StoredImage) -> bytes:
    """The bytes that were uploaded."""
    with storages["media"].open(file.stored_name) as opened:
        return bytes(opened.read())


def collect(limit: int = 200) -> int:
    """Forget bytes that no image needs any more, and their rows; how many."""
    used = Exists(UserImage.objects.filter(file=OuterRef("pk")))
    orphans = StoredImage.objects.filter(~used, created_at__lt=timezone.now() - GRACE)
    return sum(map(_forget, orphans.values_list("pk", flat=True)[:limit]))


@transaction.atomic
def _forget(pk: int) -> bool:
    """Forget an orphan unless somebody attaches it now: the lock holds them up, who then find no row."""
    file = StoredImage.objects.select_for_update().filter(pk=pk).first()
    if file is None or UserImage.objects.filter(file=file).exists():
        return False
    file.delete()
    for name in [file.stored_name, *(file.shown_name(width) for width in WIDTHS)]:
        storages["media"].delete(name)  # under the lock: whoever attaches the same bytes next finds them gone, and brings them
    return True
