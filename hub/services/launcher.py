"""`./weigh up`: starts the stores, prepares the database, starts web and workers, and stays until told to stop.
What each process is lies in the modules of the stores and in `site`; how processes live and die in `processes`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from hub.services import ports, site
from hub.services.console import Refusal, say
from hub.services.environment import hub_environment
from hub.services.folders import DataFolder
from hub.services.options import EVERYWHERE, UpOptions
from hub.services.postgres import Postgres
from hub.services.processes import Child, Fleet, leashed
from hub.services.seaweed import Seaweed
from hub.services.valkey import Valkey

READY_SECONDS = 120.0
FAILED_STARTS = 4  # after 0, 1 and 2 s of pause: what still ends then will not mend by itself
IMPATIENT_SECONDS = 1.0  # `timeout` and some service managers signal a process and its group, so one stop may arrive twice
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """Somebody asked the launcher to stop."""


class Launcher:
    """One hub on one data folder. The stores that the environment names as somebody else's are not started."""

    def __init__(self, options: UpOptions) -> None:
        self.options = options
        self.folder = DataFolder(options.data)
        self.fleet = Fleet()
        self.notes = ""
        self.samples: Child | None = None

    def run(self) -> None:
        """Start, print that it is ready, and stay. Returns after an asked-for stop; raises Refusal when it cannot start."""
        self.folder.prepare()
        with self.folder.lock():
            self._check_ports()
            self.folder.rotate_logs()
            with asked_to_stop(self.fleet):
                try:
                    self._start()
                    self._stay()
                except Stopped:
                    say("Stopping")
                finally:
                    self._stop()

    def _check_ports(self) -> None:
        option = f"--port, for example --port {self.options.port + 1 if self.options.port < 65535 else 8000}"
        ports.require_free(self.options.host, self.options.port, option, "the web site")
        self.postgres = None if os.environ.get("DATABASE_URL") else Postgres(self.folder)
        self.valkey = None if os.environ.get("WEIGH_BROKER_URL") else Valkey(self.folder)
        embedded_s3 = self.options.storage == "s3" and not os.environ.get("WEIGH_S3_ENDPOINT")
        self.seaweed = Seaweed(self.folder) if embedded_s3 else None
        if self.seaweed is not None:
            self.seaweed.check_ports()

    def _start(self) -> None:
        environment = hub_environment(self.folder, self.options, self.postgres, self.valkey, self.seaweed)
        self._start_stores()
        self.folder.write_environment(environment)
        try:
            self._prepare(environment)
            children = site.children(self.folder, self.options, environment)
            for child in children:
                self.fleet.start(child)
            self._wait_until_healthy(children)
            say(f"Weighhouse is ready: {self.options.origin}")
            self._say_where_else()
        finally:
            if self.notes:
                print(self.notes, flush=True)
        self._publish_samples(environment)

    def _start_stores(self) -> None:
        valkey = self.valkey.launch(self.fleet) if self.valkey else None
        s3 = self.seaweed.launch(self.fleet, self.options.origin) if self.seaweed else None
        if self.postgres:
            made = self.postgres.start(self.fleet)
            say("PostgreSQL ready (new cluster)" if made else "PostgreSQL ready")
        if self.valkey and valkey:
            self.fleet.wait_for(valkey, self.valkey.answers, 30)
            say("Valkey ready")
        if self.seaweed and s3:
            self.fleet.wait_for(s3, self.seaweed.answers, 90)
            say("S3 ready")

    def _prepare(self, environment: dict[str, str]) -> None:
        log = self.folder.log("prepare")
        with open(log, "ab") as errors:
            leash = leashed("prepare", environment)
            done = subprocess.run(site.prepare_command(), stdout=subprocess.PIPE, stderr=errors, check=False, **leash)
        self.notes = done.stdout.decode(errors="replace").strip()
        if done.returncode != 0:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise Refusal(f"The database could not be prepared. The end of {log}:\n{tail}")
        say("Database tables ready")

    def _wait_until_healthy(self, children: list[Child]) -> None:
        web = next(child for child in children if child.name == "web")
        self.fleet.wait_for(web, lambda: self._health() is not None, 60)
        say("Web site answers")
        deadline = time.monotonic() + READY_SECONDS
        while (health := self._health()) is None or health[0] != 200:
            self.fleet.tend()
            self._give_up_on_what_never_starts(children)
            if time.monotonic() > deadline:
                raise Refusal(
                    f"The hub was not healthy after {READY_SECONDS:.0f} s. /healthz says: {health and health[1]}. Logs: {self.folder.logs}"
                )
            time.sleep(0.1)
        say("Workers answer")

    def _give_up_on_what_never_starts(self, children: list[Child]) -> None:
        for child in children:
            if child.failures >= FAILED_STARTS:
                raise Refusal(f"{child.label} ended {child.failures} times while starting. The end of {child.log}:\n{child.tail()}")

    def _health(self) -> tuple[int, str] | None:
        """Status and body of /healthz; None while nobody answers."""
        try:
            with urllib.request.urlopen(f"{self.options.origin}/healthz", timeout=5) as answer:  # noqa: S310 (our own address)
                return answer.status, answer.read().decode(errors="replace")
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")[:500]
        except (OSError, ValueError):
            return None

    def _say_where_else(self) -> None:
        if self.options.host in EVERYWHERE:
            say(f"It listens on every address of this machine, port {self.options.port}")

    def _publish_samples(self, environment: dict[str, str]) -> None:
        """Start the one-shot child that publishes the sample models, once per data folder."""
        if self.options.samples and not self._samples_mark().exists():
            self.samples = site.samples(self.folder, environment)
            self.samples.start()
            say(f"Publishing the sample models (log: {self.samples.log})")

    def _samples_mark(self) -> Path:
        return self.folder.path / "samples-published"

    def _stay(self) -> None:
        while True:
            self.fleet.tend()
            self._look_at_samples()
            time.sleep(0.25)

    def _look_at_samples(self) -> None:
        if self.samples is None or self.samples.running() or self.samples.process is None:
            return
        if self.samples.process.returncode == 0:
            self._samples_mark().write_text(json.dumps({"published": time.time()}))
            say("Sample models published")
        else:
            say(f"Publishing the sample models failed; the next start tries again (log: {self.samples.log})")
        self.samples = None

    def _stop(self) -> None:
        if self.samples is not None:
            self.samples.kill()
        self.fleet.stop()
        if self.fleet.children:
            say("Stopped")


@contextlib.contextmanager
def asked_to_stop(fleet: Fleet) -> Iterator[None]:
    """Turn the first Ctrl-C, SIGTERM or SIGHUP into `Stopped`; another one, later than IMPATIENT_SECONDS, makes the stop hurry."""
    asked: float | None = None

    def answer(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked is not None:
            fleet.hurry = fleet.hurry or time.monotonic() - asked > IMPATIENT_SECONDS
            return
        asked = time.monotonic()
        raise Stopped

    before = {number: signal.signal(number, answer) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def up(options: UpOptions) -> int:
    """Run a hub until it is told to stop. Exit status 0 after a stop that was asked for."""
    Launcher(options).run()
    return 0
