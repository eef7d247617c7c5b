"""The panel of one file's tensors and metadata, and the checkpoints that it fits: pages, and parts of the file's page that htmx fetches.

Nothing of a file is rendered as markup, and what names folders of the trainer's machine is shown to its owner alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from botocore.exceptions import BotoCoreError, ClientError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from hub import compatible
from hub.said import said
from hub.web import access
from hub.web.site import cap_of
from registry import panel, queries
from registry.formats.plaintext import printable
from registry.identify.training import trigger_words
from registry.models import File
from registry.panel import Panel
from registry.places import HIDDEN

ROWS = 100
SHOWN_VALUES, SHOWN_TAGS = 200, 30
LONG, LONGEST = 140, 20_000
"""Characters of a value that are shown without unfolding, and at all."""
TAG_COUNTS = "ss_tag_frequency"
PART_NAMES = {
    "unet": gettext_lazy("Diffusion model"),
    "text_encoder": gettext_lazy("Text encoder"),
    "vae": gettext_lazy("VAE"),
    "controlnet": gettext_lazy("ControlNet"),
    "ema": gettext_lazy("EMA averages"),
    "training": gettext_lazy("Training state"),
    "other": gettext_lazy("Other"),
}
"""`registry.panel.PARTS` in the reader's language."""
LOOKED_FOR = ("unet", "text_encoder", "vae", "ema", "training")
"""Parts that people ask for in a checkpoint: of those that are not there it is said, too."""


@dataclass(frozen=True)
class Value:
    """One line of the metadata. `text` may be shown as it is; `tags` are kohya's counts, where the value holds them."""

    key: str
    text: str
    hidden: bool
    cut: bool
    tags: list[tuple[str, int]]

    @property
    def long(self) -> bool:
        return len(self.text) > LONG or "\n" in self.text

    @property
    def head(self) -> str:
        return printable(" ".join(self.text[: 2 * LONG].split()), LONG - 20)


@require_safe
def show(request: HttpRequest, pk: int) -> HttpResponse:
    """The tensors of a file: all of the panel, or as a part of a page where htmx asks."""
    file = access.file_or_404(request, pk)
    htmx = bool(getattr(request, "htmx", False))
    context = {"file": file, "version": file.version, "entry": file.version.entry, "alone": not htmx, **_panel(request, file)}
    response = render(request, "files/tensors.html" if htmx else "files/tensors_page.html", context)
    patch_vary_headers(response, ["HX-Request"])
    return response


@require_safe
def fits(request: HttpRequest, pk: int) -> HttpResponse:
    """The checkpoints of this hub that an add-on fits: a page, or a part of one where htmx asks."""
    file = access.file_or_404(request, pk)
    asked = compatible.asked_about(file)
    found = compatible.suitable(request.user, file, cap_of(request.user)) if asked else []
    context = {"file": file, "version": file.version, "entry": file.version.entry, "asked": asked, "fits": found}
    htmx = bool(getattr(request, "htmx", False))
    response = render(request, "files/fits.html" if htmx else "files/fits_page.html", context)
    patch_vary_headers(response, ["HX-Request"])
    return response


def _panel(request: HttpRequest, file: File) -> dict[str, Any]:
    """What the template reads; `panel` is None where no tensors are known."""
    try:
        found = panel.of_file(file)
    except panel.TooMany as refusal:
        return {"panel": None, "sentence": said(refusal.sentence)}
    except (OSError, BotoCoreError, ClientError):
        return {"panel": None, "sentence": _("The store of this file does not answer just now. Try again in a moment.")}
    if found is None:
        return {"panel": None}
    text = request.GET.get("q", "").replace("\x00", "").strip()[:200]
    part = request.GET.get("part", "") if request.GET.get("part") in panel.PARTS else ""
    after = request.GET.get("after", "")[:4000]
    page = found.page(after=after, limit=ROWS, text=text, part=part)
    everything = queries.may_edit(request.user, file.version.entry)
    kept = {"q": text, "part": part}
    return {
        "panel": found,
        "page": page,
        "text": text,
        "part": part,
        "after": after,
        "parts": [(total, PART_NAMES[total.name], _query({"part": total.name})) for total in found.parts],
        "part_name": PART_NAMES.get(part, ""),
        "presence": _presence(file, found),
        "first": _query(kept),
        "next": _query({**kept, "after": page.next}) if page.next is not None else "",
        "metadata": values(found, everything=everything),
        "more_metadata": max(0, len(found.metadata) - SHOWN_VALUES),
        "hidden_word": HIDDEN,
    }


def _presence(file: File, found: Panel) -> list[tuple[Any, bool]]:
    """(part, whether it is there): of a checkpoint all that may be in one, of anything else only what is."""
    there = {total.name for total in found.parts} - {"other"}
    asked = LOOKED_FOR if (file.blob.detected if file.blob else {}).get("kind") == "checkpoint" else ()
    return [(name, key in there) for key, name in PART_NAMES.items() if key in there or key in asked]


def _query(fields: dict[str, str | None]) -> str:
    return "?" + urlencode({name: value for name, value in fields.items() if value})


def values(found: Panel, *, everything: bool) -> list[Value]:
    """The metadata by key, as this visitor may see it."""
    shown = found.metadata if everything else found.public_metadata
    return [_value(key, shown[key], found) for key in sorted(shown)[:SHOWN_VALUES]]


def _value(key: str, text: str, found: Panel) -> Value:
    hidden = text == HIDDEN
    tags = trigger_words({TAG_COUNTS: text})[:SHOWN_TAGS] if key == TAG_COUNTS and not hidden else []
    pretty = _pretty(text)
    lines = "\n".join(printable(line, LONGEST) for line in pretty[:LONGEST].split("\n"))
    return Value(key, lines, hidden, len(pretty) > LONGEST, [(printable(word, 80), count) for word, count in tags])


def _pretty(text: str) -> str:
    """JSON with line breaks; anything else, and what is too long to be worth it, as it is."""
    if not text.startswith(("{", "[")) or len(text) > LONGEST:
        return text
    try:
        return json.dumps(json.loads(text), indent=1, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
