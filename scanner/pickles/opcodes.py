"""Decodes pickle opcodes and their arguments exactly as CPython's C unpickler does (Modules/_pickle.c, 3.11-3.13), within bounds.

It does not follow `pickletools`, whose stricter text rules end before a payload that the real unpickler goes on to run.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from math import isinf
from typing import Any

from registry.formats.errors import FormatError, LimitExceeded
from registry.formats.window import Window
from scanner.pickles.limits import LIMITS

CHUNK = 256 << 10
_TEXT = LIMITS.text


class Stream:
    """Bytes of a file from `start` on, read in chunks, with the bounds of one pickle."""

    __slots__ = ("_at", "_base", "_buffer", "_end", "_frame", "_odd", "_window", "mark")

    def __init__(self, window: Window, start: int = 0) -> None:
        self._window = window
        self._base = start
        self._buffer = b""
        self._at = 0
        self._end = min(window.size, start + LIMITS.pickle)
        self._frame = 0  # where the open frame ends
        self._odd = False
        self.mark = start  # where the last opcode was read

    @property
    def position(self) -> int:
        """Offset, from the start of the window, of the next byte."""
        return self._base + self._at

    def take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._buffer):
            self._fill(count)
            end = self._at + count
        data = self._buffer[self._at : end]
        self._at = end
        return data

    def near(self, count: int) -> bytes | None:
        """The next bytes where they are at hand, None where they must be fetched first."""
        at = self._at
        end = at + count
        if end > len(self._buffer):
            return None
        self._at = end
        return self._buffer[at:end]

    def byte(self) -> int:
        at = self._at
        if at >= len(self._buffer):
            self._fill(1)
            at = self._at
        self._at = at + 1
        return self._buffer[at]

    def opcode(self) -> int:
        """The next byte, whose place is then `mark`."""
        at = self._at
        if at >= len(self._buffer):
            self._fill(1)
            at = self._at
        self.mark = self._base + at
        self._at = at + 1
        return self._buffer[at]

    def line(self) -> bytes:
        """Up to and without the next line feed."""
        found = self._buffer.find(b"\n", self._at)
        if found < 0:
            self._fill(min(LIMITS.line, (self._frame if self.framed else self._end) - self.position))
            found = self._buffer.find(b"\n", self._at)
        if found < 0:
            raise FormatError("P-PARSE", "A line of the pickle does not end.", offset=self.position)
        if found - self._at > LIMITS.line:
            raise LimitExceeded("P-LIMIT", "A line of the pickle is too long.", offset=self.position)
        data = self._buffer[self._at : found]
        self._at = found + 1
        return data

    def oversized(self, count: int) -> bytes:
        """In place of a value of `count` bytes that is longer than its kind may be; raises `LimitExceeded` "P-LIMIT"."""
        raise LimitExceeded("P-LIMIT", "A value of the pickle is too long.", offset=self.position)

    @property
    def left(self) -> int:
        return self._end - self.position

    def fork(self, offset: int | None = None) -> Stream:
        """Another stream from here on, to look ahead, or from `offset` on, to look back: reading it moves nothing of this one."""
        if offset is not None and offset < self._base:
            other = Stream(self._window, offset)
            other._end = self._end
            return other
        other = Stream(self._window, self._base)
        other._buffer, other._end, other._frame = self._buffer, self._end, self._frame
        other._at = self._at if offset is None else offset - self._base
        return other

    def odd(self) -> None:
        """Note that the last argument was written in a way no pickler writes."""
        self._odd = True

    def was_odd(self) -> bool:
        odd, self._odd = self._odd, False
        return odd

    @property
    def framed(self) -> bool:
        """Whether the next byte belongs to a frame that is still open."""
        return self.position < self._frame

    def open_frame(self, count: int) -> None:
        """The next `count` bytes are a frame, and nothing that is read may reach over its end.

        CPython's C unpickler reads a frame from its file as a whole. Where a value then needs more than is left of it, it throws that rest
        away and reads on behind the frame; behind STOP it goes on at the frame's end. Another reader would see other opcodes.
        """
        if self.framed:
            raise FormatError("P-PARSE", "A frame of the pickle begins inside another.", offset=self.position)
        if count > self.left:
            raise FormatError("P-PARSE", "A frame of the pickle is longer than the file.", offset=self.position)
        self._frame = self.position + count
        self._buffer = self._buffer[: self._frame - self._base]  # so that only `_fill` has to look at frames

    def _fill(self, count: int) -> None:
        position, end = self.position, self._end
        if position < self._frame:
            end = self._frame
            if position + count > end:
                raise FormatError("P-PARSE", "A value of the pickle reaches over the end of its frame.", offset=position)
        elif count > self.left:
            if end < self._window.size:
                raise LimitExceeded("P-LIMIT", f"The pickle is larger than {LIMITS.pickle >> 20} MB.", offset=position)
            raise FormatError("P-PARSE", "The pickle is cut short.", offset=position)
        self._buffer = self._window.read(position, min(max(count, CHUNK), end - position))
        self._base, self._at = position, 0


def _sized(stream: Stream, count: int, bound: int) -> bytes:
    if count > stream.left:
        raise FormatError("P-PARSE", "The pickle states a length beyond its end.", offset=stream.position)
    if count > bound:
        return stream.oversized(count)
    return stream.take(count)


def _unsigned(width: int) -> Callable[[Stream], int]:
    return lambda stream: int.from_bytes(stream.take(width), "little")


def _signed4(stream: Stream) -> int:
    return int.from_bytes(stream.take(4), "little", signed=True)


def _bytes(width: int, bound: int) -> Callable[[Stream], bytes]:
    return lambda stream: _sized(stream, int.from_bytes(stream.take(width), "little"), bound)


def _text(width: int) -> Callable[[Stream], str]:
    def read(stream: Stream) -> str:
        count = int.from_bytes(stream.take(width), "little")
        raw = stream.near(count) if count <= _TEXT else None
        return _decode(_sized(stream, count, _TEXT) if raw is None else raw, stream)

    return read


def _decode(raw: bytes, stream: Stream) -> str:
    try:
        return str(raw, "utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise FormatError("P-PARSE", "A text of the pickle is not valid UTF-8.", offset=stream.position) from error


def _py2_text(raw: bytes, stream: Stream) -> str | bytes:
    # torch.load passes encoding="utf-8" and fails on other bytes; under encoding="bytes" or "latin1" a loader goes on.
    try:
        return raw.decode()
    except UnicodeDecodeError:
        stream.odd()
        return raw


def _binstring(stream: Stream) -> str | bytes:
    count = _signed4(stream)
    if count < 0:
        raise FormatError("P-PARSE", "The pickle states a negative length.", offset=stream.position)
    return _py2_text(_sized(stream, count, LIMITS.text), stream)


def _short_binstring(stream: Stream) -> str | bytes:
    return _py2_text(stream.take(stream.byte()), stream)


_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{2})|(.)|$)", re.DOTALL)
_SIMPLE = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"b": b"\b", b"f": b"\f", b"v": b"\v", b"a": b"\a", b"\\": b"\\", b"'": b"'", b'"': b'"'}


def _unescape(match: re.Match[bytes]) -> bytes:
    octal, hexadecimal, other = match.groups()
    if octal:
        return bytes([int(octal, 8) & 0xFF])
    if hexadecimal:
        return bytes([int(hexadecimal, 16)])
    if other is None or other == b"x":
        raise FormatError("P-PARSE", "A text of the pickle has a broken escape.")
    return b"" if other == b"\n" else _SIMPLE.get(other, b"\\" + other)


def _quoted(stream: Stream) -> str | bytes:
    raw = stream.line()
    if len(raw) < 2 or raw[0] != raw[-1] or raw[:1] not in (b"'", b'"'):
        raise FormatError("P-PARSE", "A quoted text of the pickle is not quoted.", offset=stream.position)
    if not raw.isascii():
        stream.odd()  # nothing that writes this opcode leaves such bytes unescaped, and readers disagree on them
    return _py2_text(_ESCAPE.sub(_unescape, raw[1:-1]), stream)


def _raw_unicode(stream: Stream) -> str:
    try:
        return stream.line().decode("raw-unicode-escape")
    except UnicodeDecodeError as error:
        raise FormatError("P-PARSE", "A text of the pickle has a broken escape.", offset=stream.position) from error


_C_OCTAL = re.compile(rb"[+-]?0[0-7]+")
"""strtol with base 0 takes "010" as 8 where Python's int() refuses it."""

