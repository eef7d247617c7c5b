"""Nobody can have a name that is an address of the site: `/<creator>/...` would be theirs, and the site's page hidden or taken over."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError

from hub.transport import accel, parts
from hub.web.accounts import AccountAdapter
from registry.models.people import username_validators
from tests.hub.every_route import routes

PLANNED = """api datasets spaces models kernels buckets oauth login settings static media v1 shards _cas _lfs admin docs raw files upload"""
"""What clients of the Hugging Face Hub ask for at the root, and what the site may come to need."""


def first_segments() -> Iterator[str]:
    """The first word of every route that begins with words of its own; of `(?:a|b)/...` each."""
    for route in routes():
        start = route.removeprefix("^").replace("(?:api/)?", "").partition("/")[0].removesuffix("$")
        options = re.fullmatch(r"\(\?:([\w|]+)\)", start)
        yield from options[1].split("|") if options else [start] if re.fullmatch(r"[\w.-]+", start) else []


def layers() -> list[str]:
    """First segments that never reach Django: the layers around it, and the buckets that are passed through."""
    prefixes = [parts.PREFIX, accel.PREFIX.decode(), settings.STATIC_URL]
    return [prefix.strip("/") for prefix in prefixes] + list(settings.S3_BUCKETS.values())


def refused(name: str) -> bool:
    """By the rule for names, or because the site has it."""
    try:
        for validator in username_validators:
            validator(name)
        AccountAdapter().clean_username(name, shallow=True)
    except ValidationError:
        return True
    return False


def test_the_walk_finds_what_it_is_for() -> None:
    assert {"api", "accounts", "system", "files", "datasets", "oauth", "upload", "healthz", "_lfs"} <= set(first_segments())


@pytest.mark.django_db
@pytest.mark.parametrize("segment", sorted({*first_segments(), *layers(), *PLANNED.split()}))
def test_no_account_can_have_the_name_of_an_address(segment: str) -> None:
    assert refused(segment)
    assert refused(segment.upper())


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["ada", "eve-2", "modela", "apis", "Weigher"])
def test_other_names_are_free(name: str) -> None:
    assert not refused(name)
