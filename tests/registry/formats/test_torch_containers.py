"""The members of new checkpoints and the raw tail of old ones, apart from the pickles in them."""

from __future__ import annotations

import io
import struct

import pytest
import torch

from registry.formats.errors import FormatError, Unsupported
from registry.formats.strictzip import read_archive
from registry.formats.torchlegacy import read_storages
from registry.formats.torchzip import TorchArchive, open_torch
from registry.formats.window import Window
from tests.attacks.assemble import FLOATS, Part, torch_parts, zipped


def opened(data: bytes) -> TorchArchive:
    return open_torch(read_archive(Window(io.BytesIO(data))))


def test_members_of_a_real_checkpoint_are_sorted() -> None:
    raw = io.BytesIO()
    torch.save({"a": torch.arange(3.0), "b": torch.zeros(5)}, raw)
    found = opened(raw.getvalue())
    assert set(found.storages) == {"0", "1"}
    assert found.addressable
    assert found.read_pickle().startswith(b"\x80\x02")


def test_packed_storage_is_not_addressable() -> None:
    parts = torch_parts()
    parts[2].method = 8
    assert not opened(zipped(parts)).addressable


@pytest.mark.parametrize(
    "name",
    ["archive/data/00", "archive/data/x", "archive/data/0/1", "archive/extra", "archive/.data/other", "archive/more/", "archive/data.pkl/"],
)
def test_member_that_torch_never_writes_is_refused(name: str) -> None:
    with pytest.raises(FormatError, match="T-MEMBER"):
        opened(zipped([*torch_parts(), Part(name, b"")]))


@pytest.mark.parametrize("names", [["data.pkl"], ["a/other"], ["a/data.pkl", "b/version"]])
def test_other_archives_are_unsupported(names: list[str]) -> None:
    with pytest.raises(Unsupported, match="T-MEMBER"):
        opened(zipped([Part(name, b"") for name in names]))


@pytest.mark.parametrize("name", ["code/__torch__.py", "constants.pkl"])
def test_programs_are_refused_as_such(name: str) -> None:
    with pytest.raises(FormatError, match="T-SCRIPT"):
        opened(zipped([*torch_parts(), Part(f"archive/{name}", b"")]))


@pytest.mark.parametrize(
    ("name", "content"), [("version", b"x"), ("byteorder", b"middle"), (".format_version", b""), (".data/serialization_id", b"a")]
)
def test_note_with_strange_content_is_refused(name: str, content: bytes) -> None:
    parts = [part for part in torch_parts() if not part.name.endswith(name)]
    with pytest.raises(FormatError, match="T-NOTE"):
        opened(zipped([*parts, Part(f"archive/{name}", content)]))


def test_big_endian_is_unsupported() -> None:
    parts = torch_parts()
    parts[1].data = b"big"
    with pytest.raises(Unsupported, match="T-ENDIAN"):
        opened(zipped(parts))


def test_legacy_storages_lie_one_behind_the_other() -> None:
    data = b"head" + struct.pack("<q", 4) + FLOATS + struct.pack("<q", 0) + struct.pack("<q", 3) + b"abc"
    found = read_storages(Window(io.BytesIO(data)), 4, [("x", 4, 4), ("empty", 0, 4), ("y", 3, 1)])
    assert [(storage.name, storage.start, storage.size) for storage in found] == [("x", 12, 16), ("empty", 36, 0), ("y", 44, 3)]
    assert data[44:47] == b"abc"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (struct.pack("<q", 3) + FLOATS, "L-SIZE"),
        (struct.pack("<q", -4) + FLOATS, "L-SIZE"),
        (struct.pack("<q", 4) + FLOATS + b"x", "L-TRAILING"),
        (struct.pack("<q", 4) + FLOATS[1:], "F-TRUNCATED"),
        (b"abc", "F-TRUNCATED"),
    ],
)
def test_legacy_tail_that_does_not_fit_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(FormatError) as caught:
        read_storages(Window(io.BytesIO(data)), 0, [("x", 4, 4)])
    assert caught.value.code == code
