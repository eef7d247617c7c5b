"""The members of a checkpoint written by `torch.save` since torch 1.6, on top of a strictly checked zip. It runs no pickle.

Layout: torch/serialization.py `_save` (2.13) and what older versions wrote; one root folder, `data.pkl`, `data/<key>`, small notes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from registry.formats.errors import FormatError, Unsupported
from registry.formats.strictzip import STORED, Archive, Member

MAX_PICKLE = 64 << 20
"""Bytes of `data.pkl`; that of a Stable Diffusion checkpoint is 0.2-0.3 MB."""

_NOTES: dict[str, re.Pattern[bytes]] = {
    "version": re.compile(rb"\d{1,2}\n?"),
    "byteorder": re.compile(rb"little|big"),
    ".format_version": re.compile(rb"\d{1,2}"),
    ".storage_alignment": re.compile(rb"\d{1,6}"),
    ".data/serialization_id": re.compile(rb"\d{1,64}"),
}
_FOLDERS = frozenset({"", "data/", ".data/"})
"""Not written by torch, but by ordinary zip programs that pack its files again."""
_STORAGE = re.compile(r"data/(0|[1-9]\d{0,8})")
_NUMBERS = re.compile(r"(?:.*/)?data/\d+")


def holds_numbers(name: str) -> bool:
    """Whether a part of any archive has the name that torch gives to stored numbers, at whatever depth: `data/<digits>`."""
    return bool(_NUMBERS.fullmatch(name))


@dataclass(frozen=True, slots=True)
class TorchArchive:
    """The parts that matter: the pickle and the storages by their key (what persistent ids name)."""

    archive: Archive
    pickle: Member
    storages: dict[str, Member]

    def read_pickle(self) -> bytes:
        """The bytes of `data.pkl`, at most `MAX_PICKLE`, with the checksum verified."""
        return self.archive.read(self.pickle, MAX_PICKLE)

    @property
    def addressable(self) -> bool:
        """Whether every storage's bytes lie in the file as they are (none is packed)."""
        return all(member.method == STORED for member in self.storages.values())


def open_torch(archive: Archive) -> TorchArchive:
    """Sort the members and check the notes; raises `FormatError` "T-SCRIPT", "T-MEMBER", "T-NOTE" or `Unsupported` "T-ENDIAN"."""
    root = _root(archive)
    names = {member.name[len(root) :]: member for member in archive.members}
    if any(name.startswith("code/") or name in ("constants.pkl", "code", "model.json") for name in names):
        raise FormatError("T-SCRIPT", "This is a TorchScript program, not weights: it carries code. Upload a state dict instead.")
    if "data.pkl" not in names:
        raise Unsupported("T-MEMBER", "This zip is not a torch checkpoint. Upload the weight file itself, not an archive of it.")
    storages: dict[str, Member] = {}
    for name, member in names.items():
        if match := _STORAGE.fullmatch(name):
            storages[match[1]] = member
        elif name in _FOLDERS:
            continue  # the strict reader holds folders to be empty
        elif name in _NOTES:
            _check_note(archive, name, member)
        elif name != "data.pkl":
            raise FormatError("T-MEMBER", "The checkpoint holds a part that torch never writes.", where=member.name)
    return TorchArchive(archive, names["data.pkl"], storages)


def _root(archive: Archive) -> str:
    """The one folder all members lie in, with its slash."""
    roots = {member.name.partition("/")[0] for member in archive.members}
    if len(roots) != 1 or any("/" not in member.name for member in archive.members):
        raise Unsupported("T-MEMBER", "This zip is not a torch checkpoint. Upload the weight file itself, not an archive of it.")
    return roots.pop() + "/"


def _check_note(archive: Archive, name: str, member: Member) -> None:
    content = archive.read(member, 64)
    if not _NOTES[name].fullmatch(content):
        raise FormatError("T-NOTE", f"The checkpoint's `{name}` note does not hold what torch writes there.", where=member.name)
    if content == b"big":
        raise Unsupported("T-ENDIAN", "The checkpoint was saved on a big-endian machine. Save it again on an ordinary one.")
