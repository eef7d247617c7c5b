"""A hub to measure: an empty database of its own beside the others, and the real server over it. Measures nothing itself."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.ground import ROOT


@contextmanager
def empty_database(name: str) -> Iterator[str]:
    """A migrated database `name` on the server of DATABASE_URL, which Django uses in this block; its address. Dropped afterwards."""
    from django.db import connection

    usual = str(connection.settings_dict["NAME"])
    connection.settings_dict["TEST"]["NAME"] = name
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        before, _, query = os.environ["DATABASE_URL"].partition("?")
        yield before.rpartition("/")[0] + f"/{name}" + (f"?{query}" if query else "")
    finally:
        connection.creation.destroy_test_db(usual, verbosity=0)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes], seconds: float = 30) -> None:
    """Return when something accepts connections on the port; RuntimeError when `process` ends or the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args} does not answer on port {port}")


@contextmanager
def server(database: str, data: Path) -> Iterator[int]:
    """The hub as `./weigh up` serves it, with `/bare` beside it: its port."""
    port = free_port()
    (data / "static").mkdir(exist_ok=True)
    flags = ["--port", str(port), "--no-access-log", "--lifespan", "off", "--log-level", "warning"]
    command = [sys.executable, "-m", "uvicorn", "hub.asgi:application", *flags]
    settings = {"DJANGO_SETTINGS_MODULE": "bench.bare_settings", "WEIGH_DATA": str(data), "WEIGH_STORAGE": "local"}
    environment = {**os.environ, **settings, "DATABASE_URL": database, "WEIGH_SECRET_KEY": secret()}
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        wait_for(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def secret() -> str:
    """The key that this process signs with, so that the server accepts what it signs."""
    from django.conf import settings

    return str(settings.SECRET_KEY)
