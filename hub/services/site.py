"""The hub's own processes: web server, workers, beat, and the two short ones (prepare, samples); their commands and order.
Nothing is started here."""

from __future__ import annotations

import sys

from hub.services.folders import DataFolder
from hub.services.options import UpOptions
from hub.services.processes import Child

PYTHON = sys.executable
CELERY = [PYTHON, "-m", "celery", "-A", "hub.celery"]


def web_command(host: str, port: int) -> list[str]:
    """uvicorn on the hub's ASGI application."""
    flags = ["--no-access-log", "--lifespan", "off", "--timeout-graceful-shutdown", "3", "--proxy-headers"]
    return [PYTHON, "-m", "uvicorn", "hub.asgi:application", "--host", host, "--port", str(port), *flags]


def worker_command(queue: str, children: int) -> list[str]:
    """A Celery worker for one queue.

    Its pool forks, the gpu worker's too: the one process that works keeps the render child from task to task (both go together, after
    200 tasks or when it is killed), while the main process goes on answering pings and stops when it is told. With the pool "solo" nobody
    would answer while pictures are made.
    """
    flags = ["-Q", queue, "-n", f"{queue}@%h", "-c", str(children), "--pool", "prefork"]
    return [*CELERY, "worker", *flags, "--without-mingle", "--without-gossip", "-l", "INFO"]


def prepare_command() -> list[str]:
    """Migrations and the first account; prints what the person should read."""
    return [PYTHON, "-m", "hub.services.prepare"]


def children(folder: DataFolder, options: UpOptions, environment: dict[str, str]) -> list[Child]:
    """Web, workers and beat: the first wave to stop. Their grace leaves the stores three seconds of the ten."""
    soft = {**environment, "REMAP_SIGTERM": "SIGQUIT"}  # SIGTERM would wait for a running task without limit

    def child(name: str, label: str, command: list[str], env: dict[str, str]) -> Child:
        return Child(name, label, command, folder.log(name), env=env, grace=6.0)

    found = [
        child("web", "Web site", web_command(options.host, options.port), environment),
        child("cpu", "The cpu worker", worker_command("cpu", 2), soft),
        child("beat", "Beat", [*CELERY, "beat", "-s", str(folder.path / "beat.db"), "--pidfile=", "-l", "INFO"], environment),
    ]
    if options.render:
        found.append(child("gpu", "The gpu worker", worker_command("gpu", 1), soft))
    return found


def samples(folder: DataFolder, environment: dict[str, str]) -> Child:
    """The one-shot process that publishes the sample models through the pipeline."""
    return Child("samples", "Samples", [PYTHON, "manage.py", "publish_samples"], folder.log("samples"), env=environment)
