"""Keeps rendered pictures: the text of their recipe put into them, stored once under their SHA-256, forgotten when nothing shows them.

Who may see one is asked in `renders.py` and `hub`; what one shows is not this module's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from inference import blur
from inference.diffusion import infotext, jobs
from inference.diffusion.version import RENDERER_VERSION
from inference.models import Picture, Shot

KEPT_UNSHOWN = timedelta(days=1)
"""How long a picture stays that no shot shows any more."""
PACKAGES = ("torch", "diffusers", "transformers")


def store(png: bytes, files: Sequence[jobs.JobFile], spec: jobs.Shot, key: str, device: str) -> Picture:
    """The picture of a shot, with its recipe in it as A1111 writes it. The one that is kept under this key, where there is one.

    It names weights by their digests and no page of this hub: other versions with the same bytes share the picture, private ones too.
    """
    text = infotext.write(infotext.facts(files, spec))
    data = infotext.embed(png, text)
    known = {
        "sha256": hashlib.sha256(data).hexdigest(),
        "width": spec.width,
        "height": spec.height,
        "size_bytes": len(data),
        "seed": spec.seed,
        "parameters": text,
        "meta": infotext.meta(text),
        "renderer": made_with(device),
        "blurhash": blur.blur_of(png),
    }
    place(Picture(**known).stored_name, data)  # first the bytes: a row without them would be shown
    return Picture.objects.get_or_create(key=key, defaults=known)[0]


def place(name: str, data: bytes) -> None:
    """Store a picture under a name that follows from its bytes; what is there already stays."""
    media = storages["media"]
    if media.exists(name) and media.size(name) == len(data):
        return
    media.delete(name)
    stored = media.save(name, ContentFile(data))
    if stored != name:  # another worker was quicker
        media.delete(stored)


def read(picture: Picture) -> bytes:
    """The stored PNG; b"" where the store does not have it."""
    try:
        with storages["media"].open(picture.stored_name) as file:
            return bytes(file.read())
    except OSError:
        return b""


@cache
def made_with(device: str) -> str:
    """ "renderer 1, cpu, torch 2.13.0, diffusers 0.42.1, ..." """
    return ", ".join([f"renderer {RENDERER_VERSION}", device, *(f"{name} {_version(name)}" for name in PACKAGES)])[:80]


def _version(package: str) -> str:
    try:
        return version(package).split("+")[0]
    except PackageNotFoundError:
        return "?"


def fill_blurs(limit: int = 100) -> int:
    """Give pictures that were stored before there were BlurHashes theirs; how many got one. What cannot be read now is tried again."""
    count = 0
    for picture in Picture.objects.filter(blurhash="").order_by("?")[:limit]:
        text = blur.blur_of(read(picture))
        count += bool(text) and Picture.objects.filter(pk=picture.pk).update(blurhash=text)
    return count


def collect(limit: int = 200) -> int:
    """Forget pictures that no shot has shown for a day, and their bytes; how many."""
    used = Exists(Shot.objects.filter(picture=OuterRef("pk")))
    orphans = Picture.objects.filter(~used, created_at__lt=timezone.now() - KEPT_UNSHOWN)
    return sum(map(_forget, orphans.values_list("pk", flat=True)[:limit]))


@transaction.atomic
def _forget(pk: int) -> bool:
    """Forget one unless a shot has come to show it: the lock holds up whoever would take it now."""
    picture = Picture.objects.select_for_update().filter(pk=pk).first()
    if picture is None or Shot.objects.filter(picture=picture).exists():
        return False
    picture.delete()
    if not Picture.objects.filter(sha256=picture.sha256).exists():
        storages["media"].delete(picture.stored_name)  # before the commit: where the process ends now, the row stays and is met again
    return True
