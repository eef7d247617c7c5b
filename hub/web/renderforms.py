"""Forms about pictures: how the previews of a version are wanted, and a request for pictures. Limits are `inference.renderlimits`'."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from hub.web.gallery import Gallery
from inference import previewplans, renderlimits, standardprompts
from inference.diffusion.samplernames import SAMPLERS
from inference.models import PreviewSettings
from registry.models import Kind, Version

KINDS = (Kind.CHECKPOINT, Kind.LORA, Kind.EMBEDDING, Kind.HYPERNETWORK, Kind.VAE)
"""What pictures can be asked of. Whether one entry's files can be rendered is said when they are."""
ADDONS_WITH_STRENGTH = (Kind.LORA, Kind.HYPERNETWORK)
PREDICTIONS = [
    ("", _("As the file tells")),
    ("epsilon", _("The noise (epsilon)")),
    ("v_prediction", _("The velocity (v-prediction, SD 2.x 768 and others)")),
]


class PromptsField(forms.CharField):
    """One prompt a line, given as a list."""

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> list[str]:  # type: ignore[override]
        lines = value if isinstance(value, list) else str(value or "").splitlines()
        return [line.strip() for line in lines if line.strip()]


class PreviewForm(forms.Form):
    """How an owner wants the previews of a version."""

    enabled = forms.BooleanField(required=False, label=_("Show pictures that this hub renders of this version"))
    prompts = PromptsField(
        label=_("Prompts"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
        help_text=format_lazy(
            _("One a line, at most {most}. Without any, the hub's standard prompts show how versions differ."),
            most=previewplans.MAX_PROMPTS,
        ),
    )
    negative_prompt = forms.CharField(
        label=_("Negative prompt"), required=False, widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"})
    )
    base = forms.TypedChoiceField(required=False, coerce=int, empty_value=None, label=_("Rendered on"))
    prediction = forms.ChoiceField(required=False, choices=PREDICTIONS, label=_("What its UNet predicts"))

    def __init__(self, data: Any = None, *, row: PreviewSettings, bases: Sequence[Version] | None) -> None:
        """`bases` None: the version makes pictures by itself."""
        fields = ("enabled", "prompts", "negative_prompt", "prediction")
        super().__init__(data, initial={**{name: getattr(row, name) for name in fields}, "base": row.base_id})
        kind = row.version.entry.kind
        self.standard = standardprompts.standard(kind)
        self.bases = {base.pk: base for base in [*(bases or ()), *([row.base] if row.base else [])]}
        if bases is None:
            del self.fields["base"]
        else:
            del self.fields["prediction"]
            named = [
                (
                    pk,
                    gettext("%(model)s (%(family)s), by %(creator)s")
                    % {"model": f"{base.entry.name} {base.name}", "family": base.base_model, "creator": base.entry.owner.username},
                )
                for pk, base in self.bases.items()
            ]
            self.fields["base"].choices = [("", gettext("The hub's default for its family")), *named]  # type: ignore[attr-defined]

    def chosen(self) -> dict[str, Any]:
        """The arguments of `inference.previews.configure`."""
        data = dict(self.cleaned_data)
        return {**data, "base": self.bases.get(data["base"])} if "base" in data else data

    def field_of(self, code: str) -> str | None:
        """Beside which field a refusal is said."""
        name = {"preview:base": "base", "preview:prediction": "prediction"}.get(code, "prompts")
        return name if name in self.fields else None


def blank(version: Version, shown: Gallery | None) -> RenderForm:
    """The form as a version's page offers it: with the first prompt of its previews, which has the words that wake it."""
    prompt = shown.lines[0].tiles[-1].prompt if shown and shown.lines else ", ".join(version.trigger_words[:3])
    prompt = "".join(letter for letter in prompt if letter.isprintable() or letter == "\n")
    weight = 1.0 if version.weight is None else version.weight
    return RenderForm(version=version, initial={"prompt": prompt, "strength": weight})


class RenderForm(forms.Form):
    """A request for pictures. What is left empty is as the version recommends it; what is wrong is said by `inference.renders`."""

    prompt = forms.CharField(label=_("Prompt"), required=False, widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}))
    negative_prompt = forms.CharField(
        label=_("Negative prompt"), required=False, widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"})
    )
    strength = forms.FloatField(label=_("Strength"), required=False, widget=forms.NumberInput(attrs={"step": "0.05"}))
    count = forms.TypedChoiceField(coerce=int, choices=[(n, n) for n in (1, 2, 3, 4, 6, 8)], initial=1, label=_("Pictures"))
    seed = forms.IntegerField(label=_("Seed"), required=False, help_text=_("Empty: by chance."))
    steps = forms.IntegerField(label=_("Steps"), required=False)
    cfg_scale = forms.FloatField(required=False, label=_("CFG scale"), widget=forms.NumberInput(attrs={"step": "0.5"}))
    sampler_name = forms.ChoiceField(
        required=False, choices=[("", _("Recommended")), *((name, name) for name in SAMPLERS)], label=_("Sampler")
    )
    width = forms.IntegerField(label=_("Width"), required=False, widget=forms.NumberInput(attrs={"step": renderlimits.MULTIPLE}))
    height = forms.IntegerField(label=_("Height"), required=False, widget=forms.NumberInput(attrs={"step": renderlimits.MULTIPLE}))
    clip_skip = forms.IntegerField(required=False, label=_("CLIP skip"))

    NUMBERS = ("steps", "cfg_scale", "sampler_name", "width", "height", "clip_skip")
    CODES = {
        "render:prompt": "prompt",
        "render:prompt-too-long": "prompt",
        "render:unknown-network": "prompt",
        "render:word-missing": "prompt",
        "render:size": "width",
        "render:steps": "steps",
        "render:cfg-scale": "cfg_scale",
        "render:seed": "seed",
        "render:clip-skip": "clip_skip",
        "render:strength": "strength",
        "render:sampler": "sampler_name",
    }

    def __init__(self, data: Any = None, *, version: Version, **options: Any) -> None:
        super().__init__(data, auto_id="try_%s", **options)
        self.version = version
        if version.entry.kind not in ADDONS_WITH_STRENGTH:
            del self.fields["strength"]

    @property
    def unfolded(self) -> bool:
        """Whether something is wrong with what lies folded away, or was filled in beforehand."""
        return any(name in self.errors or self.initial.get(name) for name in ("negative_prompt", *self.NUMBERS))

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if (data.get("width") is None) != (data.get("height") is None) and not self.errors:
            raise ValidationError(gettext("Give both width and height, or neither."))
        return data

    def wanted(self) -> dict[str, Any]:
        """The arguments of `inference.renders.request`."""
        data = self.cleaned_data
        asked: dict[str, Any] = {"version_id": self.version.pk, "prompt": data["prompt"], "n_iter": data["count"]}
        asked["seed"] = -1 if data["seed"] is None else data["seed"]
        if data["negative_prompt"]:
            asked["negative_prompt"] = data["negative_prompt"]
        if data.get("strength") is not None:
            asked["loras"] = [{"version_id": self.version.pk, "strength": data["strength"]}]
        return asked | {name: data[name] for name in self.NUMBERS if data[name] not in (None, "")}

    def field_of(self, code: str) -> str | None:
        """Beside which field a refusal is said."""
        name = self.CODES.get(code)
        return name if name in self.fields else None
