"""The tar form from before torch 0.1.10, which torch.load still unpickles without restraint, and tars that only look like it."""

from __future__ import annotations

import struct

from tests.attacks.assemble import FLOATS, Part, items, mapping, name, number, pickled, system, text, zipped
from tests.attacks.catalogue import attack, each
from tests.attacks.writers import (
    OLD_SYSTEM,
    old_checkpoint,
    old_pickle,
    old_storages,
    old_tensors,
    tar,
    tar_file,
)

DANGER, ERROR = "danger", "error"
PAYLOAD = pickled(system())
FILES = {"sys_info": OLD_SYSTEM, "pickle": old_pickle(), "tensors": old_tensors(), "storages": old_storages()}


def shaped(*numbers: int) -> bytes:
    """The numbers behind a tensor's pickle: dimensions, sizes, strides, offset."""
    return struct.pack(f"<{len(numbers)}q", *numbers)


each(
    DANGER,
    "P-CALL",
    klass=29,
    rows={
        "tars.payload_in_the_pickle": lambda: old_checkpoint(pickle=PAYLOAD),
        "tars.payload_instead_of_a_tensor": lambda: old_checkpoint(pickle=old_pickle(system())),
        "tars.payload_in_the_system_note": lambda: old_checkpoint(sys_info=PAYLOAD),
        "tars.payload_as_the_count_of_storages": lambda: old_checkpoint(storages=PAYLOAD + old_storages()),
        "tars.payload_as_a_storage": lambda: old_checkpoint(storages=old_storages(system())),
        "tars.payload_in_a_storages_place": lambda: old_checkpoint(
            storages=old_storages(items(number(140_001), system(), name("torch", "FloatStorage")))
        ),
        "tars.payload_behind_the_numbers": lambda: old_checkpoint(storages=old_storages(views=b"]" + system() + b"a")),
        "tars.payload_as_the_count_of_tensors": lambda: old_checkpoint(tensors=PAYLOAD + old_tensors()),
        "tars.payload_as_a_tensor": lambda: old_checkpoint(tensors=old_tensors(system())),
        "tars.payload_in_a_tensors_type": lambda: old_checkpoint(tensors=old_tensors(items(number(140_002), number(140_001), system()))),
    },
)
each(
    DANGER,
    "P-PERSID",
    klass=29,
    rows={
        "tars.tensor_that_is_not_there": lambda: old_checkpoint(pickle=old_pickle(text("7") + b"Q")),
        "tars.number_written_oddly": lambda: old_checkpoint(pickle=old_pickle(text(" 140_002") + b"Q")),
        "tars.function_sent_as_a_module": lambda: old_checkpoint(
            pickle=old_pickle(items(name("torch._utils", "_rebuild_tensor"), b"N", b"N") + b"Q")
        ),
        "tars.storage_named_in_the_system_note": lambda: old_checkpoint(sys_info=pickled(mapping(a=text("140001") + b"Q"))),
    },
)
each(
    ERROR,
    "P-TRAILING",
    klass=29,
    rows={
        "tars.second_pickle_behind_the_first": lambda: old_checkpoint(pickle=old_pickle() + old_pickle()),
        "tars.bytes_behind_the_tensors": lambda: old_checkpoint(tensors=old_tensors() + b"\0"),
        "tars.bytes_behind_the_storages": lambda: old_checkpoint(storages=old_storages() + PAYLOAD),
    },
)
each(
    ERROR,
    "A-VIEW",
    klass=30,
    rows={
        "tars.tensor_beyond_its_storage": lambda: old_checkpoint(tensors=old_tensors(shape=shaped(2, 2, 2, 900, 1, 0))),
        "tars.tensor_with_a_large_offset": lambda: old_checkpoint(tensors=old_tensors(shape=shaped(2, 2, 2, 2, 1, 1))),
        "tars.tensor_with_a_negative_stride": lambda: old_checkpoint(tensors=old_tensors(shape=shaped(2, 2, 2, -2, 1, 3))),
        "tars.view_beyond_its_storage": lambda: old_checkpoint(
            storages=old_storages(views=b"]" + items(number(9), number(140_001), number(2), number(4)) + b"a")
        ),
    },
)
each(
    ERROR,
    "F-TRUNCATED",
    klass=29,
    rows={
        "tars.storage_of_another_length": lambda: old_checkpoint(storages=old_storages(numel=1 << 40)),
        "tars.storage_of_negative_length": lambda: old_checkpoint(storages=old_storages(numel=-1)),
    },
)
each(
    ERROR,
    "F-UNSUPPORTED",
    klass=29,
    rows={
        "tars.fifth_file": lambda: tar(FILES | {"more": PAYLOAD}),
        "tars.file_that_is_missing": lambda: tar({key: FILES[key] for key in ("sys_info", "pickle", "tensors")}),
        "tars.file_that_is_there_twice": lambda: tar_file("pickle", PAYLOAD) + old_checkpoint(),
        "tars.link_instead_of_a_file": lambda: tar_file("pickle", b"", kind=b"2", link="/etc/passwd") + old_checkpoint(),
        "tars.file_with_a_folder": lambda: tar({"./pickle": PAYLOAD} | FILES),
        "tars.old_magic_with_a_prefix": lambda: tar_file("pickle", PAYLOAD, magic=b"ustar  x") + old_checkpoint(),
        "tars.note_that_renames": lambda: tar_file("note", b"17 path=sys_info\n", kind=b"x") + old_checkpoint(),
        "tars.note_that_resizes": lambda: tar_file("note", b"11 size=99\n", kind=b"x") + old_checkpoint(),
        "tars.long_name_record": lambda: tar_file("././@LongLink", b"pickle\0", kind=b"L") + old_checkpoint(),
        "tars.sparse_file": lambda: tar_file("pickle", PAYLOAD, kind=b"S") + old_checkpoint(),
        "tars.second_archive_behind_the_end": lambda: old_checkpoint() + tar(FILES | {"pickle": PAYLOAD}),
        "tars.data_in_the_padding": lambda: old_checkpoint().replace(FLOATS + b"\x80\x02]." + bytes(6), FLOATS + b"\x80\x02].hidden"),
        "tars.one_block_at_the_end": lambda: tar(FILES, bytes(512)),
    },
)


