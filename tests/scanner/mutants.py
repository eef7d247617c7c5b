"""Seeded damage for the fuzz tests: what is changed in a file, and plain pickles worth changing. No test by itself."""

from __future__ import annotations

import collections
import pickle
import random
import struct
from typing import Any

import numpy as np

from tests.attacks.assemble import COMMAND, PROTO2, PROTO4, call, items, mapping, name, pickled, stack_name, system, text

SEED = 20261121

BYTES = (0, 1, 0x28, 0x2E, 0x30, 0x32, 0x52, 0x62, 0x63, 0x68, 0x71, 0x73, 0x7F, 0x80, 0x81, 0x86, 0x90, 0x93, 0x94, 0xFF)
"""Values that mean something to a pickle machine or a zip reader."""


def mutated(data: bytes, dice: random.Random, most: int = 4) -> bytes:
    """One to `most` small changes: bit flips, bytes set, cut, doubled or moved."""
    out = bytearray(data)
    for _ in range(dice.randint(1, most)):
        at = dice.randrange(len(out))
        match dice.randrange(5):
            case 0:
                out[at] ^= 1 << dice.randrange(8)
            case 1:
                out[at] = dice.choice((*BYTES, dice.randrange(256)))
            case 2:
                del out[at : at + dice.randint(1, 4)]
            case 3:
                out[at:at] = out[at : at + dice.randint(1, 12)]
            case _:
                to = dice.randrange(len(out))
                out[to : to + 4] = out[at : at + 4]
        if not out:
            return b"\0"
    return bytes(out)


def spliced(first: bytes, second: bytes, dice: random.Random) -> bytes:
    """The start of one and the end of another, or a piece of one inside the other."""
    at, to = dice.randrange(len(first)), dice.randrange(len(second))
    if dice.random() < 0.5:
        return first[:at] + second[to:]
    return first[:at] + second[to : to + dice.randint(1, 40)] + first[at:]


PLAIN: tuple[Any, ...] = (
    {"a": [1, 2.5, None, True], "b": ("x", b"y", -7), "c": {"d": 1 << 40, "e": "\u00e9\U0001f642"}},
    [{1, "a"}, frozenset({b"z"}), bytearray(b"qr"), b"", "", (), [], {}, 0.1, -1, 255, 65536],
    collections.OrderedDict(a=1, b=collections.OrderedDict(c=[1, 2], d=collections.Counter("aab"))),
    {"history": collections.defaultdict(list, {"loss": [0.5]}), "z": 1 + 2j, 3: {4: {5: (6, (7, (8,)))}}},
    {"n": np.float32(1.5), "g": np.arange(4, dtype="i2"), "s": np.array(["ab"]), "t": np.dtype("u1")},
)


def aliased() -> list[Any]:
    """Values that are shared and that hold themselves: what the memo is for."""
    shared: dict[str, Any] = {"k": [1]}
    ring: list[Any] = [shared, shared["k"], (shared,)]
    ring.append(ring)
    return ring


def pickles() -> list[bytes]:
    """Small pickles of every protocol, honest ones first, and some that call or name what they must not."""
    values = (*PLAIN, aliased())
    honest = [pickle.dumps(value, protocol) for value in values for protocol in range(6)]
    hostile = [
        pickled(system()),
        pickled(stack_name("os", "system") + items(text(COMMAND)) + b"R", PROTO4),
        pickled(b"}" + call("collections", "OrderedDict", b"]") + mapping(a=b"N") + b"b0"),
        pickled(name("collections", "OrderedDict") + b")\x81" + b"(K\x01K\x02u"),
        PROTO2 + b"(K\x01K\x02l(K\x03K\x04ea(K\x05K\x06d(K\x07K\x08us2p0\ng0\n0I01\nL5L\nF1.5\nVab\n\x85t.",
    ]
    return honest + hostile


def zip_damaged(data: bytes, dice: random.Random) -> bytes:
    """One change to what a zip says of itself: a field of a directory entry, local header or end record, or the case of a name."""
    out = bytearray(data)
    signature, fields = dice.choice(_FIELDS)
    places = _places(data, signature)
    if not places:
        return mutated(data, dice)
    at = dice.choice(places)
    match dice.randrange(4):
        case 0:
            name_at = at + (46 if signature == b"PK\1\2" else 30)
            if signature != b"PK\5\6" and name_at < len(out):
                out[name_at + dice.randrange(min(20, len(out) - name_at))] ^= 0x20
        case 1:
            offset, size = dice.choice(fields)
            value = int.from_bytes(out[at + offset : at + offset + size], "little") + dice.choice((-1, 1, -22, 22, 0x10, 0x100, -0x10))
            out[at + offset : at + offset + size] = (value % (1 << 8 * size)).to_bytes(size, "little")
        case 2:
            offset, size = dice.choice(fields)
            out[at + offset + dice.randrange(size)] ^= 1 << dice.randrange(8)
        case _:
            return doubled(bytes(out), dice)
    return bytes(out)


def doubled(data: bytes, dice: random.Random) -> bytes:
    """A second directory and end record, before or behind the first, that may name other members."""
    end = data.rindex(b"PK\5\6")
    size, offset = struct.unpack_from("<II", data, end + 12)
    directory = mutated(data[offset : offset + size], dice) if dice.random() < 0.7 and size else data[offset : offset + size]
    record = data[end:]
    match dice.randrange(3):
        case 0:
            return data + directory + record
        case 1:
            return data[:end] + directory + record
        case _:
            return data + record


_FIELDS = (
    (b"PK\1\2", ((6, 2), (8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (32, 2), (36, 2), (38, 4), (38, 1), (42, 4))),
    (b"PK\3\4", ((4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2))),
    (b"PK\5\6", ((4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2))),
)
"""signature -> (offset, size) of the fields behind it (APPNOTE.TXT 4.3); the external attributes, with DOS' folder bit, are 38."""


def _places(data: bytes, signature: bytes) -> list[int]:
    found, at = [], data.find(signature)
    while at >= 0:
        found.append(at)
        at = data.find(signature, at + 1)
    return found
