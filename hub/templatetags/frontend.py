"""Finds the built front end: names in `static/dist/manifest.json` become tags with the hashed addresses. Builds nothing."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from django import template
from django.conf import settings
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

register = template.Library()
MANIFEST = Path(settings.BASE_DIR) / "static" / "dist" / "manifest.json"
MISSING = "The front end has not been built: run `npm ci && npm run build` (./weigh up does it)."


@lru_cache(4)
def _read(path: Path, changed_ns: int) -> dict[str, Any]:
    """The manifest; `changed_ns` is part of the cache's key, so that a new build is seen without a restart."""
    return dict(json.loads(path.read_text()))


def manifest() -> dict[str, Any]:
    """{source name: {"file", "css"?, "imports"?}}; empty without a build."""
    try:
        return _read(MANIFEST, MANIFEST.stat().st_mtime_ns)
    except FileNotFoundError:
        return {}


def _address(name: str) -> str:
    return f"{settings.STATIC_URL}dist/{name}"


def _styles(entry: dict[str, Any], entries: dict[str, Any]) -> list[str]:
    """Style sheets of an entry and of what it imports, in order, each once."""
    found: list[str] = []
    for name in entry.get("imports", []):
        found += _styles(entries.get(name, {}), entries)
    return list(dict.fromkeys([*found, *entry.get("css", [])]))


@register.simple_tag(takes_context=True)
def bundle(context: template.Context, name: str) -> SafeString:
    """Style sheets and module script of `frontend/<name>.js`; says so where there is no build."""
    entries = manifest()
    entry = entries.get(f"frontend/{name}.js")
    if entry is None:
        return format_html('<p role="alert">{}</p>', MISSING) if name == "main" else SafeString("")
    links = format_html_join("\n", '<link rel="stylesheet" href="{}">', ((_address(css),) for css in _styles(entry, entries)))
    nonce = getattr(context.get("request"), "csp_nonce", "")
    script = format_html('<script type="module" src="{}" nonce="{}"></script>', _address(entry["file"]), nonce)
    return mark_safe(f"{links}\n{script}")  # noqa: S308  (both parts were escaped above)


@register.simple_tag
def font_preload() -> SafeString:
    """Fetches the text face early, so that no line moves when it arrives."""
    for source, entry in manifest().items():
        if source.endswith("-latin-wght-normal.woff2"):
            return format_html('<link rel="preload" href="{}" as="font" type="font/woff2" crossorigin>', _address(entry["file"]))
    return SafeString("")
