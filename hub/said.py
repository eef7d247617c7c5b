"""What plain folders said in English, in the language of the page: the sentence is found again among those of the catalogue that
stand there with the context "said" (`hub.fixedsentences`), and its values are put into the translation. What is not found stays as it is.

For pages only: programs get sentences as they were written.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.utils import translation
from django.utils.translation import pgettext, pgettext_lazy, trans_real

from registry.formats.plaintext import printable

CONTEXT = "said"
WORDS = (
    pgettext_lazy("said", "uploading"),
    pgettext_lazy("said", "queued"),
    pgettext_lazy("said", "scanning"),
    pgettext_lazy("said", "clean"),
    pgettext_lazy("said", "converting"),
    pgettext_lazy("said", "ready"),
    pgettext_lazy("said", "danger"),
    pgettext_lazy("said", "quarantined"),
    pgettext_lazy("said", "failed"),
    pgettext_lazy("said", "wanted"),
    pgettext_lazy("said", "merging"),
    pgettext_lazy("said", "rendering"),
    pgettext_lazy("said", "made"),
    pgettext_lazy("said", "cancelled"),
    pgettext_lazy("said", "checkpoint"),
    pgettext_lazy("said", "prompt"),
    pgettext_lazy("said", "negative prompt"),
    pgettext_lazy("said", "text encoder"),
    pgettext_lazy("said", "diffusion model"),
    pgettext_lazy("said", "only in A"),
    pgettext_lazy("said", "only in B"),
    pgettext_lazy("said", "not part of the model"),
    pgettext_lazy("said", "block weight 0"),
    pgettext_lazy("said", "replaced by EMA"),
    pgettext_lazy("said", "EMA without a weight of its name"),
    pgettext_lazy("said", "outside of {root}"),
    pgettext_lazy("said", "{applied} of {parts} adapted layers ({share})"),
    pgettext_lazy("said", "fits: it has every tensor of the checkpoint's own"),
    pgettext_lazy("said", "does not fit: it is built otherwise than the checkpoint's own"),
    pgettext_lazy("said", "fits: the checkpoint has attention of all its widths"),
    pgettext_lazy("said", "does not fit: it is made for other widths"),
    pgettext_lazy("said", "does not fit"),
    pgettext_lazy("said", "fits"),
    pgettext_lazy("said", "a safetensors file"),
    pgettext_lazy("said", "a numpy array"),
    pgettext_lazy("said", "an archive of numpy arrays"),
    pgettext_lazy("said", "a GGUF file"),
    pgettext_lazy("said", "an ONNX model"),
    pgettext_lazy("said", "a zip archive of several files"),
    pgettext_lazy("said", "a tar archive"),
    pgettext_lazy("said", "an HDF5 (Keras) file"),
    pgettext_lazy("said", "bf16 or fp32"),
    pgettext_lazy("said", "1 part"),
    pgettext_lazy("said", "{count} parts"),
    pgettext_lazy("said", "1 value"),
    pgettext_lazy("said", "{count} values"),
    pgettext_lazy("said", "more visitors than an input of it"),
    pgettext_lazy("said", "no demand to name the creators"),
    pgettext_lazy("said", "no demand to keep its permissions"),
    pgettext_lazy("said", "other permissions than an input that allows no others"),
    pgettext_lazy("said", "Merged by this hub: {recipe}"),
    pgettext_lazy("said", "a Lambda layer"),
    pgettext_lazy("said", "a function that is not Keras's own"),
    pgettext_lazy("said", "a class of its own"),
    pgettext_lazy("said", "proved by shapes"),
    pgettext_lazy("said", "told by names"),
    pgettext_lazy("said", "metadata only"),
    pgettext_lazy("said", "this VAE"),
    pgettext_lazy("said", "the base's own VAE"),
    pgettext_lazy("said", "the base alone"),
    pgettext_lazy("said", "refined from {share} on"),
    pgettext_lazy("said", "without it"),
    pgettext_lazy("said", "in the negative prompt"),
    pgettext_lazy("said", "without its word"),
    pgettext_lazy("said", "with its word"),
    pgettext_lazy("said", "strength {strength}"),
    pgettext_lazy("said", "strength {strength} (base alone)"),
    pgettext_lazy("said", "success: {kind}"),
    pgettext_lazy("said", "suspicious: {kind}"),
    pgettext_lazy("said", "danger: {kind}"),
    pgettext_lazy("said", "error: {kind}"),
    pgettext_lazy("said", "{name}, {size} bytes"),
    pgettext_lazy("said", "training state"),
    pgettext_lazy("said", "EMA counters"),
    pgettext_lazy("said", "EMA"),
    pgettext_lazy("said", "model A"),
    pgettext_lazy("said", "model B"),
    pgettext_lazy("said", "model C"),
    pgettext_lazy("said", "Model A"),
    pgettext_lazy("said", "Model B"),
    pgettext_lazy("said", "Model C"),
    pgettext_lazy("said", "the VAE"),
    pgettext_lazy("said", "The VAE"),
    pgettext_lazy("said", "it makes videos"),
    pgettext_lazy("said", "it has a noise schedule of its own (EDM)"),
    pgettext_lazy("said", "it reads texts with a language model (Kolors)"),
    pgettext_lazy("said", "an inpainting model"),
    pgettext_lazy("said", "an instruct-pix2pix model"),
    pgettext_lazy("said", "a larger one"),
    pgettext_lazy("said", "one with a GPU"),
)
"""Values of sentences that are words, and ends of sentences that a table or a return has: each stands in the folders as it is here."""
DEEP = 3
"""A value may be a sentence itself, and so may one of its values."""
LONGEST = 4000
SEPARATOR = "; "
"""Between several things that a note tells in a row."""
BEGIN = 5
"""Letters by which templates are told apart before they are compared."""
_VALUE = re.compile(r"\{(\w*)\}")


def said(text: Any, limit: int = 600) -> str:
    """A sentence of a plain folder for a page: translated where it is known, cut and with hidden characters shown as `printable` does."""
    return printable(_said(str(text or ""), DEEP), int(limit))


def _said(text: str, deep: int) -> str:
    if not text or len(text) > LONGEST or translation.get_language() in {None, settings.LANGUAGE_CODE}:
        return text
    table = _table(trans_real.catalog())
    if deep and SEPARATOR in text:
        parts = [(part, _said(part, 0)) for part in text.split(SEPARATOR)]
        if all(part != told for part, told in parts):
            return pgettext("between the parts of a sentence", "; ").join(told for _, told in parts)
    for literals, names, template in (*table.get(text[:BEGIN], ()), *table.get("", ())):
        values = _values(text, literals)
        if values is not None:
            known = dict(zip(names, (_said(value, deep - 1) if deep else value for value in values), strict=True))
            return _VALUE.sub(lambda found, known=known: known.get(found[1], found[0]), pgettext(CONTEXT, template))  # type: ignore[misc]
    return text


def _values(text: str, literals: list[str]) -> list[str] | None:
    """What stands between the literals, each of which is looked for once from the left; None where one is missing."""
    first, *middle = literals
    if not middle:
        return [] if text == first else None
    last = middle.pop()
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return None
    values, place, end = [], len(first), len(text) - len(last)
    for literal in middle:
        found = text.find(literal, place, end)
        if found < 0:
            return None
        values.append(text[place:found])
        place = found + len(literal)
    return [*values, text[place:end]]


@lru_cache(maxsize=8)
def _table(catalog: Any) -> dict[str, list[tuple[list[str], list[str], str]]]:
    """(literals, names of values, template) of every sentence of a language by its first letters, "" where a value comes first;
    what has most letters of its own comes first."""
    start = f"{CONTEXT}\x04"
    templates = sorted(key[len(start) :] for key in list(catalog._catalog.keys()) if isinstance(key, str) and key.startswith(start))
    table = defaultdict(list)
    for template in sorted(templates, key=lambda one: -len(_VALUE.sub("", one))):
        pieces = _VALUE.split(template)
        literals, names = pieces[::2], pieces[1::2]
        table[literals[0][:BEGIN] if len(literals[0]) >= BEGIN else ""].append((literals, names, template))
    return dict(table)
