"""Files that are not what their name says, and wrappers that no scanner can see into."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib

from tests.attacks.assemble import pickled, system, torch_zip
from tests.attacks.catalogue import attack
from tests.attacks.headers import entry, written

DANGER, ERROR = "danger", "error"
PAYLOAD = pickled(system())


@attack(DANGER, "F-EXTENSION")
def picture_named_checkpoint() -> bytes:
    return b"\x89PNG\r\n\x1a\n" + bytes(64)


@attack(ERROR, "F-PICTURE", "preview.png")
def picture() -> bytes:
    return b"\x89PNG\r\n\x1a\n" + bytes(64)


@attack(DANGER, "F-EXTENSION", "model.safetensors")
def pickle_named_safetensors() -> bytes:
    return PAYLOAD


@attack(DANGER, "F-EXTENSION", "model.safetensors")
def harmless_checkpoint_named_safetensors() -> bytes:
    return torch_zip()


@attack(DANGER, "F-EXTENSION", "cat.png")
def checkpoint_named_picture() -> bytes:
    return torch_zip()


@attack(DANGER, "F-EXTENSION", "readme.txt")
def pickle_named_text() -> bytes:
    return pickled(b"}")


@attack(ERROR, "F-EXTENSION")
def safetensors_named_checkpoint() -> bytes:
    return written({"a": entry(0, 16, 4)})


@attack(ERROR, "F-EXTENSION", "model")
def checkpoint_without_extension() -> bytes:
    return torch_zip()


@attack(ERROR, "F-EMPTY")
def empty_file() -> bytes:
    return b""


@attack(ERROR, "F-PACKED")
def gzipped() -> bytes:
    return gzip.compress(PAYLOAD, mtime=0)


@attack(ERROR, "F-PACKED")
def bzipped() -> bytes:
    return bz2.compress(PAYLOAD)


@attack(ERROR, "F-PACKED")
def xzipped() -> bytes:
    return lzma.compress(PAYLOAD)


@attack(ERROR, "F-PACKED")
def zlibbed() -> bytes:
    return zlib.compress(PAYLOAD)


@attack(DANGER, "F-PROGRAM")
def linux_program() -> bytes:
    return b"\x7fELF\2\1\1" + bytes(64)


@attack(DANGER, "F-PROGRAM")
def windows_program() -> bytes:
    return b"MZ\x90\0" + bytes(64)


@attack(DANGER, "F-PROGRAM", "model.safetensors")
def script() -> bytes:
    return b"#!/bin/sh\ntrue\n"


@attack(DANGER, "F-PROGRAM")
def web_page() -> bytes:
    return b"<!DOCTYPE html><html><script>alert(1)</script>"


@attack(ERROR, "F-UNSUPPORTED", "model.gguf")
def gguf() -> bytes:
    return b"GGUF\3\0\0\0" + bytes(64)


@attack(ERROR, "F-UNSUPPORTED", "model.h5")
def keras_file() -> bytes:
    return b"\x89HDF\r\n\x1a\n" + bytes(64)


@attack(ERROR, "F-UNSUPPORTED")
def tar_archive() -> bytes:
    return bytes(257) + b"ustar\0" + b"00" + bytes(700)


@attack(ERROR, "P-PARSE")
def random_text() -> bytes:
    return b"hello, these are not weights at all"
