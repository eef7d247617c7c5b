"""What a file was found to be, in words for its page; and taking words of its training metadata over as trigger words.

Everything shown came out of a file: each value is of its type, cut, and without hidden characters.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext
from django.views.decorators.http import require_POST

from hub import compatible
from hub.said import said
from hub.web import access
from registry import catalog, places
from registry.agreements import kind_label
from registry.formats.plaintext import printable
from registry.identify.agreement import agrees
from registry.models import File

MAX_TRAINING = 40
MAX_WORDS, MAX_TRIGGERS, MAX_WORD = 30, 100, 200
"""Shown of the training metadata; of a version, and of one word, as its form takes them."""


def facts(file: File) -> dict[str, Any]:
    """Values of `blob.detected` that a page shows; `version` of the file is expected to be loaded."""
    found = places.hide(file.blob.detected) if file.blob else {}
    base = _text(found.get("base_model"))
    return {
        "kind": printable(kind_label(_text(found.get("kind")))),
        "suggestion": base if base != _text(found.get("family")) else "",
        "contradicts": agrees(file.version.base_model, found) is False,
        "variants": ", ".join(_texts(found.get("variants"))),
        "prediction": PREDICTIONS.get(_text(found.get("prediction")), ""),
        "quantization": _text(found.get("quantization")),
        "confidence": said(_text(found.get("confidence"))),
        "resolution": _text(found.get("resolution")),
        "parameters": _count(found.get("parameters")),
        "tensors": _count(found.get("tensors")),
        "inside": _comma().join(str(name) for key, name in INSIDE if found.get(key) is True),
        "network": _network(found),
        "alternatives": ", ".join(name for name in _texts(found.get("alternatives"), 20) if name != base),
        "training": _training(found.get("training")),
        "notes": _texts(found.get("notes")),
        "evidence": _texts(found.get("evidence"), 40),
        "words": training_words(file),
        "addon": compatible.asked_about(file),
    }


def _comma() -> str:
    return pgettext("between the parts of a list", ", ")


PREDICTIONS = {"v": "v", "epsilon": gettext_lazy("epsilon (noise)"), "edm": "EDM"}
INSIDE = (
    ("has_vae", "VAE"),
    ("has_text_encoder", gettext_lazy("text encoder")),
    ("has_ema", gettext_lazy("EMA averages")),
    ("has_training_state", gettext_lazy("training state")),
)


def _training(found: Any) -> list[tuple[str, str]]:
    """What the trainer states of the training, as (label, value)."""
    rows = found.items() if isinstance(found, dict) else ()
    named = ((_text(name, 40).replace("_", " ").capitalize(), value) for name, value in rows)
    shown = [(name and _(name), _("yes") if value is True else _text(value, 500)) for name, value in named]  # names that we know
    return sorted((name, value) for name, value in shown if value)[:MAX_TRAINING]


def training_words(file: File) -> list[dict[str, Any]]:
    """[{"word", "count" (0: stated, not counted), "listed" (a trigger word of the version already)}], most frequent first."""
    found = (file.blob.detected if file.blob else {}).get("trigger_words")
    rows = [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
    listed = {word.casefold() for word in file.version.trigger_words}
    words = [(_text(row.get("word"), MAX_WORD), _count(row.get("count"))) for row in rows[:MAX_WORDS]]
    return [{"word": word, "count": count, "listed": word.casefold() in listed} for word, count in words if word]


@login_required
@require_POST
def add_word(request: HttpRequest, pk: int) -> HttpResponse:
    """Add a word that the file's training metadata holds to its version's trigger words."""
    file = access.editable_file(request, pk)
    word = request.POST.get("word", "")
    version, known = file.version, {row["word"] for row in training_words(file)}
    if word not in known:
        messages.error(request, _("This file's training metadata does not hold that word."))
    elif len(version.trigger_words) >= MAX_TRIGGERS:
        messages.error(request, _("A version has at most %(most)s trigger words. Remove one first.") % {"most": MAX_TRIGGERS})
    elif word.casefold() not in {one.casefold() for one in version.trigger_words}:
        catalog.change_version(version, trigger_words=[*version.trigger_words, word])
        messages.success(request, _("%(word)s is a trigger word of %(version)s now.") % {"word": word, "version": version.name})
    return redirect("file", pk=pk)


def _network(found: dict[str, Any]) -> str:
    """ "dim 16, alpha 8" """
    dim, alpha = found.get("network_dim"), found.get("network_alpha")
    parts = [f"{name} {value:g}" for name, value in ((_("dim"), dim), (_("alpha"), alpha)) if type(value) in (int, float)]
    return _comma().join(parts)


def _text(value: Any, limit: int = 120) -> str:
    return printable(str(value), limit) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _texts(values: Any, most: int = 12) -> list[str]:
    return [text for value in values[:most] if (text := _text(value, 300))] if isinstance(values, list) else []


def _count(value: Any) -> int:
    return value if type(value) is int and value >= 0 else 0
