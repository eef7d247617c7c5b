"""A child reads through its parent exactly what its parent would read, and learns when that has trouble."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

import pytest

from registry.sandbox.parent import run_child
from registry.sandbox.ranges import PIECE, Serving
from tests.registry.sandbox.machine import on_linux

pytestmark = on_linux
PROGRAMS = "tests.registry.sandbox.programs:"


class Bytes:
    """A `Reader` over memory."""

    def __init__(self, data: bytes) -> None:
        self.data, self.size, self.asked = data, len(data), 0

    def read_into(self, offset: int, view: memoryview) -> None:
        self.asked += 1
        view[:] = self.data[offset : offset + len(view)]


class Broken(Bytes):
    def read_into(self, offset: int, view: memoryview) -> None:
        raise ConnectionError("the store is away")


def ask(entry: str, serving: Serving, argument: int) -> Any:
    code, answer = run_child(PROGRAMS + entry, serving.fds, [str(argument)], timeout=20)
    assert code == 0
    return json.loads(answer or b"")


def test_threads_of_a_child_read_the_bytes_that_its_parent_serves() -> None:
    reader = Bytes(os.urandom(3 * PIECE + 12345))
    with Serving(reader) as serving:
        found = ask("read_ranges", serving, reader.size)
    assert found["digest"] == hashlib.sha256(reader.data).hexdigest()
    assert "F-TRUNCATED" in found["behind"]
    assert serving.trouble is None
    assert reader.asked == 5


def test_trouble_of_the_store_ends_the_child_and_is_kept() -> None:
    with Serving(Broken(b"x" * 100)) as serving:
        assert ask("read_what_fails", serving, 100)["errno"] == 5
    assert isinstance(serving.trouble, ConnectionError)


@pytest.mark.parametrize("offset", [100, 1 << 63, (1 << 64) - 1])
def test_a_child_that_asks_for_more_than_there_is_gets_nothing(offset: int) -> None:
    reader = Bytes(b"x" * 100)
    with Serving(reader) as serving:
        assert ask("ask_behind_the_end", serving, offset)["answer"] == ""
    assert reader.asked == 0


def test_serving_ends_when_nobody_asks() -> None:
    with Serving(Bytes(b"x")):
        pass
