"""Exact reads from descriptors and file objects, and text that is safe to show."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from registry.formats.cursor import Cursor
from registry.formats.errors import FormatError
from registry.formats.plaintext import is_plain, printable
from registry.formats.window import Window


def test_reads_are_exact_and_leave_the_position(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    with path.open("rb") as file:
        window = Window(file.fileno())
        assert (window.size, window.read(3, 4), window.read(10, 0)) == (10, b"3456", b"")
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 0
        assert Window(file).read(8, 2) == b"89"


@pytest.mark.parametrize(("offset", "count"), [(0, 4), (4, 1), (-1, 1), (0, -1), (1 << 70, 1)])
def test_read_past_the_end_is_a_format_error(offset: int, count: int) -> None:
    with pytest.raises(FormatError, match="F-TRUNCATED"):
        Window(io.BytesIO(b"abc")).read(offset, count)


def test_file_that_shrinks_is_a_format_error(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    with path.open("rb") as file:
        window = Window(file.fileno())
        os.truncate(path, 5)
        with pytest.raises(FormatError, match="F-TRUNCATED"):
            window.read(0, 10)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü 漢", "plain ü 漢"),
        ("a\u202eb", "a\ufffdb"),
        ("\x1b[2J", "\ufffd[2J"),
        ("\ud800", "\ufffd"),
        ("a\nb\0", "a\ufffdb\ufffd"),
        ("", ""),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_long_text_is_cut() -> None:
    assert printable("x" * 500, 10) == "x" * 9 + "…"
    assert printable("x" * 10, 10) == "x" * 10


@pytest.mark.parametrize(("text", "answer"), [("a b.c", True), ("\u200b", True), ("\0", False), ("\x7f", False), ("\udfff", False)])
def test_is_plain(text: str, answer: bool) -> None:
    assert is_plain(text) is answer


def test_a_part_of_a_window_knows_nothing_of_the_rest() -> None:
    whole = Window(io.BytesIO(b"0123456789"))
    part = whole.part(2, 5)
    assert (part.size, part.read(0, 5), part.part(1, 3).read(2, 1)) == (5, b"23456", b"5")
    for start, size in ((0, 6), (5, 1), (-1, 1)):
        with pytest.raises(FormatError, match="F-TRUNCATED"):
            part.read(start, size)
        with pytest.raises(FormatError, match="F-TRUNCATED"):
            part.part(start, size)


def test_a_cursor_goes_on_across_its_buffer() -> None:
    data = bytes(range(256)) * 4096
    cursor = Cursor(Window(io.BytesIO(data)), 1)
    assert b"".join(cursor.take(1000) for _ in range(1048)) == data[1:1_048_001]
    cursor.skip(cursor.left - 2)
    assert cursor.number(2) == 0xFFFE
    with pytest.raises(FormatError, match="F-TRUNCATED"):
        cursor.take(1)
