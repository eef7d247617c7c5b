"""The forms of pages: what may be typed, and a plain sentence beside each field that is wrong. Saving is `registry.catalog`'s."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from registry import groups, ratings
from registry.formats.plaintext import HIDDEN
from registry.models import CommercialUse, Entry, Kind, Rating, Scope, User, Version, Visibility
from registry.models.people import NO_BLUR

BASES = (
    "SD 1.4",
    "SD 1.5",
    "SD 2.0",
    "SD 2.1",
    "SDXL 1.0",
    "SDXL Turbo",
    "Pony",
    "Illustrious",
    "SD 3",
    "SD 3.5",
    "Flux.1 D",
    "Flux.1 S",
    "Other",
)
"""Suggestions only: any text may be declared, the tensors are asked anyway."""
SPDX = ("CreativeML-OpenRAIL-M", "CreativeML-OpenRAIL++-M", "Apache-2.0", "MIT", "CC0-1.0", "CC-BY-4.0", "CC-BY-NC-4.0", "CC-BY-SA-4.0")
NUMBER_LIMITS = {"weight": (-5, 5), "clip_skip": (1, 12), "steps": (1, 1000), "cfg_scale": (0, 50)}


def one_line(value: str) -> str:
    """Text of a single-line field: spaces made single; refused when it holds characters that cannot be seen."""
    import unicodedata

    text = " ".join(value.split())
    if any(unicodedata.category(char) in HIDDEN for char in text):
        raise ValidationError(_("This holds invisible or direction-changing characters. Type it anew without copying."))
    return text


class LineField(forms.CharField):
    def to_python(self, value: Any) -> str:
        return one_line(super().to_python(value))


class WordsField(forms.CharField):
    """Several short texts, separated by commas or new lines; given as a list."""

    def __init__(self, *, each: int, most: int, lower: bool = False, **options: Any) -> None:
        super().__init__(required=False, **options)
        self.each, self.most, self.lower = each, most, lower

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> list[str]:  # type: ignore[override]
        text = value if isinstance(value, str) else ", ".join(value or [])
        words = list(dict.fromkeys(one_line(word) for word in re.split(r"[,\n]", text) if word.strip()))
        if any(len(word) > self.each for word in words):
            raise ValidationError(_("Each may have at most %(n)s characters.") % {"n": self.each})
        if len(words) > self.most:
            raise ValidationError(_("At most %(most)s fit; these are %(n)s.") % {"most": self.most, "n": len(words)})
        return [word.lower() for word in words] if self.lower else words


class ForGroups(forms.Form):
    """Visibility with the owner's own groups; without any there is nothing to choose."""

    def offer(self, owner: Any) -> None:
        found = groups.of(owner)
        if not found.exists():
            self.fields["visibility"].choices = [row for row in Visibility.choices if row[0] != Visibility.GROUP]  # type: ignore[attr-defined]
            del self.fields["group"]
            return
        self.fields["group"].queryset = found  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if data.get("visibility") == Visibility.GROUP and not data.get("group") and "group" not in self.errors:
            self.add_error("group", _("Choose which group may read it."))
        if data.get("visibility") != Visibility.GROUP:
            data["group"] = None
        return data


def group_field() -> forms.ModelChoiceField:
    return forms.ModelChoiceField(
        Group.objects.none(),
        required=False,
        label=_("Group"),
        empty_label=_("None"),
        help_text=_("Where the visibility is Group: its members read it under My models."),
    )


