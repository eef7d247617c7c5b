"""Checkpoints in the form from before torch 1.6, with a payload in each of the places that are read."""

from __future__ import annotations

import struct

from tests.attacks.assemble import FLOATS, MAGIC_STREAM, Part, legacy, mapping, pickled, storage, system, tensor, text, zipped
from tests.attacks.catalogue import attack

DANGER, ERROR = "danger", "error"
PAYLOAD = pickled(system())
STORED = struct.pack("<q", 4) + FLOATS


@attack(DANGER, "P-CALL", klass=28)
def payload_in_stream_2() -> bytes:
    return legacy(b"", PAYLOAD)


@attack(DANGER, "P-CALL", klass=28)
def payload_in_stream_3() -> bytes:
    return legacy(b"", b"", PAYLOAD)


@attack(DANGER, "P-CALL", klass=28)
def payload_in_stream_4() -> bytes:
    return legacy(b"", b"", b"", PAYLOAD)


@attack(DANGER, "P-CALL", klass=28)
def payload_in_stream_5() -> bytes:
    return legacy(b"", b"", b"", b"", PAYLOAD)


@attack(ERROR, "L-TRAILING", klass=28)
def payload_behind_the_storages() -> bytes:
    return legacy(tail=STORED + PAYLOAD)


@attack(DANGER, "P-CALL", klass=28)
def computed_magic() -> bytes:
    """A first stream that ends in the magic number only after running something."""
    return b"\x80\x02" + system() + b"0" + MAGIC_STREAM[2:] + legacy()[len(MAGIC_STREAM) :]


@attack(ERROR, "L-PROTOCOL", klass=28)
def other_protocol() -> bytes:
    return legacy(b"", pickled(b"K\x01"))


@attack(ERROR, "L-KEYS", klass=28)
def list_of_other_storages() -> bytes:
    return legacy(b"", b"", b"", b"", pickled(b"]" + text("9") + b"a"))


@attack(ERROR, "L-SIZE", klass=28)
def storage_of_another_length() -> bytes:
    return legacy(tail=struct.pack("<q", 3) + FLOATS)


@attack(ERROR, "F-TRUNCATED", klass=28)
def storage_cut_short() -> bytes:
    return legacy(tail=STORED[:-1])


@attack(ERROR, "T-ENDIAN", klass=28)
def big_endian() -> bytes:
    return legacy(b"", b"", pickled(mapping(little_endian=b"\x89")))


@attack(DANGER, "P-PERSID", klass=28)
def storage_named_in_stream_3() -> bytes:
    return legacy(b"", b"", pickled(storage(extra=b"N")))


@attack(DANGER, "P-PERSID", klass=28)
def view_beyond_its_storage() -> bytes:
    view = b"(" + text("1") + b"K\x01K\x04t"
    return legacy(b"", b"", b"", pickled(mapping(weight=tensor(storage(extra=view)))))


@attack(DANGER, "F-POLYGLOT", klass=22)
def zip_behind_the_storages() -> bytes:
    return legacy(tail=STORED + zipped([Part("archive/data.pkl", PAYLOAD)]))