_FLOAT = re.compile(rb"-?(\d+\.?\d*(e[+-]?\d+)?|inf|nan)")


def _number(stream: Stream, raw: bytes, base: int) -> int:
    text = raw.partition(b"\0")[0].strip(b"\t\n\r\x0b\x0c ")  # C ends a text at NUL
    if len(text) > LIMITS.digits:
        raise LimitExceeded("P-LIMIT", "A number of the pickle has too many digits.", offset=stream.position)
    try:
        value = int(text.decode("ascii"), 8 if base == 0 and _C_OCTAL.fullmatch(text) else base)
    except ValueError as error:
        raise FormatError("P-PARSE", "A number of the pickle is not a number.", offset=stream.position) from error
    if str(value).encode() != raw:
        stream.odd()
    return value


def _int_line(stream: Stream) -> int | bool:
    raw = stream.line()
    if raw in (b"00", b"01"):
        return raw == b"01"
    if raw[:1] == b"\0":  # strtol finds no digit, stops at the NUL, and that counts as the end
        stream.odd()
        return False if len(raw) == 2 else 0
    value = _number(stream, raw, 0)
    return bool(value) if len(raw) == 2 and value in (0, 1) else value


def _long_line(stream: Stream) -> int:
    raw = stream.line()
    return _number(stream, raw[:-1] if raw[-1:] == b"L" else raw, 0)