class EntryForm(ForGroups, forms.ModelForm):
    """What a model's page says about all its versions. `owner` is whose groups may be chosen."""

    name = LineField(max_length=120, label=_("Name"), help_text=_("As people should find it. It becomes the page's address."))
    kind = forms.ChoiceField(
        choices=Kind.choices, label=_("Kind"), help_text=_("The hub also looks at the tensors and tells you when they say otherwise.")
    )
    tags = WordsField(each=60, most=30, lower=True, label=_("Tags"), help_text=_("Separated by commas: portrait, film grain, 1990s."))
    visibility = forms.ChoiceField(choices=Visibility.choices, initial=Visibility.PUBLIC, widget=forms.RadioSelect, label=_("Visibility"))
    group = group_field()
    rating = forms.TypedChoiceField(
        choices=Rating.choices,
        coerce=int,
        initial=Rating.PG,
        label=_("Rating"),
        help_text=_("What its pictures usually show. Visitors see only what their own limit allows."),
    )
    allow_commercial_use = forms.MultipleChoiceField(
        choices=CommercialUse.choices, required=False, widget=forms.CheckboxSelectMultiple, label=_("Earning money: others may")
    )
    spdx = LineField(
        max_length=80, required=False, label=_("Licence (SPDX)"), help_text=_("The identifier of a full licence text, where there is one.")
    )

    class Meta:
        model = Entry
        fields = [
            "name",
            "kind",
            "description",
            "tags",
            "visibility",
            "group",
            "rating",
            "allow_no_credit",
            "allow_derivatives",
            "allow_different_license",
            "allow_commercial_use",
            "spdx",
        ]
        labels = {
            "description": _("Description"),
            "allow_no_credit": _("Use it without naming me"),
            "allow_derivatives": _("Share merges and fine-tunes of it"),
            "allow_different_license": _("Give merges of it other permissions"),
        }
        help_texts = {"description": _("Markdown: what it does, how to use it, what went into it.")}
        widgets = {"description": forms.Textarea(attrs={"rows": 6, "maxlength": 50_000})}

    def __init__(self, *args: Any, owner: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.offer(owner)
        self.fields["description"].max_length = 50_000  # type: ignore[attr-defined]
        if self.instance.pk and "tags" not in self.initial:
            self.initial["tags"] = [tag.name for tag in self.instance.tags.all()]
        elif self.instance.pk:
            self.initial["tags"] = [tag.name for tag in self.initial["tags"]]

    def clean_description(self) -> str:
        text = str(self.cleaned_data["description"])
        if len(text) > 50_000:
            raise ValidationError(
                _("At most %(most)s characters fit; these are %(n)s.") % {"most": intcomma(50_000), "n": intcomma(len(text))}
            )
        return text


class VersionForm(forms.ModelForm):
    """What belongs to one release."""

    name = LineField(max_length=80, label=_("Version"), initial="v1", help_text=_("Such as v1, v2 beta or 2026-11."))
    base_model = LineField(
        max_length=60,
        label=_("Base model"),
        help_text=_("What it was trained on or belongs to."),
        widget=forms.TextInput(attrs={"list": "bases"}),
    )
    trigger_words = WordsField(
        each=200,
        most=100,
        label=_("Trigger words"),
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Words that wake it, separated by commas. People copy them from the page."),
    )
    sampler = LineField(max_length=60, required=False, label=_("Sampler"))
    vae = LineField(max_length=120, required=False, label=_("VAE"))

    class Meta:
        model = Version
        fields = [
            "name",
            "base_model",
            "trigger_words",
            "description",
            "weight",
            "sampler",
            "steps",
            "cfg_scale",
            "clip_skip",
            "vae",
            "negative_prompt",
        ]
        labels = {
            "description": _("What is new in this version"),
            "cfg_scale": _("CFG scale"),
            "weight": _("Weight"),
            "steps": _("Steps"),
            "clip_skip": _("Clip skip"),
            "negative_prompt": _("Negative prompt"),
        }
        widgets = {
            "description": forms.Textarea(attrs={"rows": 3, "maxlength": 20_000}),
            "negative_prompt": forms.Textarea(attrs={"rows": 2, "maxlength": 5_000}),
        }

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        for name, (low, high) in NUMBER_LIMITS.items():
            value = data.get(name)
            if value is not None and not low <= value <= high:
                self.add_error(name, _("Use a number between %(low)s and %(high)s.") % {"low": low, "high": high})
        for name, limit in (("description", 20_000), ("negative_prompt", 5_000)):
            if len(data.get(name) or "") > limit:
                self.add_error(name, _("At most %(most)s characters fit.") % {"most": intcomma(limit)})
        return data


class TargetForm(forms.Form):
    """Which model a new version belongs to: a new one, or one of mine."""

    entry = forms.ModelChoiceField(Entry.objects.none(), required=False, empty_label=_("A new model"), label=_("This is"))

    def __init__(self, *args: Any, entries: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["entry"].queryset = entries  # type: ignore[attr-defined]
        self.fields["entry"].label_from_instance = lambda entry: gettext("A new version of %(name)s") % {"name": entry.name}  # type: ignore[attr-defined]


class RowForm(forms.Form):
    """One of several models that are made at once: the little that its file does not tell."""

    name = LineField(max_length=120, label=_("Name"))
    kind = forms.ChoiceField(choices=Kind.choices, label=_("Kind"))
    version = LineField(max_length=80, required=False, label=_("Version"), initial="v1")
    base_model = LineField(max_length=60, label=_("Base model"), widget=forms.TextInput(attrs={"list": "bases"}))
    trigger_words = WordsField(each=200, most=100, label=_("Trigger words"))


class SharedForm(ForGroups):
    """What several models that are made at once have in common; each can be changed on its own page afterwards."""

    visibility = forms.ChoiceField(choices=Visibility.choices, initial=Visibility.PUBLIC, label=_("Visibility"))
    group = group_field()
    rating = forms.TypedChoiceField(choices=Rating.choices, coerce=int, initial=Rating.PG, label=_("Rating"))

    def __init__(self, *args: Any, owner: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.offer(owner)


class TokenForm(forms.Form):
    """A new token for a program."""

    name = LineField(max_length=80, label=_("What is it for?"), help_text=_("Such as: laptop, ComfyUI, backup script."))
    scope = forms.ChoiceField(choices=Scope.choices, initial=Scope.READ, widget=forms.RadioSelect, label=_("It may"))
    days = forms.TypedChoiceField(
        choices=[(7, _("7 days")), (30, _("30 days")), (90, _("90 days")), (365, _("1 year")), (0, _("Never"))],
        coerce=int,
        initial=90,
        label=_("It expires after"),
    )


class SettingsForm(forms.ModelForm):
    """What a person chooses for themselves."""

    max_rating = forms.TypedChoiceField(
        coerce=int, label=_("Show me models up to"), help_text=_("Anything rated above is left out of lists and search.")
    )
    blur_from = forms.TypedChoiceField(
        choices=[(NO_BLUR, _("None")), *((value, name) for value, name in reversed(Rating.choices))],
        coerce=int,
        label=_("Blur pictures rated this or above"),
        help_text=_("Each has a button that shows it, and the key b shows them all until you close the browser."),
    )

    class Meta:
        model = User
        fields = ["max_rating", "blur_from", "email"]
        labels = {"email": _("Email")}
        help_texts = {"email": _("Only used to reset your password. Never shown.")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        most = Rating.XXX if self.instance.moderates else ratings.cap()
        self.fields["max_rating"].choices = [choice for choice in Rating.choices if choice[0] <= most]  # type: ignore[attr-defined]
        if most < Rating.XXX:
            text = _("Anything rated above is left out of lists and search. This hub shows nothing above %(cap)s.")
            self.fields["max_rating"].help_text = text % {"cap": Rating(most).label}
