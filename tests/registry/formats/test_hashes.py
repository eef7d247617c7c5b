"""The hashes against hashlib, zlib, blake3 and safetensors themselves, at every size where a definition changes."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pty
import random
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from blake3 import blake3
from safetensors.numpy import save

from registry.formats.hashes import CHUNK, RING, Hasher, hash_file

MIB = 1 << 20


def some_bytes(size: int) -> bytes:
    return random.Random(size).randbytes(size)


@pytest.mark.parametrize("size", [0, 1, 8, 9, CHUNK - 1, CHUNK, CHUNK + 1, 2 * MIB - 1, 2 * MIB, CHUNK * (RING + 2) + 77])
def test_whole_file_hashes_equal_the_libraries_own(tmp_path: Path, size: int) -> None:
    data = some_bytes(size)
    path = tmp_path / "file.bin"
    path.write_bytes(data)
    hashes = hash_file(path)
    assert hashes.size_bytes == size
    assert hashes.sha256 == hashlib.sha256(data).hexdigest()
    assert hashes.blake3 == blake3(data).hexdigest()
    assert hashes.crc32 == zlib.crc32(data)
    assert hashes.as_dict()["AutoV2"] == hashlib.sha256(data).hexdigest()[:10].upper()


def test_autov1_is_the_window_at_one_mebibyte(tmp_path: Path) -> None:
    data = some_bytes(2 * MIB)
    assert hash_file(io.BytesIO(data)).as_dict()["AutoV1"] == hashlib.sha256(data[0x100000:0x110000]).hexdigest()[:8].upper()


def test_autov1_is_absent_under_two_mebibytes() -> None:
    assert "AutoV1" not in hash_file(io.BytesIO(some_bytes(2 * MIB - 1))).as_dict()


def test_crc32_is_printed_little_endian_as_civitai_does() -> None:
    hashes = hash_file(io.BytesIO(b"hello world"))
    assert (hashes.crc32, hashes.as_dict()["CRC32"]) == (0x0D4A1185, "85114A0D")


@pytest.mark.parametrize("piece", [1, 7, 1000, 1 << 20])
def test_autov3_starts_after_the_header_however_the_bytes_arrive(piece: int) -> None:
    blob = save({"a": np.arange(3000, dtype=np.float32), "b": np.ones((4, 4), np.int64)}, {"note": "x"})
    after = 8 + int.from_bytes(blob[:8], "little")
    hasher = Hasher()
    for at in range(0, len(blob), piece):
        hasher.update(blob[at : at + piece])
    hashes = hasher.finish()
    assert hashes.data_sha256 == hashlib.sha256(blob[after:]).hexdigest()
    assert hashes.as_dict()["AutoV3"] == hashlib.sha256(blob[after:]).hexdigest()[:12].upper()
    assert hashes.sha256 == hashlib.sha256(blob).hexdigest()


def test_autov3_does_not_change_with_metadata() -> None:
    tensors = {"a": np.arange(30, dtype=np.float32)}
    one, other = (hash_file(io.BytesIO(save(tensors, {"title": title}))) for title in ("one", "another title"))
    assert one.autov3 == other.autov3
    assert one.sha256 != other.sha256


@pytest.mark.parametrize(
    "blob",
    [
        pytest.param(b"PK\x03\x04" + bytes(100), id="zip"),
        pytest.param(b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20" + bytes(100), id="legacy torch"),
        pytest.param((2).to_bytes(8, "little") + b"{}", id="header without data"),
        pytest.param((500).to_bytes(8, "little") + b"{}" + bytes(20), id="header longer than the file"),
        pytest.param(b"\x00" * 5, id="five bytes"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_autov3_is_absent_where_there_is_no_safetensors_data(blob: bytes) -> None:
    assert "AutoV3" not in hash_file(io.BytesIO(blob)).as_dict()


def test_copy_is_made_and_progress_told_in_the_same_read(tmp_path: Path) -> None:
    data = some_bytes(CHUNK * 3 + 5)
    seen: list[int] = []
    with open(tmp_path / "copy", "wb", buffering=0) as copy:
        hash_file(io.BytesIO(data), copy_to=copy, progress=seen.append)
    assert (tmp_path / "copy").read_bytes() == data
    assert seen == [CHUNK, 2 * CHUNK, 3 * CHUNK, 3 * CHUNK + 5]


def test_open_file_is_hashed_from_where_it_stands() -> None:
    source = io.BytesIO(b"skipped" + b"counted")
    source.seek(7)
    assert hash_file(source).sha256 == hashlib.sha256(b"counted").hexdigest()


def test_error_of_the_copy_is_raised(tmp_path: Path) -> None:
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError, match="No space"):
        hash_file(io.BytesIO(some_bytes(CHUNK)), copy_to=full)


def command(*arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, "-m", "registry.formats.hashes", *arguments], input=data, capture_output=True, check=False)
    return subprocess.CompletedProcess(arguments, done.returncode, done.stdout.decode(), done.stderr.decode())


def test_command_prints_the_hashes(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"hello world")
    done = command(str(tmp_path / "f"))
    told = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert (told["size_bytes"], told["CRC32"]) == (11, "85114A0D")
    assert told["SHA256"] == hashlib.sha256(b"hello world").hexdigest().upper()


def test_command_reads_standard_input_and_tells_of_tensors() -> None:
    done = command("-", "--tensors", data=save({"a": np.arange(4, dtype=np.uint8)}))
    assert json.loads(done.stdout)["tensors"] == {"a": blake3(bytes(range(4))).hexdigest()[:32]}


def test_command_says_in_a_sentence_which_files_cannot_be_read_and_goes_on_with_the_others(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"hello world")
    done = command(str(tmp_path / "none"), str(tmp_path), str(tmp_path / "f"))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"{tmp_path}/none cannot be read: No such file or directory.",
        f"{tmp_path} cannot be read: Is a directory.",
    ]
    assert [told["file"] for told in json.loads(done.stdout)] == [f"{tmp_path}/f"]


def test_command_checks_a_hash_of_any_kind(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"hello world")
    assert command(str(tmp_path / "f"), "--check", hashlib.sha256(b"hello world").hexdigest()).returncode == 0
    assert command(str(tmp_path / "f"), "--check", "85114a0d").returncode == 0
    done = command(str(tmp_path / "f"), "--check", "deadbeef")
    assert (done.returncode, "is another file" in done.stderr) == (1, True)


def test_command_prints_a_table_on_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"hello world")
    ours, theirs = pty.openpty()
    with open(ours, "rb", buffering=0) as screen:
        subprocess.run([sys.executable, "-m", "registry.formats.hashes", str(tmp_path / "f")], stdout=theirs, check=True)
        os.close(theirs)
        shown = screen.read(4096).decode()
    assert shown.startswith(f"{tmp_path}/f: 11 bytes")
    assert "CRC32    85114A0D" in shown


def test_error_of_the_source_is_raised() -> None:
    class Failing(io.RawIOBase):
        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        hash_file(Failing())  # type: ignore[arg-type]
