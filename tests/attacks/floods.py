"""Small files that would cost much: time, memory or depth. Each must be answered quickly, and never with a yes."""

from __future__ import annotations

import struct

from tests.attacks.assemble import Part, call, items, number, payload_zip, pickled, text, torch_parts, torch_zip, zipped
from tests.attacks.catalogue import attack

ERROR = "error"


@attack(ERROR, "Z-BOMB", klass=33)
def quarter_gigabyte_pickle() -> bytes:
    """256 MB of nothing, packed into a quarter of a megabyte."""
    parts = torch_parts()
    parts[0] = _Bomb("archive/data.pkl", size=256 << 20)
    return zipped(parts)


class _Bomb(Part):
    def __init__(self, name: str, size: int) -> None:
        import zlib

        super().__init__(name, b"", method=8)
        engine = zlib.compressobj(9, zlib.DEFLATED, -15)
        block = bytes(1 << 20)
        self._packed = b"".join(engine.compress(block) for _ in range(size >> 20)) + engine.flush()
        self._size = size

    def packed(self) -> bytes:
        return self._packed

    def local(self) -> bytes:
        raw = self.name.encode()
        head = struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 0, 0, 8, 0, 0, 0, len(self._packed), self._size, len(raw), 0)
        return head + raw + self._packed

    def central(self) -> bytes:
        raw = self.name.encode()
        sizes = (0, len(self._packed), self._size, len(raw), 0, 0, 0, 0, 0, self.header)
        return struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\1\2", 0, 0, 0, 8, 0, 0, *sizes) + raw


@attack(ERROR, "Z-BOMB", klass=33)
def large_stored_pickle() -> bytes:
    """65 MB that are really there."""
    return torch_zip(b"\x80\x02" + b"N0" * (33 << 20) + b"N.", {})


@attack(ERROR, "T-LIMIT", klass=33)
def nested_200_000_deep() -> bytes:
    return payload_zip(b")" + b"\x85" * 200_000)


@attack(ERROR, "P-LIMIT", klass=33)
def stack_flood() -> bytes:
    return payload_zip(b"]" * 200_000)


@attack(ERROR, "P-LIMIT", klass=33)
def mark_flood() -> bytes:
    return payload_zip(b"(" * 50_000)


@attack(ERROR, "P-LIMIT", klass=33)
def memo_index_flood() -> bytes:
    return payload_zip(b"}r\xff\xff\xff\xff")


@attack(ERROR, "P-LIMIT", klass=33)
def digit_flood() -> bytes:
    return payload_zip(b"L" + b"9" * 3000 + b"L\n")


@attack(ERROR, "P-PARSE", klass=33)
def length_flood() -> bytes:
    return payload_zip(b"\x8e" + struct.pack("<Q", 1 << 40), b"\x80\x04")


@attack(ERROR, "T-LIMIT", klass=33)
def doubling_tuples() -> bytes:
    """Sixty shared pairs: 2^60 values when written out."""
    return payload_zip(b")" + b"2\x86" * 60)


@attack("danger", "P-KEY", klass=33)
def doubling_key() -> bytes:
    """A key whose hash would take 2^60 steps."""
    return payload_zip(b"})" + b"2\x86" * 60 + b"Ns")


@attack(ERROR, "P-LIMIT", klass=33)
def same_list_over_and_over() -> bytes:
    """One long list made into a dictionary many thousand times."""
    pair = items(text("k"), b"N")
    body = b"](" + (pair + b"q\x01" + b"h\x01" * 9_000) + b"eq\x000"
    again = b"ccollections\nOrderedDict\nh\x00\x85R0"
    return payload_zip(body + again * 20_000 + b"N")


@attack("danger", "P-CONTRACT", klass=33)
def memory_by_number() -> bytes:
    """bytearray(10**12) is a few bytes here and a terabyte at the loader."""
    return payload_zip(call("__builtin__", "bytearray", number(10**12)))


@attack(ERROR, "Z-LIMIT", klass=33)
def member_flood() -> bytes:
    return zipped(torch_parts() + [Part(f"archive/data/{key}", b"") for key in range(1, 21_000)])


@attack(ERROR, "P-LIMIT", "model.pkl", klass=33)
def stream_flood() -> bytes:
    return pickled(b"}") * 200
