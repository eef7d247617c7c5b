"""What a file is, by its first bytes, and whether its name agrees. It reads a few hundred bytes and parses nothing."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from registry.formats import pictures
from registry.formats.onnx import looks_like_onnx
from registry.formats.plaintar import is_tar
from registry.formats.safetensors import looks_like_safetensors
from scanner.pickles.report import DANGER, ERROR

HEAD = 512

TORCH_NAMES = frozenset({"ckpt", "pt", "pth", "bin", "pkl", "pickle"})
SAFE_NAMES = frozenset({"safetensors", "sft"})
TEXT_NAMES = frozenset({"txt", "md", "json", "jsonl", "yaml", "yml", "toml", "ini", "cfg", "csv", "info"})
BARE_TEXT_NAMES = frozenset({"license", "licence", "readme", "notice", "changelog", ".gitattributes", ".gitignore"})
"""Whole names (lower case) of texts that go without an extension."""
PICTURE_NAMES = frozenset().union(*pictures.EXTENSIONS.values())
NAMES: dict[str, frozenset[str]] = {
    "torch-zip": TORCH_NAMES,
    "torch-legacy": TORCH_NAMES,
    "torch-tar": TORCH_NAMES,
    "pickle": TORCH_NAMES,
    "safetensors": SAFE_NAMES,
    "npy": frozenset({"npy"}),
    "npz": frozenset({"npz", "zip"}),
    "gguf": frozenset({"gguf"}),
    "onnx": frozenset({"onnx"}),
    "bundle": frozenset({"zip"}),
    "image": PICTURE_NAMES,
    "text": TEXT_NAMES,
}
"""Kind of file -> the extensions that it may carry (lower case)."""

PICKLES = frozenset({"torch-zip", "torch-legacy", "torch-tar", "pickle"})
_CALLED = {
    "safetensors": "a safetensors file",
    "npy": "a numpy array",
    "npz": "an archive of numpy arrays",
    "gguf": "a GGUF file",
    "onnx": "an ONNX model",
    "bundle": "a zip archive of several files",
    "text": "a text",
}

PACKED = "This is a packed file ({}). Unpack it and upload the weight file itself."
UNTAKEN = "This is {}, which is not taken yet. Upload .safetensors, .ckpt, .pt or .bin."
PROGRAM = "This is {}, not weights. It was not opened."


@dataclass(frozen=True, slots=True)
class Refusal:
    """A kind of file that is answered without parsing."""

    kind: str
    severity: str
    code: str
    sentence: str


def _packed(kind: str) -> Refusal:
    return Refusal(kind, ERROR, "F-PACKED", PACKED.format(kind))


DOUBLE = Refusal(
    "unknown", DANGER, "F-POLYGLOT", "This file is also a tar archive, which torch reads instead of it. Save the weights again."
)


def _program(what: str, kind: str = "executable") -> Refusal:
    return Refusal(kind, DANGER, "F-PROGRAM", PROGRAM.format(what))


_MAGIC: tuple[tuple[int, bytes, Refusal], ...] = (
    (0, b"\x89HDF\r\n\x1a\n", Refusal("hdf5", ERROR, "F-UNSUPPORTED", UNTAKEN.format("an HDF5 (Keras) file"))),
    (0, b"\x1f\x8b", _packed("gzip")),
    (0, b"BZh", _packed("bzip2")),
    (0, b"\xfd7zXZ\0", _packed("xz")),
    (0, b"7z\xbc\xaf\x27\x1c", _packed("7z")),
    (0, b"\x28\xb5\x2f\xfd", _packed("zstd")),
    (0, b"\x04\x22\x4d\x18", _packed("lz4")),
    (0, b"\x02\x21\x4c\x18", _packed("lz4")),
    (0, b"Rar!\x1a\x07", _packed("rar")),
    (0, b"LZIP", _packed("lzip")),
    (0, b"MSCF", _packed("cabinet")),
    (0, b"!<arch>\n", _packed("ar")),
    (0, b"ZF0x", _packed("joblib")),
    (0, b"ZF\0", _packed("joblib")),
    (0, b"\x5d\0\0", _packed("lzma")),
    (0, b"\x7fELF", _program("a Linux program")),
    (0, b"MZ", _program("a Windows program")),
    (0, b"#!", _program("a script")),
    (0, b"\xca\xfe\xba\xbe", _program("a Mac or Java program")),
    (0, b"\xcf\xfa\xed\xfe", _program("a Mac program")),
    (0, b"\xce\xfa\xed\xfe", _program("a Mac program")),
    (0, b"\0asm", _program("a WebAssembly program")),
    (0, b"dex\n", _program("an Android program")),
    (0, b"%PDF", _program("a PDF document", "document")),
    (0, b"{\\rtf", _program("a rich text document", "document")),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _program("an Office document", "document")),
    (0, b"L\0\0\0\x01\x14\x02\0", _program("a Windows shortcut", "document")),
)
"""(offset, bytes, answer); the first match counts."""

_DOUBLE_NAMES = (".pth.tar", ".pt.optim")
"""Endings in two parts under which training programs save ordinary torch files."""
_CLAIMED_NAMES = frozenset().union(*NAMES.values()) - TORCH_NAMES
_PROGRAM_NAMES = frozenset(
    {"exe", "dll", "so", "dylib", "bat", "cmd", "com", "ps1", "sh", "py", "pyc", "pyd", "js", "jar", "html", "htm", "svg", "xml", "pdf"}
)
"""Endings that promise a file which is run or shown: a pickle under one is a lie, and no slip of whoever named it."""

_ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_MARKUP = (b"<!doctype", b"<html", b"<svg", b"<?xml", b"<script", b"<!--", b"<head", b"<body", b"<?php", b"<%")


_BLANK = b"\xef\xbb\xbf \t\r\n\x0c"


def extension(name: str) -> str:
    """The lower-case extension without its dot, "" where there is none."""
    if name.lower().endswith(_DOUBLE_NAMES):
        return "pth"
    stem, dot, last = name.rpartition(".")
    return last.lower() if dot and stem else ""


def is_text_name(name: str) -> bool:
    """Whether a name announces a text."""
    return extension(name) in TEXT_NAMES or name.lower() in BARE_TEXT_NAMES


def sniff(head: bytes, name: str) -> str | Refusal:
    """The kind that is to be parsed ("zip", "safetensors", "npy", "gguf", "onnx", "tar", "image", "text"), or the refusal.

    "pickle" where nothing else matches; "text" only for names that announce one. Whatever its first bytes say, Python takes a file for
    a tar by the checksum in its first block, and torch asks for that before it asks anything else but for a zip.
    """
    kind = _by_magic(head, name)
    if not is_tar(head):
        return kind
    return "tar" if kind in ("tar", "pickle", "text") else DOUBLE


def _by_magic(head: bytes, name: str) -> str | Refusal:
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        return "zip"
    if looks_like_safetensors(head):
        return "safetensors"
    if head.startswith(b"GGUF"):
        return "gguf"
    if head.startswith(b"\x93NUMPY"):
        return "npy"
    for offset, magic, refusal in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return refusal
    if picture := pictures.picture_type(head):
        return _picture(picture, extension(name))
    if head[257:262] == b"ustar":
        return "tar"
    if is_markup(head) and not (is_text_name(name) and _is_comment(head)):
        return _program("a web page", "markup")
    if looks_like_onnx(head) or (extension(name) == "onnx" and head[:1] == b"\x08"):
        return "onnx"
    if head.startswith(_ZLIB) and _inflates(head):
        return _packed("zlib")
    return "text" if is_text_name(name) else "pickle"


def is_markup(head: bytes) -> bool:
    """Whether a browser would take these first bytes for a page or a picture that can hold scripts."""
    return head.lstrip(_BLANK).lower().startswith(_MARKUP)


def _is_comment(head: bytes) -> bool:
    """Whether it is only a comment that looks like a page, as readme files begin with; what follows it is for `scan_text`."""
    return head.lstrip(_BLANK).startswith(b"<!--")


def _inflates(head: bytes) -> bool:
    """Whether zlib would unpack the first bytes: two of them alone may begin a text as well."""
    try:
        zlib.decompressobj().decompress(head, 1 << 16)
    except zlib.error:
        return False
    return True


def _picture(kind: str, ending: str) -> str | Refusal:
    """A picture goes under its own name; under a weight file's name it is a lie."""
    if ending in pictures.EXTENSIONS[kind]:
        return "image"
    if ending in PICTURE_NAMES:
        return Refusal(
            "image", ERROR, "F-EXTENSION", f"This picture is of another type ({kind}) than its name says (.{ending}). Rename it."
        )
    return Refusal("image", DANGER, "F-EXTENSION", f"This is a picture that is named as if it were something else (.{ending}).")


