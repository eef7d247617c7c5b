"""What a push may bring, by its path and its first bytes, and which way: weights as large files, small texts and pictures in the commit.

A file whose name lies about its first bytes is refused before anything moves. Weights are judged later by the scanner like any upload;
texts and pictures, which are never scanned again, are judged here by the scanner's own rules for them.
"""

from __future__ import annotations

import base64
import binascii
from io import BytesIO

import orjson

from registry.formats.errors import FormatError
from registry.formats.pictures import EXTENSIONS as PICTURES
from registry.formats.pictures import check_picture
from registry.formats.window import Window
from registry.names import EXTENSIONS, extension
from registry.repopaths import clean_path
from scanner.pickles.doubles import check_doubles
from scanner.pickles.report import Report
from scanner.pickles.sniff import HEAD, TORCH_NAMES, Refusal, disagreement, is_markup, sniff
from scanner.pickles.texts import scan_text

LFS, REGULAR = "lfs", "regular"
MAX_SMALL = 4 * 2**20
"""Bytes of a text or picture. CLIP's vocabulary has 1.0 MB, its tokenizer.json 3.6 MB; every pipeline carries them."""
MAX_YAML = 256 * 2**10
"""Bytes of settings in YAML: the longest published ones have about 10,000, and looking for tags in them takes time."""
MAX_PIECES = 300_000
"""Fields of a SentencePiece vocabulary; the largest published ones have 262,144 pieces."""
MAX_TRIED = 400_000
"""Steps that all texts of a commit may take while they are followed as if they were pickles; prose takes none."""
MAX_BRACKETS = 400_000
"""Opening brackets in all JSON of a commit: each is an object while it is checked. A tokenizer.json has one list for each piece of its
vocabulary (T5: 32,100) or, in newer files, for each merge (CLIP: 48,894)."""
TEXTS = frozenset({".md", ".txt", ".json", ".yaml", ".yml"})
TEXT_NAMES = frozenset({".gitattributes", ".gitignore", "license", "licence", "notice", "readme"})
PICTURE_ENDINGS = frozenset(f".{ending}" for endings in PICTURES.values() for ending in endings)
TOKENIZER = ".model"
"""A SentencePiece vocabulary: a protocol buffer, whose first field holds the pieces."""
_TAKEN = "Weights (.safetensors, .ckpt, .gguf ...), texts (.md, .json, .txt, .yaml) and small pictures are"


def mode_of(path: str, sample: bytes, size: int) -> str:
    """`LFS` or `REGULAR`. `sample` are the first 512 bytes. Raises `FormatError` for what this hub does not take, with what it takes."""
    clean_path(path)
    name = path.rpartition("/")[2]
    if extension(name) in EXTENSIONS:
        if size == 0:
            raise FormatError("upload:empty", f"{path} is empty (0 bytes). Check that it was saved completely, then upload it again.")
        _check_weights(path, name, sample)
        return LFS
    if not is_small_name(name):
        raise FormatError("push:kind", f"{path} is of a kind that this hub does not keep. {_TAKEN} taken; leave the others out.")
    limit = MAX_YAML if extension(name) in {".yaml", ".yml"} else MAX_SMALL
    if size > limit:
        raise FormatError("push:too-large", f"{path} has {size:,} bytes; a file of its kind may have {limit:,}.")
    if size:
        _check_small_head(path, name, sample)
    return REGULAR


def is_small_name(name: str) -> bool:
    """Whether a name announces a text or picture that may be kept in a commit."""
    return extension(name) in TEXTS | PICTURE_ENDINGS | {TOKENIZER} or name.lower() in TEXT_NAMES


def read_sample(given: object) -> bytes:
    """The first bytes of a file as clients send them: base64. Raises `FormatError`."""
    if not isinstance(given, str) or len(given) > 2 * HEAD:
        raise FormatError("push:sample", f"sample must be the first {HEAD} bytes of the file in base64.")
    try:
        return base64.b64decode(given, validate=True)[:HEAD]
    except (binascii.Error, ValueError):
        raise FormatError("push:sample", f"sample must be the first {HEAD} bytes of the file in base64.") from None


