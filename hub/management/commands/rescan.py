"""`./weigh manage rescan`: has known bytes judged again, those that it names or all that older rules judged. Scans nothing itself."""

from __future__ import annotations

import re
from argparse import ArgumentParser
from datetime import UTC, date, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from scanner import rescans

PREFIX = re.compile(r"[0-9a-fA-F]{4,64}")


class Command(BaseCommand):
    help = (
        "Have known bytes judged again, behind all uploads and while everything stays as it is served. Without options: what another "
        "scanner or policy than today's has judged. With options: what all of them name, whatever judged it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--since", type=_day, metavar="YYYY-MM-DD", help="Only bytes whose verdict is of this day (UTC) or later.")
        parser.add_argument("--kind", choices=["pickle", "all"], default="all", help="pickle: only kinds of files that can hold pickles.")
        parser.add_argument("--sha256", default="", metavar="PREFIX", help="Only bytes whose SHA-256 begins like this.")
        parser.add_argument("--all", action="store_true", dest="everything", help="All bytes that have a verdict.")

    def handle(self, *, since: datetime | None, kind: str, sha256: str, everything: bool, **_: Any) -> None:
        if sha256 and not PREFIX.fullmatch(sha256):
            raise CommandError("A SHA-256 prefix is 4 to 64 hexadecimal digits.")
        pickles = kind == "pickle"
        if not (since or pickles or sha256 or everything):
            rescans.renew_all()
        found = rescans.named(since=since, pickles=pickles, sha256=sha256, everything=everything)
        asked = [rescans.ask(blob, tell=False) is not None for blob in found.only("verdict").iterator(500)]
        queued = sum(asked)
        waiting = f"; {len(asked) - queued} wait already" if queued < len(asked) else ""
        self.stdout.write(f"{queued} file{'' if queued == 1 else 's'} queued to be judged again{waiting}.")


def _day(text: str) -> datetime:
    """Midnight UTC of a day. Raises `ValueError`, which argparse turns into its message."""
    day = date.fromisoformat(text)
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
