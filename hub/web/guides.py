"""Six short guides for people who are new to this, and the list of them. Their words lie in templates; nothing is looked up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe


@dataclass(frozen=True)
class Guide:
    """One of them: its address, what it is called, what it answers, and the headings of its page by their anchors."""

    slug: str
    title: Any
    about: Any
    parts: tuple[tuple[str, Any], ...]

    @property
    def template(self) -> str:
        return f"guides/{self.slug.replace('-', '_')}.html"


GUIDES = (
    Guide(
        "checkpoints",
        _("What a checkpoint is"),
        _("What lies in the big file, and which of its variants to take."),
        (("inside", _("What is inside")), ("many", _("Why there are so many")), ("which", _("Which file to take"))),
    ),
    Guide(
        "base-models",
        _("Base models, and what fits what"),
        _("Why a LoRA for one model does nothing on another."),
        (("families", _("The families")), ("fits", _("What fits what")), ("look", _("How this hub knows"))),
    ),
    Guide(
        "formats",
        _("File formats and precision"),
        _(".safetensors or .ckpt, fp16 or fp32: what the endings mean."),
        (("formats", _("Formats")), ("precision", _("Precision")), ("choose", _("What to choose"))),
    ),
    Guide(
        "add-ons",
        _("LoRA, embeddings, hypernetworks, VAEs"),
        _("Small files that change what a checkpoint does, and how to call them."),
        (("lora", _("LoRA")), ("embeddings", _("Embeddings")), ("hypernetworks", _("Hypernetworks")), ("vaes", _("VAEs"))),
    ),
    Guide(
        "merging",
        _("Merging"),
        _("How two checkpoints become one, and what may be done with it."),
        (("how", _("How it works")), ("methods", _("The methods")), ("good", _("What makes a good merge")), ("may", _("What you may do"))),
    ),
    Guide(
        "pickles",
        _("Why pickles are scanned"),
        _("How a file of numbers can run a program, and what this hub does about it."),
        (("program", _("A file that is a program")), ("scan", _("What the scan does")), ("verdicts", _("What the verdicts mean"))),
    ),
)
PLACES = {
    "home_url": "home",
    "upload_url": "upload",
    "merge_url": "merge",
    "compare_url": "compare",
    "about_url": "about",
    "glossary_url": "scan-glossary",
}


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    return render(request, "guides/index.html", {"guides": GUIDES})


@require_safe
def show(request: HttpRequest, slug: str) -> HttpResponse:
    """One guide. Its words may lead to all others and to places of the site, by `<slug>_url` and the names of `PLACES`."""
    number = next((place for place, one in enumerate(GUIDES) if one.slug == slug), None)
    if number is None:
        raise Http404
    links = {f"{one.slug.replace('-', '_')}_url": reverse("guide", args=[one.slug]) for one in GUIDES}
    places = {name: reverse(route) for name, route in PLACES.items()}
    around = {"before": GUIDES[number - 1] if number else None, "after": GUIDES[number + 1] if number + 1 < len(GUIDES) else None}
    return render(request, GUIDES[number].template, {"guide": GUIDES[number], **around, **links, **places})
