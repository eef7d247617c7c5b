"""Published models for tests of browsing: rows without bytes, through the same writes as real ones."""

from __future__ import annotations

from typing import Any

from registry import agreements, catalog
from registry.models import Version
from tests.factories import BlobFactory, EntryFactory, FileFactory, VersionFactory


def publish(
    name: str,
    kind: str = "checkpoint",
    *,
    base: str = "SD 1.5",
    tags: tuple[str, ...] = (),
    words: tuple[str, ...] = (),
    size_mb: int = 2000,
    container: str = "safetensors",
    detected: dict[str, Any] | None = None,
    **fields: Any,
) -> Version:
    """A published version with one file to download."""
    version = VersionFactory(entry=EntryFactory(name=name, kind=kind, **fields), base_model=base, trigger_words=list(words))
    blob = BlobFactory(container=container, detected={"precision": "fp16", **(detected or {})})
    FileFactory(version=version, blob=blob, size_bytes=size_mb * 1_000_000)
    catalog.set_tags(version.entry, tags)
    for question in agreements.unanswered(version, list(version.files.select_related("blob"))):
        catalog.answer(version, version.entry.owner, about=question.about, keep=True, reason="I know better.", detected=question.detected)
    return catalog.publish(version)
