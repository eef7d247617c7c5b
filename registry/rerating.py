"""A change of an entry by a person, where a moderator's word on its rating holds: below that only moderators lower it.

What a moderator said stands in the reports, which are the audit. There is no number beside it: from then on the rating that the entry
has is the floor, so that whoever raised it further cannot go back alone either. The change itself is `registry.catalog`'s.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from registry import catalog, queries
from registry.models import Decision, Entry, Report, Reported, ReportReason, User
from registry.refusals import Refusal

RATED = (Reported.MODEL, Reported.VERSION)
"""What a decision must be about to be one on the entry's rating: images have their own."""


class HeldUp(Refusal):
    """The rating was set by a moderator and cannot be lowered by this person."""


def judged(entry: Entry) -> bool:
    """Whether a moderator has given this entry a rating."""
    return Report.objects.filter(entry=entry, about__in=RATED, decision=Decision.RERATED).exists()


def why_not(by: User, entry: Entry, rating: int) -> HeldUp | None:
    """Why this person may not give this entry that rating; None where they may. Nobody is the judge of their own entry."""
    if rating >= entry.rating or _judges(by, entry) or not judged(entry):
        return None
    return HeldUp("rating:moderator", _("A moderator set this rating. You can raise it; ask a moderator to lower it."), 403)


@transaction.atomic
def change_entry(by: User, entry: Entry, **fields: Any) -> Entry:
    """As `catalog.change_entry`. A moderator's rating of somebody else's entry is kept as a decision. Raises `HeldUp`."""
    before = Entry.objects.select_for_update(of=("self",)).get(pk=entry.pk)
    rating = int(fields.get("rating", before.rating))
    if refusal := why_not(by, before, rating):
        raise refusal
    if rating != before.rating and _judges(by, before):
        _keep(by, before)
    return catalog.change_entry(entry, **fields)


def _judges(by: User, entry: Entry) -> bool:
    return queries.is_moderator(by) and entry.owner_id != by.pk


def _keep(by: User, entry: Entry) -> None:
    decided = {"decision": Decision.RERATED, "decided_at": timezone.now(), "decided_by": by, "decided_by_name": by.username}
    text = "Given another rating on the model's page."
    about = {"about": Reported.MODEL, "thing": entry.pk, "title": entry.name[:200], "entry": entry, "owner": entry.owner}
    Report.objects.create(reporter=by, reason=ReportReason.RATING, decision_text=text, **about, **decided)
