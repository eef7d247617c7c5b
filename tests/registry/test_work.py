"""Work on several leased rows at once: each ending concerns its own row, and all leases are kept while it lasts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from registry import lifecycle, work
from registry.formats.errors import FormatError
from registry.models import File
from tests.factories import FileFactory
from tests.processes import wait_until

pytestmark = pytest.mark.django_db


def queued(count: int) -> list[Any]:
    return [FileFactory(state="queued") for _ in range(count)]


def states(rows: list[Any]) -> list[str]:
    return [File.objects.get(pk=row.pk).state for row in rows]


def test_each_row_ends_as_its_own_ending_says() -> None:
    rows = queued(4)

    def job(claimed: list[Any]) -> list[Callable[[], object]]:
        def good() -> None:
            lifecycle.advance(claimed[0], "clean")

        def refused() -> None:
            raise FormatError("x:refused", "Not this one.")

        def trouble() -> None:
            raise OSError("the store is away")

        def lost() -> None:
            raise lifecycle.LostRace("somebody else was quicker")

        return [good, refused, trouble, lost]

    work.run_many(rows, "scanning", job)
    assert states(rows) == ["clean", "failed", "queued", "scanning"]
    refused, trouble = File.objects.get(pk=rows[1].pk), File.objects.get(pk=rows[2].pk)
    assert (refused.error_code, refused.error) == ("x:refused", "Not this one.")
    assert trouble.send_after > timezone.now()


@pytest.mark.parametrize(("raised", "end"), [(FormatError("x:y", "The file is broken."), "failed"), (OSError("full"), "queued")])
def test_what_the_common_part_raises_ends_them_all(raised: Exception, end: str) -> None:
    rows = queued(2)

    def job(claimed: list[Any]) -> list[Callable[[], object]]:
        raise raised

    work.run_many(rows, "scanning", job)
    assert states(rows) == [end, end]


def test_rows_that_others_took_are_left_out() -> None:
    rows = queued(3)
    late = [File.objects.get(pk=row.pk) for row in rows]
    lifecycle.claim(File.objects.get(pk=rows[1].pk), "scanning")
    seen: list[int] = []

    def job(claimed: list[Any]) -> list[Callable[[], object]]:
        seen.extend(row.pk for row in claimed)
        return [lambda row=row: lifecycle.advance(row, "clean") for row in claimed]  # type: ignore[misc]

    work.run_many(rows, "scanning", job)
    assert seen == [rows[0].pk, rows[2].pk]
    assert states(rows) == ["clean", "scanning", "clean"]
    work.run_many(late, "scanning", job)
    assert seen == [rows[0].pk, rows[2].pk], "nothing was to be had, and yet the job was begun"


@pytest.mark.django_db(transaction=True)
def test_every_lease_is_renewed_while_they_are_worked_on(settings: Any) -> None:
    settings.LEASE_SECONDS = 1
    rows = queued(2)
    soon = timezone.now() + timedelta(seconds=1.2)

    def job(claimed: list[Any]) -> list[Callable[[], object]]:
        wait_until(lambda: all(File.objects.get(pk=row.pk).lease_until > soon for row in claimed), 10, every=0.1)
        return [lambda row=row: lifecycle.advance(row, "clean") for row in claimed]  # type: ignore[misc]

    work.run_many(rows, "scanning", job)
    assert states(rows) == ["clean", "clean"]
