"""Broken, odd and appended pickle streams: what makes one reader stop before the payload and another go on."""

from __future__ import annotations

from tests.attacks.assemble import HONEST, PROTO2, STOP, payload_zip, pickled, system, text, torch_parts, torch_zip, zipped
from tests.attacks.catalogue import attack

DANGER = "danger"


@attack(DANGER, "P-CALL", klass=14)
def broken_after_payload() -> bytes:
    """The payload has run by the time the stream breaks (nullifAI)."""
    return torch_zip(PROTO2 + system() + b"\xff\xff", {})


@attack(DANGER, "P-CALL", klass=14)
def cut_after_payload() -> bytes:
    return torch_zip(PROTO2 + system(), {})


@attack("error", "P-PARSE", klass=14)
def unknown_opcode() -> bytes:
    return payload_zip(b"\xee")


@attack(DANGER, "P-CALL", klass=12)
def hexadecimal_text_number() -> bytes:
    """CPython reads I0x10; pickletools raises on it and never sees what follows."""
    return payload_zip(b"I0x10\n0" + system())


@attack("error", "P-ODD", klass=12)
def hexadecimal_alone() -> bytes:
    return payload_zip(b"I0x10\n")


@attack("error", "P-ODD", klass=12)
def octal_text_number() -> bytes:
    return payload_zip(b"I010\n")


@attack("error", "P-ODD", klass=12)
def long_text_number() -> bytes:
    return payload_zip(b"L0x10L\n")


@attack(DANGER, "P-CALL", klass=13)
def text_that_is_not_ascii() -> bytes:
    return payload_zip(b"S'\xc3\xa9'\n0" + system())


@attack(DANGER, "P-CALL", klass=6)
def text_memo_index() -> bytes:
    return payload_zip(text("os") + b"p00012\n0g12\n" + text("system") + b"\x93(" + text("x") + b"tR", b"\x80\x04")


@attack("suspicious", "P-PROTO", klass=14)
def protocol_in_the_middle() -> bytes:
    return payload_zip(b"N0\x80\x04}")


@attack("suspicious", "P-LEFTOVER", klass=16)
def values_left_behind() -> bytes:
    return payload_zip(b"NN}")


@attack(DANGER, "P-TRAILING", klass=15)
def second_stream_in_data_pkl() -> bytes:
    return torch_zip(HONEST + pickled(system()))


@attack(DANGER, "P-CALL", "model.pkl", klass=15)
def second_bare_stream() -> bytes:
    return pickled(b"}") + pickled(system())


@attack("suspicious", "P-STREAMS", "model.pkl", klass=15)
def two_harmless_streams() -> bytes:
    return pickled(b"}") + pickled(b"}")


@attack(DANGER, "P-TRAILING", "model.pkl", klass=15)
def junk_behind_a_pickle() -> bytes:
    return pickled(b"}") + b"\xff\xfe\xfd junk"


@attack(DANGER, "F-POLYGLOT", "model.pkl", klass=22)
def pickle_in_front_of_a_zip() -> bytes:
    return pickled(b"}") + zipped(torch_parts())


@attack(DANGER, "P-CALL", "model.pkl", klass=1)
def bare_payload() -> bytes:
    return pickled(system())


@attack(DANGER, "P-CALL", "model.pkl", klass=1)
def protocol_0_payload() -> bytes:
    return b"cos\nsystem\n(S'true'\ntR" + STOP


@attack(DANGER, "P-PERSID", "model.pkl", klass=30)
def stored_numbers_in_a_bare_pickle() -> bytes:
    return pickled(b"(X\x07\x00\x00\x00storagetQ")


@attack("error", "P-PARSE", klass=14)
def empty_data_pkl() -> bytes:
    return torch_zip(b"", {})


@attack("error", "P-PARSE", klass=14)
def frame_beyond_the_end() -> bytes:
    return payload_zip(b"\x95\xff\xff\xff\xff\xff\xff\xff\x7f}", b"\x80\x04")


@attack("error", "P-PARSE", klass=14)
def pop_below_the_mark() -> bytes:
    return payload_zip(b"N(R")
