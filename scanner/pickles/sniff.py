"""What a file is, by its first bytes, and whether its name agrees. It reads a few hundred bytes and parses nothing."""

from __future__ import annotations

from dataclasses import dataclass

from registry.formats.safetensors import looks_like_safetensors
from scanner.pickles.report import DANGER, ERROR

HEAD = 512

TORCH_NAMES = frozenset({"ckpt", "pt", "pth", "bin", "pkl", "pickle"})
SAFE_NAMES = frozenset({"safetensors", "sft"})
"""The extensions that each family of files may carry (lower case)."""

PACKED = "This is a packed file ({}). Unpack it and upload the weight file itself."
UNTAKEN = "This is {}, which is not taken yet. Upload .safetensors, .ckpt, .pt or .bin."
PROGRAM = "This is {}, not weights. It was not opened."
PICTURE = "This is a picture ({}), not weights. Upload pictures as previews."


@dataclass(frozen=True, slots=True)
class Refusal:
    """A kind of file that is answered without parsing."""

    kind: str
    severity: str
    code: str
    sentence: str


_MAGIC: tuple[tuple[int, bytes, Refusal], ...] = (
    (0, b"GGUF", Refusal("gguf", ERROR, "F-UNSUPPORTED", UNTAKEN.format("a GGUF file"))),
    (0, b"\x93NUMPY", Refusal("npy", ERROR, "F-UNSUPPORTED", UNTAKEN.format("a numpy array"))),
    (0, b"\x89HDF\r\n\x1a\n", Refusal("hdf5", ERROR, "F-UNSUPPORTED", UNTAKEN.format("an HDF5 (Keras) file"))),
    (0, b"\x1f\x8b", Refusal("gzip", ERROR, "F-PACKED", PACKED.format("gzip"))),
    (0, b"BZh", Refusal("bzip2", ERROR, "F-PACKED", PACKED.format("bzip2"))),
    (0, b"\xfd7zXZ\0", Refusal("xz", ERROR, "F-PACKED", PACKED.format("xz"))),
    (0, b"7z\xbc\xaf\x27\x1c", Refusal("7z", ERROR, "F-PACKED", PACKED.format("7z"))),
    (0, b"\x28\xb5\x2f\xfd", Refusal("zstd", ERROR, "F-PACKED", PACKED.format("zstd"))),
    (0, b"\x04\x22\x4d\x18", Refusal("lz4", ERROR, "F-PACKED", PACKED.format("lz4"))),
    (0, b"Rar!\x1a\x07", Refusal("rar", ERROR, "F-PACKED", PACKED.format("rar"))),
    (0, b"ZF0x", Refusal("joblib", ERROR, "F-PACKED", PACKED.format("joblib"))),
    (0, b"\x5d\0\0", Refusal("lzma", ERROR, "F-PACKED", PACKED.format("lzma"))),
    (0, b"\x7fELF", Refusal("executable", DANGER, "F-PROGRAM", PROGRAM.format("a Linux program"))),
    (0, b"MZ", Refusal("executable", DANGER, "F-PROGRAM", PROGRAM.format("a Windows program"))),
    (0, b"#!", Refusal("executable", DANGER, "F-PROGRAM", PROGRAM.format("a script"))),
    (0, b"\xca\xfe\xba\xbe", Refusal("executable", DANGER, "F-PROGRAM", PROGRAM.format("a Mac or Java program"))),
    (0, b"\xcf\xfa\xed\xfe", Refusal("executable", DANGER, "F-PROGRAM", PROGRAM.format("a Mac program"))),
    (0, b"\xce\xfa\xed\xfe", Refusal("executable", DANGER, "F-PROGRAM", PROGRAM.format("a Mac program"))),
    (0, b"\0asm", Refusal("executable", DANGER, "F-PROGRAM", PROGRAM.format("a WebAssembly program"))),
    (0, b"%PDF", Refusal("document", DANGER, "F-PROGRAM", PROGRAM.format("a PDF document"))),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Refusal("document", DANGER, "F-PROGRAM", PROGRAM.format("an Office document"))),
    (0, b"\x89PNG\r\n\x1a\n", Refusal("image", ERROR, "F-PICTURE", PICTURE.format("PNG"))),
    (0, b"\xff\xd8\xff", Refusal("image", ERROR, "F-PICTURE", PICTURE.format("JPEG"))),
    (0, b"GIF8", Refusal("image", ERROR, "F-PICTURE", PICTURE.format("GIF"))),
    (8, b"WEBP", Refusal("image", ERROR, "F-PICTURE", PICTURE.format("WebP"))),
)
"""(offset, bytes, answer); the first match counts."""

_ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_PICTURES = frozenset({"png", "jpg", "jpeg", "gif", "webp"})
_MARKUP = (b"<!doctype", b"<html", b"<svg", b"<?xml", b"<script", b"<!--", b"<head", b"<body")


def extension(name: str) -> str:
    """The lower-case extension without its dot, "" where there is none."""
    stem, dot, last = name.rpartition(".")
    return last.lower() if dot and stem else ""


def is_tar(head: bytes) -> bool:
    """Whether Python's tarfile takes the first block: the checksum decides, "ustar" is not needed.

    torch.load tries tar before anything else that is not a zip, so a pickle that is also a tar would be read as the latter.
    """
    field = head[148:156]
    if len(head) < 512 or not field:
        return False
    try:
        text = field.partition(b"\0")[0].decode("ascii").strip() or "0"
        stated = int(text, 8)
    except ValueError:
        stated = int.from_bytes(field[1:], "big") if field[0] == 0o200 else -1  # tar's numbers in base 256
    others = head[:148] + head[156:512]
    return stated in (256 + sum(others), 256 + sum(byte - 256 if byte > 127 else byte for byte in others))


def sniff(head: bytes, name: str) -> str | Refusal:
    """ "zip", "safetensors" or "pickle" for what is to be parsed (pickle where nothing else matches), else the refusal."""
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        return "zip"
    if looks_like_safetensors(head):
        return "safetensors"
    for offset, magic, refusal in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return _as_named(refusal, extension(name))
    if is_tar(head) or head[257:262] == b"ustar":
        return Refusal("tar", ERROR, "F-UNSUPPORTED", UNTAKEN.format("a tar archive"))
    if head.startswith(_ZLIB):
        return Refusal("zlib", ERROR, "F-PACKED", PACKED.format("zlib"))
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_MARKUP):
        return Refusal("markup", DANGER, "F-PROGRAM", PROGRAM.format("a web page"))
    if extension(name) == "onnx" or head[:2] == b"\x08\x07" or head[4:11] == b"pytorch":
        return Refusal("onnx", ERROR, "F-UNSUPPORTED", UNTAKEN.format("an ONNX file"))
    return "pickle"


def _as_named(refusal: Refusal, ending: str) -> Refusal:
    """A picture is only a wrong upload under its own name; under a weight file's name it is a lie."""
    if refusal.kind == "image" and ending not in _PICTURES:
        return Refusal("image", DANGER, "F-EXTENSION", f"This is a picture that is named as if it were weights (.{ending}).")
    return refusal


def disagreement(kind: str, name: str) -> tuple[str, str] | None:
    """(severity, sentence) where the extension does not fit the kind: a pickle under a harmless name is a danger."""
    ending = extension(name)
    if ending in (SAFE_NAMES if kind == "safetensors" else TORCH_NAMES):
        return None
    if kind == "safetensors":
        return ERROR, "This is a safetensors file under another name. Rename it to .safetensors and upload it again."
    if not ending or ending == "zip":
        return ERROR, "This file's name does not say what it is. Name it .ckpt or .pt and upload it again."
    return DANGER, f"This file is named .{ending}, but it is a Python pickle, which can run code when it is loaded."
