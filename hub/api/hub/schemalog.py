"""What changed in the interfaces that programs use, the newest first: for people who wrote such programs. Kept by hand, with the change.

Fields are added without notice; what is taken away or means something else stands here before it happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

OWN, CIVITAI, HUB, ALL = "own", "Civitai", "Hugging Face", "all"


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one door. `breaks`: programs that worked may have to be changed."""

    day: date
    door: str
    text: str
    breaks: bool = False


CHANGES: tuple[Change, ...] = (
    Change(date(2026, 11, 22), CIVITAI, "The picture feed also lists images that people attached; their ids begin above 2^30."),
    Change(date(2026, 11, 22), OWN, "Publishing at a moment: publish_at of a version, read and changed."),
    Change(
        date(2026, 11, 22),
        ALL,
        "The public test string is a 401 at every door. New tokens end in a checksum.",
    ),
    Change(date(2026, 11, 22), OWN, "Archives of sidecars: /model-versions/<id>/sidecars.zip, and bundle.zip with the file."),
    Change(date(2026, 11, 22), OWN, "Files are recognised from their headers, and known bytes found by hash, before anything is sent."),
    Change(date(2026, 11, 22), CIVITAI, "Thumbs in stats, and the sort by rating, count reviews; before they were 0."),
    Change(date(2026, 11, 22), ALL, "What is rated above the site's cap is answered as if it did not exist."),
    Change(date(2026, 11, 22), CIVITAI, "The hash of pictures: their BlurHash, left out while it is not known."),
    Change(date(2026, 11, 22), CIVITAI, "The routes are described as an OpenAPI document at /api/v1/openapi.json."),
    Change(date(2026, 11, 22), HUB, "Pushes: repositories, branches, tags, large files in parts, commits."),
    Change(date(2026, 11, 22), HUB, "Reading: repository info, trees, refs, commits, files, who am I."),
    Change(date(2026, 11, 21), OWN, "Renders on request, with server-sent events."),
    Change(date(2026, 11, 21), OWN, "Merges on request; the lineage of files."),
    Change(date(2026, 11, 21), OWN, "The first version: create, upload, watch, publish."),
)
