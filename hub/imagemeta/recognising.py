"""Decides which tool wrote the texts of a picture and hands them to the reader of its words, where stands what that tool writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hub.imagemeta import a1111, comfyui, guarded, invoke, library, swarm
from hub.imagemeta.meta import ImageMeta, unknown

Texts = dict[str, str]

_QUIET = frozenset(
    {"Software", "Title", "Author", "Source", "Creation Time", "Copyright", "Generation time", "fooocus_scheme", "XML:com.adobe.xmp"}
)
"""Names that say nothing of how a picture was made."""


def recognise(texts: Texts, unread: list[str]) -> ImageMeta:
    """Never raises. The first reader that knows the texts tells them; a workflow beside another tool's words is kept with them."""
    texts = _unwrapped(texts)
    meta, used = ImageMeta(), frozenset[str]()
    for reader in READERS:
        said = _asked(reader, texts)
        if said is not None:
            meta, used = said
            break
    if meta.tool:
        meta.parameters = meta.parameters or a1111.written(meta)
    for name in [*(name for name in texts if name not in used and name not in _QUIET), *unread]:
        unknown(meta, name)
    return meta


Reader = Callable[[Texts], tuple[ImageMeta, frozenset[str]] | None]
"""What was read and the names of the texts that it was read from; None for texts of another tool."""


def _asked(reader: Reader, texts: Texts) -> tuple[ImageMeta, frozenset[str]] | None:
    """A reader that falls over hostile values knows nothing: the next is asked, and at last all names are told as not understood."""
    try:
        return reader(texts)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError, OverflowError):
        return None


def _unwrapped(texts: Texts) -> Texts:
    """EXIF's fields under the names that the same words have in a PNG: JPEG and WebP have no others."""
    found = {name: text for name, text in texts.items() if name not in ("UserComment", "Make", "Model", "ImageDescription")}
    for name in ("Make", "Model", "ImageDescription"):  # ComfyUI's WebP: "workflow:{...}" and "prompt:{...}"
        key, colon, rest = texts.get(name, "").partition(":")
        if colon and key.lower() in ("prompt", "workflow") and rest.lstrip().startswith("{"):
            found.setdefault(key.lower(), rest)
        elif '"sui_image_params"' in texts.get(name, ""):  # SwarmUI wrote it there once
            found.setdefault("parameters", texts[name])
    comment = texts.get("UserComment", "")
    parcel: Any = guarded.loads(comment) if comment.lstrip().startswith("{") and "parameters" not in found else None
    if isinstance(parcel, dict) and isinstance(parcel.get("Comment"), str):  # NovelAI's WebP: all the fields of its PNG
        found |= {str(key): value for key, value in list(parcel.items())[:20] if isinstance(value, str)}
    elif comment:
        found.setdefault("parameters", comment)
    return found


READERS: tuple[Reader, ...] = (swarm.read, library.fooocus, invoke.read, library.invoke_of_old, library.novelai, a1111.read, comfyui.read)