def disagreement(kind: str, name: str) -> tuple[str, str] | None:
    """(severity, sentence) where the extension does not fit the kind: a pickle under a harmless name is a danger."""
    ending = extension(name)
    if kind not in NAMES or ending in NAMES[kind] or (kind == "text" and is_text_name(name)):
        return None
    if kind == "image":
        return DANGER, f"This is a picture that is named as if it were something else (.{ending})."
    if kind == "bundle" and ending in TORCH_NAMES:
        return ERROR, "This zip is not a torch checkpoint. Upload the weight file itself, or name the archive .zip."
    if kind not in PICKLES:
        wanted = min(NAMES[kind] - {"zip"}, default="zip") if kind != "safetensors" else "safetensors"
        return ERROR, f"This is {_CALLED[kind]} under another name. Rename it to .{wanted} and upload it again."
    if not ending or ending == "zip":
        return ERROR, "This file's name does not say what it is. Name it .ckpt or .pt and upload it again."
    if ending.isalnum() and len(ending) <= 20 and ending not in _CLAIMED_NAMES | _PROGRAM_NAMES:
        return ERROR, f"This is a torch file, but .{ending} says nothing of that. Rename it to .pt and upload it again."
    return DANGER, f"This file is named .{ending}, but it is a Python pickle, which can run code when it is loaded."