def _index_line(stream: Stream) -> int:
    return _number(stream, stream.line(), 10)


def _long_binary(width: int) -> Callable[[Stream], int]:
    def read(stream: Stream) -> int:
        count = int.from_bytes(stream.take(width), "little", signed=width == 4)
        if count < 0:
            raise FormatError("P-PARSE", "The pickle states a negative length.", offset=stream.position)
        return int.from_bytes(_sized(stream, count, LIMITS.long_bytes), "little", signed=True)

    return read


def _float_line(stream: Stream) -> float:
    raw = stream.line()
    text = raw.partition(b"\0")[0]
    if not _FLOAT.fullmatch(raw):
        stream.odd()
    try:
        value = float(text)
        if (isinf(value) and any(digit in text for digit in b"0123456789")) or text != text.strip() or b"_" in text:
            raise ValueError  # C reports the overflow, skips no blanks and knows no underscores
        return value
    except ValueError as error:
        raise FormatError("P-PARSE", "A number of the pickle is not a number.", offset=stream.position) from error


def _float_binary(stream: Stream) -> float:
    value: float = _DOUBLE(stream.take(8))[0]
    return value


_DOUBLE = struct.Struct(">d").unpack


def _two_lines(stream: Stream) -> tuple[str, str]:
    return _decode(stream.line(), stream), _decode(stream.line(), stream)


def _one_line(stream: Stream) -> bytes:
    return stream.line()


def _frame(stream: Stream) -> int:
    count = int.from_bytes(stream.take(8), "little")
    stream.open_frame(count)
    return count


Reader = Callable[[Stream], Any]
_BIG = LIMITS.pickle
STOP = ord(".")

