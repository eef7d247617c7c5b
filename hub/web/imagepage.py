"""The gallery of people's images of a model, the page of one image, and its bytes. Changes are `images.py`'s."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from hub import imagefiles, usedmodels
from hub.imagemeta import ImageMeta, Resource
from hub.web import access, imagerecipe
from hub.web.images import RatingForm, hidden_from
from hub.web.site import cap_of
from registry import images, queries, ratings
from registry.formats.plaintext import printable
from registry.models import Entry, Rating, Status, UserImage, Version

PAGE, FEW = 24, 6
"""Images of a page of the gallery, and of the model's page."""
LONGEST_COPY = 100_000
"""Characters of a workflow that stand in a page to be copied; longer ones are only downloaded."""
FIRST = ("Steps", "Sampler", "Schedule type", "CFG scale", "Seed", "Size", "Clip skip", "Denoising strength")
KINDS = {
    "model": _("Checkpoint"), "refiner": _("Refiner"), "vae": _("VAE"), "lora": _("LoRA"), "embedding": _("Embedding"),
    "hypernetwork": _("Hypernetwork"), "controlnet": _("ControlNet"), "upscaler": _("Upscaler"), "text encoder": _("Text encoder"),
    "other": _("File"),
}  # fmt: skip
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """What of a model's images is shown: of one version, or only those that say how they were made."""

    version: int | None = None
    told: bool = False

    @property
    def query(self) -> str:
        chosen = {"version": self.version, "told": "1" if self.told else None}
        return urlencode({key: value for key, value in chosen.items() if value})

    @classmethod
    def of(cls, request: HttpRequest) -> Choice:
        return cls(_number(request.GET.get("version")), request.GET.get("told") == "1")


@dataclass
class Gallery:
    """A page of a model's images as the templates read it. `before` is where the next page goes on."""

    entry: Entry
    versions: list[Version]
    choice: Choice
    tiles: list[Tile]
    before: int | None = None
    first: bool = True

    @property
    def everything(self) -> bool:
        return self.choice == Choice()

    @property
    def other_told(self) -> str:
        return Choice(self.choice.version, not self.choice.told).query


def alt(image: UserImage) -> str:
    """What stands for an image that is not seen."""
    return gettext("Image by %(who)s") % {"who": image.owner.username}


@dataclass(frozen=True)
class Tile:
    """An image in a gallery."""

    image: UserImage

    @property
    def source(self) -> str:
        return imagefiles.path(self.image, imagefiles.SMALL)

    @property
    def ratio(self) -> str:
        """Width by height of its box: of very long images a part is shown."""
        return f"{min(2.2, max(0.55, self.image.file.width / self.image.file.height)):.3f}"

    @property
    def alt(self) -> str:
        return alt(self.image)

    @property
    def size(self) -> tuple[int, int]:
        return imagefiles.size(self.image.file, imagefiles.SMALL)

    @property
    def colour(self) -> str:
        return imagefiles.colour(self.image.file.blurhash)


def gallery(user: Any, entry: Entry, versions: list[Version], choice: Choice, before: int | None, size: int) -> Gallery:
    """A page of at most `size` images, in one query; `versions` are those of the entry that this visitor may read."""
    chosen = [version.pk for version in versions if choice.version in (None, version.pk)]
    found = _chosen(user, chosen, choice)
    if before is not None:
        found = found.filter(pk__lt=before)
    rows = list(found[: size + 1])
    for row in rows:
        row.version.entry = entry
    after = rows[size - 1].pk if len(rows) > size else None
    return Gallery(entry, versions, choice, [Tile(row) for row in rows[:size]], after, before is None)


def _chosen(user: Any, version_ids: list[int], choice: Choice) -> Any:
    found = images.of_versions(user, version_ids)
    return found.exclude(file__tool="") if choice.told else found


def _versions(user: Any, entry: Entry) -> list[Version]:
    may_edit = queries.may_edit(user, entry)
    return [version for version in entry.versions.all() if version.deleted_at is None and (may_edit or version.status != Status.DRAFT)]


@require_safe
def show_gallery(request: HttpRequest, pk: int) -> HttpResponse:
    """All images of a model; the tiles behind a cursor alone where a script asks for more."""
    entry = access.entry_or_404(request, pk=pk)
    closed = access.above_limit(request, entry)
    if closed:
        return closed
    if entry.gone:
        raise Http404
    page = gallery(request.user, entry, _versions(request.user, entry), Choice.of(request), _number(request.GET.get("before")), PAGE)
    part = getattr(request, "htmx", None) and not page.first
    return render(request, "gallery/tiles.html" if part else "gallery/page.html", {"gallery": page, "entry": entry})


@dataclass(frozen=True)
class Used:
    """A file that took part in an image: as the tool named it, and where it is here."""

    resource: Resource
    version: Version | None

    @property
    def kind(self) -> Any:
        return KINDS.get(self.resource.kind, KINDS["other"])

    @property
    def strength(self) -> str:
        """How strongly it acted, "0.75"; "" where that is not said."""
        return "" if self.resource.weight is None else f"{self.resource.weight:g}"


