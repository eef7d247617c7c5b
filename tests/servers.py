"""The hub as programs meet it: the real ASGI application behind a real uvicorn, in this process or in one of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.processes import ROOT, kill_group, wait_until


@dataclass(frozen=True)
class LiveHub:
    """A running hub. `url` has no slash at its end."""

    url: str
    port: int


@pytest.fixture
def live_hub(transactional_db: None, stores: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveHub]:
    """uvicorn in a thread of this process: it sees the test's database, stores and settings."""
    from hub.asgi import application

    with serving(application, monkeypatch) as hub:
        yield hub


@contextmanager
def serving(application: Any, monkeypatch: pytest.MonkeyPatch, port: int = 0) -> Iterator[LiveHub]:
    """`application` behind a uvicorn in a thread, until the block ends."""
    import uvicorn
    from django.db import connections

    # A worker thread must give its connection back, else the test database could not be emptied or dropped.
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        config = uvicorn.Config(application, lifespan="off", access_log=False, log_level="warning", timeout_graceful_shutdown=3)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="live-hub", daemon=True)
        thread.start()
        wait_until(lambda: server.started, 20)
        port = listener.getsockname()[1]
        yield LiveHub(f"http://127.0.0.1:{port}", port)
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive(), "the server of this test did not stop"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def hub_process(environment: dict[str, str], port: int = 0) -> Iterator[tuple[subprocess.Popen[Any], str]]:
    """uvicorn in a process of its own, as `./weigh up` starts it: (process, address). Killed when the block ends."""
    port = port or free_port()
    flags = ["--host", "127.0.0.1", "--port", str(port), "--lifespan", "off", "--no-access-log", "--log-level", "warning"]
    command = [sys.executable, "-m", "uvicorn", "hub.asgi:application", *flags]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, start_new_session=True)
    try:
        wait_until(lambda: process.poll() is not None or answers(port), 60, 0.1)
        assert process.poll() is None, "the server ended at once"
        yield process, f"http://127.0.0.1:{port}"
    finally:
        kill_group(process)


def answers(port: int) -> bool:
    """Whether something accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def resident_bytes(pid: int) -> int:
    """Resident memory of a process now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def put(url: str, body: Any, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
    """PUT `body` (bytes or a readable file): (status, headers with lower-case names, answer)."""
    request = urllib.request.Request(url, data=body, method="PUT", headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            return response.status, {name.lower(): value for name, value in response.headers.items()}, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {name.lower(): value for name, value in error.headers.items()}, error.read()


class SlowBody:
    """A readable body that waits between its blocks, so that a test can act while it is being sent."""

    def __init__(self, data: bytes, block: int, pause: float) -> None:
        self.data, self.block, self.pause, self.at = data, block, pause, 0

    def read(self, size: int = -1) -> bytes:
        time.sleep(self.pause if self.at else 0)
        piece = self.data[self.at : self.at + self.block]
        self.at += len(piece)
        return piece
