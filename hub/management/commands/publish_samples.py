"""`./weigh manage publish_samples`: publishes the sample models through the pipeline; the launcher runs it on the first start."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from hub import samples


class Command(BaseCommand):
    help = "Publish the sample models through the same pipeline as any upload. Safe to run again."

    def handle(self, **_: Any) -> None:
        count = samples.publish(self.stdout.write)
        self.stdout.write(f"{count} sample models are published.")
