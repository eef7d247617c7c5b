"""The one error family that is an answer: what is wrong with an uploaded file, in words for its uploader.

Everything else that goes wrong (disk, database, network) is ours and is never a `FormatError`.
"""

from __future__ import annotations


class FormatError(Exception):
    """A file cannot be understood, or must not be.

    `code` is stable and machine-readable (`zip:duplicate-name`); `sentence` is shown to the uploader as it is:
    it says what is wrong and, where something helps, what to do. `where` names the member, `offset` the byte.
    """

    def __init__(self, code: str, sentence: str, *, where: str = "", offset: int | None = None) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence
        self.where = where
        self.offset = offset


class LimitExceeded(FormatError):
    """A bound was reached before the file was understood: it counts as a no, never as a yes."""


class Unsupported(FormatError):
    """A known kind of file that the hub does not take; the sentence says what to upload instead."""
