"""Tags, task and library of an entry, as this protocol names them, and the same as questions to the database."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q

from registry.models import Entry, Kind, Rating

LIBRARY = "diffusers"
KIND_TAG = {
    Kind.CHECKPOINT: "checkpoint",
    Kind.LORA: "lora",
    Kind.EMBEDDING: "textual_inversion",
    Kind.HYPERNETWORK: "hypernetwork",
    Kind.VAE: "vae",
    Kind.CONTROLNET: "controlnet",
    Kind.UPSCALER: "upscaler",
}
TASK = {Kind.CHECKPOINT: "text-to-image", Kind.LORA: "text-to-image", Kind.EMBEDDING: "text-to-image", Kind.UPSCALER: "image-to-image"}
OF_DIFFUSERS = (Kind.CHECKPOINT, Kind.LORA, Kind.EMBEDDING, Kind.VAE, Kind.CONTROLNET)
NOT_FOR_ALL = "not-for-all-audiences"
"""The tag by which this protocol's sites mark adult content."""


def task_of(entry: Entry) -> str | None:
    return TASK.get(Kind(entry.kind))


def library_of(entry: Entry) -> str | None:
    return LIBRARY if entry.kind in OF_DIFFUSERS else None


def tags_of(entry: Entry) -> list[str]:
    """Library, task, kind and licence, then its creator's own; `entry.tags` is expected to be loaded."""
    known = [library_of(entry), task_of(entry), KIND_TAG.get(Kind(entry.kind)), f"license:{entry.spdx.lower()}" if entry.spdx else None]
    known.append(NOT_FOR_ALL if entry.rating >= Rating.R else None)
    return list(dict.fromkeys([*filter(None, known), *(tag.name for tag in entry.tags.all())]))


def rule_of(tag: str) -> Q:
    """Entries whose `tags_of` hold this tag."""
    own = Entry.tags.through.objects.filter(entry=OuterRef("pk"), tag__name=tag.lower())
    rule = Q(Exists(own)) | Q(kind__in=[kind for kind, name in KIND_TAG.items() if name == tag]) | task_rule(tag)
    if tag == LIBRARY:
        rule |= Q(kind__in=OF_DIFFUSERS)
    if tag == NOT_FOR_ALL:
        rule |= Q(rating__gte=Rating.R)
    if tag.startswith("license:"):
        rule |= Q(spdx__iexact=tag.removeprefix("license:"))
    return rule


def task_rule(task: str) -> Q:
    return Q(kind__in=[kind for kind, name in TASK.items() if name == task])
