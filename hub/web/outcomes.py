"""How a button's deed ended, told on the page that comes next."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest

from hub.said import said
from registry.formats.errors import FormatError


def told(request: HttpRequest, deed: Callable[[], object], done: str) -> None:
    """Do it, and tell that it is done, or the sentence why not. Raises whatever is no FormatError."""
    try:
        deed()
    except FormatError as refusal:
        messages.error(request, said(refusal.sentence, 600))
    else:
        messages.success(request, done)