def _check_weights(path: str, name: str, sample: bytes) -> None:
    kind = sniff(sample, name) if sample else ""
    if isinstance(kind, Refusal):
        raise FormatError(kind.code, f"{path}: {kind.sentence}")
    ending = extension(name).lstrip(".")
    if kind == "zip" and ending not in TORCH_NAMES | {"npz", "zip"}:
        text = "is a zip archive, as torch checkpoints are, which hold a Python pickle. Rename it to .ckpt or .pt, or convert it."
        raise FormatError("F-EXTENSION", f"{path} is named .{ending}, but it {text}")
    if kind == "pickle" and ending not in TORCH_NAMES and not sample.startswith(b"\x80"):
        raise FormatError("F-EXTENSION", f"{path} does not begin as a .{ending} file does. Check that it was saved completely.")
    if kind and (lie := disagreement(kind, name)):
        raise FormatError("F-EXTENSION", f"{path}: {lie[1]}")


def _check_small_head(path: str, name: str, sample: bytes) -> None:
    """The first bytes of a text or picture: a pickle, an archive or a program under its name is refused."""
    kind = "text" if extension(name) == TOKENIZER and sample.startswith(b"\n") else sniff(sample, name)
    if isinstance(kind, Refusal):
        raise FormatError(kind.code, f"{path}: {kind.sentence}")
    wanted = "image" if extension(name) in PICTURE_ENDINGS else "text"
    if kind != wanted or sample.startswith(b"\x80"):
        what = "a picture" if wanted == "image" else "a text"
        raise FormatError("F-EXTENSION", f"{path} is named as {what}, but its first bytes are none. It was not taken.")


class Judge:
    """Judges the texts and pictures of one commit, which share one budget."""

    def __init__(self) -> None:
        self.report = Report()
        self.brackets = 0

    def check(self, path: str, content: bytes) -> None:
        """Raises `FormatError` for what is not what its name says, or could run when somebody's program reads it."""
        name = path.rpartition("/")[2]
        if mode_of(path, content[:HEAD], len(content)) != REGULAR:
            raise FormatError("push:inline", f"{path} must be sent as a large file (LFS), not inside the commit.")
        if not content:
            return
        if extension(name) in PICTURE_ENDINGS:
            window = Window(BytesIO(content))
            check_doubles(window, self.report)
            check_picture(window)
        elif extension(name) == TOKENIZER:
            _check_fields(path, content)
        elif extension(name) == ".json":
            self.brackets += content.count(b"[") + content.count(b"{")
            if self.brackets > MAX_BRACKETS:
                text = (
                    f"{path} and the JSON before it hold more than {MAX_BRACKETS:,} lists and objects. Push it by itself, or a smaller one."
                )
                raise FormatError("push:too-large", text)
            _check_json(path, content)
        else:
            scan_text(Window(BytesIO(content)), name, self.report)
        self._refuse_what_was_found(path)

    def _refuse_what_was_found(self, path: str) -> None:
        found = next((row for row in self.report.findings if row.severity != "info"), None)
        if found is not None:
            raise FormatError(found.code, f"{path}: {found.message}")
        if self.report.opcodes > MAX_TRIED:
            raise FormatError("P-LIMIT", f"{path} and the texts before it read too much like pickles. Push them one by one.")


def _check_json(path: str, content: bytes) -> None:
    """No JSON is a pickle: none of the signs that it may begin with is an opcode that leads anywhere."""
    try:
        orjson.loads(content.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise FormatError("X-TEXT", f"{path} is not JSON (line {error.lineno}). Save it again.") from None
    if is_markup(content[:HEAD]):
        raise FormatError("F-PROGRAM", f"{path} is a web page, not JSON.")


def _check_fields(path: str, content: bytes) -> None:
    """A SentencePiece vocabulary is nothing but fields with lengths, to its last byte (protobuf encoding, wire type 2)."""
    at = count = 0
    try:
        while at < len(content):
            count += 1
            if count > MAX_PIECES or content[at] & 7 != 2 or content[at] >> 7:
                raise IndexError
            length, at = _varint(content, at + 1)
            at += length
    except IndexError:
        at = -1
    if at != len(content):
        raise FormatError("F-EXTENSION", f"{path} is not a SentencePiece vocabulary, the only .model file that is kept.")


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """(number, the place behind it)"""
    value = shift = 0
    while content[at] & 0x80:
        value |= (content[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if shift > 28:
            raise IndexError
    return value | content[at] << shift, at + 1
