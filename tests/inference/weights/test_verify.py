"""A file that does not read back as it was written is never published: every byte counts."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from inference.weights.convert import Output, write_outputs
from inference.weights.header import header_bytes
from inference.weights.newfile import NewFile
from inference.weights.plan import make_plan
from inference.weights.recipe import Recipe
from inference.weights.sink import Sink
from inference.weights.verify import BLOCK, Follow, WrongOutput
from registry.formats.directory import TensorDirectory
from tests import tiny

PLAIN = {"format": "pt"}


class Written:
    """A small file that was written and can be damaged before it is read back."""

    def __init__(self, folder: Path, new: NewFile) -> None:
        source = folder / "a.safetensors"
        save_file({"large": torch.arange(700_000.0), "empty": torch.zeros(0, 4), "small": torch.ones(3), "z": torch.zeros(0)}, source)
        directory: TensorDirectory = tiny.read_directory(source)
        self.tensors = make_plan(directory, Recipe()).tensors
        self.header, self.new = header_bytes(self.tensors, PLAIN), new
        data = source.read_bytes()[-sum(item.nbytes for item in self.tensors) :]
        with Sink(new.fd, new.direct_fd, len(self.header) + len(data), hashes=False) as sink:
            sink.begin()
            sink.write(self.header)
            for item in self.tensors:
                sink.begin()
                sink.write(data[: item.nbytes])
                data = data[item.nbytes :]
            sink.sync()
        self.sections, self.size = sink.sections, sum(section.size for section in sink.sections)

    def reread(self, direct: bool = True) -> int:
        """Bytes that were compared."""
        with Follow(self.new.fd, self.new.direct_fd if direct else None, [section.size for section in self.sections]) as follow:
            follow.reached(self.size)
            follow.check(self.header, self.sections, self.tensors)
            return follow.done


@pytest.fixture
def written(tmp_path: Path):
    with NewFile(tmp_path / "out") as new:
        yield Written(tmp_path, new)


@pytest.mark.parametrize("direct", [True, False])
def test_a_good_file_passes_and_its_bytes_are_counted(written: Written, direct: bool) -> None:
    assert written.size > BLOCK
    assert written.reread(direct) == written.size


@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("place", ["length", "header", "first", "middle", "last"])
def test_one_wrong_bit_is_found_wherever_it_lies(written: Written, place: str, direct: bool) -> None:
    start = len(written.header)
    at = {"length": 0, "header": start - 1, "first": start, "middle": BLOCK, "last": written.size - 1}[place]
    (byte,) = os.pread(written.new.fd, 1, at)
    os.pwrite(written.new.fd, bytes([byte ^ 4]), at)
    os.fsync(written.new.fd)
    what = {"length": "the header", "header": "the header", "first": "large", "middle": "large", "last": "small"}[place]
    with pytest.raises(WrongOutput, match=what):
        written.reread(direct)


@pytest.mark.parametrize("change", [-1, 1])
def test_another_length_is_found(written: Written, change: int) -> None:
    os.ftruncate(written.new.fd, written.size + change)
    with pytest.raises(WrongOutput, match="not as long"):
        written.reread()


def test_a_header_that_says_something_else_than_the_plan_is_found(written: Written) -> None:
    written.tensors = written.tensors[::-1]
    with pytest.raises(WrongOutput, match="not those that were planned"):
        written.reread()


def test_a_header_that_the_strict_reader_refuses_is_found(tmp_path: Path) -> None:
    header = b"\x02\0\0\0\0\0\0\0{]"
    with NewFile(tmp_path / "out") as new:
        with Sink(new.fd, new.direct_fd, len(header), hashes=False) as sink:
            sink.write(header)
            sink.sync()
        with Follow(new.fd, new.direct_fd, [len(header)]) as follow:
            follow.reached(len(header))
            with pytest.raises(WrongOutput, match="refused by our own reader"):
                follow.check(header, sink.sections, [])


def test_a_file_damaged_before_it_was_read_back_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "a.safetensors"
    save_file({"w": torch.zeros(10_000_000)}, source)
    directory = tiny.read_directory(source)

    def damage(done: int, total: int) -> None:
        if done > total / 4:  # more than all the blocks in flight: the first of them was written
            os.pwrite(new.fd, b"!", 400)

    with NewFile(tmp_path / "b") as new:
        output = Output(Recipe(), PLAIN, new.fd)  # without direct writing it is read back after all is written
        with pytest.raises(WrongOutput, match="w read back is not what was written"):
            write_outputs(source, directory, [output], progress=damage)
    assert os.listdir(tmp_path) == ["a.safetensors"]


@pytest.mark.parametrize("direct", [True, False])
def test_a_file_is_read_behind_its_writer_and_never_before_him(tmp_path: Path, direct: bool) -> None:
    block, size = 1 << 20, (5 << 20) + 77
    with NewFile(tmp_path / "out") as new:
        if direct and new.direct_fd is None:
            pytest.skip("the file system of the temporary folder refuses O_DIRECT")
        direct_fd = new.direct_fd if direct else None
        with Follow(new.fd, direct_fd, [size]) as follow:
            with Sink(new.fd, direct_fd, size, hashes=False, block=block, landed=follow.reached) as sink:
                for at in range(0, size, block):
                    assert follow.done <= at
                    sink.write(os.urandom(min(block, size - at)))
                assert not follow.ended(0)
                sink.sync()
            assert follow.ended(60)
            assert follow.done == size


def test_a_reader_whose_writer_gave_up_ends(tmp_path: Path) -> None:
    before = threading.active_count()
    with NewFile(tmp_path / "out") as new, Follow(new.fd, new.direct_fd, [1 << 30]) as follow:
        assert not follow.ended(0.05)
    assert threading.active_count() == before


def test_a_wrong_file_spoils_the_whole_pass(tmp_path: Path) -> None:
    """Two outputs on one file overwrite each other: neither can be believed."""
    source = tiny.plain_checkpoint(tmp_path / "a.safetensors")
    directory = tiny.read_directory(source)
    with NewFile(tmp_path / "b") as new:
        outputs = [Output(recipe, PLAIN, new.fd, new.direct_fd) for recipe in (Recipe(), Recipe("all", "bf16"))]
        with pytest.raises(WrongOutput):
            write_outputs(source, directory, outputs)
    assert os.listdir(tmp_path) == ["a.safetensors"]
