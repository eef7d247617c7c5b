"""Builds pickles, torch zips and legacy checkpoints byte by byte, so that each attack can bend exactly one rule. Loads nothing."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

MARK, STOP, REDUCE, BUILD, EMPTY_DICT, EMPTY_TUPLE, SETITEM = b"(", b".", b"R", b"b", b"}", b")", b"s"
PROTO2, PROTO4 = b"\x80\x02", b"\x80\x04"
MAGIC_STREAM = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
VERSION_STREAM = b"\x80\x02M\xe9\x03."
SYSTEM_STREAM = b"\x80\x02}X\x0d\x00\x00\x00little_endian\x88s."
COMMAND = "echo owned"


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(value: int) -> bytes:
    size = (value.bit_length() + 8) // 8
    return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def stack_name(module: str, attribute: str) -> bytes:
    return text(module) + text(attribute) + b"\x93"


def items(*values: bytes) -> bytes:
    return MARK + b"".join(values) + b"t"


def call(module: str, attribute: str, *arguments: bytes) -> bytes:
    return name(module, attribute) + items(*arguments) + REDUCE


def system(module: str = "os", attribute: str = "system") -> bytes:
    """The classic: a call that would run a shell command."""
    return call(module, attribute, text(COMMAND))


def pickled(body: bytes, proto: bytes = PROTO2) -> bytes:
    return proto + body + STOP


def mapping(**entries: bytes) -> bytes:
    return EMPTY_DICT + b"".join(text(key) + value + SETITEM for key, value in entries.items())


def storage(key: str = "0", kind: str = "FloatStorage", count: int = 4, *, module: str = "torch", extra: bytes = b"") -> bytes:
    return items(text("storage"), name(module, kind), text(key), text("cpu"), number(count), extra) + b"Q"


NO_HOOKS = name("collections", "OrderedDict") + EMPTY_TUPLE + REDUCE


def tensor(stored: bytes | None = None, offset: int = 0, shape: tuple[int, ...] = (2, 2), stride: tuple[int, ...] = (2, 1)) -> bytes:
    sizes, strides = items(*map(number, shape)), items(*map(number, stride))
    return call("torch._utils", "_rebuild_tensor_v2", stored or storage(), number(offset), sizes, strides, b"\x89", NO_HOOKS)


HONEST = pickled(mapping(weight=tensor()))
"""A state dict with one 2x2 float tensor in storage 0."""

FLOATS = struct.pack("<4f", 1, 2, 3, 4)


@dataclass
class Part:
    """One member of a zip, every field open to being wrong: `local_*` are what the local header says instead."""

    name: str
    data: bytes
    method: int = 0
    flags: int = 0
    needed: int = 0
    crc: int | None = None
    attributes: int = 0
    extra: bytes = b""
    local_name: str | None = None
    local_flags: int | None = None
    local_method: int | None = None
    local_crc: int | None = None
    before: bytes = b""
    header: int = field(default=0, init=False)

    def checksum(self) -> int:
        return zlib.crc32(self.data) if self.crc is None else self.crc

    def packed(self) -> bytes:
        if self.method != 8:
            return self.data
        engine = zlib.compressobj(9, zlib.DEFLATED, -15)
        return engine.compress(self.data) + engine.flush()

    def local(self) -> bytes:
        raw = (self.name if self.local_name is None else self.local_name).encode()
        flags = self.flags if self.local_flags is None else self.local_flags
        method = self.method if self.local_method is None else self.local_method
        crc = self.checksum() if self.local_crc is None else self.local_crc
        packed = self.packed()
        sizes = (len(packed), len(self.data), len(raw), len(self.extra))
        return struct.pack("<4sHHHHHIIIHH", b"PK\3\4", self.needed, flags, method, 0, 0, crc, *sizes) + raw + self.extra + packed

    def central(self) -> bytes:
        raw = self.name.encode()
        head = (self.needed, self.flags, self.method, 0, 0, self.checksum(), len(self.packed()), len(self.data), len(raw))
        return struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\1\2", 0, *head, 0, 0, 0, 0, self.attributes, self.header) + raw


def zipped(parts: Iterable[Part], *, comment: bytes = b"", tail: bytes = b"", count: int | None = None, shift: int = 0) -> bytes:
    parts = list(parts)
    out = b""
    for part in parts:
        out += part.before
        part.header = len(out)
        out += part.local()
    directory = b"".join(part.central() for part in parts)
    entries = len(parts) if count is None else count
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, entries, entries, len(directory), len(out) + shift, len(comment))
    return out + directory + end + comment + tail


def torch_parts(pickle: bytes = HONEST, stored: dict[str, bytes] | None = None, root: str = "archive") -> list[Part]:
    blocks = {"0": FLOATS} if stored is None else stored
    parts = [Part(f"{root}/data.pkl", pickle), Part(f"{root}/byteorder", b"little")]
    return [*parts, *(Part(f"{root}/data/{key}", data) for key, data in blocks.items()), Part(f"{root}/version", b"3\n")]


def torch_zip(pickle: bytes = HONEST, stored: dict[str, bytes] | None = None) -> bytes:
    """A torch zip around a pickle; without `stored` it has one storage of four floats."""
    return zipped(torch_parts(pickle, stored))


def payload_zip(body: bytes, proto: bytes = PROTO2) -> bytes:
    """A torch zip without tensors whose pickle is `body`."""
    return torch_zip(pickled(body, proto), {})


def legacy(*streams: bytes, tail: bytes | None = None) -> bytes:
    """A legacy checkpoint; missing streams are honest ones (a state dict with one tensor in storage "0")."""
    stored = storage(extra=b"N")
    honest = [MAGIC_STREAM, VERSION_STREAM, SYSTEM_STREAM, pickled(mapping(weight=tensor(stored))), pickled(b"]" + text("0") + b"a")]
    chosen = [given or kept for given, kept in zip([*streams, *[b""] * 5], honest, strict=False)]
    return b"".join(chosen) + (struct.pack("<q", 4) + FLOATS if tail is None else tail)
