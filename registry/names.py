"""Turns what a client calls a file into a name that is safe to store, to show and to put into a header."""

from __future__ import annotations

import re
import unicodedata

from registry.formats.errors import FormatError

MAX_NAME = 180
_RESERVED = re.compile(r"^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.IGNORECASE)
_BIDI = re.compile("[\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")

EXTENSIONS = frozenset({".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".zip", ".gguf", ".onnx", ".sft", ".npy", ".npz"})
"""What an upload may end in; the content decides what it is, the ending only keeps obvious mistakes out early."""


def clean_file_name(given: str) -> str:
    """A file name without folders, control or direction characters, at most `MAX_NAME` characters, ending kept.

    Raises `FormatError` `name:empty`, `name:path`, `name:control`, `name:reserved`, `name:too-long` or `name:extension`
    with a sentence for the uploader: a name is refused rather than silently changed into another.
    """
    name = unicodedata.normalize("NFC", given)
    if any(unicodedata.category(char) in {"Cc", "Cs"} for char in name) or _BIDI.search(name):
        raise FormatError("name:control", "The file name holds control or direction characters. Rename the file and try again.")
    name = name.strip()
    if not name or not name.strip("."):
        raise FormatError("name:empty", "The file has no name. Give it one that ends in .safetensors, .ckpt, .pt, .gguf or the like.")
    if "/" in name or "\\" in name:
        raise FormatError("name:path", "The file name holds a folder. Send the name alone, without / or \\.")
    if len(name) > MAX_NAME or len(name.encode()) > 200:
        raise FormatError("name:too-long", f"The file name is too long: {len(name)} characters, at most {MAX_NAME} fit. Shorten it.")
    if _RESERVED.match(name):
        raise FormatError("name:reserved", f"{name} is a device name on Windows and could not be saved there. Rename the file.")
    if extension(name) not in EXTENSIONS:
        known = ", ".join(sorted(EXTENSIONS))
        raise FormatError("name:extension", f"{name} does not look like a weights file. Names may end in {known}.")
    return name


def extension(name: str) -> str:
    """The ending with its dot, lower-case; "" where there is none."""
    stem, dot, ending = name.rpartition(".")
    return f".{ending.lower()}" if dot and stem else ""


def stem_of(name: str) -> str:
    """A file name without its ending."""
    return name.rpartition(".")[0] or name


def with_suffix(name: str, suffix: str, ending: str = ".safetensors") -> str:
    """`dream.ckpt` + `-pruned-fp16` -> `dream-pruned-fp16.safetensors`."""
    return f"{stem_of(name)}{suffix}{ending}"


def attachment(name: str) -> str:
    """Content-Disposition value for a download: exactly `attachment; filename="NAME"`.

    Clients of the Civitai API break on `filename*` beside it, so the name is sent raw; quotes and backslashes cannot
    occur in stored names and are dropped again here.
    """
    safe = re.sub(r'[\x00-\x1f\x7f"\\]', "", name)
    return f'attachment; filename="{safe}"'
