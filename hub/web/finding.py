"""From what was pasted to the model that is meant, or to a page that says what was understood and that it is not here.

What may be found is what the visitor may open by its address (`queries.readable_versions`): hashes find what is unlisted too.
"""

from __future__ import annotations

from django.db.models import Case, F, IntegerField, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from hub import pasted
from hub.pasted import Pasted
from registry import queries, search
from registry.models import Entry, File, Kind, Status, Version

GONE_LAST = Case(
    When(version__status=Status.PUBLISHED, version__deleted_at=None, version__entry__deleted_at=None, then=Value(0)),
    default=Value(1),
    output_field=IntegerField(),
)
KINDS = {
    "checkpoint": Kind.CHECKPOINT,
    "lora": Kind.LORA,
    "lycoris": Kind.LORA,
    "dora": Kind.LORA,
    "embedding": Kind.EMBEDDING,
    "hypernet": Kind.HYPERNETWORK,
    "vae": Kind.VAE,
    "controlnet": Kind.CONTROLNET,
    "upscaler": Kind.UPSCALER,
}
"""The word of an AIR -> our kind."""


def understood(request: HttpRequest) -> Pasted | None:
    """What the search field holds, if it is more than words."""
    return pasted.read(request.GET.get("q", "")[: pasted.MAX_TEXT + 1], request.get_host())


def address_of(request: HttpRequest, found: Pasted) -> str:
    """Where the pasted thing is on this hub; "" where it is not, or is several models."""
    if found.hash:
        return _by_hash(request, found.hash)
    if found.repository:
        return _by_name(request, *found.repository.split("/"))
    if found.path:
        return found.path if _is_page(request, found.path) else ""
    if found.site == "here" or (found.what == "air" and found.site == "civitai"):
        return _by_number(request, found)
    return ""  # numbers of civitai.com are not ours


def answer(request: HttpRequest) -> HttpResponse | None:
    """What to answer instead of a search; None where words, or a hash of several models, are to be searched."""
    found = understood(request)
    if found is None or "exact" in request.GET:
        return None
    if where := address_of(request, found):
        return _led(request, where)
    if found.hash and search.search(queries.listed(), request.GET.get("q", "")).exists():
        return None
    return render(request, "search/not_here.html", {"found": found, "asked": request.GET.get("q", "").strip()[:200]})


def _led(request: HttpRequest, where: str) -> HttpResponse:
    if getattr(request, "htmx", None):
        response = HttpResponse()
        response["HX-Redirect"] = where
        return response
    return redirect(where)


def _by_hash(request: HttpRequest, digits: str) -> str:
    files = queries.visible_files(request.user).filter(blob__in=queries.blobs_by_hash(digits)).select_related("version__entry__owner")
    rows = list(files.order_by(GONE_LAST, F("version__published_at").asc(nulls_last=True), "version_id")[:20])
    return address_of_file(rows[0]) if len({file.version.entry_id for file in rows}) == 1 else ""


def address_of_file(file: File) -> str:
    """The page of the version that a file belongs to."""
    return address_of_version(file.version)


def address_of_version(version: Version) -> str:
    return reverse("model-version", args=[version.entry.owner.username, version.entry.slug, version.pk])


def _by_name(request: HttpRequest, owner: str, slug: str) -> str:
    entry = queries.readable(request.user).filter(owner__username__iexact=owner, slug__iexact=slug).select_related("owner").first()
    return reverse("model", args=[entry.owner.username, entry.slug]) if entry else ""


def _by_number(request: HttpRequest, found: Pasted) -> str:
    """By our own numbers. An AIR says `civitai` whoever made it, so all that it tells must fit before it is taken for one of ours."""
    if found.version:
        versions = queries.readable_versions(request.user).filter(pk=found.version).select_related("entry__owner")
        version = (versions.filter(entry=found.model) if found.model else versions).first()
        return address_of_version(version) if version and _fits(found, version.entry) else ""
    entry = queries.readable(request.user).filter(pk=found.model).select_related("owner").first()
    return reverse("model", args=[entry.owner.username, entry.slug]) if entry and found.what != "air" else ""


def _fits(found: Pasted, entry: Entry) -> bool:
    return found.what != "air" or not found.kind or KINDS.get(found.kind) == entry.kind


def _is_page(request: HttpRequest, path: str) -> bool:
    """Whether an address of this hub, `/name/name` and what follows, leads to a model of it."""
    parts = [part for part in path.split("/") if part]
    return len(parts) >= 2 and bool(_by_name(request, parts[0], parts[1]))
