"""How a button's deed ended, told on the page that comes next."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest

from registry.formats.errors import FormatError
from registry.formats.plaintext import printable


def told(request: HttpRequest, deed: Callable[[], object], said: str) -> None:
    """Do it, and tell that it is done, or the sentence why not. Raises whatever is no FormatError."""
    try:
        deed()
    except FormatError as refusal:
        messages.error(request, printable(refusal.sentence, 600))
    else:
        messages.success(request, said)
