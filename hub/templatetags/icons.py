"""Small line icons, drawn for this site on a 24-unit grid; inline, so that they follow the text's colour and need no request;
and where the drawn picture of a model lies."""

from __future__ import annotations

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from hub.web import art

register = template.Library()

PATHS = {
    "scales": "M12 4v16M7 20h10M5 7h14M12 4.5 5 7l-2.6 6a2.8 2.8 0 0 0 5.2 0L5 7m14 0-2.6 6a2.8 2.8 0 0 0 5.2 0L19 7",
    "search": "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13Zm4.8-1.7L20 20",
    "download": "M12 4v11m-4.5-4.5L12 15l4.5-4.5M5 19.5h14",
    "upload": "M12 15.5v-11M7.5 9 12 4.5 16.5 9M5 19.5h14",
    "shield": "M12 3.5 5 6v5.5c0 4.3 2.9 7.4 7 9 4.1-1.6 7-4.7 7-9V6l-7-2.5Zm-3 8.7 2.2 2.2 4-4.3",
    "alert": "M12 4 2.8 19.5h18.4L12 4Zm0 6v4.5m0 2.3v.2",
    "clock": "M12 20a8 8 0 1 0 0-16 8 8 0 0 0 0 16Zm0-12.5V12l3 2",
    "copy": "M9 9h10v11H9V9Zm-4 6V4h10",
    "check": "m5 12.5 4.5 4.5L19 7",
    "cross": "M6 6l12 12M18 6 6 18",
    "sun": "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm0-12.5V5m0 14v1.5M3.5 12H5m14 0h1.5M6 6l1 1m10 10 1 1m0-12-1 1M7 17l-1 1",
    "moon": "M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10Z",
    "screen": "M4 5h16v11H4V5Zm5 15h6",
    "person": "M12 11.5a3.75 3.75 0 1 0 0-7.5 3.75 3.75 0 0 0 0 7.5ZM5 20c.6-3.6 3.4-5.5 7-5.5s6.4 1.9 7 5.5",
    "box": "m12 3.5 8 4v9l-8 4-8-4v-9l8-4Zm0 8.5 8-4.5M12 12v8.5M12 12 4 7.5",
    "filter": "M4 6h16M7 12h10M10 18h4",
    "arrow": "M5 12h14m-5.5-5.5L19 12l-5.5 5.5",
    "back": "M19 12H5m5.5-5.5L5 12l5.5 5.5",
    "file": "M6.5 3.5h7.5L18 7.5v13H6.5v-17Zm7 .5V8H18",
    "spark": "M12 4l1.8 5.2L19 11l-5.2 1.8L12 18l-1.8-5.2L5 11l5.2-1.8L12 4Z",
    "key": "M8.5 15.5a4 4 0 1 0 0-8 4 4 0 0 0 0 8Zm3.8-4H20.5v3.5M17 11.5v2.5",
    "bin": "M5 7h14M9.5 7V4.5h5V7m-7.5 0 .8 12.5h8.4L17 7",
    "retry": "M19 8.5A7.5 7.5 0 1 0 19.5 13M19 4.5v4h-4",
    "plus": "M12 5v14M5 12h14",
    "thumb-up": "M7 20H4v-9h3m0 9v-9l4-7.5c1.4 0 2.3 1 2.1 2.4L12.6 10H18a2 2 0 0 1 2 2.4l-1.2 6a2 2 0 0 1-2 1.6H7Z",
    "thumb-down": "M7 4H4v9h3m0-9v9l4 7.5c1.4 0 2.3-1 2.1-2.4L12.6 14H18a2 2 0 0 0 2-2.4l-1.2-6a2 2 0 0 0-2-1.6H7Z",
    "flag": "M6 20.5v-16h11.5l-2.5 4 2.5 4H6",
    "bookmark": "M7 4h10v16l-5-4-5 4V4Z",
    "bell": "M6.5 16.5V11a5.5 5.5 0 0 1 11 0v5.5L19 18H5l1.5-1.5Zm4 4h3",
    "note": "M5 4h14v11l-5 5H5V4Zm9 16v-5h5M8.5 8.5h7m-7 3.5h4",
    "eye": "M3 12c1.7-3.5 4.7-6.3 9-6.3s7.3 2.8 9 6.3c-1.7 3.5-4.7 6.3-9 6.3S4.7 15.5 3 12Zm9 2.6a2.6 2.6 0 1 0 0-5.2 2.6 2.6 0 0 0 0 5.2Z",
    "coin": "M12 20a8 8 0 1 0 0-16 8 8 0 0 0 0 16Zm2.6-10.2c-.5-.9-1.5-1.3-2.6-1.3"
    "-1.5 0-2.6.7-2.6 1.8 0 2.5 5.4 1.2 5.4 3.7 0 1.1-1.2 1.9-2.8 1.9"
    "-1.2 0-2.3-.5-2.8-1.5M12 7v1.5m0 7.4V17",
    "shape": "M4.5 19.5l1-4L16 5l3 3L8.5 18.5l-4 1ZM14 7l3 3",
    "share": "M7 14.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5Zm10 6a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5Z"
    "m0-12a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5Z"
    "M9.2 10.8l5.6-3.4m-5.6 5.8 5.6 3.4",
    "eye-off": "M4 4l16 16M9.9 6A9 9 0 0 1 12 5.7c4.3 0 7.3 2.8 9 6.3a13 13 0 0 1-2.5 3.4"
    "M6.5 8A13.5 13.5 0 0 0 3 12c1.7 3.5 4.7 6.3 9 6.3a9 9 0 0 0 3.5-.7",
}
KINDS = {
    "checkpoint": "box",
    "lora": "spark",
    "embedding": "key",
    "vae": "filter",
    "hypernetwork": "retry",
    "controlnet": "screen",
    "upscaler": "plus",
    "other": "file",
}

POINTING = frozenset({"arrow", "back"})
"""Those that point along the line, and so the other way where that is read from right to left."""


@register.simple_tag
def icon(name: str, size: int = 18) -> SafeString:
    """An icon beside text that says the same: hidden from screen readers."""
    path = PATHS.get(KINDS.get(name, name), PATHS["file"])
    return format_html(
        '<svg class="icon{2}" width="{0}" height="{0}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.7" '
        'stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false"><path d="{1}"/></svg>',
        size,
        mark_safe(path),  # noqa: S308  (from the table above)
        " points" if name in POINTING else "",
    )


@register.simple_tag
def drawing(kind: str, slug: str) -> str:
    """The address of the picture that is drawn for a model without one."""
    return art.address(kind, slug)
