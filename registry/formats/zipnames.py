"""What a name inside an archive may be: plain relative paths to plain files. No path of the disk is ever made from one."""

from __future__ import annotations

import re

from registry.formats.errors import FormatError
from registry.formats.plaintext import is_plain

MAX_NAME = 1024
MAX_PART = 255
"""Characters of one folder or file name, which no file system goes beyond."""
DOS_DIRECTORY = 0x10
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3]) *(?:[.:].*)?", re.IGNORECASE | re.DOTALL)
"""Names that mean a device on Windows, with any extension (Microsoft, "Naming Files, Paths, and Namespaces")."""
_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the direction of writing, so that a name reads otherwise than it is."""
TYPE_MASK, REGULAR, FOLDER = 0o170000, 0o100000, 0o040000


def decode_name(raw: bytes, utf8: bool) -> str:
    """The member's name; without the UTF-8 flag only ASCII is unambiguous, so nothing else is taken."""
    if len(raw) > MAX_NAME:
        raise FormatError("Z-NAME", "A name inside the archive is too long.")
    try:
        return raw.decode("utf-8" if utf8 else "ascii")
    except UnicodeDecodeError as error:
        sentence = (
            "A name inside the archive has letters that are not marked as UTF-8. Rename that file to plain letters and pack it again."
        )
        raise FormatError("Z-NAME", sentence) from error


def check_name(name: str, attributes: int) -> None:
    """Refuse traversal, absolute and drive paths, hidden characters, links and devices (`attributes`: the external attributes)."""
    parts = name.removesuffix("/").split("/")
    if not all(parts) or any(part in (".", "..") for part in parts):
        raise FormatError("Z-NAME", "A name inside the archive leads outside of it.", where=name)
    if "\\" in name or name[1:2] == ":" or not is_plain(name):
        raise FormatError("Z-NAME", "A name inside the archive holds characters that no plain path has.", where=name)
    mode = (attributes >> 16) & TYPE_MASK
    expected = FOLDER if name.endswith("/") else REGULAR
    if mode not in (0, expected):
        raise FormatError("Z-NAME", "The archive holds a link or a device instead of a plain file.", where=name)
    # torch 2.13 hands out uninitialised memory for a file that carries this bit.
    if attributes & DOS_DIRECTORY and not name.endswith("/"):
        raise FormatError("Z-NAME", "The archive calls one of its files a folder.", where=name)


def is_portable(part: str) -> bool:
    """Whether every system keeps one folder or file name as it is: no device, no sign with a meaning, no end that Windows cuts off."""
    if not 0 < len(part) <= MAX_PART or part[-1] in ". " or _DEVICE.fullmatch(part):
        return False
    return not any(char in '/\\:*?"<>|' or char < " " or char in _TURNING for char in part)


def check_portable(name: str) -> None:
    """Refuse a path that some system would unpack under another name; for archives that people unpack."""
    if not all(is_portable(part) for part in name.removesuffix("/").split("/")):
        sentence = "A name inside the archive is not one that every system can keep. Rename that file and pack the archive again."
        raise FormatError("Z-PORTABLE", sentence, where=name)
