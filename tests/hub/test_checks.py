"""A hub that would serve sealed bytes, or whose limits make no sense, does not start."""

from __future__ import annotations

from typing import Any

from hub.checks import limits_are_sane, stores_differ


def test_buckets_must_differ(settings: Any) -> None:
    settings.STORAGE_KIND = "s3"
    settings.S3_BUCKETS = {"models": "a", "quarantine": "b", "media": "c"}
    assert stores_differ() == []
    settings.S3_BUCKETS = {"models": "a", "quarantine": "a", "media": "c"}
    assert [error.id for error in stores_differ()] == ["hub.E001"]


def test_part_size_and_lease_are_bounded(settings: Any) -> None:
    assert limits_are_sane() == []
    settings.PART_SIZE_BYTES, settings.LEASE_SECONDS = 1 << 20, 1
    assert [error.id for error in limits_are_sane()] == ["hub.E002", "hub.E003"]