@dataclass
class ImagePage:
    """What the template reads."""

    image: UserImage
    meta: ImageMeta
    used: list[Used]
    choice: Choice
    original: bool
    may_manage: bool
    newer: int | None = None
    older: int | None = None
    rating_form: RatingForm | None = None
    opened_with: Version | None = None
    settings: list[tuple[str, str]] = field(default_factory=list)

    @property
    def source(self) -> str:
        return imagefiles.path(self.image, None if self.original else imagefiles.LARGE)

    @property
    def download(self) -> str:
        return imagefiles.path(self.image, None)

    @property
    def alt(self) -> str:
        prompt = printable(" ".join(self.meta.prompt.split()), 300)
        return prompt or alt(self.image)

    @property
    def size(self) -> tuple[int, int]:
        return imagefiles.size(self.image.file, None if self.original else imagefiles.LARGE)

    @property
    def colour(self) -> str:
        return imagefiles.colour(self.image.file.blurhash)

    @property
    def shrunk(self) -> bool:
        return self.image.file.width > self.size[0]

    @cached_property
    def workflow(self) -> str:
        text = self.image.file.workflow
        return text if len(text) <= LONGEST_COPY else ""

    @property
    def rating(self) -> str:
        return Rating(self.image.rating).label

    @property
    def query(self) -> str:
        return f"?{self.choice.query}" if self.choice.query else ""


@require_safe
def show(request: HttpRequest, pk: int) -> HttpResponse:
    """A page of its own; the part that a dialog shows where a script asks. With `?size=original` the original instead of the copy."""
    image = _found(request, pk)
    if hidden_from(request, image):
        names = {"rating": Rating(max(image.rating, image.version.entry.rating)).label, "limit": Rating(cap_of(request.user)).label}
        return render(request, "catalog/above_cap.html", names)
    page = _assembled(request, image)
    part = getattr(request, "htmx", None)
    context = {"page": page, "image": image, "entry": image.version.entry, "version": image.version}
    return render(request, "gallery/image.html" if part else "gallery/image_page.html", context)


def _found(request: HttpRequest, pk: int) -> UserImage:
    image = images.find(pk)
    if image is None or not images.may_get(request.user, image):
        raise Http404
    return image


def _assembled(request: HttpRequest, image: UserImage) -> ImagePage:
    meta, user, choice = _meta(image), request.user, Choice.of(request)
    used = _used(user, meta)
    may_manage = images.may_manage(user, image)
    page = ImagePage(image, meta, used, choice, request.GET.get("size") == "original", may_manage)
    page.settings = sorted(meta.settings.items(), key=lambda row: FIRST.index(row[0]) if row[0] in FIRST else len(FIRST))
    version_ids = [version.pk for version in _versions(user, image.version.entry) if choice.version in (None, version.pk)]
    beside = _chosen(user, version_ids, choice)
    page.newer = beside.filter(pk__gt=image.pk).order_by("pk").values_list("pk", flat=True).first()
    page.older = beside.filter(pk__lt=image.pk).values_list("pk", flat=True).first()
    page.opened_with = imagerecipe.opened_with(image, [(one.resource.kind, one.version) for one in used if one.version])
    if may_manage:
        page.rating_form = RatingForm(initial={"rating": image.rating})
    return page


def _used(user: Any, meta: ImageMeta) -> list[Used]:
    """The files that an image names; of those here that this visitor does not want to see nothing is told."""
    sight = ratings.sight_of(user)
    found = [(one.resource, one.file.version if one.file else None) for one in usedmodels.used(user, meta)]
    return [Used(resource, version if version and not sight.hides(version.entry.rating) else None) for resource, version in found]


def _meta(image: UserImage) -> ImageMeta:
    try:
        return ImageMeta.from_json({**image.file.meta, "workflow": image.file.workflow or None})
    except (TypeError, ValueError, KeyError):
        return ImageMeta()


@require_safe
def send(request: HttpRequest, pk: str, size: str, ending: str) -> HttpResponse:
    """The bytes of an image: a copy, or the original as it was uploaded."""
    image = _found(request, int(pk))
    width = None if size == "original" else int(size[1:])
    if ending != (image.file.kind if width is None else "webp"):
        raise Http404
    try:
        return imagefiles.answer(request, image, width)
    except OSError:
        log.exception("image %s cannot be sent", pk)
        raise Http404 from None


@require_safe
def workflow(request: HttpRequest, pk: int) -> HttpResponse:
    """ComfyUI's workflow of an image, to be saved: as the image had it."""
    image = _found(request, pk)
    try:
        json.loads(image.file.workflow)
    except (ValueError, RecursionError):
        raise Http404 from None
    response = HttpResponse(image.file.workflow, content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="workflow-{image.pk}.json"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None
