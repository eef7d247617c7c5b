"""The decoder knows every opcode and reads arguments as CPython does, also where `pickletools` is stricter."""

from __future__ import annotations

import io
import pickle
import pickletools
import random
from typing import Any

import pytest

from registry.formats.errors import FormatError, LimitExceeded
from registry.formats.window import Window
from scanner.pickles.machine import Machine
from scanner.pickles.opcodes import CHUNK, OPCODES, Stream
from scanner.pickles.report import Report
from scanner.pickles.values import Group, Mapping


def stream(data: bytes) -> Stream:
    return Stream(Window(io.BytesIO(data)))


def result(data: bytes) -> Any:
    return Machine(stream(data), Report(), "pickle").run()


def plain(value: Any) -> Any:
    """The Python value that a symbolic value of plain data stands for."""
    match value:
        case Mapping():
            return {plain(key): plain(item) for key, item in value.pairs}
        case Group():
            return {"set": set, "frozenset": frozenset}[value.kind](plain(item) for item in value.items)
        case list():
            return [plain(item) for item in value]
        case tuple():
            return tuple(plain(item) for item in value)
    return value


def test_every_opcode_is_known_by_its_name() -> None:
    assert {code: name for code, (name, _) in OPCODES.items()} == {ord(op.code): op.name for op in pickletools.opcodes}
    assert len(OPCODES) == 68


def random_value(dice: random.Random, depth: int = 3) -> Any:
    scalars = [None, True, False, 0, -1, 255, 256, 65536, -(1 << 31), 1 << 31, 1 << 200, -(1 << 300), 0.5, -1e300]
    scalars += [float("inf"), "", "a", "ä\n\\'", "\U0001f642", "x" * 300, b"", b"\0\xff", b"y" * 300]
    kind = dice.randrange(8) if depth else 0
    parts = [random_value(dice, depth - 1) for _ in range(dice.randrange(6))] if kind > 2 else []
    match kind:
        case 3:
            return parts
        case 4:
            return tuple(parts)
        case 5:
            return {f"k{number}": part for number, part in enumerate(parts)} | {number: number for number in range(dice.randrange(3))}
        case 6:
            return {"s": {1, "a", 2.5}, "f": frozenset({b"b"})} if dice.random() < 0.3 else [parts, parts]
    return dice.choice(scalars)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_plain_data_means_what_pickle_means(protocol: int) -> None:
    dice = random.Random(protocol)
    for _ in range(200):
        value = random_value(dice)
        data = pickle.dumps(value, protocol)
        if b"c__builtin__" in data or b"c_codecs" in data or b"cbuiltins" in data:
            continue  # sets and bytes of old protocols are calls, not data
        assert plain(result(data)) == pickle.loads(data)


@pytest.mark.parametrize(
    "literal",
    [b"I0x10\n", b"I010\n", b"I 5\n", b"I-0b11\n", b"I+7\n", b"L0x1fL\n", b"L12\n", b"I1_000\n", b"I5\x00junk\n", b"I01\n", b"I00\n"],
)
def test_odd_text_numbers_mean_what_pickle_means(literal: bytes) -> None:
    value = result(literal + b".")
    expected = pickle.loads(literal + b".")
    assert (type(value), value) == (type(expected), expected)


@pytest.mark.parametrize(
    "literal", [b"S'a\\x41\\101\\n\\\\'\n", b'S"it\'s"\n', b"Va\\u00e4\\U0001f642\n", b"F1e5\n", b"F-inf\n", b"U\x02ab", b"T\x02\0\0\0ab"]
)
def test_text_literals_mean_what_pickle_means(literal: bytes) -> None:
    assert result(literal + b".") == pickle.loads(literal + b".")


def test_text_that_is_utf8_is_read_as_torch_reads_it() -> None:
    assert result(b"S'\xc3\xa9'\n.") == pickle.loads(b"S'\xc3\xa9'\n.", encoding="utf-8")
    assert result(b"U\x01\xff.") == b"\xff"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"I\n.",
        b"Ix\n.",
        b"S'a\n.",
        b"Sa\n.",
        b"S'\\x4'\n.",
        b"X\xff\xff\xff\x7f.",
        b"X\x01\0\0\0\xff.",
        b"G\0.",
        b"K",
        b"T\xff\xff\xff\xff.",
        b"\x8b\xff\xff\xff\xff.",
        b"F1x\n.",
        b"Vabc",
        b"\xee",
        b"h\x05.",
        b"V\\u12\n.",
        b"\x80\x07.",
        b"ca\n\xff\n.",
        b"o.",
        b"(o.",
        b"t.",
        b"}(Nu.",
    ],
)
def test_broken_streams_are_format_errors(data: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        result(data)
    assert caught.value.code == "P-PARSE"


def test_values_may_span_chunks() -> None:
    value = ["a" * 1000, b"b" * (CHUNK + 10)] * 3 + [list(range(1000))]
    data = pickle.dumps(["pad" * 80_000, *value], 4)
    assert len(data) > CHUNK
    assert result(data) == ["pad" * 80_000, *value]


def test_position_is_the_byte_behind_stop() -> None:
    data = stream(b"N.N.")
    Machine(data, Report(), "pickle").run()
    assert data.position == 2


@pytest.mark.parametrize(
    "data",
    [
        b"X\x00\x00\x20\x00" + b"a" * (2 << 20) + b".",
        b"V" + b"a" * 5000 + b"\n.",
        b"\x8b\x00\x20\x00\x00" + bytes(8192) + b".",
        b"p99999999\n",
    ],
)
def test_long_values_are_limited(data: bytes) -> None:
    with pytest.raises(LimitExceeded):
        result(b"N" + data)


def test_frames_are_those_that_pickle_writes() -> None:
    """Large values lie between frames, small ones in many: what CPython writes is read, in chunks of any size."""
    value = ["a" * 70_000, b"b" * 200_000, *[f"text {number}" for number in range(30_000)], bytearray(b"c" * 70_000), {"k": 1}]
    for protocol in (4, 5):
        data = pickle.dumps(value, protocol)
        assert data.count(b"\x95") > 3
        found = result(data)
        assert [found[0], found[1], found[-1].pairs] == [value[0], value[1], [("k", 1)]]
        assert found[2:-2] == value[2:-2]


def test_value_over_the_end_of_a_frame_is_read_differently_by_pickle() -> None:
    """Why such frames are refused: from a file, CPython takes the text from behind the frame; from memory, from inside."""
    body = b"\x80\x04\x95\x06\0\0\0\0\0\0\0X\x02\0\0\0ab." + b"."
    assert pickle.loads(body) == "ab"
    assert pickle.Unpickler(io.BytesIO(body)).load() == "b."
    with pytest.raises(FormatError, match="frame"):
        result(body)


@pytest.mark.parametrize("literal", [b"I+1\n", b"I-0\n", b"I 1\n", b"I\x00\n", b"I\x00x\n", b"F1.5\x00x\n"])
def test_texts_that_c_reads_in_its_own_way_mean_what_pickle_means(literal: bytes) -> None:
    value = result(literal + b".")
    expected = pickle.loads(literal + b".")
    assert (type(value), value) == (type(expected), expected)


@pytest.mark.parametrize("literal", [b"F1e999\n", b"F 1.5\n", b"F1_0\n", b"S'a' \n", b"I  \n", b"F\n"])
def test_texts_that_pickle_refuses_are_refused(literal: bytes) -> None:
    with pytest.raises((ValueError, pickle.UnpicklingError, OverflowError)):
        pickle.loads(literal + b".")
    with pytest.raises(FormatError):
        result(literal + b".")
