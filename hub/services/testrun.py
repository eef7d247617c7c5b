"""`./weigh test`: every check of the project on real, throw-away services in a temporary folder that is removed afterwards.
With arguments only pytest runs, with those arguments. Nothing is printed after pytest's summary unless an earlier check failed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from hub.services import chromium, debian, ports
from hub.services.console import say
from hub.services.environment import hub_environment
from hub.services.folders import ROOT, DataFolder
from hub.services.launcher import Stopped, asked_to_stop
from hub.services.options import UpOptions
from hub.services.postgres import Postgres
from hub.services.processes import Fleet, leashed
from hub.services.seaweed import Seaweed
from hub.services.valkey import Valkey

PYTHON = sys.executable
CHECKS = {
    "ruff check": [PYTHON, "-m", "ruff", "check", "."],
    "ruff format": [PYTHON, "-m", "ruff", "format", "--check", "."],
    "lint-imports": [str(Path(PYTHON).parent / "lint-imports")],
    "mypy": [PYTHON, "-m", "mypy"],
    "migrations": [PYTHON, "manage.py", "makemigrations", "--check", "--dry-run"],
}
COLLECT = {"collection": [PYTHON, "-m", "pytest", "--collect-only", "-qq", "-p", "no:cacheprovider"]}
"""Finds every test once before two processes do: what nobody has imported yet, libraries and all, would be compiled in both of them."""
LANES = os.environ.get("WEIGH_TEST_LANES", "2")
WHOLE = ["-p", "tests.lanes", "-n", LANES, "--dist", "loadfile", "--no-loadscope-reorder"]
"""Everything runs in two processes (or `WEIGH_TEST_LANES`, at most six), a file of tests in one of them and in order: browser tests are
to stay last. Each takes 1 to 2.5 GB.
"""
PYTEST_SECONDS_TO_END = 10.0
# What is thrown away need not survive a power cut.
FAST_POSTGRES = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def run(name: str, command: list[str], environment: dict[str, str]) -> int:
    """Run one check in the foreground, so that it sees the terminal and its Ctrl-C; on a stop it is asked to end, then killed."""
    keywords = {**leashed(name, environment), "stdin": None, "start_new_session": False}
    process = subprocess.Popen(command, **keywords)
    try:
        return process.wait()
    except Stopped:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(PYTEST_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise


def run_together(commands: dict[str, list[str]], environment: dict[str, str]) -> dict[str, int]:
    """Run them all at once, then show what each said, in their order; the exit statuses of those that failed. On a stop they are killed."""
    with ExitStack() as stack:
        started = []
        for name, command in commands.items():
            said = stack.enter_context(tempfile.TemporaryFile())
            process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, **leashed(name, environment))
            stack.callback(_end, process)
            started.append((name, process, said))
        failed = {}
        for name, process, said in started:
            status = process.wait()
            said.seek(0)
            words = said.read().decode(errors="replace")
            say(name)
            print(words if status or name not in COLLECT else "", end="", flush=True)
            if status:
                failed[name] = status
        return failed


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def never_ran() -> bool:
    """Whether no test was ever collected in this checkout: pytest leaves the tests there as it compiled them."""
    return not (ROOT / "tests" / "__pycache__").exists()


class Stores:
    """Throw-away PostgreSQL, Valkey and SeaweedFS, and the environment in which tests find them."""

    def __init__(self, path: Path, fleet: Fleet) -> None:
        self.folder = DataFolder(path)
        self.folder.prepare()
        self.fleet = fleet
        self.postgres = Postgres(self.folder, FAST_POSTGRES)
        self.valkey = Valkey(self.folder)
        self.seaweed = Seaweed(self.folder, volume_mb=64)  # tests make dozens of buckets and fill none

    def start(self) -> None:
        """Start all three; S3 takes longest and is waited for in `finish`."""
        self.s3 = self.seaweed.launch(self.fleet, "*")
        valkey = self.valkey.launch(self.fleet)
        self.postgres.start(self.fleet)
        self.fleet.wait_for(valkey, self.valkey.answers, 30)

    def finish(self) -> None:
        """Wait for S3."""
        self.fleet.wait_for(self.s3, self.seaweed.answers, 120)

    def environment(self) -> dict[str, str]:
        """Local storage by default; the S3 variables point at the throw-away server."""
        options = UpOptions(self.folder.path, ports.free_port(), "127.0.0.1", "local", render=True, samples=False)
        found = hub_environment(self.folder, options, self.postgres, self.valkey, self.seaweed)
        return {**found, "WEIGH_S3_PUBLIC_ENDPOINT": self.seaweed.endpoint()}


@contextmanager
def stores() -> Iterator[Stores]:
    """Run throw-away stores; whatever happens they are stopped and their folder is removed."""
    fleet = Fleet()
    path = Path(tempfile.mkdtemp(prefix="weighhouse-test-"))
    with asked_to_stop(fleet):
        try:
            yield Stores(path, fleet)
        finally:
            fleet.hurry = True  # nothing of it is kept
            fleet.stop()
            shutil.rmtree(path, ignore_errors=True)


def test(arguments: list[str]) -> int:
    """Exit status of the first check that failed, 0 when none did, 130 after Ctrl-C."""
    browser = chromium.provide()
    debian.provide_downloaders()
    failed: dict[str, int] = {}
    try:
        with stores() as services:
            services.start()
            environment = {**services.environment(), **({"CHROMIUM": browser} if browser else {})}
            if not arguments:
                failed = run_together({**CHECKS, **(COLLECT if never_ran() else {})}, environment)
            services.finish()
            say("pytest")
            status = run("pytest", [PYTHON, "-m", "pytest", *(arguments or WHOLE)], environment)
            if status:
                failed.setdefault("pytest", status)
    except Stopped:
        return 130
    earlier = [name for name in failed if name != "pytest"]
    if earlier:
        print(f"Failed before pytest, see above: {', '.join(earlier)}", file=sys.stderr, flush=True)
    return next(iter(failed.values()), 0)


def scrubbed(environment: dict[str, str] | None = None) -> dict[str, str]:
    """An environment without the hub's own variables, for a test that starts a whole hub of its own."""
    given = os.environ if environment is None else environment
    return {name: value for name, value in given.items() if not name.startswith("WEIGH_") and name != "DATABASE_URL"}
