"""`./weigh manage rebuild_facts`: writes what the browse page filters and sorts by anew, from the entries themselves. For repair."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from registry import facts


class Command(BaseCommand):
    help = "Write the facts by which models are filtered and sorted anew, from the models themselves. May run while the site does."

    def handle(self, **_: Any) -> None:
        self.stdout.write(f"Facts of {facts.rebuild():,} models written.")
