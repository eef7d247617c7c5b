"""One recipe for all versions that are compared, as a person writes it and as an address keeps it. Limits are `inference.renderlimits`'."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from hub.said import said
from hub.web.renderforms import RenderForm
from inference import renderlimits
from inference.diffusion import prompts
from inference.diffusion.prompts import MAX_PROMPT_BYTES
from inference.diffusion.samplernames import SAMPLERS
from inference.previewplans import FIRST_SEED
from inference.scenes import Scene
from registry.formats.errors import FormatError

AREA = {"spellcheck": "false"}
FIXED = ("negative_prompt", "sampler_name", "steps", "cfg_scale", "width", "height", "clip_skip")
"""What a scene fixes where it is filled in, else left to each version."""


CHOICES = [("", _("As each recommends")), *((name, name) for name in SAMPLERS)]


class SceneForm(forms.Form):
    """A prompt and a seed, and what is to be the same for all beside them."""

    prompt = forms.CharField(
        label=_("Prompt"), max_length=MAX_PROMPT_BYTES, widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"})
    )
    seed = forms.IntegerField(label=_("Seed"), min_value=0, max_value=renderlimits.MAX_SEED, initial=FIRST_SEED)
    negative_prompt = forms.CharField(
        label=_("Negative prompt"),
        required=False,
        max_length=MAX_PROMPT_BYTES,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
    )
    sampler_name = forms.ChoiceField(
        label=_("Sampler"), required=False, choices=[("", _("As each recommends")), *((s, s) for s in SAMPLERS)]
    )
    steps = forms.IntegerField(label=_("Steps"), required=False, min_value=1)
    cfg_scale = forms.FloatField(label=_("CFG scale"), required=False, widget=forms.NumberInput(attrs={"step": "0.5"}))
    width = forms.IntegerField(label=_("Width"), required=False, widget=forms.NumberInput(attrs={"step": renderlimits.MULTIPLE}))
    height = forms.IntegerField(label=_("Height"), required=False, widget=forms.NumberInput(attrs={"step": renderlimits.MULTIPLE}))
    clip_skip = forms.IntegerField(label=_("CLIP skip"), required=False, min_value=1)

    def __init__(self, data: Any = None, **options: Any) -> None:
        super().__init__(data, auto_id="own_%s", **options)

    def clean_prompt(self) -> str:
        return self._text("prompt")

    def clean_negative_prompt(self) -> str:
        return self._text("negative_prompt")

    def _text(self, name: str) -> str:
        try:
            text = renderlimits.clean_prompt(self.cleaned_data[name], name.replace("_", " "))
            prompts.parse(text)
        except FormatError as refusal:
            raise ValidationError(said(refusal.sentence, 600)) from None
        if name == "prompt" and not text:
            raise ValidationError(gettext("Write what the pictures are to show."))
        return text

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if (data.get("width") is None) != (data.get("height") is None) and not self.errors:
            raise ValidationError(gettext("Give both width and height, or neither."))
        return data

    @property
    def unfolded(self) -> bool:
        """Whether something is wrong with what lies folded away, or filled in."""
        return any(name in self.errors or self[name].value() for name in FIXED)

    def scene(self) -> Scene:
        """What a valid form asks for."""
        data = self.cleaned_data
        fixed = {name: data[name] for name in FIXED if data[name] not in (None, "")}
        return Scene(data["prompt"], data["seed"], fixed)

    def field_of(self, code: str) -> str | None:
        """Beside which field a refusal of `inference.renders` is said."""
        name = RenderForm.CODES.get(code)
        return name if name in self.fields else None
