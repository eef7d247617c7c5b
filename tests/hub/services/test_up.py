"""`./weigh up` as people and machines meet it: what it says, what it refuses, what it restarts, what it leaves behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.services.folders import ROOT
from tests.hub.services.running import READY, Hub, of_folder

QUICK = ("--no-render",)


def manage(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hub.services", "manage", "--data", str(data), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def processes_named(data: Path, word: str) -> list[int]:
    return [pid for pid, command in of_folder(data).items() if word in command]


def none_left(data: Path, seconds: float) -> dict[int, str]:
    end = time.monotonic() + seconds
    while (left := of_folder(data)) and time.monotonic() < end:
        time.sleep(0.05)
    return left


def test_each_step_is_said_with_its_time_and_the_address_last(hub: Hub) -> None:
    steps = [line for line in hub.lines if line.startswith("[")]
    words = ["PostgreSQL ready", "Valkey ready", "Database tables ready", "Web site answers", "Workers answer", READY]
    assert [word for word in words if any(word in step for step in steps)] == words
    assert f"{READY} {hub.url}" in "\n".join(steps)


def test_healthz_answers_with_the_state_of_each_part(hub: Hub) -> None:
    with urllib.request.urlopen(f"{hub.url}/healthz", timeout=10) as answer:
        health = json.load(answer)
    assert {part: health[part]["ok"] for part in ("database", "broker", "storage", "worker")} == {
        "database": True,
        "broker": True,
        "storage": True,
        "worker": True,
    }


def test_cpu_and_gpu_workers_serve_their_own_queue(hub: Hub) -> None:
    commands = "\n".join(of_folder(hub.data).values())
    assert "-Q cpu" in commands
    assert "-Q gpu" in commands


def test_second_up_on_the_same_folder_is_refused_with_the_process_that_holds_it(hub: Hub) -> None:
    assert hub.process is not None
    said = hub.refused("--port", "1")
    assert f"already running on {hub.data} (process {hub.process.pid})" in said


def test_manage_runs_in_the_environment_of_the_running_hub(hub: Hub) -> None:
    done = manage(hub.data, "shell", "-c", "from django.conf import settings; print(settings.DATA)")
    assert str(hub.data) in done.stdout, done.stderr


def test_manage_says_that_nothing_runs(tmp_path: Path) -> None:
    done = manage(tmp_path, "check")
    assert done.returncode == 2
    assert f"No hub is running on {tmp_path}. Start it with ./weigh up" in done.stderr


def test_secrets_are_readable_by_their_owner_only(hub: Hub) -> None:
    private = [hub.data / "run" / "env.json", *(hub.data / "secrets").iterdir()]
    assert {path.stat().st_mode & 0o777 for path in private} == {0o600}
    assert hub.data.stat().st_mode & 0o077 == 0


def test_taken_port_is_named_before_anything_starts(tmp_path: Path) -> None:
    other = Hub(tmp_path / "data", *QUICK)
    with socket.create_server(("127.0.0.1", other.port)):
        said = other.refused()
    assert f"Port {other.port} on 127.0.0.1 is taken" in said
    assert "--port" in said
    assert not (other.data / "postgres").exists()


def test_crashed_child_is_started_again_and_that_is_said(hub: Hub) -> None:
    (before,) = processes_named(hub.data, "celery -A hub.celery beat")
    os.kill(before, signal.SIGKILL)
    hub.wait_for("Beat was killed by SIGKILL; starting it again", 10)
    end = time.monotonic() + 10
    while not (now := processes_named(hub.data, "celery -A hub.celery beat")) and time.monotonic() < end:
        time.sleep(0.1)
    assert now not in ([], [before])


def test_crashed_postgres_comes_back_and_the_hub_is_healthy_again(hub: Hub) -> None:
    (server,) = processes_named(hub.data, "bin/postgres -D")
    os.kill(server, signal.SIGQUIT)
    hub.wait_for("PostgreSQL ended with status", 10)
    end = time.monotonic() + 20
    status = 0
    while status != 200 and time.monotonic() < end:
        time.sleep(0.2)
        try:
            status = urllib.request.urlopen(f"{hub.url}/healthz", timeout=10).status
        except OSError:
            status = 0
    assert status == 200


def test_sigterm_stops_everything_within_ten_seconds_and_the_next_start_keeps_the_data(hub: Hub) -> None:
    made = manage(hub.data, "shell", "-c", "from registry.models import User; User.objects.get_or_create(username='stayed')")
    assert made.returncode == 0, made.stderr
    seconds = hub.stop()
    assert seconds < 10.5
    assert none_left(hub.data, 1) == {}
    assert hub.process is not None
    assert hub.process.returncode == 0

    assert hub.start() < 30  # under 10 s on an idle machine
    assert not any("Password" in line for line in hub.lines)
    kept = manage(hub.data, "shell", "-c", "from registry.models import User; print(User.objects.filter(username='stayed').count())")
    assert kept.stdout.splitlines()[-1:] == ["1"], kept.stderr


@pytest.fixture
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub that the user `nobody` runs in a folder of its own."""
    if os.geteuid() != 0:
        pytest.skip("not root: every other test here runs as an ordinary user already")
    become = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    probe = "import psycopg, sys; print(sys.version)"
    reach = subprocess.run([*become, sys.executable, "-c", probe], cwd="/", capture_output=True, text=True, check=False)
    source = subprocess.run([*become, "test", "-r", str(ROOT / "manage.py")], cwd="/", capture_output=True, check=False)
    if reach.stdout.strip() != sys.version or source.returncode:
        pytest.skip(f"the user nobody cannot reach this interpreter ({sys.executable}) or {ROOT}")
    data = Path("/tmp") / f"weighhouse-ordinary-{os.getpid()}"
    data.mkdir(mode=0o700)
    os.chown(data, 65534, 65534)
    hub = Hub(data, *QUICK, before=become, HOME="/nonexistent")
    try:
        yield hub
    finally:
        hub.end()
        subprocess.run(["rm", "-rf", str(data)], check=False)


def test_ordinary_user_runs_it_whole(ordinary: Hub) -> None:
    ordinary.start()
    assert any("Password" in line for line in ordinary.lines)
    assert {Path(f"/proc/{pid}").stat().st_uid for pid in of_folder(ordinary.data)} == {65534}
    assert ordinary.stop() < 10.5


def test_hub_keeps_its_files_in_the_embedded_s3_and_ctrl_c_stops_all_of_it(tmp_path: Path) -> None:
    hub = Hub(tmp_path / "data", "--storage", "s3")
    try:
        hub.start()
        with urllib.request.urlopen(f"{hub.url}/healthz", timeout=10) as answer:
            assert json.load(answer)["storage"]["ok"]
        assert not (hub.data / "storage").exists()
        assert len(processes_named(hub.data, "weed")) > 0
        assert hub.stop(signal.SIGINT) < 10.5
        assert none_left(hub.data, 1) == {}
    finally:
        hub.end()
