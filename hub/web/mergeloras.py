"""LoRAs that are baked into a merge, as the merge page's form names them: `lora` once for each file, its strength in `lora_<file id>`.

Which of them fit the models, and what is said where they do not, is `inference.merges`'.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext

from hub.said import said
from inference import mergeinputs
from inference.mergeinputs import NoInput
from inference.weights.merging.recipe import LARGEST, MAX_LORAS
from registry.models import File, User

ROLE = "lora"
USUAL = "1"
"""A strength in the form, as a LoRA was trained."""


@dataclass
class Chosen:
    """A LoRA that is ticked, or that a search found; `problem` says why it cannot be taken."""

    pk: int
    strength: str = USUAL
    ticked: bool = False
    file: File | None = None
    problem: str = ""


def named_in(data: Any) -> list[tuple[int, str]]:
    """(file id, strength as it was typed) of each LoRA that an address or a form names, once and in order; one more than fits at most."""
    texts = data.getlist(ROLE) if hasattr(data, "getlist") else []
    ids = dict.fromkeys(int(text) for text in texts[:100] if re.fullmatch(r"[0-9]{1,18}", text, re.ASCII) and int(text))
    return [(pk, strength_in(data, pk)) for pk in list(ids)[: MAX_LORAS + 1]]


def strength_in(data: Any, pk: int) -> str:
    return str(data.get(f"{ROLE}_{pk}", USUAL)).strip()[:30]


def chosen(user: User, data: Any) -> list[Chosen]:
    """Those that are ticked, each with its file where this person may merge it."""
    return [_looked_up(user, Chosen(pk, strength, ticked=True)) for pk, strength in named_in(data)]


def _looked_up(user: User, one: Chosen) -> Chosen:
    try:
        one.file = mergeinputs.find(user, "LoRA", one.pk).file
    except NoInput as refusal:
        one.problem = said(refusal.sentence, 400)
    return one


class LorasInput(forms.Widget):
    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[tuple[int, str]]:
        return named_in(data)

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return False


class LorasField(forms.Field):
    """[(file id, strength)], at most `MAX_LORAS` of them."""

    widget = LorasInput

    def to_python(self, value: Any) -> list[tuple[int, float]]:
        if len(value or ()) > MAX_LORAS:
            raise ValidationError(gettext("At most %(most)s LoRAs can be baked in.") % {"most": MAX_LORAS})
        return [(pk, _number(text)) for pk, text in value or ()]


def _number(text: str) -> float:
    """Raises `ValidationError` for what is no strength; so also for "nan"."""
    try:
        number = float(text)
    except ValueError:
        number = LARGEST * 2
    if not abs(number) <= LARGEST:
        wrong = {"least": f"{-LARGEST:g}", "most": f"{LARGEST:g}"}
        raise ValidationError(gettext("The strength of a LoRA is a number from %(least)s to %(most)s; 1 is as it was trained.") % wrong)
    return number
