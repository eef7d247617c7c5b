"""An engine keeps one locked child, believes it nothing, and ends it when it is time; the child can do nothing but render."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inference import engine as engines
from inference.diffusion import server
from inference.diffusion.jobs import CHECKPOINT, Event, Job, JobFile, Shot
from inference.diffusion.server import Orders
from inference.engine import Engine, EngineTrouble, Limits
from registry.formats.errors import FormatError
from registry.sandbox.parent import ROOT, Cancelled
from tests.processes import is_alive
from tests.registry.sandbox.machine import on_linux

pytestmark = on_linux
PAINTER, TALKER = "tests.inference.diffusion.painter:Painter", "tests.inference.diffusion.talker:main"
QUICK = Limits(cancel_seconds=1, silence_seconds=20)


@pytest.fixture(scope="module")
def painter() -> Iterator[Engine]:
    """The real child, with torch: one for all tests, which takes seconds to start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEIGH_S3_SECRET", "hidden")
        found = Engine("cpu", gpu="1", threads=1, renderer=PAINTER, limits=QUICK)
        found.describe()
    yield found
    found.stop()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Engine]]:
    """Makes engines whose child is the real one without torch."""
    monkeypatch.setattr(engines, "ENTRY", TALKER)
    found: list[Engine] = []

    def make(limits: Limits = QUICK) -> Engine:
        found.append(Engine("cpu", threads=1, limits=limits))
        return found[-1]

    yield make
    for engine in found:
        engine.stop()


@pytest.fixture
def talker(made: Callable[..., Engine]) -> Engine:
    return made()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    path.write_bytes(b"weights!")
    with path.open("rb") as file:
        yield file.fileno()


def job(*prompts: str) -> Job:
    return Job((JobFile(CHECKPOINT, "model", "0" * 64, 8),), tuple(Shot(prompt, width=64, height=64, steps=3) for prompt in prompts))


def done(engine: Engine, fd: int, *prompts: str) -> dict[str, Any]:
    """What the child said at the end."""
    heard: list[Event] = []
    engine.render(job(*prompts), [fd], heard.append)
    assert heard[-1].kind in ("done", "note")
    return next(event.data for event in heard if event.kind == "done")


def trouble(engine: Engine, fd: int, prompt: str, **options: Any) -> EngineTrouble:
    with pytest.raises(EngineTrouble) as caught:
        engine.render(job(prompt), [fd], options.pop("heard", lambda _: None), **options)
    assert engine.pid is None
    return caught.value


