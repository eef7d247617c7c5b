"""What a model's terms mean in three signs: earn money with it, change it, pass it on; and the full names of licences.

Which permissions a merge gets is `inference.terms`' rule. Sentences about licences are ours and stand for no legal text.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from registry.models import CommercialUse, Entry

YES, SOME, NO = "yes", "some", "no"


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence text by its SPDX identifier: `passed_on` says whether copies may be given to others under it."""

    name: str
    gist: str | Promise
    passed_on: str = YES


RAIL = gettext_lazy("Use, change and pass on, also for money; not for the harmful uses that it lists, and copies stay bound.")
KNOWN = {
    "creativeml-openrail-m": Licence(
        "CreativeML Open RAIL-M",
        RAIL,
    ),
    "creativeml-openrail++-m": Licence(
        "CreativeML Open RAIL++-M",
        RAIL,
    ),
    "apache-2.0": Licence("Apache License 2.0", gettext_lazy("Nearly everything is allowed; keep its notices and say what you changed.")),
    "mit": Licence("MIT License", gettext_lazy("Nearly everything is allowed; keep its notice.")),
    "cc0-1.0": Licence("Creative Commons Zero 1.0", gettext_lazy("Given to everybody: nothing is asked for.")),
    "cc-by-4.0": Licence("Creative Commons Attribution 4.0", gettext_lazy("Use, change and pass on, also for money; name its creator.")),
    "cc-by-sa-4.0": Licence(
        "Creative Commons Attribution-ShareAlike 4.0",
        gettext_lazy("Use, change and pass on, also for money; name its creator, and keep this licence on what you make of it."),
    ),
    "cc-by-nc-4.0": Licence(
        "Creative Commons Attribution-NonCommercial 4.0",
        gettext_lazy("Use, change and pass on, but not for money; name its creator."),
    ),
    "cc-by-nc-sa-4.0": Licence(
        "Creative Commons Attribution-NonCommercial-ShareAlike 4.0",
        gettext_lazy("Use, change and pass on, but not for money; name its creator, and keep this licence."),
    ),
    "cc-by-nd-4.0": Licence(
        "Creative Commons Attribution-NoDerivatives 4.0",
        gettext_lazy("Use it and pass it on as it is, also for money; name its creator."),
    ),
}
"""By lower-case SPDX identifier (spdx.org/licenses); all others are called by their identifier alone."""


@dataclass(frozen=True, slots=True)
class Permission:
    """One sign: `tone` is yes, some or no."""

    name: str
    icon: str
    tone: str
    answer: str


def licence_of(entry: Entry) -> Licence | None:
    return KNOWN.get(entry.spdx.strip().lower())


def permissions(entry: Entry) -> list[Permission]:
    """Three signs; the creator's own permissions come before what the licence text allows, as the stricter counts."""
    return [_commercial(entry), _change(entry), _passing_on(entry)]


def _commercial(entry: Entry) -> Permission:
    uses = set(entry.allow_commercial_use)
    name, every = _("Earn money"), {use.value for use in CommercialUse}
    if not uses:
        return Permission(name, "coin", NO, _("Not with it, and not with its pictures."))
    if uses >= every:
        return Permission(name, "coin", YES, _("Pictures, services, the model itself."))
    if CommercialUse.IMAGE in uses and CommercialUse.SELL not in uses:
        return Permission(name, "coin", SOME, _("With its pictures, but do not sell the model."))
    return Permission(name, "coin", SOME, _("In some ways: see in full."))


def _change(entry: Entry) -> Permission:
    name = _("Change it")
    if not entry.allow_derivatives:
        return Permission(name, "shape", NO, _("Merge or train on it for yourself alone: do not share the result."))
    if not entry.allow_different_license:
        return Permission(name, "shape", SOME, _("Merge, train on it and share that, with the same permissions."))
    return Permission(name, "shape", YES, _("Merge, train on it, and share that."))


def _passing_on(entry: Entry) -> Permission:
    name, licence = _("Pass it on"), licence_of(entry)
    if licence is None:
        return Permission(name, "share", SOME, _("Its creator names no licence that says so: give others the link."))
    if entry.allow_no_credit:
        return Permission(name, "share", licence.passed_on, _("Give copies to others, with its licence."))
    return Permission(name, "share", licence.passed_on, _("Give copies to others, with its licence and its creator's name."))
