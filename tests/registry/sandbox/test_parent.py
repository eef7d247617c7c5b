"""A child gets what it is given and nothing else, is heard with suspicion, and is dead when its time or its work is over."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from registry.sandbox import parent
from registry.sandbox.parent import Cancelled, run_child
from tests.processes import is_alive
from tests.registry.sandbox.machine import on_linux

pytestmark = on_linux
PROGRAMS = "tests.registry.sandbox.programs:"


def ask(entry: str, *arguments: str, **wanted: Any) -> dict[str, Any]:
    with open(os.devnull, "rb") as nothing:
        code, answer = run_child(PROGRAMS + entry, nothing.fileno(), arguments, timeout=wanted.pop("timeout", 20), **wanted)
    assert code == 0
    found = json.loads(answer or b"")
    assert isinstance(found, dict)
    return found


def test_orders_of_any_length_arrive_whole() -> None:
    long = os.urandom(1000) * 20_000
    found = ask("echo", told=long)
    assert (found["size"], found["digest"]) == (len(long), hashlib.sha256(long).hexdigest())
    assert ask("echo")["size"] == 0


def test_no_secret_of_the_environment_reaches_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGH_S3_SECRET", "hidden")
    assert set(ask("echo")["environment"]) <= {"LC_CTYPE"}
    assert set(ask("echo", environment={"OMP_NUM_THREADS": "1"})["environment"]) - {"LC_CTYPE"} == {"OMP_NUM_THREADS"}


def test_news_is_heard_on_the_way_and_the_last_line_is_the_answer() -> None:
    heard: list[Any] = []
    assert ask("talk", "3", heard=heard.append) == {"told": 3}
    assert heard == [{"number": 0}, {"number": 1}, {"number": 2}]


def test_without_a_listener_everything_is_the_answer() -> None:
    with open(os.devnull, "rb") as nothing:
        code, answer = run_child(PROGRAMS + "talk", nothing.fileno(), ["2"], timeout=20)
    assert (code, (answer or b"").count(b"\n")) == (0, 4)


def test_a_flood_of_news_does_not_fill_memory_and_is_over_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parent, "GRACE", 0.1)
    monkeypatch.setattr(parent, "MAX_ANSWER", 4 << 20)
    monkeypatch.setattr(parent, "START", "import os\nwhile True: os.write(1, b'{}\\n' * 10000)")
    heard: list[Any] = []
    with open(os.devnull, "rb") as nothing:
        code, answer = run_child(PROGRAMS + "echo", nothing.fileno(), [], timeout=0.5, heard=heard.append)
    assert (code, answer is not None and len(answer) < 10) == (None, True)
    assert heard[0] == {}


def test_cancelled_work_is_dead_at_once() -> None:
    heard: list[Any] = []
    started = time.monotonic()
    with pytest.raises(Cancelled):
        ask("sleep", heard=heard.append, cancelled=lambda: bool(heard))
    assert time.monotonic() - started < 10
    assert not is_alive(heard[0]["pid"])


def test_whatever_a_listener_raises_the_child_is_dead() -> None:
    pids: list[int] = []

    def hear(news: Any) -> None:
        pids.append(news["pid"])
        raise LookupError("the row is gone")

    with pytest.raises(LookupError):
        ask("sleep", heard=hear)
    assert not is_alive(pids[0])


def test_a_child_dies_with_its_parent(tmp_path: Path) -> None:
    code = "import os, sys; sys.path.insert(0, sys.argv[1]); from registry.sandbox.parent import run_child\n"
    code += "def hear(news):\n    print(news['pid'], flush=True); os.kill(os.getpid(), 9)\n"
    code += f"run_child({PROGRAMS + 'sleep'!r}, os.open('/dev/null', 0), [], timeout=60, heard=hear)"
    done = subprocess.run([sys.executable, "-c", code, parent.ROOT], capture_output=True, timeout=30, check=False)
    assert done.returncode == -9, done.stderr
    deadline = time.monotonic() + 5
    while is_alive(int(done.stdout)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(int(done.stdout))


class TestWriting:
    @pytest.fixture
    def target(self, tmp_path: Path) -> Any:
        with open(tmp_path / "out", "w+b") as file:
            yield file

    def run(self, fd: int, size: int, most: int) -> dict[str, Any]:
        code, answer = run_child(PROGRAMS + "fill", fd, [str(size)], timeout=20, file_bytes=most)
        assert code == 0
        found = json.loads(answer or b"")
        assert "seccomp" in found["layers"]
        return dict(found)

    def test_an_open_file_is_filled_from_threads(self, target: Any) -> None:
        assert self.run(target.fileno(), 1 << 20, 1 << 20)["written"] == 1 << 20
        assert target.read() == b"\x07" * (1 << 20)

    def test_no_file_becomes_longer_than_it_may(self, target: Any) -> None:
        assert self.run(target.fileno(), 1 << 20, 1 << 19)["errno"] == errno.EFBIG
        assert os.fstat(target.fileno()).st_size <= 1 << 19


def test_children_may_run_side_by_side() -> None:
    answers: list[dict[str, Any]] = []
    threads = [threading.Thread(target=lambda: answers.append(ask("talk", "5", heard=lambda _: None))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [{"told": 5}] * 3


def test_time_that_something_swallows_is_over_again() -> None:
    """`watch` raises once more when the first was lost, and never after it was called off."""
    code = "import sys, time; sys.path.insert(0, sys.argv[1]); from registry.sandbox.child import watch\n"
    code += "class Over(BaseException): pass\n"
    code += "finish = watch(0.05, Over); seen = 0\n"
    code += "for _ in range(2):\n    try:\n        time.sleep(5)\n    except Over:\n        seen += 1\n"
    code += "finish(); time.sleep(1.5); print(seen)"
    done = subprocess.run([sys.executable, "-I", "-c", code, parent.ROOT], capture_output=True, timeout=20, check=False)
    assert done.stdout.strip() == b"2", done.stderr


def test_processor_time_is_limited_softly_before_it_is_limited_hard() -> None:
    """The soft limit is told by SIGXCPU, which `watch` turns into an answer; the hard one two seconds later needs no help."""
    code = "import resource, sys; sys.path.insert(0, sys.argv[1])\n"
    code += "from registry.sandbox.child import watch; from registry.sandbox.locks import lock\n"
    code += "class Over(BaseException): pass\n"
    code += "watch(60, Over); lock(cpu_seconds=1, file_bytes=1 << 20)\n"
    code += "try:\n    while True: sum(range(1000))\nexcept Over: print('over')"
    done = subprocess.run([sys.executable, "-I", "-c", code, parent.ROOT], capture_output=True, timeout=20, check=False)
    assert done.stdout.strip() == b"over", done.stderr


def test_any_function_can_be_a_child(tmp_path: Path) -> None:
    """`run_child` with another entry: here the interpreter's own `json.tool`, which fails on our orders and says nothing."""
    path = tmp_path / "stored"
    path.write_bytes(b"")
    with path.open("rb") as file:
        assert run_child("json.tool:main", file.fileno(), [], timeout=20) == (2, b"")
        for entry in ("json.tool", "json.tool:", ":main", "a b:main", "os:system('x')", "os.:system"):
            with pytest.raises(ValueError, match="module:function"):
                run_child(entry, file.fileno(), [], timeout=20)


def test_child_has_installed_packages_only_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        parent, "START", "import importlib.util, os; print(bool(importlib.util.find_spec('numpy')), set(os.environ) - {'LC_CTYPE'})"
    )
    path = tmp_path / "stored"
    path.write_bytes(b"")
    with path.open("rb") as file:
        for wanted in (True, False):
            code, said = run_child(PROGRAMS + "echo", file.fileno(), [], timeout=20, site_packages=wanted)
            assert (code, said) == (0, f"{wanted} set()\n".encode())


def test_a_program_that_raises_ends_with_the_reason() -> None:
    with open(os.devnull, "rb") as nothing:
        code, answer = run_child(PROGRAMS + "raise_something", nothing.fileno(), [], timeout=20)
    assert code == 1
    assert b"LookupError: nothing there" in (answer or b"")
