"""The page on which people choose what to merge and how. It says at once what cannot work; the merge itself is `inference.merges`'.

Everything goes by one form, with or without a script: a search beside a role, the question what would come out, and the order itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hub.said import said
from hub.web import mergeloras, words
from hub.web.mergeform import FILES, MergeForm, ids_in
from hub.web.mergeloras import Chosen
from hub.web.site import cap_of
from inference import mergeinputs, merges, mergewords
from inference.mergeinputs import NoInput
from inference.merges import Forecast
from registry import search
from registry.formats.errors import FormatError
from registry.models import Entry, File, Rating, User, Visibility

FOUND = 8
MAX_WORDS = 100
KINDS = {"vae": ("vae",), "lora": ("lora",)}
MODELS = ("checkpoint", "unet")


@dataclass
class Part:
    """One role of a merge: the file that is chosen, and what a search found for it."""

    role: str
    label: str
    about: str
    chosen: File | None = None
    problem: str = ""
    text: str = ""
    sought: bool = False
    found: list[File] = field(default_factory=list)


@dataclass
class Loras:
    """The LoRAs to bake in: those that are chosen, then what a search found."""

    rows: list[Chosen]
    text: str = ""
    sought: bool = False
    found: int = 0


@dataclass
class Outlook:
    """What would come out, for the page: `refused` says why nothing would, `lacks` what is still to be said."""

    lacks: list[str] = field(default_factory=list)
    refused: str = ""
    forecast: Forecast | None = None

    @property
    def sentence(self) -> str:
        return mergewords.sentence(self.forecast.recipe.to_json()) if self.forecast else ""

    @property
    def licence(self) -> list[tuple[bool, str]]:
        return words.licence(self.forecast.terms) if self.forecast else []  # type: ignore[arg-type]

    @property
    def visibility(self) -> str:
        return str(Visibility(self.forecast.terms.visibility).label) if self.forecast else ""

    @property
    def rating(self) -> str:
        rated = self.forecast.terms.rating if self.forecast else 1
        return str(Rating(rated).label) if rated in Rating.values and rated > 1 else ""


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """The form; with `make` it orders the merge. Anything else that is sent is kept and looked up."""
    user: Any = request.user
    if request.method == "POST" and "make" in request.POST:
        form = MergeForm(request.POST, user=user)
        if form.is_valid():
            try:
                named = {name: form.cleaned_data[name] for name in ("name", "file_name")}
                merge = merges.request_merge(user, **form.asked(), **named)
            except FormatError as refusal:
                form.add_error(form.field_of(refusal), said(refusal.sentence, 600))
            else:
                return redirect("merge-work", pk=merge.pk)
        return _shown(request, form, request.POST, status=400)
    data = request.POST if request.method == "POST" else request.GET
    form = MergeForm(user=user, initial={name: data[name] for name in MergeForm.base_fields if name in data})
    return _shown(request, form, data)


def _shown(request: HttpRequest, form: MergeForm, data: Any, status: int = 200) -> HttpResponse:
    parts = [_part(request, role, data) for role in FILES]
    asked = MergeForm(_with_defaults(data), user=request.user)  # type: ignore[arg-type]
    begun = any(part.chosen for part in parts)
    outlook = outlook_of(request.user, asked) if begun else Outlook()
    context = {"form": form, "parts": parts[:3], "vae": parts[3], "loras": _loras(request, data), "outlook": outlook}
    return render(request, "merge/page.html", context, status=status)


def _with_defaults(data: QueryDict) -> QueryDict:
    """What was named, and of the rest what the form begins with."""
    full = data.copy()
    for name, field_ in MergeForm.base_fields.items():
        if field_.initial is not None:
            full.setdefault(name, str(field_.initial))
    return full


def _loras(request: HttpRequest, data: QueryDict) -> Loras:
    """Of what was found those that are not chosen already, each with the strength that was typed beside it."""
    user: Any = request.user
    rows = mergeloras.chosen(user, data)
    text = _typed(data, mergeloras.ROLE)
    loras = Loras(rows, text, sought=bool(text) or data.get("find") == mergeloras.ROLE)
    if loras.sought:
        known = {one.pk for one in rows}
        found = files_for(user, mergeloras.ROLE, text)
        loras.found = len(found)
        loras.rows = rows + [Chosen(file.pk, mergeloras.strength_in(data, file.pk), file=file) for file in found if file.pk not in known]
    return loras


def _typed(data: QueryDict, role: str) -> str:
    return str(data.get(f"q_{role}", "")).replace("\x00", "").strip()[:MAX_WORDS]


def _part(request: HttpRequest, role: str, data: Any) -> Part:
    labels = {
        "a": (_("Model A"), _("The model to begin with. What only A has stays as it is.")),
        "b": (_("Model B"), _("The model that is mixed in.")),
        "c": (_("Model C"), _("What B was made from. Only what B has beyond C is added.")),
        "vae": (_("Another VAE"), _("Takes the place of A's. Leave it out to keep A's own.")),
    }
    part = Part(role, *labels[role], text=_typed(data, role))
    pk = ids_in(data).get(role)
    if pk is not None:
        try:
            part.chosen = mergeinputs.find(request.user, role.upper(), pk).file  # type: ignore[arg-type]
        except NoInput as refusal:
            part.problem = said(refusal.sentence, 400)
    part.sought = bool(part.text) or data.get("find") == role
    part.found = files_for(request.user, role, part.text, part.chosen) if part.sought else []
    return part


def files_for(user: Any, role: str, text: str, chosen: File | None = None) -> list[File]:
    """Files that may be merged in this role whose model or name matches; without a text those that most people download."""
    files = mergeinputs.offered(user, cap_of(user), KINDS.get(role, MODELS))
    if text:
        entries = search.search(Entry.objects.filter(deleted_at=None), text).order_by().values("pk")
        files = files.filter(version__entry__in=entries)
    if chosen is not None:
        files = files.exclude(pk=chosen.pk)
    return list(files.order_by("-version__entry__download_count", "-version_id", "pk")[:FOUND])


def outlook_of(user: Any, form: MergeForm) -> Outlook:
    """What the merge that a form describes would make, asked of the same function that makes it."""
    if not form.ready:
        wrong = {name: errors for name, errors in form.errors.items() if name not in {"name", "file_name"}}
        return Outlook(lacks=[str(error) for errors in wrong.values() for error in errors])
    try:
        return Outlook(forecast=merges.foresee(user, **form.asked()))
    except FormatError as refusal:
        return Outlook(refused=said(refusal.sentence, 600))


@login_required
@require_POST
def check(request: HttpRequest) -> HttpResponse:
    """What would come out, alone: asked again whenever something changes."""
    user: User = request.user  # type: ignore[assignment]
    outlook = outlook_of(user, MergeForm(request.POST, user=user))
    return render(request, "merge/outlook.html", {"outlook": outlook})


@login_required
@require_safe
def files(request: HttpRequest) -> HttpResponse:
    """The files of one role, alone, while somebody types."""
    role = request.GET.get("role", "")
    if role == mergeloras.ROLE:
        return render(request, "merge/lora_choices.html", {"loras": _loras(request, request.GET)})
    part = _part(request, role if role in FILES else "a", request.GET)
    return render(request, "merge/choices.html", {"part": part})
