"""New files and how they are filled: whole under their name or not there, the same bytes whichever way they go to the disk."""

from __future__ import annotations

import errno
import os
import threading
import zlib
from pathlib import Path

import pytest

from inference.weights.newfile import NewFile
from inference.weights.sink import Section, Sink
from registry.formats.hashes import hash_file

BLOCK = 1 << 16


def pattern(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


@pytest.fixture(params=["direct", "buffered"])
def new(request: pytest.FixtureRequest, tmp_path: Path):
    with NewFile(tmp_path / "out") as file:
        if request.param == "direct" and file.direct_fd is None:
            pytest.skip("the file system of the temporary folder refuses O_DIRECT")
        if request.param == "buffered" and file.direct_fd is not None:
            os.close(file.direct_fd)
            file.direct_fd = None
        yield file


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 9 * BLOCK + 4097])
def test_what_is_written_is_what_lies_there(new: NewFile, size: int) -> None:
    data = pattern(size)
    with Sink(new.fd, new.direct_fd, size, block=BLOCK) as sink:
        for at in range(0, size, 50_000):
            sink.write(data[at : at + 50_000])
        hashes = sink.finish()
    new.publish()
    assert new.target.read_bytes() == data
    assert hashes == hash_file(new.target)


def test_memory_may_be_used_again_after_each_write(new: NewFile) -> None:
    buffer = bytearray(30_000)
    with Sink(new.fd, new.direct_fd, 20 * 30_000, hashes=False, block=BLOCK) as sink:
        for number in range(20):
            buffer[:] = bytes([number]) * 30_000
            sink.write(memoryview(buffer))
        sink.sync()
    new.publish()
    assert new.target.read_bytes() == b"".join(bytes([number]) * 30_000 for number in range(20))


def test_sections_have_the_size_and_checksum_of_what_was_handed_over(new: NewFile) -> None:
    parts = [b"head", b"", pattern(BLOCK + 5), b""]
    with Sink(new.fd, new.direct_fd, sum(map(len, parts)), block=BLOCK) as sink:
        for part in parts:
            sink.begin()
            sink.write(part[:3])
            sink.write(part[3:], crc=zlib.crc32(part))
        sink.finish()
    assert sink.sections == [Section(len(part), zlib.crc32(part)) for part in parts]


def test_what_is_written_before_any_section_is_one(new: NewFile) -> None:
    with Sink(new.fd, new.direct_fd, 7, hashes=False) as sink:
        sink.write(b"head")
        sink.begin()
        sink.write(b"abc")
        sink.sync()
    assert [section.size for section in sink.sections] == [4, 3]


def test_space_is_taken_at_the_start(new: NewFile) -> None:
    with Sink(new.fd, new.direct_fd, 1 << 20, hashes=False):
        assert os.fstat(new.fd).st_blocks * 512 >= 1 << 20


def test_less_or_more_than_was_announced_is_an_error(new: NewFile) -> None:
    for written in (b"ab", b"abcd"):
        with Sink(new.fd, new.direct_fd, 3, hashes=False) as sink:
            sink.write(written)
            with pytest.raises(ValueError, match=f"{len(written)} bytes were written where 3 were announced"):
                sink.sync()


def test_a_sink_without_hashes_has_none_to_give(new: NewFile) -> None:
    with Sink(new.fd, new.direct_fd, 0, hashes=False) as sink, pytest.raises(RuntimeError, match="without hashes"):
        sink.finish()


def test_an_error_of_the_disk_reaches_the_writer_and_ends_every_thread(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    fd = os.open(tmp_path / "a", os.O_RDWR)
    before = threading.active_count()
    try:
        sink = Sink(fd, None, 1 << 20, block=4096)
        os.close(fd)
        fd = os.open(tmp_path / "a", os.O_RDONLY)  # the same number: now a file that cannot be written
        with pytest.raises(OSError, match="Bad file") as raised, sink:
            sink.write(bytes(1 << 20))
    finally:
        os.close(fd)
    assert raised.value.errno == errno.EBADF
    assert threading.active_count() == before


def test_where_direct_writing_is_refused_the_bytes_go_the_other_way(tmp_path: Path) -> None:
    """Some network file systems open with O_DIRECT and refuse the first write: so does any for a block that is not aligned."""
    with NewFile(tmp_path / "out") as new:
        if new.direct_fd is None:
            pytest.skip("the file system of the temporary folder refuses O_DIRECT")
        with Sink(new.fd, new.direct_fd, 10_000, block=1000) as sink:
            sink.write(pattern(10_000))
            sink.finish()
        new.publish()
    assert (tmp_path / "out").read_bytes() == pattern(10_000)


def test_no_block_is_said_to_lie_on_the_disk_before_those_in_front_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first block is held until the second has landed, which two writers make possible."""
    told: list[int] = []
    heard, write = threading.Event(), os.pwrite

    def landed(offset: int) -> None:
        told.append(offset)
        heard.set()

    def late(fd: int, data: memoryview, offset: int) -> int:
        assert offset or heard.wait(30)
        return write(fd, data, offset)

    with NewFile(tmp_path / "out") as new:
        if new.direct_fd is None:
            pytest.skip("the file system of the temporary folder refuses O_DIRECT")
        monkeypatch.setattr(os, "pwrite", late)
        with Sink(new.fd, new.direct_fd, 3 * BLOCK, hashes=False, block=BLOCK, landed=landed) as sink:
            sink.write(pattern(3 * BLOCK))
            sink.sync()
        new.publish()
    assert told[0] == 0
    assert told == sorted(told)
    assert told[-1] == 3 * BLOCK
    assert new.target.read_bytes() == pattern(3 * BLOCK)


def test_a_file_in_memory_is_written_too() -> None:
    folder = Path("/dev/shm")  # a tmpfs, which older kernels refuse to open with O_DIRECT
    if not os.access(folder, os.W_OK):
        pytest.skip("there is no tmpfs to write to")
    target = folder / f"weights-sink-{os.getpid()}"
    try:
        with NewFile(target) as new, Sink(new.fd, new.direct_fd, 3 * BLOCK + 1, block=BLOCK) as sink:
            sink.write(pattern(3 * BLOCK + 1))
            sink.finish()
            new.publish()
        assert target.read_bytes() == pattern(3 * BLOCK + 1)
    finally:
        target.unlink(missing_ok=True)


def test_an_unpublished_file_leaves_nothing_behind(tmp_path: Path) -> None:
    open_before = set(os.listdir("/proc/self/fd"))
    with NewFile(tmp_path / "out") as new:
        os.write(new.fd, b"half")
        assert os.listdir(tmp_path) == [new.temporary.name]
    assert os.listdir(tmp_path) == []
    assert set(os.listdir("/proc/self/fd")) == open_before


def test_the_old_file_stays_until_the_new_one_is_published(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"old")
    with NewFile(tmp_path / "out") as new:
        os.write(new.fd, b"new")
        assert (tmp_path / "out").read_bytes() == b"old"
        new.publish()
    assert (tmp_path / "out").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["out"]


def test_a_missing_folder_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), NewFile(tmp_path / "nowhere" / "out"):
        pass
