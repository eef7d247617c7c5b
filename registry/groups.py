"""Models for the members of one group: who belongs, and which groups an owner may choose. Groups themselves are made in Django's admin.

What follows from it for reading is `queries`' one check; this module knows membership and nothing else.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group
from django.db.models import Q, QuerySet

from registry.models import Entry, User, Visibility
from registry.refusals import Refusal


class Refused(Refusal):
    """A group that cannot be chosen."""

    STATUS = 400


def of(user: Any) -> QuerySet[Group]:
    """Groups that a user belongs to, by name."""
    if not user or not user.is_authenticated:
        return Group.objects.none()
    return Group.objects.filter(user=user.pk).order_by("name")


def is_member(user: Any, group_id: int | None) -> bool:
    """Whether a user belongs to a group. Asked once for each user that a request has: lists ask it for every row."""
    if group_id is None or not user or not user.is_authenticated:
        return False
    known = user.__dict__.get("_group_ids")
    if known is None:
        known = user.__dict__["_group_ids"] = frozenset(of(user).values_list("pk", flat=True))
    return group_id in known


def shared_with(user: Any, prefix: str = "") -> Q:
    """The condition that an entry is for a group of this user; `prefix` leads to the entry.

    The membership is asked when the condition is: a statement that was compiled with it stays right when somebody leaves the group.
    """
    return Q(**{f"{prefix}visibility": Visibility.GROUP, f"{prefix}group__in": of(user).order_by().values("pk")})


def chosen(owner: User, name: str) -> Group:
    """The group of this name that the owner belongs to. Raises `Refused`; a group of others looks like one that does not exist."""
    group = of(owner).filter(name=name).first()
    if group is None:
        raise Refused("group:unknown", "You belong to no group of this name. An admin makes groups and says who belongs to them.")
    return group


def fields(owner: User, given: dict[str, Any], entry: Entry | None = None) -> dict[str, Any]:
    """`given` fields of an entry with `group` as the group that its name means; other visibilities have none.

    Raises `Refused` where a group is to read it and none is named.
    """
    found = dict(given)
    name = found.pop("group", None)
    visibility = found.get("visibility", entry.visibility if entry else Visibility.PUBLIC)
    if visibility != Visibility.GROUP:
        return found | {"group": None} if "visibility" in found or name is not None else found
    group = chosen(owner, name) if name else (entry.group if entry else None)
    if group is None:
        raise Refused("group:missing", "Name in `group` the group that may read it: one that you belong to.")
    return found | {"group": group}
