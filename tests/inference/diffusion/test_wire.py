"""Frames arrive whole with their files, and nothing over a bound is taken."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from inference.diffusion import wire

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_frame_of_any_size_arrives_whole(pair: Pair) -> None:
    ours, theirs = pair
    header, blob = {"say": "ünïcode", "list": list(range(100_000))}, os.urandom(3 << 20)
    thread = threading.Thread(target=wire.send, args=(ours, header, blob))
    thread.start()
    frame = wire.receive(theirs, most_blob=wire.MAX_PICTURE)
    thread.join()
    assert frame is not None
    assert (frame.header, frame.blob, frame.fds) == (header, blob, [])


def test_open_files_come_with_it_and_belong_to_the_receiver(pair: Pair, tmp_path: os.PathLike[str]) -> None:
    ours, theirs = pair
    for name in ("a", "b"):
        with open(os.path.join(tmp_path, name), "w+") as file:
            file.write(name)
            file.flush()
            wire.send(ours, {"ask": name}, fds=[file.fileno()])
    for name in ("a", "b"):
        frame = wire.receive(theirs)
        assert frame is not None
        assert frame.header == {"ask": name}
        assert os.pread(frame.fds[0], 10, 0) == name.encode()
        assert not os.get_inheritable(frame.fds[0])
        os.close(frame.fds[0])


def test_the_end_is_told_from_an_end_inside(pair: Pair) -> None:
    ours, theirs = pair
    wire.send(ours, {"ask": 1})
    ours.sendall(wire.LENGTHS.pack(10, 0) + b"{")
    ours.close()
    assert wire.receive(theirs) == wire.Frame({"ask": 1})
    with pytest.raises(wire.Broken, match="inside"):
        wire.receive(theirs)
    assert wire.receive(theirs) is None


@pytest.mark.parametrize(
    "text", [b"[]", b"nothing", b'{"x": NaN}', b'{"x": -1e999}', b"[" * 100_000, b"\xff", b'{"x": ' + b"9" * 5000 + b"}"]
)
def test_what_is_no_object_is_refused(pair: Pair, text: bytes) -> None:
    ours, theirs = pair
    ours.sendall(wire.LENGTHS.pack(len(text), 0) + text)
    with pytest.raises(wire.Broken):
        wire.receive(theirs)


@pytest.mark.parametrize("lengths", [(1001, 0), (10, 1), (0xFFFFFFFF, 0xFFFFFFFF)])
def test_nothing_over_a_bound_is_waited_for(pair: Pair, lengths: tuple[int, int]) -> None:
    ours, theirs = pair
    ours.sendall(wire.LENGTHS.pack(*lengths))
    with pytest.raises(wire.Broken, match="a frame of"):
        wire.receive(theirs, most=1000)


def test_more_files_than_are_taken_are_refused_and_closed(pair: Pair) -> None:
    ours, theirs = pair
    before = len(os.listdir("/proc/self/fd"))
    wire.send(ours, {}, fds=[0, 0, 0])
    with pytest.raises(wire.Broken, match="files"):
        wire.receive(theirs, files=1)
    wire.send(ours, {}, fds=[0])
    with pytest.raises(wire.Broken, match="files"):
        wire.receive(theirs, files=0)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_frame_that_drips_is_not_waited_for_without_end(pair: Pair) -> None:
    ours, theirs = pair
    theirs.settimeout(0.3)
    ours.sendall(wire.LENGTHS.pack(1000, 0))
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.05):
            ours.sendall(b" ")

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        with pytest.raises(TimeoutError):
            wire.receive(theirs)
    finally:
        stop.set()
        thread.join()


def test_what_no_frame_may_carry_is_not_sent(pair: Pair) -> None:
    ours, _ = pair
    with pytest.raises(ValueError, match="JSON"):
        wire.send(ours, {"x": float("nan")})
    with pytest.raises(ValueError, match="too much"):
        wire.send(ours, {}, fds=[0] * (wire.MAX_FILES + 1))
