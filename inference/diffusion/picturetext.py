"""Where generation parameters lie in a picture: PNG's `parameters`, and EXIF's UserComment in JPEG, WebP and AVIF. No pixel is decoded.

EXIF 2.32, 4.6.5 (UserComment and its character codes). Writers differ in the order of UTF-16's bytes: piexif and webui write the big
end first, others the small one, so both are read.
"""

from __future__ import annotations

from PIL import Image

from inference.diffusion.exifcomment import EXIF_IFD, USER_COMMENT, comment_of
from inference.diffusion.pngtext import MAX_CHUNK_TEXT, SIGNATURE, texts, with_text
from registry.formats.errors import FormatError, LimitExceeded

KEYWORD = "parameters"
UNICODE, ASCII, UNDEFINED = b"UNICODE\0", b"ASCII\0\0\0", b"\0" * 8
MAX_PICTURE = 64 << 20
"""Bytes of a picture that is opened."""


def embed(png: bytes, text: str) -> bytes:
    """The PNG with this text as A1111 puts it there. Raises FormatError `picture:png`, `picture:text-size`."""
    return with_text(png, KEYWORD, text)


def exif(text: str) -> bytes:
    """An EXIF block with this text, for Pillow's `save(..., exif=...)` of a JPEG, WebP or AVIF."""
    block = Image.Exif()
    block.get_ifd(EXIF_IFD)[USER_COMMENT] = UNICODE + text.encode("utf-16-be", "replace")
    return block.tobytes()


def read(picture: bytes) -> str | None:
    """The parameters' text of a PNG, JPEG, WebP or AVIF; None where it has none.

    Raises FormatError `picture:...` for what is no such picture, or a damaged one; nothing else, whatever the bytes.
    """
    if len(picture) > MAX_PICTURE:
        raise LimitExceeded("picture:size", f"The picture is larger than {MAX_PICTURE >> 20} MB.")
    if picture.startswith(SIGNATURE):
        return texts(picture).get(KEYWORD)
    comment = _user_comment(picture)
    return None if comment is None else _decoded(comment)


def _user_comment(picture: bytes) -> bytes | None:
    try:
        return comment_of(picture, 2 * MAX_CHUNK_TEXT)
    except Exception as error:  # hostile bytes make Pillow raise nearly anything
        raise FormatError("picture:damaged", "The picture cannot be read. Save it again as PNG, JPEG, WebP or AVIF.") from error


def _decoded(comment: bytes) -> str:
    code, text = comment[:8], comment[8:]
    if code == UNICODE:
        return _utf16(text)
    if code in (ASCII, UNDEFINED):
        comment = text
    return comment.decode("utf-8", "replace").rstrip("\0")


def _utf16(text: bytes) -> str:
    """UTF-16 in the order that its mark says, else in the one that puts more zeros where Latin letters have them."""
    if text[:2] in (b"\xfe\xff", b"\xff\xfe"):
        return text.decode("utf-16", "replace").rstrip("\0")
    big = text[0::2].count(0) >= text[1::2].count(0)
    return text.decode("utf-16-be" if big else "utf-16-le", "replace").rstrip("\0")
