"""Writes arrays, GGUF, ONNX, old torch tars and pictures byte by byte, honest unless told otherwise. Loads nothing."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import Any

from tests.attacks.assemble import FLOATS, call, items, mapping, name, number, pickled, text

# --- numpy ---------------------------------------------------------------------------------------------------------------


def npy(header: str = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", data: bytes = FLOATS, version: int = 1) -> bytes:
    """An array file whose header is exactly the given text, padded as numpy pads."""
    width = 2 if version == 1 else 4
    room = -(8 + width + len(header) + 1) % 64
    raw = header.encode() + b" " * room + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(raw)) + raw + data


# --- GGUF ----------------------------------------------------------------------------------------------------------------


def gguf_text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def gguf_value(value: Any) -> bytes:
    """Type and value: a number, flag, text, or list of one of them; bytes stand as they are."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    if isinstance(value, str):
        return struct.pack("<I", 8) + gguf_text(value)
    parts = [gguf_value(item) for item in value]
    return struct.pack("<I", 9) + parts[0][:4] + struct.pack("<Q", len(parts)) + b"".join(part[4:] for part in parts)


def gguf_tensor(title: str = "weight", shape: tuple[int, ...] = (2, 2), kind: int = 0, offset: int = 0) -> bytes:
    return gguf_text(title) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def gguf(
    keys: dict[str, Any] | None = None,
    tensors: Iterable[bytes] = (gguf_tensor(),),
    data: bytes = FLOATS.ljust(32, b"\0"),
    *,
    version: int = 3,
    count: int | None = None,
    key_count: int | None = None,
    alignment: int = 32,
) -> bytes:
    """A model file; `data` begins at the next multiple of the alignment."""
    pairs = {"general.architecture": "llama"} | (keys or {})
    infos = list(tensors)
    head = struct.pack("<4sIQQ", b"GGUF", version, len(infos) if count is None else count, len(pairs) if key_count is None else key_count)
    body = head + b"".join(gguf_text(key) + gguf_value(value) for key, value in pairs.items()) + b"".join(infos)
    return body + bytes(-len(body) % alignment) + data


# --- ONNX ----------------------------------------------------------------------------------------------------------------


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def part(field: int, content: bytes | str | int) -> bytes:
    """One protobuf field: a number, or bytes with their length."""
    if isinstance(content, int):
        return varint(field << 3) + varint(content)
    raw = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(raw)) + raw


def onnx_tensor(title: str = "w", raw: bytes = FLOATS) -> bytes:
    return part(1, 2) + part(1, 2) + part(2, 1) + part(8, title) + part(9, raw)


def onnx_external(location: str, **more: str) -> bytes:
    """A tensor whose numbers lie in the file `location`."""
    notes = {"location": location, "offset": "0", "length": "16", **more}
    pairs = b"".join(part(13, part(1, key) + part(2, value)) for key, value in notes.items())
    return part(1, 2) + part(1, 2) + part(2, 1) + part(8, "w") + pairs + part(14, 1)


def onnx_node(kind: str = "Relu", domain: str = "", *attributes: bytes) -> bytes:
    return part(1, "x") + part(2, "y") + part(4, kind) + part(7, domain) + b"".join(part(5, attribute) for attribute in attributes)


def onnx_value(title: str) -> bytes:
    shape = b"".join(part(1, part(1, size)) for size in (2, 2))
    return part(1, title) + part(2, part(1, part(1, 1) + part(2, shape)))


def onnx_graph(*tensors: bytes, nodes: Iterable[bytes] = (onnx_node(),)) -> bytes:
    body = b"".join(part(1, node) for node in nodes) + part(2, "graph")
    return body + b"".join(part(5, tensor) for tensor in tensors) + part(11, onnx_value("x")) + part(12, onnx_value("y"))


def onnx(graph: bytes | None = None, *, more: bytes = b"") -> bytes:
    body = part(1, 8) + part(2, "pytorch") + part(3, "2.13.0") + part(7, onnx_graph(onnx_tensor()) if graph is None else graph)
    return body + part(8, part(1, "") + part(2, 17)) + more


# --- tar -----------------------------------------------------------------------------------------------------------------


def tar_block(title: str, size: int, kind: bytes = b"0", link: str = "", magic: bytes = b"ustar\x0000") -> bytes:
    block = bytearray(title.encode().ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + b"%011o\0" % size + b"00000000000\0")
    block += b" " * 8 + kind + link.encode().ljust(100, b"\0") + magic
    block += bytes(512 - len(block))
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def tar_file(title: str, data: bytes, **fields: Any) -> bytes:
    return tar_block(title, len(data), **fields) + data + bytes(-len(data) % 512)


def tar(files: dict[str, bytes], tail: bytes = bytes(1024)) -> bytes:
    return b"".join(tar_file(title, data) for title, data in files.items()) + tail


OLD_SYSTEM = pickled(mapping(protocol_version=b"M\xe8\x03", little_endian=b"\x88", type_sizes=b"}"))
OLD_STORAGE = items(number(140_001), text("cpu"), name("torch", "FloatStorage"))
OLD_TENSOR = items(number(140_002), number(140_001), name("torch", "FloatTensor"))
OLD_SHAPE = struct.pack("<q2q2qq", 2, 2, 2, 2, 1, 0)


def old_storages(described: bytes = OLD_STORAGE, views: bytes = b"]", *, count: int = 1, numel: int = 4, data: bytes = FLOATS) -> bytes:
    return pickled(number(count)) + pickled(described) + struct.pack("<q", numel) + data + pickled(views)


def old_tensors(described: bytes = OLD_TENSOR, shape: bytes = OLD_SHAPE, count: int = 1) -> bytes:
    return pickled(number(count)) + pickled(described) + shape


def old_pickle(weight: bytes = text("140002") + b"Q") -> bytes:
    ordered = call("collections", "OrderedDict")
    return pickled(ordered + text("weight") + weight + b"s")


def old_checkpoint(**changed: bytes) -> bytes:
    """What torch before 0.1.10 wrote: one float tensor of 2 x 2; `changed` replaces files of the archive."""
    files = {"sys_info": OLD_SYSTEM, "pickle": old_pickle(), "tensors": old_tensors(), "storages": old_storages()}
    return tar(files | changed, bytes(10240))


# --- pictures ------------------------------------------------------------------------------------------------------------


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*more: bytes) -> bytes:
    """One grey pixel; `more` are chunks before the end."""
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + png_chunk(b"IDAT", zlib.compress(b"\0\x7f")) + png_chunk(b"IEND", b"")
