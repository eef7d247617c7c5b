"""Says a merge in words: what was done with which inputs, and the description of the version that comes out. Decides nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from inference.mergeinputs import Input
from inference.terms import Terms, in_words
from registry import ratings
from registry.models import File, Status, Version, Visibility

TITLES = {
    "weighted_sum": gettext_lazy("Weighted sum"),
    "add_difference": gettext_lazy("Add difference"),
    "slerp": gettext_lazy("Slerp"),
    "no_interpolation": gettext_lazy("No interpolation"),
}
_MARKUP = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~&])")
PRECISIONS = {
    "fp32": gettext_lazy("full precision (fp32)"),
    "fp16": gettext_lazy("half precision (fp16)"),
    "bf16": gettext_lazy("half precision (bf16)"),
}


def label(role: str) -> str:
    """`a` -> "A", `vae` -> "VAE", `lora0` -> "LoRA 1"."""
    number = role.removeprefix("lora")
    return f"LoRA {int(number) + 1}" if number.isdigit() else role.upper()


def title(recipe: Mapping[str, Any]) -> str:
    """The method with its multiplier, as the name of a version: "Weighted sum 0.3"."""
    method = str(recipe.get("method", ""))
    name = str(TITLES.get(method, method))
    return name if method == "no_interpolation" else f"{name} {float(recipe.get('multiplier', 0)):g}"


def sentence(recipe: Mapping[str, Any]) -> str:
    """What was done, in terms of the roles: "0.7 of A and 0.3 of B; stored in half precision (fp16)."."""
    added = _("LoRA %(number)s added at strength %(strength)s")
    more = [
        _("each block of the UNet by a weight of its own") if recipe.get("blocks") else "",
        _("another VAE in place of its own") if recipe.get("vae") else "",
        *(added % {"number": number, "strength": f"{float(one):g}"} for number, one in enumerate(recipe.get("loras") or (), start=1)),
        _("some tensors left out by their names") if recipe.get("discard") else "",
        _("stored in %(precision)s") % {"precision": PRECISIONS[recipe["precision"]]} if recipe.get("precision") in PRECISIONS else "",
    ]
    parts = pgettext("between the parts of a sentence", "; ").join([_formula(recipe), *filter(None, more)])
    return pgettext("the end of a sentence", "%(parts)s.") % {"parts": parts}


def _formula(recipe: Mapping[str, Any]) -> str:
    multiplier = float(recipe.get("multiplier", 0))
    formulas = {
        "weighted_sum": _("%(rest)s of A and %(share)s of B"),
        "add_difference": _("A plus %(share)s of what B has over C"),
        "slerp": _("%(share)s of the way from A to B, along the arc between them"),
    }
    return formulas.get(str(recipe.get("method", "")), "A") % {"rest": f"{1 - multiplier:.6g}", "share": f"{multiplier:g}"}


def for_all(words: Callable[..., str], *given: Any) -> str:
    """What one of the others says, in the language in which the hub writes what it keeps."""
    with translation.override(None):
        return words(*given)


def description(recipe: Mapping[str, Any], inputs: Iterable[Input], terms: Terms) -> str:
    """Markdown for the version that a merge makes: the recipe, its inputs with links, and what may be done with the result.

    Inputs that not everybody may open are named by the beginning of their SHA-256 at most: this text is public once the version is.
    """
    lines = [f"{TITLES.get(str(recipe.get('method')), 'Merge')}: {sentence(recipe)}", ""]
    lines += [f"* {label(one.role)}: {_linked(one)}" for one in inputs]
    return "\n".join([*lines, "", f"Permissions, the strictest of what its inputs allow: {escaped(in_words(terms))}"])


def _linked(given: Input) -> str:
    version, digest = given.file.version, digest_for_all(given.file)[:10]
    if not public(version):
        return f"a file that is not public (SHA-256 {digest}…)" if digest else "a file that is not public"
    name = escaped(f"{version.entry.name} {version.name}")
    return f"[{name}](/model-versions/{version.pk}), {escaped(given.file.name)} (SHA-256 {digest}…)"


def public(version: Version) -> bool:
    """Whether every visitor finds this version."""
    entry = version.entry
    listed = entry.visibility == Visibility.PUBLIC and not ratings.above_cap(entry.rating)
    return listed and version.status == Status.PUBLISHED and not version.gone


def digest_for_all(file: File) -> str:
    """As much of a file's SHA-256 as everybody may read who gets what was merged of it, since the hub finds files by their hashes.

    Of what is not public its beginning, which finds nothing; of what is unlisted nothing, because that is found by any part of it.
    """
    if public(file.version):
        return file.sha256
    return "" if file.version.entry.visibility == Visibility.UNLISTED else file.sha256[:10]


def escaped(text: str) -> str:
    """Text of other people as text in Markdown: no markup of theirs takes effect."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