OPCODES: dict[int, tuple[str, Reader | None]] = {
    ord("("): ("MARK", None), ord("."): ("STOP", None), ord("0"): ("POP", None), ord("1"): ("POP_MARK", None),
    ord("2"): ("DUP", None), ord("F"): ("FLOAT", _float_line), ord("I"): ("INT", _int_line), ord("J"): ("BININT", _signed4),
    ord("K"): ("BININT1", Stream.byte), ord("L"): ("LONG", _long_line), ord("M"): ("BININT2", _unsigned(2)),
    ord("N"): ("NONE", None), ord("P"): ("PERSID", _one_line), ord("Q"): ("BINPERSID", None), ord("R"): ("REDUCE", None),
    ord("S"): ("STRING", _quoted), ord("T"): ("BINSTRING", _binstring), ord("U"): ("SHORT_BINSTRING", _short_binstring),
    ord("V"): ("UNICODE", _raw_unicode), ord("X"): ("BINUNICODE", _text(4)), ord("a"): ("APPEND", None), ord("b"): ("BUILD", None),
    ord("c"): ("GLOBAL", _two_lines), ord("d"): ("DICT", None), ord("}"): ("EMPTY_DICT", None), ord("e"): ("APPENDS", None),
    ord("g"): ("GET", _index_line), ord("h"): ("BINGET", Stream.byte), ord("i"): ("INST", _two_lines),
    ord("j"): ("LONG_BINGET", _unsigned(4)), ord("l"): ("LIST", None), ord("]"): ("EMPTY_LIST", None), ord("o"): ("OBJ", None),
    ord("p"): ("PUT", _index_line), ord("q"): ("BINPUT", Stream.byte), ord("r"): ("LONG_BINPUT", _unsigned(4)),
    ord("s"): ("SETITEM", None), ord("t"): ("TUPLE", None), ord(")"): ("EMPTY_TUPLE", None), ord("u"): ("SETITEMS", None),
    ord("G"): ("BINFLOAT", _float_binary), 0x80: ("PROTO", Stream.byte), 0x81: ("NEWOBJ", None), 0x82: ("EXT1", Stream.byte),
    0x83: ("EXT2", _unsigned(2)), 0x84: ("EXT4", _signed4), 0x85: ("TUPLE1", None), 0x86: ("TUPLE2", None), 0x87: ("TUPLE3", None),
    0x88: ("NEWTRUE", None), 0x89: ("NEWFALSE", None), 0x8A: ("LONG1", _long_binary(1)), 0x8B: ("LONG4", _long_binary(4)),
    ord("B"): ("BINBYTES", _bytes(4, _BIG)), ord("C"): ("SHORT_BINBYTES", _bytes(1, _BIG)), 0x8C: ("SHORT_BINUNICODE", _text(1)),
    0x8D: ("BINUNICODE8", _text(8)), 0x8E: ("BINBYTES8", _bytes(8, _BIG)), 0x8F: ("EMPTY_SET", None), 0x90: ("ADDITEMS", None),
    0x91: ("FROZENSET", None), 0x92: ("NEWOBJ_EX", None), 0x93: ("STACK_GLOBAL", None), 0x94: ("MEMOIZE", None),
    0x95: ("FRAME", _frame), 0x96: ("BYTEARRAY8", _bytes(8, _BIG)), 0x97: ("NEXT_BUFFER", None), 0x98: ("READONLY_BUFFER", None),
}  # fmt: skip
"""opcode byte -> (name, reader of its argument or None); all 68 of protocols 0 to 5."""


def ahead(stream: Stream, count: int) -> list[tuple[int, str, Any]]:
    """Up to `count` opcodes that follow, as (offset, name, argument), up to STOP or where they mean nothing; `stream` stays where it is."""
    fork = stream.fork()
    found: list[tuple[int, str, Any]] = []
    try:
        while len(found) < count and (not found or found[-1][1] != "STOP"):
            offset = fork.position
            name, reader = OPCODES[fork.byte()]
            found.append((offset, name, reader(fork) if reader is not None else None))
    except (FormatError, KeyError, OSError):
        pass  # whoever reads on in earnest will say it
    return found
