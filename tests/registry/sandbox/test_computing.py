"""A process that stays to compute reads the libraries and nothing else, makes no socket and no process; with and without a GPU's driver."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry.sandbox import computecalls, computing, filters
from registry.sandbox.parent import ROOT, run_child
from registry.sandbox.resident import TAIL, Resident
from tests.registry.sandbox.machine import on_linux

pytestmark = on_linux
PROGRAMS = "tests.registry.sandbox.programs:"
REFUSED = ["inet", "unix", "fork", "exec", "kill", "ptrace", "uring", "namespace", "memory of others"]
CLOSED = ["passwd", "root", "parent", "write", "list"]


def tried(*how: str) -> dict[str, Any]:
    with open(os.devnull, "rb") as nothing:
        code, answer = run_child(PROGRAMS + "compute", nothing.fileno(), how, timeout=20)
    assert code == 0, answer
    found = json.loads(answer or b"")
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module", params=["processors", "gpu", "processors, no landlock"])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("more")
    (folder / "allowed").write_text("yes")
    return {"how": request.param, **tried(request.param, str(folder))}


def test_its_layers_are_told(found: dict[str, Any]) -> None:
    assert "seccomp" in found["layers"]
    assert any(layer.startswith("landlock") for layer in found["layers"]) == ("no landlock" not in found["how"])
    assert computing.no_network(found["layers"])


@pytest.mark.parametrize("door", REFUSED)
@pytest.mark.parametrize("thread", ["own", "later"])
def test_no_socket_no_process_no_other_process(found: dict[str, Any], thread: str, door: str) -> None:
    assert found[thread][door] == "EPERM"


@pytest.mark.parametrize("door", CLOSED)
@pytest.mark.parametrize("thread", ["own", "later"])
def test_no_file_by_name(found: dict[str, Any], thread: str, door: str) -> None:
    assert found[thread][door] == ("EPERM" if "no landlock" in found["how"] else "EACCES")


def test_libraries_and_what_was_named_are_read_where_landlock_tells_names_apart(found: dict[str, Any]) -> None:
    wanted = "EPERM" if "no landlock" in found["how"] else "ALLOWED"
    assert {found["own"][door] for door in ("library", "named")} == {wanted}


def test_code_can_be_made_and_memory_is_bounded(found: dict[str, Any]) -> None:
    assert found["own"]["code"] == "ALLOWED"
    assert found["own"]["more memory"] == ("ALLOWED" if found["how"] == "gpu" else "MemoryError")


@pytest.mark.parametrize(("layers", "enough"), [(["rlimit"], False), (["landlock3"], False), (["landlock4"], True), (["seccomp"], True)])
def test_which_layers_keep_a_process_off_the_network(layers: list[str], enough: bool) -> None:
    assert computing.no_network(layers) == enough


def test_the_project_s_own_folder_is_not_among_the_libraries() -> None:
    """A hub may keep its data there; an environment inside it is read by itself."""
    readable = [Path(path) for path in computing.readable_libraries()]
    data = Path(ROOT, "var")
    assert not any(data.is_relative_to(path) for path in readable)


@pytest.mark.parametrize("machine", sorted(filters.ARCHITECTURES))
def test_every_call_has_one_number_and_no_jump_is_too_long(machine: str) -> None:
    column = filters.ARCHITECTURES[machine][1]
    tables = (filters.CALLS, filters.THREADS, computecalls.COMPUTING, computecalls.OPENING)
    allowed = [pair[column] for table in tables for pair in table.values() if pair[column] >= 0]
    refused = [pair[column] for pair in computecalls.REFUSED.values() if pair[column] >= 0]
    assert len(set(allowed)) == len(allowed)
    assert len(set(refused)) == len(refused)
    assert not set(allowed) & set(refused)
    assert max(len(computecalls.on_processors(machine, opening=True)), len(computecalls.on_gpu(machine))) < 256 - 10


class TestResident:
    @pytest.fixture
    def child(self) -> Iterator[Resident]:
        found = Resident(PROGRAMS + "stay", ["word"], environment={"ONE": "1"})
        found.socket.settimeout(20)
        yield found
        found.end()

    def test_it_is_spoken_with_and_ends_with_the_socket(self, child: Resident) -> None:
        told = json.loads(child.socket.recv(1000))
        assert (told["arguments"], set(told["environment"]) - {"LC_CTYPE"}) == (["word"], {"ONE"})
        assert told["session"] == told["pid"] == child.pid
        child.socket.close()
        assert child.wait(10) == 0

    def test_its_memory_and_last_words_are_known_and_bounded(self, child: Resident) -> None:
        child.socket.recv(1000)
        before = child.private_bytes()
        child.socket.send(b"m")
        child.socket.recv(10)
        assert child.private_bytes() - before > 40 << 20
        child.socket.send(b"p")
        child.socket.recv(10)
        words = child.last_words()
        assert words.endswith("the end \ufffd[31m")
        assert len(words) <= TAIL

    def test_it_is_ended_once_and_for_all(self, child: Resident) -> None:
        child.socket.recv(1000)
        assert child.alive
        assert child.end() == -signal.SIGKILL
        assert child.end() == -signal.SIGKILL
        assert (child.alive, child.private_bytes()) == (False, 0)

    def test_one_that_cannot_start_says_why(self) -> None:
        child = Resident("registry.sandbox.nowhere:main", [], environment={})
        child.socket.settimeout(20)
        assert child.socket.recv(10) == b""
        assert child.wait(10) == 1
        assert "No module named" in child.last_words()
        child.end()

    def test_it_dies_with_its_parent(self) -> None:
        code = "import os, sys; sys.path.insert(0, sys.argv[1]); from registry.sandbox.resident import Resident\n"
        code += f"child = Resident({PROGRAMS + 'deaf'!r}, [], environment={{}}); child.socket.recv(10)\n"
        code += "print(child.pid, flush=True); os.kill(os.getpid(), 9)"
        done = subprocess.run([sys.executable, "-c", code, ROOT], capture_output=True, timeout=30, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        end = time.monotonic() + 5
        while Path(f"/proc/{int(done.stdout)}/cmdline").exists() and time.monotonic() < end:
            time.sleep(0.02)
        assert not Path(f"/proc/{int(done.stdout)}/cmdline").exists()
