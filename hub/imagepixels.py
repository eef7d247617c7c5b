"""The process that decodes a stranger's image: imports, locks itself in, makes the copies for pages and reads the image's words.

Started by `hub.imagecheck` only. It knows no Django, opens nothing and believes no number in the image.
"""

from __future__ import annotations

import base64
import io
import os
import traceback
import warnings
from typing import Any, NoReturn

import blurhash
from PIL import Image, ImageFile

from hub.imagedoor import MAX_PIXELS, admitted
from hub.imagemeta import of_bytes
from registry.formats.errors import FormatError
from registry.imagesizes import WIDTHS, shown_size
from registry.sandbox import child
from registry.sandbox.locks import lock

FORMATS = ("PNG", "JPEG", "WEBP")
QUALITY = 84
SIDE = 32
"""Pixels that are enough for a BlurHash."""
COMPONENTS = (4, 3)
ORIENTATION = 0x0112
_T = Image.Transpose
TURNS = {
    2: _T.FLIP_LEFT_RIGHT,
    3: _T.ROTATE_180,
    4: _T.FLIP_TOP_BOTTOM,
    5: _T.TRANSPOSE,
    6: _T.ROTATE_270,
    7: _T.TRANSVERSE,
    8: _T.ROTATE_90,
}
"""EXIF 2.32, 4.6.4: what brings a picture upright."""
QUARTERS = frozenset({_T.TRANSPOSE, _T.ROTATE_270, _T.TRANSVERSE, _T.ROTATE_90})


class Late(BaseException):
    """Time is up; not an Exception, so that nothing takes it for its own."""


def main() -> NoReturn:
    """Orders: a descriptor of the image. Says {"answer"}, {"error"} of the image, {"late"} or {"trouble"}, and "sandbox": its locks."""
    given = child.orders()
    data = _all_of(given.fd)
    _warm()
    finish = child.watch(given.seconds, Late)
    layers = lock(cpu_seconds=given.seconds, memory_bytes=given.memory_bytes)
    try:
        said = _ending(data)
        finish()
    except Late:
        said = {"late": True}
    child.say({**said, "sandbox": layers})


def _all_of(fd: int) -> bytes:
    os.lseek(fd, 0, os.SEEK_SET)
    with open(fd, "rb", closefd=False) as file:
        return file.read()


def _warm() -> None:
    """Do everything once on an image of our own: what Pillow and the readers import late is there before the doors close."""
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    for name in FORMATS:
        out = io.BytesIO()
        block = Image.Exif()
        block[ORIENTATION] = 6
        Image.new("RGBA" if name != "JPEG" else "CMYK", (9, 7)).save(out, name, exif=block.tobytes())
        made(out.getvalue())


def _ending(data: bytes) -> dict[str, Any]:
    try:
        return {"answer": made(data)}
    except FormatError as error:
        return {"error": {"code": error.code, "sentence": error.sentence}}
    except MemoryError:
        return {"error": {"code": "image:memory", "sentence": "This image needs more memory than an image may take."}}
    except Exception:
        return {"trouble": traceback.format_exc()[-4000:]}


def made(data: bytes) -> dict[str, Any]:
    """{"width", "height" (pixels, as people see it), "blurhash", "copies" (WebP in base64, by `WIDTHS`), "meta"}. Raises `FormatError`."""
    layout = admitted(data)
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            if opened.size != (layout.width, layout.height) or getattr(opened, "n_frames", 1) != 1:
                raise _damaged()
            turn = TURNS.get(opened.getexif().get(ORIENTATION, 1))
            width, height = opened.size if turn not in QUARTERS else opened.size[::-1]
            sizes = [shown_size(width, height, wanted) for wanted in WIDTHS]
            opened.draft("RGB", (max(sizes[-1]), max(sizes[-1])))  # of a JPEG less is decoded
            opened.load()
            copies = [_copy(opened, size, turn) for size in sizes]
    except (FormatError, MemoryError):
        raise
    except Exception as error:  # hostile bytes make decoders raise nearly anything
        raise _damaged() from error
    written = [base64.b64encode(_webp(copy)).decode() for copy in copies]
    return {"width": width, "height": height, "blurhash": _blur(copies[0]), "copies": written, "meta": of_bytes(data).to_json()}


def _damaged() -> FormatError:
    return FormatError("image:damaged", "The image cannot be decoded. Save it again and attach that.")


def _copy(image: Image.Image, size: tuple[int, int], turn: Image.Transpose | None) -> Image.Image:
    """The image in this size, upright, in plain colours, without a word of what stood in it."""
    clear = image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
    mode = "RGBA" if clear else "RGB"
    plain = image if image.mode == mode else image.convert(mode)
    small = plain.resize(size if turn not in QUARTERS else size[::-1], Image.Resampling.LANCZOS, reducing_gap=3.0)
    upright = small if turn is None else small.transpose(turn)
    bare = Image.new(mode, upright.size)
    bare.paste(upright)
    return bare


def _webp(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "WEBP", quality=QUALITY, method=4)
    return out.getvalue()


def _blur(image: Image.Image) -> str:
    small = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    rows = [[small.getpixel((x, y)) for x in range(SIDE)] for y in range(SIDE)]
    return str(blurhash.encode(rows, *COMPONENTS))
