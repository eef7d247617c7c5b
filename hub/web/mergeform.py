"""What a person asks for on the merge page: checked for what can be told of the fields alone. What goes together is `inference.merges`'."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from hub.web import mergeloras
from hub.web.forms import LineField
from inference.weights.merging.discard import MAX_PATTERN
from inference.weights.merging.recipe import BLOCK_COUNTS, LARGEST, ROLES
from registry.models import Entry, Kind, User

MODELS = ("a", "b", "c")
FILES = (*MODELS, "vae")
MAX_ID = 2**63 - 1
METHODS = [
    ("weighted_sum", _("Weighted sum")),
    ("add_difference", _("Add difference")),
    ("slerp", _("Slerp")),
    ("no_interpolation", _("No interpolation")),
]
SENTENCES = {
    "weighted_sum": _("A mixture: at 0 all A, at 1 all B, at 0.5 the mean of both. The usual choice to blend two styles."),
    "add_difference": _("What B has learnt beyond C is added to A. Take as C the model that B was trained from, to move a skill."),
    "slerp": _("As a weighted sum, but along an arc instead of a line, so that the middle does not grow flat and dull."),
    "no_interpolation": _("A alone, unmixed: to put in another VAE, to bake in LoRAs, or to store it in another precision."),
}
PRECISIONS = [
    ("keep", _("As the inputs")),
    ("fp16", _("Half precision (fp16): half the size, for making pictures")),
    ("fp32", _("Full precision (fp32): for training on")),
    ("bf16", _("Half precision (bf16): wider range, coarser steps")),
]
CODES = {
    "merge:entry-permissions": "entry",
    "merge:entry-kind": "entry",
    "merge:blocks": "block_weights",
    "merge:discard": "discard",
    "merge:nothing-left": "discard",
    "merge:vae": "vae",
}


def _file(label: Any) -> forms.IntegerField:
    return forms.IntegerField(label=label, required=False, min_value=1, max_value=MAX_ID)


class MergeForm(forms.Form):
    """Which files by id, how, and where the result goes. A model that the method does not take is left alone, so that nothing is lost."""

    a, b, c, vae = _file(_("Model A")), _file(_("Model B")), _file(_("Model C")), _file(_("Another VAE"))
    lora = mergeloras.LorasField(label=_("LoRAs to bake in"), required=False)
    method = forms.ChoiceField(label=_("Method"), choices=METHODS, initial="weighted_sum", widget=forms.RadioSelect)
    multiplier = forms.FloatField(
        label=_("Multiplier"), min_value=-LARGEST, max_value=LARGEST, initial=0.5, widget=forms.NumberInput(attrs={"step": "0.05"})
    )
    precision = forms.ChoiceField(label=_("Precision"), choices=PRECISIONS, initial="keep")
    block_weights = forms.CharField(label=_("Block weights"), required=False, max_length=1000, help_text=_(
        "BASE, IN00…, M00, OUT00…, separated by commas: 26 numbers for SD 1.x and 2.x, 20 for SDXL. Each stands in the multiplier's place."
    ))  # fmt: skip
    discard = forms.CharField(
        label=_("Leave out"), required=False, max_length=MAX_PATTERN, help_text=_("A pattern; tensors whose names it finds are left out.")
    )
    entry = forms.TypedChoiceField(label=_("The result becomes"), required=False, coerce=int, empty_value=None)
    name = LineField(label=_("Name of the new model"), required=False, max_length=120)
    file_name = forms.CharField(
        label=_("File name"), required=False, max_length=255, help_text=_("Made from the model's name where it is left out.")
    )

    def __init__(self, data: Any = None, *, user: User, **options: Any) -> None:
        super().__init__(data, auto_id="merge_%s", **options)
        rows = Entry.objects.filter(owner=user, kind=Kind.CHECKPOINT, deleted_at=None).order_by("name", "pk")[:300]
        self.entries = {entry.pk: entry for entry in rows}
        own = [(pk, gettext("A new version of %(name)s") % {"name": entry.name}) for pk, entry in self.entries.items()]
        self.fields["entry"].choices = [("", _("A new model")), *own]  # type: ignore[attr-defined]

    @property
    def methods(self) -> list[tuple[str, Any, Any]]:
        """(value, name, sentence) of each."""
        return [(value, label, SENTENCES[value]) for value, label in METHODS]

    def clean_block_weights(self) -> list[float]:
        parts = [part for part in re.split(r"[,;\s]+", self.cleaned_data["block_weights"]) if part]
        try:
            numbers = [float(part) for part in parts]
        except ValueError:
            raise ValidationError(gettext("Write numbers, separated by commas.")) from None
        if numbers and len(numbers) not in BLOCK_COUNTS:
            raise ValidationError(
                gettext("These are %(count)s numbers; it takes 25 or 26 for SD 1.x and 2.x, 19 or 20 for SDXL.") % {"count": len(numbers)}
            )
        if any(not abs(number) <= LARGEST for number in numbers):
            raise ValidationError(
                gettext("Each is a number from %(least)s to %(most)s.") % {"least": f"{-LARGEST:g}", "most": f"{LARGEST:g}"}
            )
        return numbers

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        for role in ROLES.get(data.get("method", ""), ()):
            if data.get(role) is None and role not in self.errors:
                self.add_error(role, gettext("Choose model %(letter)s.") % {"letter": role.upper()})
        if data.get("entry") is None and not data.get("name") and not {"name", "entry"} & self.errors.keys():
            self.add_error("name", gettext("Give the new model a name."))
        return data

    @property
    def ready(self) -> bool:
        """Whether what is to be merged is all said, wherever the result goes."""
        self.is_valid()
        return not self.errors.keys() - {"name", "file_name"}

    def asked(self) -> dict[str, Any]:
        """`recipe`, `files` and `entry` as `inference.merges` takes them, of a form that is `ready`."""
        data = self.cleaned_data
        roles = [role for role in ROLES[data["method"]] if role in MODELS]
        files = {role: data[role] for role in (*roles, "vae") if data.get(role)}
        recipe = {
            "method": data["method"],
            "multiplier": data["multiplier"],
            "precision": data["precision"],
            "blocks": [] if data["method"] == "no_interpolation" else data["block_weights"],
            "vae": "vae" in files,
            "loras": [strength for _pk, strength in data["lora"]],
            "discard": data["discard"],
        }
        files |= {f"lora{number}": pk for number, (pk, _strength) in enumerate(data["lora"])}
        return {"recipe": recipe, "files": files, "entry": self.entries.get(data["entry"]) if data.get("entry") else None}

    def field_of(self, refusal: Any) -> str | None:
        """Beside which field a refusal is said."""
        return "file_name" if str(refusal.code).startswith("name:") else CODES.get(refusal.code)


def ids_in(data: Mapping[str, Any]) -> dict[str, int]:
    """Role -> file id of what an address or a form names."""
    named = {role: str(data.get(role, "")) for role in FILES}
    return {role: int(text) for role, text in named.items() if re.fullmatch(r"[0-9]{1,18}", text) and int(text)}
