"""What moderators took away after reports: it comes back by a moderator alone. Reads only; decisions are `registry/reports.py`'s."""

from __future__ import annotations

from django.db.models import Q

from registry.models import Decision, Report, Reported, Version


def of(version: Version) -> Report | None:
    """The decision in force by which this version, or its whole model, was withdrawn; None where there is none."""
    rule = Q(about=Reported.VERSION, thing=version.pk) | Q(about=Reported.MODEL, thing=version.entry_id)
    return Report.objects.filter(rule, decision=Decision.REMOVED).order_by("-decided_at").first()
