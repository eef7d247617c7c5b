"""Publishes the sample models through the same life as any upload: deposited, examined by the workers, published when ready.

A sample of `samples.json` is a file, or a merge that is asked of the hub once what it merges is published.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from inference import merges, previews
from inference.models import Merge, PreviewSettings
from registry import catalog
from registry.catalog import IN_WORK
from registry.deposit import deposit
from registry.formats.errors import FormatError
from registry.lifecycle import FileState, MergeState
from registry.models import Entry, File, Status, User, Version

FOLDER = Path(settings.BASE_DIR) / "samples"
WAIT_SECONDS = 300.0
"""How long publishing waits for the workers; the samples are some ten megabytes each."""

Say = Callable[[str], object]
Sample = dict[str, Any]


def publish(say: Say, folder: Path = FOLDER) -> int:
    """Bring in every sample that is not there yet, then publish each as it becomes ready; how many are published.

    Safe to run again: what is published stays as it is, what was interrupted goes on.
    """
    waiting = _read(folder)
    end = time.monotonic() + WAIT_SECONDS
    while waiting and time.monotonic() < end:
        waiting = [sample for sample in waiting if not _settled(sample, folder, say)]
        time.sleep(0.3 if waiting else 0)
    for sample in waiting:
        say(f"{sample['name']} is still being made or examined; run this again later.")
    return Entry.objects.filter(owner__username__in={sample["creator"] for sample in _read(folder)}, live=True).count()


def _read(folder: Path) -> list[Sample]:
    return list(json.loads((folder / "samples.json").read_text()))


def _settled(sample: Sample, folder: Path, say: Say) -> bool:
    """Take a sample as far as it goes now; whether that was the end of it, published or refused."""
    try:
        version = _version(sample, folder)
        if version is None or version.status != Status.DRAFT:
            return version is not None
        if any(state in IN_WORK for state in version.files.values_list("state", flat=True)):
            return False
        if not _has_its_base(version, sample):
            return False
        catalog.publish(Version.objects.select_related("entry__owner").get(pk=version.pk))
        say(f"Published {version}.")
    except FormatError as refused:
        say(f"{sample['name']}: {refused.sentence}")
    return True


def _version(sample: Sample, folder: Path) -> Version | None:
    """The sample's version with its file, both made now where they are missing; None while a merge still lies ahead or in work.

    Raises FormatError for what the hub refuses.
    """
    owner = User.objects.filter(username=sample["creator"]).first() or User.objects.create_user(sample["creator"])
    entry = Entry.objects.filter(owner=owner, name=sample["name"]).first() or _create(owner, sample)
    if "merge" in sample["version"]:
        return _merged(entry, sample)
    version = entry.versions.get()
    if not version.files.exists():
        _tell_prompts(version, sample)  # before there is a file, so that its previews are planned once
        deposit(version, owner, folder / sample["version"]["file"])
    return version


@transaction.atomic
def _create(owner: User, sample: Sample) -> Entry:
    fields = {key: sample[key] for key in ("name", "kind", "description", "tags", "rating")}
    entry = catalog.create_entry(owner, **fields, **sample["licence"])
    if "file" in sample["version"]:
        catalog.create_version(entry, **_words(sample))
    return entry


def _words(sample: Sample) -> dict[str, Any]:
    """What is said of a sample's version."""
    version = sample["version"]
    plain = {key: version[key] for key in ("name", "base_model", "description", "trigger_words")}
    return {**plain, "negative_prompt": version.get("negative_prompt", ""), **version["settings"]}


def _merged(entry: Entry, sample: Sample) -> Version | None:
    """The version that the merge made, with the sample's words; asks for the merge once everything that goes into it is published.

    Raises FormatError for a merge that the hub refuses or failed to make.
    """
    merge = Merge.objects.filter(entry=entry).select_related("result__version__entry").first()
    if merge is None:
        inputs = {role: _published_file(entry.owner, *named) for role, named in sample["version"]["merge"]["inputs"].items()}
        found = {role: file.pk for role, file in inputs.items() if file is not None}
        if len(found) == len(inputs):
            merges.request_merge(entry.owner, recipe=sample["version"]["merge"]["recipe"], files=found, entry=entry)
        return None
    if merge.state in (MergeState.FAILED, MergeState.CANCELLED):
        raise FormatError("samples:merge", merge.error or "Its merge was cancelled.")
    if merge.result is None:
        return None
    version = merge.result.version
    if version.status == Status.DRAFT:
        _tell_prompts(version, sample)
        if version.name != sample["version"]["name"]:
            catalog.change_version(version, **_words(sample))
    return version


def _published_file(owner: User, entry: str, name: str) -> File | None:
    """A ready file of a published sample by its name."""
    files = File.objects.filter(version__entry__owner=owner, version__entry__name=entry, version__status=Status.PUBLISHED)
    return files.filter(name=name, state=FileState.READY).first()


def _tell_prompts(version: Version, sample: Sample) -> None:
    """Set what the version's previews show, once. Raises FormatError for what is refused."""
    told = {key: sample["version"][key] for key in ("prompts", "negative_prompt") if key in sample["version"]}
    if told and not PreviewSettings.objects.filter(version=version).exists():
        previews.configure(version, **told)


def _has_its_base(version: Version, sample: Sample) -> bool:
    """Set the base of the version's previews; False while that is not published. Raises FormatError where it is refused."""
    name = sample["version"].get("base")
    if not name or PreviewSettings.objects.filter(version=version, base__isnull=False).exists():
        return True
    base = Version.objects.filter(entry__owner=version.entry.owner, entry__name=name, status=Status.PUBLISHED).first()
    if base is not None:
        previews.configure(version, base=base)
    return base is not None
