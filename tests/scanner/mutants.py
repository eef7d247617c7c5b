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


def program(dice: random.Random) -> bytes:
    """A random pickle that keeps its own count of stack and marks, so that most are whole; what it does to values is left to chance."""
    out, levels, known = [b"\x80", bytes([dice.randrange(6)])], [0], 0
    for _ in range(dice.randint(5, 40)):
        kind = dice.randrange(12)
        depth = levels[-1]
        if kind < 4 or depth == 0:
            out.append(dice.choice(_VALUES))
            levels[-1] += 1
        elif kind == 4:
            out.append(b"(")
            levels.append(0)
        elif kind == 5 and len(levels) > 1 and levels[-2] > 0:
            out.append(dice.choice(_CLOSING_INTO))
            levels.pop()
        elif kind in (5, 6) and len(levels) > 1:
            out.append(dice.choice(_CLOSING))
            levels.pop()
            levels[-1] += out[-1] != b"1"
        elif kind == 7:
            out.append(dice.choice([b"\x94", b"q" + bytes([known]), b"p%d\n" % known, b"r" + bytes([known, 0, 0, 0])]))
            known = min(known + 1, 250)
        elif kind == 8 and known:
            out.append(dice.choice([b"h", b"j"]))
            index = bytes([dice.randrange(known)])
            out.append(index if out[-1] == b"h" else index + bytes(3))
            levels[-1] += 1
        elif kind == 9:
            out.append(dice.choice([b"2", b"0"]))
            levels[-1] += 1 if out[-1] == b"2" else -1
        elif kind == 10 and depth > 2:
            taken, code = dice.choice([(1, b"a"), (2, b"s"), (1, b"\x86"), (2, b"\x87"), (0, b"\x85")])
            out.append(code)
            levels[-1] -= taken
        elif kind == 11:
            out.append(dice.choice(_CALLS))
            levels[-1] += 1
    while len(levels) > 1:
        out.append(dice.choice(_CLOSING))
        levels.pop()
        levels[-1] += out[-1] != b"1"
    return b"".join(out) + (b"N." if levels[0] == 0 else b".")


_VALUES = (
    b"N",
    b"\x88",
    b"\x89",
    b"K\x01",
    b"M\x01\x02",
    b"J\xff\xff\xff\xff",
    b"I5\n",
    b"I01\n",
    b"L7L\n",
    b"F0.5\n",
    b"]",
    b"}",
    b")",
    b"\x8f",
)
_VALUES += (
    b"X\x01\0\0\0a",
    b"\x8c\x01b",
    b"U\x01c",
    b"Vd\n",
    b"S'e'\n",
    b"C\x01f",
    b"B\x01\0\0\0g",
    b"\x8a\x01\x80",
    b"G?\xe0\0\0\0\0\0\0",
)
_VALUES += (b"\x96\x01\0\0\0\0\0\0\0h",)
_CLOSING = (b"t", b"l", b"d", b"\x91", b"1", b"t", b"l")
_CLOSING_INTO = (b"e", b"u", b"\x90")
_CALLS = (
    name("collections", "OrderedDict") + b")R",
    name("collections", "OrderedDict") + b")\x81",
    name("builtins", "set") + b"]\x85R",
    name("builtins", "bytearray") + b"C\x02ab\x85R",
    name("builtins", "frozenset") + b"](K\x01K\x02e\x85R",
    name("_codecs", "encode") + b"\x8c\x01a\x8c\x06latin1\x86R",
    name("collections", "defaultdict") + name("builtins", "list") + b"\x85R",
    name("collections", "Counter") + b"}\x85R",
    b"(" + name("collections", "OrderedDict") + b"o",
    b"(icollections\nOrderedDict\n",
)
