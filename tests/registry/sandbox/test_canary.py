"""What a locked child cannot do, whether it is one that only reads or one that writes and has threads."""

from __future__ import annotations

from typing import Any

import pytest

from registry.sandbox import canary, filters
from tests.registry.sandbox.machine import on_linux

pytestmark = on_linux

DOORS = ["open", "create", "socket", "fork", "clone", "exec", "kill", "stat", "code", "code later", "x32"]


@pytest.fixture(scope="module")
def reading() -> dict[str, Any]:
    return canary.probe()


@pytest.fixture(scope="module")
def writing() -> dict[str, Any]:
    return canary.probe(threads=True)


@pytest.mark.parametrize("door", DOORS)
def test_a_child_that_reads_cannot(door: str, reading: dict[str, Any]) -> None:
    assert "seccomp" in reading["sandbox"]
    assert reading["canary"][door] == "EPERM"


@pytest.mark.parametrize("door", DOORS)
def test_a_child_with_threads_cannot(door: str, writing: dict[str, Any]) -> None:
    assert "seccomp" in writing["sandbox"]
    assert writing["canary"][door] == "EPERM"


@pytest.mark.parametrize("door", DOORS)
def test_a_thread_that_it_starts_cannot_either(door: str, writing: dict[str, Any]) -> None:
    assert writing["thread"][door] == "EPERM"


def test_the_layers_are_the_same_in_both(reading: dict[str, Any], writing: dict[str, Any]) -> None:
    assert reading["sandbox"] == writing["sandbox"]
    assert "rlimit" in reading["sandbox"]


@pytest.mark.parametrize("machine", sorted(filters.ARCHITECTURES))
def test_every_call_has_one_number_and_only_what_is_asked_for_is_in(machine: str) -> None:
    tables = (filters.CALLS, filters.THREADS, filters.WRITING)
    column = filters.ARCHITECTURES[machine][1]
    numbers = [pair[column] for table in tables for pair in table.values()]
    assert len(set(numbers)) == len(numbers)
    sizes = {len(filters.program(machine, threads=threads, writing=writing)) for threads in (False, True) for writing in (False, True)}
    assert len(sizes) == 4
    assert max(sizes) < 256 - 10  # a jump is one byte
