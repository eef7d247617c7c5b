"""Where a file may lie in a version: paths as pushes name them, and the name of its own that each file has besides. Opens nothing."""

from __future__ import annotations

import unicodedata
from collections.abc import Container, Iterable

from registry.formats.errors import FormatError
from registry.formats.plaintext import HIDDEN
from registry.formats.zipnames import is_portable
from registry.names import MAX_NAME, clean_file_name, extension, stem_of

MAX_PATH = 255
"""Characters; the length of `File.path`."""
MAX_DEPTH = 8
"""Folders and name together; the deepest published pipelines have three."""


def clean_path(given: str) -> str:
    """A relative path of plain names that every system can keep, in Unicode form NFC.

    Raises `FormatError` `path:...`: a path is refused rather than silently changed into another.
    """
    path = unicodedata.normalize("NFC", given)
    if not path or len(path) > MAX_PATH or len(path.encode("utf-8", "surrogatepass")) > MAX_PATH:
        raise FormatError("path:length", f"A path may have 1 to {MAX_PATH} bytes; this one has {len(path)} characters.")
    if any(unicodedata.category(char) in HIDDEN for char in path):
        raise FormatError("path:control", "A path holds control, invisible or direction characters. Rename the file and try again.")
    parts = path.split("/")
    if len(parts) > MAX_DEPTH:
        raise FormatError("path:depth", f"{path} lies deeper than {MAX_DEPTH} levels. Put it higher.")
    for part in parts:
        if not is_portable(part) or part.lower() == ".git" or part != part.strip():
            text = f"{path} is not a path that every system can keep: its parts must be plain names, without .., \\ or an empty part."
            raise FormatError("path:part", text)
    return path


def clean_folder(given: str) -> str:
    """A folder to take away, as `clean_path`, without the slash at its end."""
    return clean_path(given.removesuffix("/"))


def flat_name(path: str, taken: Iterable[str], sha256: str) -> str:
    """The name, unique in its version, of the weights at `path`: the folder in front, "unet.model.safetensors".

    `taken`: names of the version's other files. In a folder a name that is taken gets a few digits of the SHA-256; a file at the top
    is known by its name, so there it is refused. Raises `FormatError`.
    """
    name = _fitting(path.replace("/", "."))
    used = {one.casefold() for one in taken}
    if name.casefold() not in used:
        return name
    if "/" not in path:
        raise FormatError("path:taken", f"This version has a file named {name} already, which this hub made. Rename yours.")
    return _fitting(f"{stem_of(name)}-{sha256[:8]}{extension(name)}")


def _fitting(name: str) -> str:
    """A name that is not too long, its end kept: of a deep path the folders may go."""
    return clean_file_name(name[-MAX_NAME + 20 :].lstrip("."))


def check_tree(paths: Iterable[str], new: Container[str]) -> None:
    """Refuse what is `new` in a tree where some system could not hold it beside the rest: alike but for the case of letters, or a file
    where another has a folder.

    Raises `FormatError` `path:twice` or `path:folder`.
    """
    seen: dict[str, str] = {}
    for path in paths:
        other = seen.setdefault(path.casefold(), path)
        if other != path and (path in new or other in new):
            raise FormatError("path:twice", f"{other} and {path} are one file on systems that do not tell letters' case apart. Rename one.")
    for path in seen.values():
        parts = path.casefold().split("/")
        for depth in range(1, len(parts)):
            file = seen.get("/".join(parts[:depth]))
            if file is not None and (path in new or file in new):
                raise FormatError("path:folder", f"{file} is a file, so {path} cannot lie in it. Rename one of them.")
