"""Publishes the sample models through the same life as any upload: deposited, examined by the workers, published when ready."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from registry import catalog
from registry.catalog import IN_WORK
from registry.deposit import deposit
from registry.formats.errors import FormatError
from registry.models import Entry, Status, User, Version

FOLDER = Path(settings.BASE_DIR) / "samples"
WAIT_SECONDS = 300.0
"""How long publishing waits for the workers; the samples are a few megabytes."""

Say = Callable[[str], object]


def publish(say: Say, folder: Path = FOLDER) -> int:
    """Deposit every sample that is not there yet, then publish each as it becomes ready; how many are published.

    Safe to run again: what is published stays as it is, what was interrupted goes on.
    """
    waiting = [version for version in _deposited(folder, say) if version.status == Status.DRAFT]
    end = time.monotonic() + WAIT_SECONDS
    while waiting and time.monotonic() < end:
        waiting = [version for version in waiting if not _settled(version, say)]
        time.sleep(0.3 if waiting else 0)
    for version in waiting:
        say(f"{version} is still being examined; run this again later.")
    return Entry.objects.filter(owner__username__in=_creators(folder), live=True).count()


def _creators(folder: Path) -> set[str]:
    return {sample["creator"] for sample in _read(folder)}


def _read(folder: Path) -> list[dict[str, Any]]:
    return list(json.loads((folder / "samples.json").read_text()))


def _deposited(folder: Path, say: Say) -> Iterator[Version]:
    for sample in _read(folder):
        owner = User.objects.filter(username=sample["creator"]).first() or User.objects.create_user(sample["creator"])
        entry = Entry.objects.filter(owner=owner, name=sample["name"]).first() or _create(owner, sample)
        version = entry.versions.get()
        if not version.files.exists():
            try:
                deposit(version, owner, folder / sample["version"]["file"])
            except FormatError as refused:
                say(f"{entry.name}: {refused.sentence}")
                continue
        yield version


@transaction.atomic
def _create(owner: User, sample: dict[str, Any]) -> Entry:
    fields = {key: sample[key] for key in ("name", "kind", "description", "tags", "rating")}
    entry = catalog.create_entry(owner, **fields, **sample["licence"])
    version = sample["version"]
    plain = {key: version[key] for key in ("name", "base_model", "description", "trigger_words")}
    catalog.create_version(entry, **plain, **version["settings"])
    return entry


def _settled(version: Version, say: Say) -> bool:
    """Publish a version whose files have come to rest; False while they are still in work."""
    if any(state in IN_WORK for state in version.files.values_list("state", flat=True)):
        return False
    try:
        catalog.publish(Version.objects.select_related("entry__owner").get(pk=version.pk))
        say(f"Published {version}.")
    except catalog.Refused as refused:
        say(f"{version}: {refused.sentence}")
    return True
