"""The page where versions stand side by side, and what is asked for on it: pictures that are missing, other versions to add.

What stands in the rows is `comparison.py`, in the table `differences.py`; pictures are asked for as the API does, by `inference.renders`.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from hub.said import said
from hub.web import comparison, differences
from hub.web.compareforms import FIXED, SceneForm
from hub.web.comparison import MOST, Cell, Comparison
from hub.web.site import cap_of
from inference import renders, scenes
from inference.models import MergeInput
from inference.scenes import Scene
from registry import queries, search
from registry.formats.errors import FormatError
from registry.models import Entry, Version

FOUND = 10
MAX_WORDS = 200


@require_safe
def show(request: HttpRequest) -> HttpResponse:
    """Versions side by side; the pictures alone where a script asks for them again."""
    ids, cap = comparison.wanted_ids(request.GET), cap_of(request.user)
    shown = comparison.columns_of(request.user, cap, ids)
    form = SceneForm(request.GET) if request.GET.get("prompt") else SceneForm()
    own = form.scene() if form.is_bound and form.is_valid() else None
    comparison.fill(shown, request.user, own)
    return _page(request, shown, form, own)


def _page(request: HttpRequest, shown: Comparison, form: SceneForm, own: Scene | None, status: int = 200) -> HttpResponse:
    context: dict[str, Any] = {"comparison": shown, "form": form, "query": address_of(shown.versions, own).partition("?")[2], "own": own}
    htmx = getattr(request, "htmx", None)
    if htmx and htmx.target == "pictures":
        return render(request, "compare/pictures.html", context)
    for column in shown.columns:
        column.without = address_of([version for version in shown.versions if version != column.version], own)
    text = request.GET.get("q", "").replace("\x00", "").strip()[:MAX_WORDS]
    context |= {"text": text, "found": _candidates(request, text, shown), "others": _siblings(request, shown), "most": MOST}
    context |= {"differences": differences.between(shown.columns) if len(shown.columns) > 1 else None, "merges": _merges(request, shown)}
    part = htmx and htmx.target == "found"
    return render(request, "compare/found.html" if part else "compare/page.html", context, status=status)


def address_of(versions: list[Version], own: Scene | None = None) -> str:
    """The address at which these stand side by side, with the recipe where it is a person's own."""
    query: list[tuple[str, Any]] = [("v", version.pk) for version in versions]
    if own is not None:
        query += [("prompt", own.prompt), ("seed", own.seed), *((name, own.fixed[name]) for name in FIXED if name in own.fixed)]
    return f"{reverse('compare')}?{urlencode(query)}"


def _candidates(request: HttpRequest, text: str, shown: Comparison) -> list[Version]:
    """The newest versions of listed models that match the text, without those that are shown."""
    if not text or shown.full:
        return []
    listed = queries.listed().filter(rating__lte=cap_of(request.user))
    entries: list[Entry] = list(queries.with_cards(search.search(listed, text))[: FOUND + MOST])
    newest = [next(iter(entry.shown_versions), None) for entry in entries]  # type: ignore[attr-defined]
    taken = {version.pk for version in shown.versions}
    found = [version for version in newest if version is not None and version.pk not in taken]
    for version, entry in ((version, entry) for entry, version in zip(entries, newest, strict=True) if version):
        version.entry = entry
    return found[:FOUND]


def _siblings(request: HttpRequest, shown: Comparison) -> list[Version]:
    """Other published versions of the models that are shown."""
    if shown.full or not shown.columns:
        return []
    rows = queries.published_versions().filter(entry__in={version.entry_id for version in shown.versions}, entry__deleted_at=None)
    return list(rows.exclude(pk__in=[version.pk for version in shown.versions]).select_related("entry").order_by("-pk")[:6])


def _merges(request: HttpRequest, shown: Comparison) -> list[tuple[Version, str]]:
    """Of merges among the columns: the address with what they were made of, where that is not all here."""
    here = {version.pk: version for version in shown.versions}
    rows = MergeInput.objects.filter(merge__result__version__in=here, role__in=["a", "b", "c"])
    found: dict[int, list[Version]] = {}
    for row in rows.select_related("merge__result", "file__version__entry__owner").order_by("merge_id", "role"):
        file = row.file
        if file is not None and row.merge.result is not None and _may_lead(request, file.version):
            found.setdefault(row.merge.result.version_id, []).append(file.version)
    wanted = {pk: list(dict.fromkeys([*inputs, here[pk]])) for pk, inputs in found.items()}
    return [(here[pk], address_of(all_of[:MOST])) for pk, all_of in wanted.items() if not {one.pk for one in all_of} <= here.keys()]


def _may_lead(request: HttpRequest, version: Version) -> bool:
    own = queries.may_edit(request.user, version.entry)
    listed = queries.may_read_version(request.user, version) and version.entry.visibility == "public"
    return own or (listed and version.entry.rating <= cap_of(request.user))


@login_required
@require_POST
def ask(request: HttpRequest) -> HttpResponse:
    """Ask for the pictures of one recipe that are missing. Nothing that was typed is lost where it is refused."""
    shown = comparison.columns_of(request.user, cap_of(request.user), comparison.wanted_ids(request.POST))
    if not shown.columns:
        raise Http404
    form = SceneForm(request.POST)
    if not form.is_valid():
        comparison.fill(shown, request.user)
        return _page(request, shown, form, None, status=400)
    own = form.scene()
    comparison.fill(shown, request.user, own)
    asked, refused = _request_all(request, shown.rows[0].missing, own)
    if refused and not asked:
        form.add_error(form.field_of(refused.code), said(refused.sentence, 600))
        return _page(request, shown, form, own, status=400)
    if asked:
        messages.success(request, ngettext("%(n)s picture is asked for.", "%(n)s pictures are asked for.", asked) % {"n": asked})
    if refused:
        messages.error(request, said(refused.sentence, 600))
    return redirect(address_of(shown.versions, None if own.standard and not own.fixed else own) + "#pictures")


def _request_all(request: HttpRequest, missing: list[Cell], scene: Scene) -> tuple[int, FormatError | None]:
    """How many were asked for, and the last refusal."""
    asked, refused = 0, None
    for cell in missing:
        version = cell.column.version
        try:
            renders.request(request.user, **scenes.request_for(scene, version))  # type: ignore[arg-type]
            asked += 1
        except FormatError as refusal:
            refused = FormatError(refusal.code, _("%(name)s: %(why)s") % {"name": cell.column.name, "why": said(refusal.sentence)})
    return asked, refused
