"""What sets versions apart beside their pictures: a table of facts, what differs first. Reads in a constant number of queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.formats import date_format
from django.utils.translation import gettext as _

from hub.templatetags.wording import bytesize
from hub.web import filelist, words
from hub.web.comparison import Column
from registry import components, queries
from registry.models import CommercialUse, File, TensorDigests, Version

UNKNOWN = "–"
PREFIX = 10
"""Digits of a digest that a page shows: enough to see that two are the same."""


@dataclass(frozen=True)
class Fact:
    """One line: what it is, and a value for each column in order."""

    label: str
    values: list[str]
    help: str = ""

    @property
    def equal(self) -> bool:
        return len(set(self.values)) == 1

    @property
    def told(self) -> bool:
        return any(value != UNKNOWN for value in self.values)


@dataclass
class Differences:
    """The lines in which versions part, and those in which they are alike."""

    differ: list[Fact] = field(default_factory=list)
    alike: list[Fact] = field(default_factory=list)


@dataclass
class Told:
    """What is known of one version."""

    version: Version
    best: File | None
    detected: dict[str, Any]
    parts: dict[str, set[str]]


def between(columns: Sequence[Column]) -> Differences:
    """The facts of these versions. Four queries at most, however many there are."""
    told = _told([column.version for column in columns])
    facts = [*_plain_facts(told), *_kinship(columns, told)]
    shown = [fact for fact in facts if fact.told]
    return Differences([fact for fact in shown if not fact.equal], [fact for fact in shown if fact.equal])


def _told(versions: Sequence[Version]) -> list[Told]:
    files: dict[int, list[File]] = {version.pk: [] for version in versions}
    for file in queries.files_with_blobs().filter(version__in=versions, state__in=queries.SHOWN_TO_ALL):
        files[file.version_id].append(file)
    blobs = [file.blob_id for found in files.values() for file in found]
    digests = {row.blob_id: row for row in TensorDigests.objects.filter(blob__in=blobs).defer("packed")}
    return [_of(version, files[version.pk], digests) for version in versions]


def _of(version: Version, files: list[File], digests: dict[int, TensorDigests]) -> Told:
    best = filelist.recommended(files)
    detected = next((file.blob.detected for file in [best, *files] if file and file.blob and file.blob.detected), {})
    rows = [digests[file.blob_id] for file in files if file.blob_id in digests]
    parts = {part: {value for row in rows if (value := getattr(row, part))} for part in components.PARTS}
    return Told(version, best, detected, parts)


def _plain_facts(told: Sequence[Told]) -> list[Fact]:
    rows: list[tuple[str, Callable[[Told], Any]]] = [
        (_("Kind"), lambda one: one.version.entry.get_kind_display()),
        (_("Creator"), lambda one: one.version.entry.owner.username),
        (_("Published"), lambda one: date_format(one.version.published_at, "DATE_FORMAT") if one.version.published_at else ""),
        (_("Base model"), lambda one: one.version.base_model),
        (_("Family, by its tensors"), lambda one: one.detected.get("family")),
        (_("Prediction"), lambda one: one.detected.get("prediction")),
        (_("Recommended file"), lambda one: one.best and one.best.name),
        (_("Size"), lambda one: one.best and bytesize(one.best.size_bytes)),
        (_("Precision"), lambda one: one.best and words.precision(one.best)),
        (_("Format"), lambda one: one.best and words.container(one.best)),
        (_("Trigger words"), lambda one: ", ".join(one.version.trigger_words)),
        *[(label, lambda one, name=name: _setting(one.version, name)) for name, label in _settings().items()],
        (_("Use without naming the creator"), lambda one: _yes(one.version.entry.allow_no_credit)),
        (_("Share merges and fine-tunes"), lambda one: _yes(one.version.entry.allow_derivatives)),
        (_("Other permissions on merges"), lambda one: _yes(one.version.entry.allow_different_license)),
        (_("Commercial use"), lambda one: _uses(one.version)),
        (_("Licence"), lambda one: one.version.entry.spdx),
    ]
    return [Fact(str(label), [str(value(one) or UNKNOWN) for one in told]) for label, value in rows]


def _settings() -> dict[str, str]:
    return {
        "weight": _("Recommended weight"),
        "sampler": _("Recommended sampler"),
        "steps": _("Recommended steps"),
        "cfg_scale": _("Recommended CFG scale"),
        "clip_skip": _("Recommended CLIP skip"),
        "vae": _("Recommended VAE"),
        "negative_prompt": _("Recommended negative prompt"),
    }


def _setting(version: Version, name: str) -> str:
    value = version.settings.get(name)
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _yes(allowed: bool) -> str:
    return _("yes") if allowed else _("no")


def _uses(version: Version) -> str:
    labels = dict(CommercialUse.choices)
    return ", ".join(str(labels[use]) for use in version.entry.allow_commercial_use if use in labels) or _("none")


def _kinship(columns: Sequence[Column], told: Sequence[Told]) -> list[Fact]:
    """Which share a diffusion model, VAE or text encoders, bit for bit: said by the letter of the first column that has the same."""
    names = {"unet": _("Diffusion model (UNet)"), "vae": _("VAE"), "te": _("Text encoders")}
    return [Fact(names[part], _kin(columns, [one.parts[part] for one in told])) for part in components.PARTS]


def _kin(columns: Sequence[Column], digests: Sequence[set[str]]) -> list[str]:
    if len(digests) > 1 and all(digests) and all(digests[0] & other for other in digests[1:]):
        return [_("the same, bit for bit")] * len(digests)
    return [_kin_of(columns, digests, place) for place in range(len(digests))]


def _kin_of(columns: Sequence[Column], digests: Sequence[set[str]], place: int) -> str:
    mine = digests[place]
    if not mine:
        return UNKNOWN
    first = next((other for other in range(place) if digests[other] & mine), place)
    if first != place:
        return _("as in %(letter)s, bit for bit") % {"letter": columns[first].letter}
    return _("its own (%(digest)s…)") % {"digest": min(mine)[:PREFIX]}