def wait_until(true: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    assert true()


class TestWork:
    def test_every_event_is_heard_in_order_and_the_child_stays_for_the_next_job(self, talker: Engine, weights: int) -> None:
        heard: list[Event] = []
        talker.describe()
        talker.render(job("a", "b"), [weights], heard.append)
        assert [(event.kind, event.shots) for event in heard] == [
            ("step", (0,)),
            ("picture", (0,)),
            ("step", (1,)),
            ("picture", (1,)),
            ("done", ()),
        ]
        assert (heard[0].step, heard[0].steps) == (1, 3)
        assert heard[1].png.startswith(b"\x89PNG")
        first = heard[-1].data
        second = done(talker, weights, "c")
        assert (second["pid"], second["jobs"]) == (talker.pid, first["jobs"] + 1) == (first["pid"], first["jobs"] + 1)

    def test_a_refusal_is_an_answer_and_ends_nothing(self, talker: Engine, weights: int) -> None:
        talker.describe()
        before = talker.pid
        with pytest.raises(FormatError) as caught:
            talker.render(job("refuse model.weight"), [weights], lambda _: None)
        assert (caught.value.code, caught.value.where) == ("render:refused", "model.weight")
        assert "\x1b" not in caught.value.sentence
        assert talker.pid == before

    def test_a_job_out_of_bounds_is_never_sent(self, talker: Engine, weights: int) -> None:
        with pytest.raises(ValueError, match="shots"):
            talker.render(Job((JobFile(CHECKPOINT, "model", "0" * 64, 8),), ()), [weights], lambda _: None)

    def test_another_file_than_the_job_names_is_not_rendered(self, talker: Engine) -> None:
        with open(os.devnull, "rb") as other:
            assert "not the one that the job names" in trouble(talker, other.fileno(), "a").text


class TestLocks:
    def test_it_tells_what_it_runs_on(self, painter: Engine) -> None:
        told = painter.describe()
        assert (told["device"], told["threads"]) == ("cpu", 1)
        assert told["device_name"]
        assert 0 < told["largest_weights"] < told["memory_bytes"] == engines.machine_memory()
        assert "seccomp" in told["sandbox"]

    def test_models_compute_behind_the_locks_and_files_are_read_through_what_was_handed_over(self, painter: Engine, weights: int) -> None:
        found = done(painter, weights, "convolve")["found"]
        assert (found["head"], found["threads"]) == (b"weig".hex(), 1)
        assert found["sum"] > 0

    @pytest.fixture(scope="class")
    def tried(self, painter: Engine, weights: int, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
        secret = tmp_path_factory.mktemp("data") / "secret"
        secret.write_text("of the hub")
        found: dict[str, Any] = done(painter, weights, f"doors {secret}")["found"]
        return found

    @pytest.mark.parametrize("door", ["inet", "inet6", "unix", "netlink", "pair", "fork", "exec", "kill"])
    @pytest.mark.parametrize("thread", ["doors", "later"])
    def test_no_socket_no_process_no_signal(self, tried: dict[str, Any], thread: str, door: str) -> None:
        assert tried[thread][door] == "EPERM"

    @pytest.mark.parametrize("door", ["passwd", "data", "root", "parent", "write", "temporary"])
    @pytest.mark.parametrize("thread", ["doors", "later"])
    def test_no_file_but_the_libraries(self, tried: dict[str, Any], thread: str, door: str) -> None:
        assert tried[thread][door] in ("EACCES", "EPERM")

    def test_no_limit_can_be_changed(self, tried: dict[str, Any]) -> None:
        assert tried["doors"]["limits"] != "ALLOWED"

    def test_what_libraries_import_late_is_found(self, painter: Engine, weights: int) -> None:
        found = done(painter, weights, "libraries")["found"]
        assert found["tokens"] == 0
        assert found["version"]

    def test_no_secret_is_in_its_environment_and_no_file_is_open(self, painter: Engine) -> None:
        told = dict(line.split("=", 1) for line in Path(f"/proc/{painter.pid}/environ").read_text().split("\0") if line)
        files = {os.readlink(path) for path in Path(f"/proc/{painter.pid}/fd").iterdir()}
        assert (told["HF_HUB_OFFLINE"], told["CUDA_VISIBLE_DEVICES"], told["HOME"]) == ("1", "1", "/proc/nonexistent")
        assert not any(name.startswith(("WEIGH", "DATABASE", "AWS", "PATH", "PYTHON")) for name in told)
        assert {name.partition(":")[0] for name in files} <= {"/dev/null", "pipe", "socket"}

    def test_without_any_lock_on_the_network_nothing_is_rendered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server, "lock_computing", lambda *_, **__: ["rlimit", "landlock3"])
        with pytest.raises(server.Unusable, match="neither seccomp nor Landlock"):
            server.locked(Orders("cpu", 1, PAINTER), "cpu")
        assert server.locked(Orders("cpu", 1, PAINTER, weak=True), "cpu") == ["rlimit", "landlock3"]


class TestCancelling:
    def test_work_that_stops_when_asked_leaves_the_child_as_it_was(self, talker: Engine, weights: int) -> None:
        talker.describe()
        before, heard, started = talker.pid, [], time.monotonic()
        with pytest.raises(Cancelled):
            talker.render(job("wait 60"), [weights], heard.append, lambda: len(heard) > 3)
        assert time.monotonic() - started < 10
        assert talker.pid == before is not None
        assert done(talker, weights, "a")["pid"] == before

    def test_work_that_does_not_is_ended(self, talker: Engine, weights: int) -> None:
        heard: list[Event] = []
        with pytest.raises(Cancelled):
            talker.render(job("hang 60"), [weights], heard.append, lambda: len(heard) > 0)
        assert talker.pid is None

    def test_whatever_a_listener_raises_the_work_is_over(self, talker: Engine, weights: int) -> None:
        def hear(event: Event) -> None:
            raise LookupError("the row is gone")

        talker.describe()
        with pytest.raises(LookupError):
            talker.render(job("a"), [weights], hear)
        assert talker.pid is None


class TestTrouble:
    def test_silence_ends_it(self, made: Any, weights: int) -> None:
        engine = made(Limits(silence_seconds=1))
        assert trouble(engine, weights, "hang 60").reason == "late"

    def test_a_death_is_told_with_its_last_words_and_the_next_job_starts_another(self, talker: Engine, weights: int) -> None:
        found = trouble(talker, weights, "die")
        assert (found.reason, found.text) == ("died", "last words")
        found = trouble(talker, weights, "crash")
        assert "signal 11" in found.sentence
        assert "do_crash" in found.text
        assert done(talker, weights, "a")["jobs"] == 1

    def test_its_own_errors_are_told_apart(self, talker: Engine, weights: int) -> None:
        found = trouble(talker, weights, "fail")
        assert found.reason == "failed"
        assert "LookupError: nothing there" in found.text
        assert trouble(talker, weights, "device").reason == "device"

    def test_memory_that_torch_does_not_get_is_told(self, painter: Engine, weights: int) -> None:
        found = trouble(painter, weights, f"allocate {1 << 44}")
        assert (found.reason, "more memory" in found.sentence) == ("memory", True)

    def test_what_cannot_be_ends_it(self, talker: Engine, weights: int) -> None:
        assert trouble(talker, weights, "say twice").reason == "broken"
        assert trouble(talker, weights, "say huge").reason == "broken"
        assert trouble(talker, weights, "say end").reason == "broken"

    def test_memory_over_all_bounds_ends_it_at_once(self, made: Any, weights: int) -> None:
        engine = made(Limits(most_bytes=200 << 20))
        started = time.monotonic()
        found = trouble(engine, weights, f"swell {300 << 20}")
        assert (found.reason, "0.2 GB" in found.sentence) == ("memory", True)
        assert time.monotonic() - started < 25

    def test_a_renderer_that_is_not_there_is_told(self) -> None:
        with pytest.raises(EngineTrouble) as caught:
            Engine("cpu", threads=1, renderer="tests.inference.diffusion.nobody:Nobody").describe()
        assert caught.value.reason == "start"
        assert "No module named" in caught.value.text

    def test_a_gpu_that_is_not_there_is_told(self) -> None:
        engine = Engine("cuda", gpu="-1", threads=1, renderer=PAINTER)
        with pytest.raises(EngineTrouble, match="The GPU cannot be used"):
            engine.describe()


class TestItsEnd:
    def test_one_that_keeps_too_much_is_started_anew_and_says_why(self, made: Any, weights: int, caplog: pytest.LogCaptureFixture) -> None:
        engine = made(Limits(keep_bytes=100 << 20))
        heard: list[Event] = []
        with caplog.at_level(logging.INFO, logger="inference.engine"):
            engine.render(job(f"keep {200 << 20}"), [weights], heard.append)
        assert heard[-1].kind == "note"
        assert "memory" in heard[-1].note
        assert any("it kept" in record.getMessage() for record in caplog.records)
        assert engine.pid is None

    def test_one_that_has_done_its_jobs_or_is_not_needed_is_ended(self, made: Any, weights: int) -> None:
        engine = made(Limits(jobs=2, idle_seconds=1))
        assert done(engine, weights, "a")["jobs"] == 1
        assert done(engine, weights, "a")["jobs"] == 2
        assert engine.pid is None
        assert done(engine, weights, "a")["jobs"] == 1
        wait_until(lambda: engine.pid is None)

    def test_it_outlives_the_thread_that_started_it(self, made: Any, weights: int) -> None:
        engine = made()
        thread = threading.Thread(target=engine.describe)
        thread.start()
        thread.join()
        before = engine.pid
        assert done(engine, weights, "a")["pid"] == before
        engine.stop()

    def test_it_dies_with_its_worker(self) -> None:
        code = "import sys, time; sys.path.insert(0, sys.argv[1]); from inference.engine import Engine\n"
        code += f"from inference import engine as engines; engines.ENTRY = {TALKER!r}\n"
        code += "engine = Engine('cpu', threads=1); engine.describe()\n"
        code += "print(engine.pid, flush=True); time.sleep(60)"
        worker = subprocess.Popen([sys.executable, "-c", code, ROOT], stdout=subprocess.PIPE)
        assert worker.stdout is not None
        pid = int(worker.stdout.readline())
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        worker.stdout.close()
        wait_until(lambda: not is_alive(pid))

    def test_a_process_that_is_forked_off_starts_its_own(self, talker: Engine, weights: int) -> None:
        talker.describe()
        before = talker.pid
        told, tell = os.pipe()
        forked = os.fork()
        if forked == 0:
            with contextlib.suppress(BaseException):
                os.write(tell, str(done(talker, weights, "a")["pid"]).encode())
                talker.stop()
            os._exit(0)
        os.close(tell)
        os.waitpid(forked, 0)
        with open(told) as answer:
            other = int(answer.read())
        assert other != before
        assert not is_alive(other)
        assert done(talker, weights, "a")["pid"] == before

    def test_one_that_was_only_asked_what_it_runs_on_does_not_stay(self, talker: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(engines, "ASKED_SECONDS", 0.2)
        assert talker.describe() == talker.describe()
        wait_until(lambda: talker.pid is None)
        assert talker.describe()["device"] == "cpu"
        assert talker.pid is None
