"""How a stream is written rather than what it says: memo tricks, computed names, registries, odd numbers and texts, broken ends."""

from __future__ import annotations

import struct

from tests.attacks.assemble import (
    COMMAND,
    HONEST,
    PROTO2,
    PROTO4,
    call,
    items,
    mapping,
    name,
    payload_zip,
    system,
    text,
    torch_zip,
)
from tests.attacks.catalogue import each

DANGER, ERROR = "danger", "error"
RUN = items(text(COMMAND)) + b"R"
OS, SYSTEM, HARMLESS = text("os"), text("system"), text("collections")
PROTO5 = b"\x80\x05"


def short(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


each(
    DANGER,
    "P-CALL",
    klass=5,
    rows={
        "memo.stored_over": lambda: payload_zip(HARMLESS + b"q\x000" + OS + b"q\x000h\x00" + SYSTEM + b"\x93" + RUN, PROTO4),
        "memo.long_and_short_index": lambda: payload_zip(OS + b"r\x07\0\0\x000" + HARMLESS + b"0h\x07" + SYSTEM + b"\x93" + RUN, PROTO4),
        "memo.text_and_binary_index": lambda: payload_zip(OS + b"p7\n0h\x07" + SYSTEM + b"\x93" + RUN, PROTO4),
        "memo.doubled_value": lambda: payload_zip(OS + b"2q\x010" + b"0h\x01" + SYSTEM + b"\x93" + RUN, PROTO4),
        "memo.of_the_function": lambda: payload_zip(name("os", "system") + b"q\x000" + b"h\x00" + RUN),
        "memo.of_a_name_in_a_list": lambda: payload_zip(b"]q\x00" + OS + b"q\x01a0h\x01" + SYSTEM + b"\x93" + RUN, PROTO4),
    },
)
each(
    DANGER,
    "P-CALL",
    klass=6,
    rows={
        "memoize.after_a_gap": lambda: payload_zip(HARMLESS + b"q\x050" + OS + b"\x940h\x01" + SYSTEM + b"\x93" + RUN, PROTO4),
        "memoize.over_a_put": lambda: payload_zip(HARMLESS + b"q\x010" + OS + b"\x940h\x01" + SYSTEM + b"\x93" + RUN, PROTO4),
        "memoize.mixed_with_text_puts": lambda: payload_zip(HARMLESS + b"p0\n0" + OS + b"\x940h\x01" + SYSTEM + b"\x93" + RUN, PROTO4),
        "memoize.same_index_twice": lambda: payload_zip(OS + b"q\x00q\x00\x940h\x01" + SYSTEM + b"\x93" + RUN, PROTO4),
    },
)
each(
    ERROR,
    "P-PARSE",
    klass=7,
    rows={
        "first.without_protocol": lambda: torch_zip(b"\x93.", {}),
        "first.behind_a_frame": lambda: payload_zip(b"\x95\x01\0\0\0\0\0\0\0\x93", PROTO4),
        "first.with_one_text": lambda: payload_zip(OS + b"\x93", PROTO4),
        "first.below_a_mark": lambda: payload_zip(OS + SYSTEM + b"(\x93", PROTO4),
        "first.call_of_nothing": lambda: payload_zip(b"R"),
        "first.new_of_nothing": lambda: payload_zip(b")\x81", PROTO4),
    },
)
each(
    DANGER,
    "P-DYNGLOBAL",
    klass=8,
    rows={
        "computed.by_str": lambda: payload_zip(call("builtins", "str", b"C\x02os", text("ascii")) + SYSTEM + b"\x93", PROTO4),
        "computed.by_decode": lambda: payload_zip(call("codecs", "decode", text("bf"), text("rot13")) + SYSTEM + b"\x93", PROTO4),
        "computed.by_a_stranger": lambda: payload_zip(call("somewhere", "Name") + SYSTEM + b"\x93", PROTO4),
        "computed.from_bytes": lambda: payload_zip(b"C\x02osC\x06system\x93", PROTO4),
        "computed.from_a_path": lambda: payload_zip(call("pathlib", "PurePosixPath", OS) + SYSTEM + b"\x93", PROTO4),
        "computed.from_a_number": lambda: payload_zip(b"K\x01" + SYSTEM + b"\x93", PROTO4),
        "computed.from_a_list": lambda: payload_zip(b"]" + OS + b"a" + SYSTEM + b"\x93", PROTO4),
        "computed.from_old_bytes": lambda: payload_zip(b"U\x02\xff\xfe" + SYSTEM + b"\x93", PROTO4),
    },
)
each(
    DANGER,
    "P-EXT",
    klass=9,
    rows={
        "registry.two_bytes": lambda: payload_zip(b"\x83\x01\x01"),
        "registry.four_bytes": lambda: payload_zip(b"\x84\x01\x01\x01\x01"),
        "registry.zero": lambda: payload_zip(b"\x82\x00"),
        "registry.negative": lambda: payload_zip(b"\x84\xff\xff\xff\xff"),
        "registry.called": lambda: payload_zip(b"\x82\x01" + RUN),
        "registry.filled_by_hand": lambda: payload_zip(
            name("copyreg", "_inverted_registry") + b"K\x01" + OS + SYSTEM + b"\x86s0\x82\x01" + RUN
        ),
    },
)
each(
    DANGER,
    "P-BUFFER",
    klass=9,
    rows={
        "buffer.next": lambda: payload_zip(b"\x97", PROTO5),
        "buffer.read_only": lambda: payload_zip(b"C\x01a\x98", PROTO5),
        "buffer.as_a_name": lambda: payload_zip(b"\x97" + SYSTEM + b"\x93", PROTO5),
    },
)
each(
    DANGER,
    "P-BUILD",
    klass=10,
    rows={
        f"import.{module}.{attribute}": lambda m=module, a=attribute: payload_zip(
            name(m, a) + b"N" + mapping(shape=b"N") + b"\x86b", PROTO4
        )
        for module, attribute in (
            ("numpy", "size"),
            ("numpy", "ndarray"),
            ("torch", "Tensor"),
            ("torch", "Size"),
            ("torch", "float32"),
            ("torch", "FloatStorage"),
            ("torch._utils", "_rebuild_tensor_v2"),
            ("collections", "OrderedDict"),
            ("collections", "defaultdict"),
            ("builtins", "set"),
            ("_codecs", "encode"),
            ("argparse", "Namespace"),
            ("pathlib", "PosixPath"),
            ("typing", "Any"),
        )
    },
)
each(
    DANGER,
    "P-CALL",
    klass=12,
    rows={
        "number.binary": lambda: payload_zip(b"I0b11\n0" + system()),
        "number.octal": lambda: payload_zip(b"I0o17\n0" + system()),
        "number.with_underscores": lambda: payload_zip(b"L1_000L\n0" + system()),
        "number.that_ends_early": lambda: payload_zip(b"I5\0junk\n0" + system()),
        "number.that_is_a_nul": lambda: payload_zip(b"I\0\n0" + system()),
        "number.with_a_blank": lambda: payload_zip(b"I 5\n0" + system()),
        "number.long_without_its_letter": lambda: payload_zip(b"L0x10\n0" + system()),
        "number.fraction_cut_by_a_nul": lambda: payload_zip(b"F1.5\0x\n0" + system()),
        "number.index_with_a_plus": lambda: payload_zip(b"Np+7\n0g7\n0" + system()),
    },
)
each(
    ERROR,
    "P-ODD",
    klass=12,
    rows={
        "number.true_with_a_sign": lambda: payload_zip(b"I+1\n"),
        "number.fraction_with_a_plus": lambda: payload_zip(b"F+1.5\n"),
        "number.index_with_zeros": lambda: payload_zip(b"Np007\n"),
    },
)
each(
    DANGER,
    "P-CALL",
    klass=13,
    rows={
        "text.escaped_module": lambda: payload_zip(b"Vo\\u0073\n" + SYSTEM + b"\x93" + RUN, PROTO4),
        "text.octal_module": lambda: payload_zip(b"S'\\157s'\n" + SYSTEM + b"\x93" + RUN, PROTO4),
        "text.hexadecimal_module": lambda: payload_zip(b'S"\\x6fs"\n' + SYSTEM + b"\x93" + RUN, PROTO4),
        "text.of_python_2": lambda: payload_zip(b"U\x02osT\x06\0\0\0system\x93" + RUN, PROTO4),
        "text.eight_byte_length": lambda: payload_zip(b"\x8d\x02\0\0\0\0\0\0\0os" + short("system") + b"\x93" + RUN, PROTO4),
        "text.undecodable_in_front": lambda: payload_zip(b"U\x01\xff0" + system()),
    },
)
each(
    ERROR,
    "P-ODD",
    klass=13,
    rows={
        "text.undecodable": lambda: payload_zip(b"U\x02\xff\xfe"),
        "text.accent_in_quotes": lambda: payload_zip(b"S'\xc3\xa9'\n"),
    },
)
each(
    ERROR,
    "P-PARSE",
    klass=13,
    rows={
        "text.module_that_is_not_utf8": lambda: payload_zip(b"co\xff\nsystem\n"),
        "text.without_quotes": lambda: payload_zip(b"Sos\n"),
        "text.blank_behind_the_quotes": lambda: payload_zip(b"S'os' \n"),
        "text.broken_escape": lambda: payload_zip(b"S'\\x4'\n"),
        "text.fraction_that_overflows": lambda: payload_zip(b"F1e999\n"),
    },
)
each(
    DANGER,
    "P-CALL",
    klass=14,
    rows={
        "end.unknown_opcode_behind": lambda: torch_zip(PROTO2 + system() + b"\xee", {}),
        "end.in_the_middle_of_a_text": lambda: torch_zip(PROTO2 + system() + b"X\xff\0\0\0", {}),
        "end.pop_too_many": lambda: payload_zip(system() + b"00"),
        "end.frame_beyond": lambda: torch_zip(PROTO4 + system() + b"\x95" + struct.pack("<Q", 1 << 20), {}),
        "end.protocol_9": lambda: torch_zip(PROTO2 + system() + b"\x80\x09", {}),
        "end.missing_memo": lambda: payload_zip(system() + b"h\xee"),
    },
)
each(
    DANGER,
    "P-TRAILING",
    klass=15,
    rows={
        "behind.text": lambda: torch_zip(HONEST + b"anything"),
        "behind.one_byte": lambda: torch_zip(HONEST + b"\0"),
        "behind.stop": lambda: torch_zip(HONEST + b"."),
    },
)
each(
    DANGER,
    "P-CALL",
    klass=16,
    rows={
        "hidden.in_a_dropped_list": lambda: payload_zip(b"](" + system() + b"e0}"),
        "hidden.as_a_key": lambda: payload_zip(b"}" + system() + b"Ns"),
        "hidden.in_the_state_of_a_stranger": lambda: payload_zip(call("somewhere", "Thing") + mapping(a=system()) + b"b"),
        "hidden.in_the_arguments_of_a_stranger": lambda: payload_zip(call("somewhere", "Thing", system())),
        "hidden.under_two_marks": lambda: payload_zip(b"((" + system() + b"11N"),
        "hidden.behind_a_new": lambda: payload_zip(name("subprocess", "Popen") + items(text("true")) + b"\x81"),
        "hidden.behind_a_new_with_names": lambda: payload_zip(
            name("subprocess", "Popen") + b")" + mapping(args=text("true")) + b"\x92", PROTO4
        ),
    },
)


def framed(count: int, body: bytes) -> bytes:
    return b"\x95" + struct.pack("<Q", count) + body


each(
    ERROR,
    "P-PARSE",
    klass=14,
    rows={
        # A file's reader throws away what is left of a frame that a text reaches over, and takes the text from behind the frame.
        "frame.text_over_its_end": lambda: payload_zip(framed(6, b"X\x02\0\0\0ab0N"), PROTO4),
        "frame.that_hides_a_call": lambda: payload_zip(
            framed(6, b"X" + struct.pack("<I", 1 + len(system())) + b"a") + system() + b"0N", PROTO4
        ),
        "frame.line_over_its_end": lambda: payload_zip(framed(3, b"I12") + b"\n0N", PROTO4),
        "frame.inside_another": lambda: payload_zip(framed(30, framed(2, b"N0") + b"N0" * 10), PROTO4),
        "frame.inside_another_and_over_its_end": lambda: payload_zip(framed(12, framed(20, b"N0" * 10)), PROTO4),
    },
)
each(
    ERROR,
    "P-PARSE",
    "model.pkl",
    klass=15,
    rows={
        "frame.that_swallows_the_next_pickle": lambda: PROTO4 + framed(3 + len(PROTO2) + len(system()), b"}N0.") + PROTO2 + system() + b"."
    },
)
