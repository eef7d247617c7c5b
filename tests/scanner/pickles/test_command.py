"""The command, as a person or a script runs it: one JSON object whatever is given, locked in, bounded, and alone."""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scanner.pickles import EXIT_CODES, containers
from tests.attacks import os_system_checkpoint
from tests.attacks.assemble import pickled, torch_zip
from tests.attacks.floods import nested_200_000_deep, quarter_gigabyte_pickle
from tests.attacks.imports import unknown_class

ROOT = Path(containers.__file__).resolve().parents[2]
LINUX = platform.system() == "Linux" and platform.machine() in ("x86_64", "aarch64")


def command(*arguments: str | Path, timeout: float = 60, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "scanner.pickles", *map(str, arguments)],
        **{"capture_output": True, "cwd": ROOT, "timeout": timeout, "check": False} | options,
    )


@pytest.fixture
def honest(tmp_path: Path) -> Path:
    path = tmp_path / "model.ckpt"
    path.write_bytes(torch_zip())
    return path


@pytest.mark.parametrize(
    ("make", "verdict"), [(torch_zip, "success"), (unknown_class, "suspicious"), (os_system_checkpoint, "danger"), (bytes, "error")]
)
def test_prints_one_object_and_exits_by_verdict(tmp_path: Path, make: Any, verdict: str) -> None:
    path = tmp_path / "model.ckpt"
    path.write_bytes(make())
    done = command(path, "--json", "--tensors")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["verdict"]) == (EXIT_CODES[verdict], verdict)
    assert done.stdout.count(b"\n") == 1
    assert (answer["directory"] is not None) == (verdict in ("success", "suspicious"))


def test_without_json_the_same_object_is_indented(honest: Path) -> None:
    done = command(honest)
    assert done.stdout.startswith(b'{\n  "verdict": "success"')
    assert json.loads(done.stdout).keys() == json.loads(command(honest, "--json").stdout).keys()


@pytest.mark.skipif(not LINUX, reason="the system-call filter is written for Linux on x86_64 and aarch64")
def test_locks_itself_in_unless_told_otherwise(honest: Path) -> None:
    assert {"rlimit", "seccomp"} <= set(json.loads(command(honest).stdout)["sandbox"])
    assert json.loads(command(honest, "--no-sandbox").stdout)["sandbox"] == []


def test_answer_may_go_into_a_file(honest: Path, tmp_path: Path) -> None:
    """Also behind what stands there already: the limit on written bytes counts from the start of a file."""
    with (tmp_path / "answers.json").open("ab") as out:
        out.truncate(100 << 20)
        done = command(honest, "--json", stdout=out, stderr=subprocess.PIPE, capture_output=False)
        assert (done.returncode, done.stderr) == (0, b"")
    with (tmp_path / "answers.json").open("rb") as answers:
        answers.seek(100 << 20)
        assert json.loads(answers.read())["verdict"] == "success"


@pytest.fixture
def thing(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / "thing.ckpt"
    match request.param:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "device":
            return Path("/dev/zero")
        case "broken link":
            path.symlink_to(tmp_path / "nowhere")
    return path


@pytest.mark.parametrize(
    ("thing", "sentence"),
    [("folder", "folder"), ("pipe", "pipe"), ("device", "device"), ("nothing", "No such file"), ("broken link", "No such file")],
    indirect=["thing"],
)
@pytest.mark.parametrize("how", [[], ["--json"]])
def test_what_is_no_file_gets_one_sentence_and_one_object(thing: Path, sentence: str, how: list[str]) -> None:
    done = command(thing, *how, timeout=10)
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["verdict"], answer["findings"][0]["code"]) == (3, "error", "F-OPEN")
    assert sentence in answer["findings"][0]["message"]
    assert done.stderr.count(b"\n") == 1
    assert sentence.encode() in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="file names are bytes only there")
@pytest.mark.parametrize("name", [b"a\xff.ckpt", b"-x.ckpt", "\U0001f642.ckpt".encode(), b"a\nb.ckpt"])
def test_strange_names_are_only_names(tmp_path: Path, name: bytes) -> None:
    path = os.fsencode(tmp_path) + b"/" + name
    with open(path, "wb") as file:
        file.write(torch_zip())
    done = subprocess.run([sys.executable, "-m", "scanner.pickles", path], capture_output=True, cwd=ROOT, timeout=30, check=False)
    assert (done.returncode, json.loads(done.stdout)["verdict"]) == (0, "success")


def script(honest: Path, before: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """The command in a process that first changes one of its bounds."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from scanner.pickles import __main__ as command; {before}; "
    code += f"sys.exit(command.main([{str(honest)!r}, *{list(arguments)!r}]))"
    return subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, timeout=30, check=False)


@pytest.mark.skipif(not LINUX, reason="limits are set as on Linux")
@pytest.mark.parametrize(
    ("bound", "sentence"), [("command.SECONDS = 0.2", "more time"), ("command.MEMORY = 44 << 20", "more memory")], ids=["time", "memory"]
)
def test_running_out_is_told_not_died_of(tmp_path: Path, bound: str, sentence: str) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickled(b"".join(b"B\x00\x00\x10\x00" + bytes(1 << 20) + b"N0" * 60_000 for _ in range(30)) + b"N"))
    done = script(path, bound, "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["verdict"], [finding["code"] for finding in answer["findings"]]) == (3, "error", ["F-LIMIT"])
    assert sentence in answer["findings"][0]["message"]
    assert "seccomp" in answer["sandbox"]


@pytest.mark.parametrize("bomb", [quarter_gigabyte_pickle, nested_200_000_deep], ids=lambda make: make.__name__)
def test_bombs_cost_little(tmp_path: Path, bomb: Any) -> None:
    """Two seconds of everything and 300 MB, of the whole process; `ru_maxrss` of children is the largest of any so far."""
    path = tmp_path / "bomb.ckpt"
    path.write_bytes(bomb())
    code = f"import resource, subprocess, sys; code = subprocess.call([sys.executable, '-m', 'scanner.pickles', {str(path)!r}, '--json']); "
    code += "print(resource.getrusage(resource.RUSAGE_CHILDREN), file=sys.stderr)"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, timeout=30, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert json.loads(done.stdout)["verdict"] == "error"
    peak = int(done.stderr.decode().partition("ru_maxrss=")[2].partition(",")[0])
    assert peak < 300 << 10
    assert (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime) < 2
