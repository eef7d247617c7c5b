"""What a picture says of its making, read from its text alone: which tool, prompt, settings, the models used, the workflow.

Plain Python over bytes: no Django, no pixel, no network. `of_bytes` and `of_file` are all that others need. Limits stand before every
step, since every byte is a stranger's: whatever the bytes, nothing is raised but `FormatError`, and memory and time stay small.
"""

from __future__ import annotations

from typing import BinaryIO

from hub.imagemeta.layout import MAX_BYTES, Layout, layout_of
from hub.imagemeta.meta import ImageMeta, Resource
from hub.imagemeta.recognising import recognise
from hub.imagemeta.texts import texts_of
from registry.formats.errors import LimitExceeded

__all__ = ["MAX_BYTES", "ImageMeta", "Layout", "Resource", "layout_of", "of_bytes", "of_file"]


def of_bytes(data: bytes, limit: int = MAX_BYTES) -> ImageMeta:
    """What a PNG, JPEG or WebP of at most `limit` bytes says; `ImageMeta.tool` is "" where it says nothing that is known.

    Raises FormatError `image:kind`, `image:damaged`, and LimitExceeded `image:size`.
    """
    if len(data) > limit:
        raise LimitExceeded("image:size", f"The image is larger than {limit >> 20} MB. Attach a smaller one.")
    texts, unread = texts_of(layout_of(data))
    return recognise(texts, unread)


def of_file(file: BinaryIO, limit: int = MAX_BYTES) -> ImageMeta:
    """As `of_bytes`, of an open file from where it stands; no more than one byte over the limit is read."""
    return of_bytes(file.read(limit + 1), limit)
