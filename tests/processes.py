"""Runs code of the project in other processes over the database of the running test: racing workers, workers that die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from django.db import connection

ROOT = Path(__file__).resolve().parent.parent


def environment(data: Path, **more: str) -> dict[str, str]:
    """The environment of a child over the test's own database and, under `data`, its stores."""
    url = with_database(os.environ["DATABASE_URL"], str(connection.settings_dict["NAME"]))
    own = {"DATABASE_URL": url, "WEIGH_DATA": str(data), "WEIGH_STORAGE": "local", "WEIGH_PREVIEWS": "0", "PYTHONPATH": str(ROOT)}
    return {**os.environ, **own, **more}


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def with_database(url: str, name: str) -> str:
    """The same server, another database: `postgresql://hub@/hub?host=...` -> `postgresql://hub@/NAME?host=...`."""
    before, _, query = url.partition("?")
    return before.rpartition("/")[0] + f"/{name}" + (f"?{query}" if query else "")


def start_python(code: str, data: Path, **more: str) -> subprocess.Popen[str]:
    """A Python process with Django set up that runs `code`; its output can be read from the returned process."""
    program = f"import django; django.setup()\n{code}"
    env = {**environment(data, **more), "DJANGO_SETTINGS_MODULE": "hub.settings"}
    return subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@contextmanager
def celery_worker(data: Path, **more: str) -> Iterator[subprocess.Popen[str]]:
    """A real Celery worker on the queues `cpu` and `gpu`; killed with everything it started when the block ends."""
    command = [sys.executable, "-m", "celery", "-A", "hub.celery", "worker", "-Q", "cpu,gpu", "-c", "1", "-l", "WARNING"]
    command += ["--without-mingle", "--without-gossip", "-n", f"test{os.getpid()}-{time.monotonic_ns()}@%h"]
    log = (data / "worker.log").open("a")
    process = subprocess.Popen(command, cwd=ROOT, env=environment(data, **more), stdout=log, stderr=log, text=True, start_new_session=True)
    try:
        yield process
    finally:
        kill_group(process)
        log.close()


def kill_group(process: subprocess.Popen[Any]) -> None:
    """SIGKILL for a process and its children."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_until(true: Callable[[], Any], seconds: float = 30, every: float = 0.05) -> Any:
    """The first truthy answer of `true`; AssertionError when none comes in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = true()
        if answer:
            return answer
        time.sleep(every)
    raise AssertionError(f"did not come true within {seconds} s")
