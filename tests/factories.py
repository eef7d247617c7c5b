"""Rows for tests, with sensible defaults. Files with real bytes come from `tests.intake`."""

from __future__ import annotations

import factory
from factory.django import DjangoModelFactory

from registry import models


class UserFactory(DjangoModelFactory):
    class Meta:
        model = models.User
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"creator{n}")
    email = factory.LazyAttribute(lambda user: f"{user.username}@example.org")


class EntryFactory(DjangoModelFactory):
    class Meta:
        model = models.Entry

    owner = factory.SubFactory(UserFactory)
    name = factory.Sequence(lambda n: f"Model {n}")
    slug = factory.Sequence(lambda n: f"model-{n}")
    kind = "checkpoint"


class VersionFactory(DjangoModelFactory):
    class Meta:
        model = models.Version

    entry = factory.SubFactory(EntryFactory)
    name = "v1"
    base_model = "SD 1.5"


class BlobFactory(DjangoModelFactory):
    """A blob row without bytes, found clean."""

    class Meta:
        model = models.Blob

    sha256 = factory.Sequence(lambda n: f"{n:064x}")
    size_bytes = 1000
    verdict = "success"
    container = "safetensors"


class FileFactory(DjangoModelFactory):
    """A ready file over a blob row without bytes; for queries, not for downloads."""

    class Meta:
        model = models.File

    version = factory.SubFactory(VersionFactory)
    name = factory.Sequence(lambda n: f"file{n}.safetensors")
    blob = factory.SubFactory(BlobFactory)
    size_bytes = 1000
    state = "ready"
