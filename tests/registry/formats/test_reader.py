"""Bytes by offset are exactly those of the file, from wherever they come; what is not there is a sentence and no short answer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.formats.errors import FormatError
from registry.formats.reader import FileReader, Reader
from registry.formats.window import Window

DATA = bytes(range(256)) * 16


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "stored"
    path.write_bytes(DATA)
    with path.open("r+b") as file:
        yield file.fileno()


def test_any_range_is_read_without_moving_the_descriptor(fd: int) -> None:
    reader = FileReader(fd)
    view = bytearray(1000)
    reader.read_into(300, memoryview(view))
    assert (bytes(view), os.lseek(fd, 0, os.SEEK_CUR)) == (DATA[300:1300], 0)
    assert isinstance(reader, Reader)


def test_a_file_that_shrinks_under_way_is_truncated(fd: int) -> None:
    reader = FileReader(fd)
    os.ftruncate(fd, 1000)
    with pytest.raises(FormatError, match="F-TRUNCATED"):
        reader.read_into(900, memoryview(bytearray(200)))


def test_a_window_over_a_reader_equals_one_over_the_file(fd: int) -> None:
    through, direct = Window(FileReader(fd)), Window(fd)
    assert (through.size, through.read(17, 100), through.part(100, 50).read(3, 4)) == (len(DATA), direct.read(17, 100), DATA[103:107])
    with pytest.raises(FormatError, match="F-TRUNCATED"):
        through.read(len(DATA) - 1, 2)
