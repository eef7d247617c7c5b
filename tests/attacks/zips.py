"""Zips that different readers read differently. The payload in them never matters: the grammar alone must refuse them."""

from __future__ import annotations

import struct

from tests.attacks.assemble import HONEST, Part, pickled, system, torch_parts, torch_zip, zipped
from tests.attacks.catalogue import attack

ERROR = "error"
PAYLOAD = pickled(system())


def bent(index: int = 0, **changes: object) -> bytes:
    """An honest torch zip with some fields of one member changed."""
    parts = torch_parts()
    for field, value in changes.items():
        setattr(parts[index], field, value)
    return zipped(parts)


@attack(ERROR, "Z-DUP", klass=19)
def two_of_one_name() -> bytes:
    return zipped([*torch_parts(PAYLOAD), Part("archive/data.pkl", HONEST)])


@attack(ERROR, "Z-DUP", klass=18)
def two_of_one_name_but_for_case() -> bytes:
    return zipped([*torch_parts(), Part("archive/DATA.PKL", PAYLOAD)])


@attack(ERROR, "T-MEMBER", klass=18)
def upper_case_only() -> bytes:
    parts = torch_parts(PAYLOAD)
    parts[0].name = "archive/DATA.PKL"
    return zipped(parts)


@attack(ERROR, "Z-LAYOUT", klass=20)
def two_directories() -> bytes:
    """The first directory is where the end record says, the second right before it."""
    front, back = zipped(torch_parts(PAYLOAD)), zipped(torch_parts())
    return front[:-22] + back


@attack(ERROR, "Z-CRC", klass=21)
def wrong_checksum() -> bytes:
    return bent(crc=1)


@attack(ERROR, "Z-LOCAL", klass=21)
def wrong_local_checksum() -> bytes:
    return bent(local_crc=1)


@attack(ERROR, "Z-LOCAL", klass=21)
def other_local_name() -> bytes:
    return bent(local_name="archive/data.txt")


@attack(ERROR, "Z-LOCAL", klass=21)
def other_local_flags() -> bytes:
    return bent(local_flags=0x800)


@attack(ERROR, "Z-LOCAL", klass=21)
def other_local_method() -> bytes:
    return bent(local_method=8)


@attack(ERROR, "Z-FLAGS", klass=21)
def encrypted() -> bytes:
    return bent(flags=1)


@attack(ERROR, "Z-METHOD", klass=21)
def unknown_method() -> bytes:
    return bent(method=99)


@attack(ERROR, "Z-METHOD", klass=21)
def version_of_the_future() -> bytes:
    return bent(needed=99)


@attack(ERROR, "Z-NAME", klass=21)
def folder_bit_on_a_file() -> bytes:
    """torch hands out uninitialised memory for such a member."""
    return bent(attributes=0x10)


@attack(ERROR, "Z-NAME", klass=25)
def symbolic_link() -> bytes:
    return bent(attributes=0o120777 << 16)


@attack(ERROR, "Z-NAME", klass=25)
def traversal() -> bytes:
    return zipped([*torch_parts(), Part("archive/../../etc/cron.d/x", b"")])


@attack(ERROR, "Z-NAME", klass=25)
def absolute_path() -> bytes:
    return zipped([*torch_parts(), Part("/etc/passwd", b"")])


@attack(ERROR, "Z-NAME", klass=25)
def backslash_path() -> bytes:
    return zipped([*torch_parts(), Part("archive\\evil", b"")])


@attack(ERROR, "Z-NAME", klass=25)
def name_with_nul() -> bytes:
    return zipped([*torch_parts(), Part("archive/data\0.pkl", b"")])


@attack(ERROR, "Z-LAYOUT", klass=22)
def gap_between_parts() -> bytes:
    return bent(1, before=b"hidden" + PAYLOAD)


@attack(ERROR, "Z-LAYOUT", klass=22)
def bytes_in_front() -> bytes:
    return bent(0, before=b"PK\3\4" + PAYLOAD)


@attack(ERROR, "Z-LAYOUT", klass=22)
def bytes_behind() -> bytes:
    return zipped(torch_parts(), tail=PAYLOAD)


@attack(ERROR, "Z-LAYOUT", klass=22)
def comment() -> bytes:
    return zipped(torch_parts(), comment=PAYLOAD)


@attack(ERROR, "Z-LAYOUT", klass=20)
def wrong_count() -> bytes:
    return zipped(torch_parts(), count=2)


@attack(ERROR, "Z-LAYOUT", klass=20)
def wrong_directory_offset() -> bytes:
    return zipped(torch_parts(), shift=-1)


@attack(ERROR, "Z-LAYOUT", klass=21)
def unknown_extra_field() -> bytes:
    return bent(extra=struct.pack("<HH", 0x7075, 4) + b"name")


@attack(ERROR, "Z-LAYOUT", klass=22)
def payload_in_the_padding() -> bytes:
    return bent(extra=struct.pack("<HH", 0x4246, len(PAYLOAD)) + PAYLOAD)


@attack(ERROR, "F-TRUNCATED", klass=14)
def truncated() -> bytes:
    return torch_zip()[:-40]


@attack(ERROR, "F-TRUNCATED", klass=14)
def only_a_magic() -> bytes:
    return b"PK\3\4"


@attack("danger", "T-SCRIPT", klass=32)
def torch_script() -> bytes:
    return zipped([*torch_parts(), Part("archive/code/__torch__.py", b"op_version_set = 1")])


@attack("danger", "P-CALL", klass=23)
def zip_in_a_zip() -> bytes:
    return zipped([Part("bundle/model.ckpt", torch_zip(PAYLOAD))])


@attack(ERROR, "T-MEMBER", klass=23)
def member_that_torch_never_writes() -> bytes:
    return zipped([*torch_parts(), Part("archive/run.sh", b"#!/bin/sh\n")])


@attack(ERROR, "T-MEMBER", klass=19)
def two_roots() -> bytes:
    return zipped([*torch_parts(), Part("other/data.pkl", PAYLOAD)])


@attack(ERROR, "T-ENDIAN", klass=21)
def big_endian() -> bytes:
    parts = torch_parts()
    parts[1].data = b"big"
    return zipped(parts)


@attack(ERROR, "T-NOTE", klass=22)
def note_with_other_content() -> bytes:
    parts = torch_parts()
    parts[-1].data = b"3\n" + PAYLOAD[:40]
    return zipped(parts)
