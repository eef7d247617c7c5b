"""A virus is found wherever it is sent, success needs every byte read, and a daemon that is away or lies never yields one."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save as save_safetensors

from scanner import antivirus, run
from tests.attacks.assemble import Part, legacy, torch_parts, torch_zip, zipped
from tests.scanner.fake_clamd import MARK, FakeClamd, fake_clamd


@pytest.fixture
def clamd() -> Iterator[FakeClamd]:
    with fake_clamd() as daemon:
        yield daemon
        assert daemon.problems == []


def searched(tmp_path: Path, data: bytes, daemon: FakeClamd | str, name: str = "model.ckpt", seconds: float = 10) -> dict[str, Any]:
    path = tmp_path / "stored"
    path.write_bytes(data)
    report = run.scan_path(path, name=name)
    with path.open("rb") as file:
        return antivirus.search(file.fileno(), report, daemon if isinstance(daemon, str) else daemon.path, seconds=seconds)


def test_a_clean_file_is_sent_whole(tmp_path: Path, clamd: FakeClamd) -> None:
    data = torch_zip()
    found = searched(tmp_path, data, clamd)
    assert (found["verdict"], found["scanned_bytes"], found["total_bytes"]) == ("success", len(data), len(data))
    assert clamd.streams == [data]
    assert found["engine"].startswith("ClamAV 1.4.6/27500")


def test_a_file_of_many_frames_arrives_byte_for_byte(tmp_path: Path, clamd: FakeClamd) -> None:
    data = save_safetensors({"a": torch.arange(500_000)})
    assert searched(tmp_path, data, clamd, "a.safetensors")["verdict"] == "success"
    assert clamd.streams == [data]


def test_an_empty_file_is_no_trouble(tmp_path: Path, clamd: FakeClamd) -> None:
    assert searched(tmp_path, b"", clamd)["verdict"] == "success"
    assert clamd.streams == [b""]


@pytest.mark.parametrize("where", ["front", "end"])
def test_a_virus_is_found_with_its_name(tmp_path: Path, clamd: FakeClamd, where: str) -> None:
    noise = bytes(3 << 20)
    found = searched(tmp_path, MARK + noise if where == "front" else noise + MARK, clamd)
    assert (found["verdict"], found["signature"]) == ("danger", "Test.Mark-1")
    assert "Test.Mark-1" in found["message"]


def test_a_signature_is_told_as_short_printable_text(tmp_path: Path, clamd: FakeClamd) -> None:
    clamd.misbehave = lambda line: line.sendall("stream: a\u202eb\x1b[31m".encode() + b"<b>" + b"x" * 500 + b" FOUND\0")
    found = searched(tmp_path, b"", clamd)
    assert found["verdict"] == "danger"
    assert len(found["signature"]) == 120
    assert found["signature"].startswith("a\ufffdb\ufffd[31m<b>x")


class TestLargeFiles:
    """Files above the bound are sent in their small parts only; the bound is lowered so that tests stay small."""

    @pytest.fixture(autouse=True)
    def small_bounds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(antivirus, "WHOLE", 1000)
        monkeypatch.setattr(antivirus, "SMALL", 40_000)

    def checkpoint(self, weights: bytes = bytes(4000), note: bytes = b"3\n") -> bytes:
        from tests.attacks.assemble import mapping, pickled, storage, tensor

        pickle = pickled(mapping(weight=tensor(storage(count=len(weights) // 4), shape=(len(weights) // 4,), stride=(1,))))
        return zipped([*torch_parts(pickle, {"0": weights})[:-1], Part("archive/version", note)])

    def test_of_a_checkpoint_everything_but_the_weights_is_sent(self, tmp_path: Path, clamd: FakeClamd) -> None:
        found = searched(tmp_path, self.checkpoint(), clamd)
        assert found["verdict"] == "partial"
        assert found["scanned_bytes"] == sum(map(len, clamd.streams)) < found["total_bytes"]
        assert len(clamd.streams) == 3
        assert b"little" in clamd.streams
        assert "weights not AV-scanned (4." in found["message"]

    def test_what_hides_in_the_weights_is_not_called_clean(self, tmp_path: Path, clamd: FakeClamd) -> None:
        assert searched(tmp_path, self.checkpoint(MARK + bytes(4000 - len(MARK))), clamd)["verdict"] == "partial"

    def test_a_virus_beside_the_weights_is_found(self, tmp_path: Path, clamd: FakeClamd) -> None:
        bundle = self.checkpoint(note=MARK)
        path = tmp_path / "stored"
        path.write_bytes(bundle)
        with path.open("rb") as file:  # as a kind of archive would be that may carry other parts: judged sound
            found = antivirus.search(file.fileno(), {"verdict": "suspicious"}, clamd.path)
        assert (found["verdict"], found["signature"]) == ("danger", "Test.Mark-1")

    def test_an_archive_that_was_not_judged_sound_is_not_opened(self, tmp_path: Path, clamd: FakeClamd) -> None:
        data = self.checkpoint()[:-1]
        assert searched(tmp_path, data, clamd)["verdict"] == "success", "40 kB of it are all of it"
        assert clamd.streams == [data]

    def test_of_safetensors_the_header_is_sent(self, tmp_path: Path, clamd: FakeClamd) -> None:
        data = save_safetensors({"a": torch.zeros(1000)}, {"note": MARK.decode()})
        found = searched(tmp_path, data, clamd, "a.safetensors")
        assert found["verdict"] == "danger"
        (sent,) = clamd.streams
        assert sent == data[: len(data) - 4000]

    def test_of_an_old_checkpoint_the_pickles_are_sent(self, tmp_path: Path, clamd: FakeClamd) -> None:
        data = legacy()
        stored = io.BytesIO()
        torch.save({"a": torch.zeros(1000)}, stored, _use_new_zipfile_serialization=False)
        data = stored.getvalue()
        found = searched(tmp_path, data, clamd)
        assert found["verdict"] == "partial"
        assert clamd.streams == [data[:-4000]]

    def test_of_anything_else_only_the_beginning_is_sent(self, tmp_path: Path, clamd: FakeClamd) -> None:
        found = searched(tmp_path, bytes(100_000), clamd)
        assert (found["verdict"], found["scanned_bytes"]) == ("partial", 40_000)

    def test_a_part_beyond_the_daemons_limits_is_an_error(self, tmp_path: Path) -> None:
        with fake_clamd(stream_limit=10) as daemon:
            found = searched(tmp_path, self.checkpoint(), daemon)
        assert found["verdict"] == "error"
        assert "limits" in found["message"]


def test_gigabytes_of_weights_cost_the_daemon_a_header(tmp_path: Path, clamd: FakeClamd) -> None:
    header = b'{"a":{"dtype":"F32","shape":[750000000],"data_offsets":[0,3000000000]}}'
    path = tmp_path / "stored"
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 3_000_000_000)
    report = run.scan_path(path, name="a.safetensors")
    assert report["verdict"] == "success"
    with path.open("rb") as file:
        found = antivirus.search(file.fileno(), report, clamd.path)
    assert (found["verdict"], found["scanned_bytes"]) == ("partial", 8 + len(header))
    assert "weights not AV-scanned (3.0 GB)" in found["message"]
    assert [len(stream) for stream in clamd.streams] == [8 + len(header)]


@pytest.mark.parametrize("options", [{"stream_limit": 100_000}, {"read_limit": 100_000}])
def test_a_file_beyond_the_daemons_limits_is_never_a_success(tmp_path: Path, options: dict[str, int]) -> None:
    data = save_safetensors({"a": torch.zeros(1 << 19)})
    with fake_clamd(**options) as daemon:
        found = searched(tmp_path, data, daemon, "a.safetensors")
    assert found["verdict"] == "partial"
    assert found["scanned_bytes"] < 1000
    assert "weights not AV-scanned (2.1 MB)" in found["message"]


def test_no_socket_is_trouble(tmp_path: Path) -> None:
    with pytest.raises(antivirus.Unreachable):
        searched(tmp_path, torch_zip(), str(tmp_path / "nothing.sock"))


def close_at_once(line: socket.socket) -> None:
    line.close()


def die_in_the_middle(line: socket.socket) -> None:
    line.recv(1000)
    line.close()


def flood(line: socket.socket) -> None:
    for _ in range(1000):
        line.sendall(b"stream: " * 1000)


def saying(text: bytes) -> Callable[[socket.socket], None]:
    def answer(line: socket.socket) -> None:
        while line.recv(1 << 20)[-4:] != bytes(4):
            pass
        line.sendall(text)

    return answer


def early_ok(line: socket.socket) -> None:
    line.sendall(b"stream: OK\0")
    line.close()


@pytest.mark.parametrize(
    "behaviour",
    [
        close_at_once,
        die_in_the_middle,
        flood,
        early_ok,
        saying(b""),
        saying(b"stream: OK"),
        saying(b"stream: OK\nstream: Evil FOUND\0"),
        saying(b"OK\0"),
        saying(b"stream:  FOUND\0"),
        saying(b"stream: Can't allocate memory ERROR\0"),
        saying(b"\xff\xfe\0"),
        saying(b"HTTP/1.1 200 OK\r\n\r\n\0"),
    ],
)
def test_a_daemon_that_dies_or_talks_nonsense_is_trouble(
    tmp_path: Path, clamd: FakeClamd, behaviour: Callable[[socket.socket], None]
) -> None:
    clamd.misbehave = behaviour
    with pytest.raises(antivirus.Unreachable):
        searched(tmp_path, save_safetensors({"a": torch.zeros(1 << 20)}), clamd, "a.safetensors", seconds=2)


def test_a_socket_that_is_no_clamd_is_trouble(tmp_path: Path) -> None:
    with fake_clamd(version=b"220 mail.example.org ready\0") as other, pytest.raises(antivirus.Unreachable):
        searched(tmp_path, torch_zip(), other)


def test_a_daemon_that_never_answers_is_given_up_in_time(tmp_path: Path, clamd: FakeClamd) -> None:
    clamd.misbehave = lambda line: time.sleep(3)
    started = time.monotonic()
    with pytest.raises(antivirus.Unreachable):
        searched(tmp_path, torch_zip(), clamd, seconds=0.5)
    assert time.monotonic() - started < 3


def test_a_daemon_that_never_reads_is_given_up_in_time(tmp_path: Path, clamd: FakeClamd) -> None:
    clamd.misbehave = lambda line: time.sleep(3)
    with pytest.raises(antivirus.Unreachable):
        searched(tmp_path, save_safetensors({"a": torch.zeros(1 << 22)}), clamd, "a.safetensors", seconds=0.5)
