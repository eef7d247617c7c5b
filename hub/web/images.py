"""Attaching images to a version, and what their uploader, the model's creator and moderators do with them. Looking is `imagepage.py`'s."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods, require_POST

from hub import imagedoor
from hub.imagemeta import MAX_BYTES
from hub.said import said
from hub.web import access
from registry import images, ratings
from registry.formats.errors import FormatError
from registry.formats.plaintext import printable
from registry.images import NoImage
from registry.lifecycle import ImageState
from registry.models import Rating, UserImage, Version

MOST = 12
"""Images in one form."""
MAX_BODY = MOST * MAX_BYTES + (1 << 20)
OPEN = (ImageState.RECEIVED, ImageState.CHECKING)
OWN = 60
"""Of one's own images that the form's page lists."""


class RatingForm(forms.Form):
    """The content rating of what is attached."""

    rating = forms.TypedChoiceField(
        label=gettext_lazy("Content rating"),
        choices=Rating.choices,
        coerce=int,
        help_text=gettext_lazy("Who should see these images. It begins as the model's own rating."),
    )


@csrf_exempt  # the size of what is sent is asked before anything of it is read; `_attaching` asks for the token
def attach(request: HttpRequest, pk: int) -> HttpResponse:
    """The form to attach images to a version, and one's own images there; POST takes up to `MOST`."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if request.method == "POST" and (not length.isascii() or not length.isdigit() or int(length) > MAX_BODY):
        return render(request, "gallery/too_large.html", {"most": MOST, "megabytes": MAX_BYTES >> 20}, status=413)
    answer: HttpResponse = _attaching(request, pk)
    return answer


@csrf_protect
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def _attaching(request: HttpRequest, pk: int) -> HttpResponse:
    version = access.version_or_404(request, pk)
    if not images.attachable(request.user, version):
        raise Http404
    closed = access.above_limit(request, version.entry)
    if closed:
        return closed
    form = RatingForm(request.POST if request.method == "POST" else None, initial={"rating": version.entry.rating})
    refused: list[tuple[str, str]] = []
    if request.method == "POST" and form.is_valid():
        taken, refused = _take(request, version, form.cleaned_data["rating"])
        if taken:
            messages.success(
                request, ngettext("%(count)d image is being checked.", "%(count)d images are being checked.", taken) % {"count": taken}
            )
        if not refused:
            return redirect("version-images", pk=version.pk)
    status = 422 if refused or form.errors else 200
    return render(request, "gallery/attach.html", {**_shown(request, version), "form": form, "refused": refused}, status=status)


def _shown(request: HttpRequest, version: Version) -> dict[str, Any]:
    mine = list(images.of_uploader(request.user, version)[:OWN])  # type: ignore[arg-type]
    return {
        "version": version,
        "entry": version.entry,
        "mine": mine,
        "waiting": any(image.state in OPEN for image in mine),
        "most": MOST,
        "megabytes": MAX_BYTES >> 20,
        "megapixels": imagedoor.MAX_PIXELS // 1_000_000,
    }


def _take(request: HttpRequest, version: Version, rating: int) -> tuple[int, list[tuple[str, str]]]:
    """(how many images were taken; of the others name and reason)."""
    files = request.FILES.getlist("images")
    refused = [(printable(file.name or "", 120), _("Only %(most)d images are taken at once.") % {"most": MOST}) for file in files[MOST:]]
    taken = 0
    for file in files[:MOST]:
        try:
            _attach_one(request, version, file, rating)
            taken += 1
        except FormatError as answer:
            refused.append((printable(file.name or "", 120), said(answer.sentence, 600)))
    if not files:
        refused.append(("", _("Choose at least one image.")))
    return taken, refused


def _attach_one(request: HttpRequest, version: Version, file: UploadedFile, rating: int) -> UserImage:
    if (file.size or 0) > MAX_BYTES:
        raise NoImage("image:size", _("The image is larger than %(size)d MB. Attach a smaller one.") % {"size": MAX_BYTES >> 20}, 413)
    data = file.read(MAX_BYTES + 1)
    layout = imagedoor.admitted(data)
    size = (layout.width, layout.height)
    return images.attach(request.user, version, data, name=file.name or "", kind=layout.kind, size=size, rating=rating)  # type: ignore[arg-type]


@login_required
@require_http_methods(["GET", "HEAD"])
def progress(request: HttpRequest, pk: int) -> HttpResponse:
    """One's own images of a version alone, asked for again while a worker looks at them."""
    version = access.version_or_404(request, pk)
    return render(request, "gallery/mine.html", _shown(request, version))


@login_required
@require_POST
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    image = _managed(request, pk)
    images.delete(image, request.user)  # type: ignore[arg-type]
    messages.success(request, _("The image is deleted."))
    return (
        redirect("gallery", pk=image.version.entry_id)
        if request.POST.get("to") != "form"
        else redirect("version-images", pk=image.version_id)
    )


@login_required
@require_POST
def hide(request: HttpRequest, pk: int) -> HttpResponse:
    """Take it out of sight, or with `again` back."""
    image = _managed(request, pk)
    try:
        if request.POST.get("again"):
            images.show_again(image, request.user)  # type: ignore[arg-type]
            messages.success(request, _("The image is shown again."))
        else:
            images.hide(image, request.user, request.POST.get("reason", ""))  # type: ignore[arg-type]
            messages.success(request, _("The image is hidden. Only its uploader, the model's creator and moderators see it."))
    except NoImage as refusal:
        messages.error(request, said(refusal.sentence, 600))
    return redirect("image", pk=image.pk)


@login_required
@require_POST
def rate(request: HttpRequest, pk: int) -> HttpResponse:
    image = _managed(request, pk)
    form = RatingForm(request.POST)
    if form.is_valid():
        try:
            images.rate(image, request.user, form.cleaned_data["rating"])  # type: ignore[arg-type]
            messages.success(request, _("The image has another rating."))
        except NoImage as refusal:
            messages.error(request, said(refusal.sentence, 600))
    return redirect("image", pk=image.pk)


def _managed(request: HttpRequest, pk: int) -> UserImage:
    """An image to change: 404 for who may not have it, 403 for who may only look. What is still unchecked is its uploader's."""
    image = images.find(pk)
    if image is None or not (images.may_get(request.user, image) or images.may_manage(request.user, image)):
        raise Http404
    if not images.may_manage(request.user, image):
        raise PermissionDenied(_("Only its uploader, the model's creator and moderators can do this."))
    return image


def hidden_from(request: HttpRequest, image: UserImage) -> bool:
    """Whether the image is rated above what this visitor wants to see; those who manage it see it all the same."""
    limit = ratings.sight_of(request.user)
    return (limit.hides(image.rating) or limit.hides(image.version.entry.rating)) and not images.may_manage(request.user, image)
