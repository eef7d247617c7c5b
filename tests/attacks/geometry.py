"""Tensors and storages that reach for memory that is not theirs."""

from __future__ import annotations

from tests.attacks.assemble import FLOATS, call, items, mapping, name, number, pickled, storage, tensor, text, torch_zip
from tests.attacks.catalogue import attack

DANGER = "danger"


def around(value: bytes, stored: dict[str, bytes] | None = None) -> bytes:
    return torch_zip(pickled(mapping(weight=value)), stored)


@attack(DANGER, "P-CONTRACT", klass=30)
def shape_beyond_storage() -> bytes:
    return around(tensor(shape=(3, 2)))


@attack(DANGER, "P-CONTRACT", klass=30)
def stride_beyond_storage() -> bytes:
    return around(tensor(shape=(2, 2), stride=(1 << 40, 1)))


@attack(DANGER, "P-CONTRACT", klass=30)
def offset_beyond_storage() -> bytes:
    return around(tensor(offset=1))


@attack(DANGER, "P-CONTRACT", klass=30)
def negative_offset() -> bytes:
    return around(tensor(offset=-1))


@attack(DANGER, "P-CONTRACT", klass=30)
def negative_stride() -> bytes:
    return around(tensor(offset=3, shape=(4,), stride=(-1,)))


@attack(DANGER, "P-CONTRACT", klass=30)
def shape_and_stride_of_other_length() -> bytes:
    return around(tensor(shape=(2, 2), stride=(1,)))


@attack(DANGER, "P-CONTRACT", klass=30)
def wider_type_than_storage() -> bytes:
    """`_rebuild_tensor_v3` names its own type: eight-byte elements over four-byte ones."""
    stored = storage(kind="UntypedStorage", module="torch.storage", count=16)
    pieces = (stored, number(0), items(number(4)), items(number(1)), b"\x89", b"}", name("torch", "float64"))
    return around(call("torch._utils", "_rebuild_tensor_v3", *pieces))


@attack(DANGER, "P-PERSID", klass=30)
def storage_larger_than_its_bytes() -> bytes:
    return around(tensor(storage(count=5)))


@attack(DANGER, "P-PERSID", klass=30)
def storage_that_is_missing() -> bytes:
    return around(tensor(storage("7")))


@attack(DANGER, "P-PERSID", klass=30)
def storage_of_two_types() -> bytes:
    return torch_zip(pickled(mapping(a=tensor(), b=tensor(storage(kind="IntStorage")))))


@attack(DANGER, "P-PERSID", klass=30)
def storage_of_a_strange_type() -> bytes:
    return around(tensor(storage(kind="system", module="os")))


@attack(DANGER, "P-PERSID", klass=30)
def storage_with_a_true_length() -> bytes:
    return around(items(text("storage"), name("torch", "FloatStorage"), text("0"), text("cpu"), b"\x88") + b"Q")


@attack("error", "T-MISMATCH", klass=22)
def storage_that_nothing_uses() -> bytes:
    return around(tensor(), {"0": FLOATS, "1": b"PK\3\4 anything at all"})


@attack("error", "T-NAME", klass=13)
def tensor_name_with_control_characters() -> bytes:
    return torch_zip(pickled(b"}" + text("a\x1b[2Jb\0") + tensor() + b"s"))