@attack(ERROR, "T-ENDIAN", klass=29)
def big_endian_tar() -> bytes:
    return old_checkpoint(sys_info=pickled(mapping(little_endian=b"\x89")))


@attack(ERROR, "A-KEYS", klass=29)
def two_storages_of_one_number() -> bytes:
    one = old_storages()
    described = one[len(pickled(number(1))) : -len(pickled(b"]"))]
    return old_checkpoint(storages=pickled(number(2)) + described * 2 + pickled(b"]"))


@attack(ERROR, "A-PART", klass=29)
def fewer_storages_than_there_are() -> bytes:
    return old_checkpoint(storages=old_storages(count=0))


@attack(ERROR, "A-COUNT", klass=33)
def more_tensors_than_there_can_be() -> bytes:
    return old_checkpoint(tensors=old_tensors(count=1 << 40))


@attack(DANGER, "F-POLYGLOT", klass=22)
def zip_in_the_last_storage() -> bytes:
    """Programs that look for a zip from the end do not mind the zeros behind it."""
    inner = zipped([Part("archive/data.pkl", PAYLOAD)])
    described = items(number(140_001), text("cpu"), name("torch", "ByteStorage"))
    tensors = old_tensors(shape=shaped(1, len(inner), 1, 0))
    return old_checkpoint(storages=old_storages(described, numel=len(inner), data=inner), tensors=tensors)


@attack(DANGER, "F-EXTENSION", "model.safetensors", klass=26)
def old_checkpoint_named_safetensors() -> bytes:
    return old_checkpoint()


@attack(ERROR, "F-UNSUPPORTED", "pack.zip", klass=29)
def other_tar_in_a_bundle() -> bytes:
    return zipped([Part("weights.tar", tar({"model.ckpt": PAYLOAD}))])
