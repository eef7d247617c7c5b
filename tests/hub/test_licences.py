"""Three signs of a licence: never more than the creator's permissions say."""

from __future__ import annotations

from typing import Any

import pytest

from hub import licences
from tests.factories import EntryFactory

ALL = ["Image", "RentCivit", "Rent", "Sell"]


@pytest.mark.parametrize(
    ("fields", "tones"),
    [
        ({"allow_commercial_use": ALL, "spdx": "CC0-1.0"}, ["yes", "yes", "yes"]),
        ({"allow_commercial_use": ["Image"], "allow_different_license": False}, ["some", "some", "some"]),
        ({"allow_commercial_use": [], "allow_derivatives": False, "spdx": "cc-by-nc-4.0"}, ["no", "no", "yes"]),
        ({"allow_commercial_use": ["Rent"], "spdx": "Own-Terms-1"}, ["some", "yes", "some"]),
    ],
)
def test_signs_follow_what_the_creator_allows(fields: dict[str, Any], tones: list[str]) -> None:
    entry = EntryFactory.build(**fields)
    assert [one.tone for one in licences.permissions(entry)] == tones


def test_a_licence_is_called_by_its_full_name() -> None:
    found = licences.licence_of(EntryFactory.build(spdx="CreativeML-OpenRAIL-M"))
    assert found is not None
    assert found.name == "CreativeML Open RAIL-M"
    assert licences.licence_of(EntryFactory.build(spdx="Own-Terms-1")) is None
