"""The shell script `weigh` and what runs before anything is installed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hub.services import bootstrap, frontend
from hub.services.console import Refusal
from hub.services.folders import ROOT
from hub.services.ports import free_port


def weigh(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    plain = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LC_ALL": "C.UTF-8", **environment}
    return subprocess.run([ROOT / "weigh", *arguments], env=plain, capture_output=True, text=True, timeout=60, check=False)


def test_help_names_the_three_commands() -> None:
    for done in (weigh(), weigh("help"), weigh("--help")):
        assert done.returncode == 0
        assert all(f"./weigh {command}" in done.stdout for command in ("up", "test", "manage"))


def test_unknown_command_is_refused_with_the_help() -> None:
    done = weigh("upp")
    assert done.returncode == 2
    assert '"upp" is not a command' in done.stderr
    assert "./weigh up" in done.stderr


def test_machine_without_a_fitting_python_gets_a_sentence(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "weigh").write_bytes((ROOT / "weigh").read_bytes())
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("bash", "env", "dirname", "readlink", "date"):
        (tools / tool).symlink_to(subprocess.check_output(["which", tool], text=True).strip())
    done = subprocess.run(["bash", str(checkout / "weigh"), "up"], env={"PATH": str(tools)}, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Python 3.11, 3.12 or 3.13 was not found. On Debian: apt-get install python3 python3-venv" in done.stderr


def preflight(*arguments: str) -> subprocess.CompletedProcess[str]:
    """As `weigh` runs it: an interpreter that sees the standard library only."""
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.argv[1:] = {list(arguments)!r};"]
    command[-1] += "import runpy; runpy.run_module('hub.services', run_name='__main__')"
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_preflight_needs_nothing_installed(tmp_path: Path) -> None:
    done = preflight("preflight", "--data", str(tmp_path / "none"), "--port", str(free_port()))
    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "none").exists()


def test_preflight_finds_a_taken_port_before_a_long_installation() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = preflight("preflight", "--port", str(port))
    assert done.returncode == 2
    assert f"Port {port} on 127.0.0.1 is taken" in done.stderr


def test_every_requirement_is_pinned_exactly() -> None:
    for path in ROOT.glob("requirements*.txt"):
        for line in path.read_text().splitlines():
            if line and not line.startswith(("#", "-r ", "-c ")):
                assert line.count("==") == 1, f"{path.name}: {line}"


def test_installation_is_repeated_when_any_included_list_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    for name, text in {"constraints.txt": "", "inner.txt": "a==1\n", "outer.txt": "# all\n-r inner.txt\nb==1\n"}.items():
        (tmp_path / name).write_text(text)
    before = bootstrap.stamp_of(("outer.txt",))
    assert bootstrap.stamp_of(("outer.txt",)) == before
    (tmp_path / "inner.txt").write_text("a==2\n")
    after = bootstrap.stamp_of(("outer.txt",))
    assert after != before
    monkeypatch.setenv("WEIGH_TORCH_INDEX", "https://example.org/simple")
    assert bootstrap.stamp_of(("outer.txt",)) != after


def test_failed_step_is_refused_with_its_output() -> None:
    with pytest.raises(Refusal, match=r"(?s)Installing failed \(status 4\):.*no such package"):
        bootstrap.run([sys.executable, "-c", "print('no such package'); raise SystemExit(4)"], "Installing")


def test_home_that_cannot_be_written_does_not_stop_the_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "VENV", tmp_path)
    monkeypatch.setenv("HOME", "/nonexistent")
    monkeypatch.delenv("UV_CACHE_DIR", raising=False)
    environment = bootstrap.tool_environment()
    assert environment["UV_CACHE_DIR"].startswith(str(tmp_path))
    assert environment["HOME"].startswith(str(tmp_path))


def test_find_links_of_pip_reach_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_FIND_LINKS", "/srv/wheels")
    assert bootstrap.tool_environment()["UV_FIND_LINKS"] == "/srv/wheels"


@pytest.fixture
def front(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[list[str]]]:
    """A checkout with front-end sources, and the list of commands that a build would run."""
    monkeypatch.setattr(frontend, "ROOT", tmp_path)
    monkeypatch.setattr(frontend, "DIST", tmp_path / "static" / "dist")
    for name in ("package.json", "package-lock.json", "frontend/main.js", "templates/page.html"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("{}")
    (tmp_path / "node_modules").mkdir()
    return tmp_path, []


def built(commands: list[list[str]]) -> list[str]:
    before = len(commands)
    frontend.build({}, lambda name: None, lambda command, what, env: commands.append(command))
    return [" ".join(command[:3]) for command in commands[before:]]


def test_front_end_is_built_only_when_a_source_changed(front: tuple[Path, list[list[str]]]) -> None:
    root, commands = front
    assert built(commands) == ["npm ci --include=dev", "npm run build"]
    assert built(commands) == []
    (root / "templates" / "page.html").write_text("<p class='mt-4'>")
    assert built(commands) == ["npm run build"]
    (root / "package-lock.json").write_text('{"lockfileVersion": 3}')
    assert built(commands) == ["npm ci --include=dev", "npm run build"]


def test_front_end_is_built_again_when_its_output_is_gone(front: tuple[Path, list[list[str]]]) -> None:
    root, commands = front
    built(commands)
    (root / "static" / "dist" / ".stamp").unlink()
    assert built(commands) == ["npm run build"]
