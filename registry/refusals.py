"""What a person or program asked for and cannot have, with the HTTP status that fits. An answer as `FormatError` is, about no bytes."""

from __future__ import annotations

from registry.formats.errors import FormatError


class Refusal(FormatError):
    """Code and sentence say why it cannot be done. `status` is the HTTP status that fits: `STATUS` where none is given."""

    STATUS = 409

    def __init__(self, code: str, sentence: str, status: int | None = None) -> None:
        super().__init__(code, sentence)
        self.status = self.STATUS if status is None else status
