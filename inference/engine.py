"""The worker's side of rendering: keeps one render child, hands it jobs, hears it with suspicion, and ends it when it is time.

No torch and no database here; what is rendered, stored and told is for its caller. One engine a GPU, one job at a time.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from inference.diffusion.conversation import Conversation, EngineTrouble, Line
from inference.diffusion.hearing import check_job, refusal
from inference.diffusion.jobs import Event, Job
from inference.diffusion.server import Orders
from registry.formats.plaintext import printable
from registry.sandbox.parent import Cancelled
from registry.sandbox.resident import Resident

__all__ = ["Engine", "EngineTrouble", "Limits", "machine_memory"]

log = logging.getLogger(__name__)

ENTRY = "inference.diffusion.server:main"
RENDERER = "inference.diffusion.render:Renderer"

SILENCE_SECONDS, SILENT_BYTES_A_SECOND = {"cpu": 900.0, "cuda": 180.0}, {"cpu": 4 << 20, "cuda": 32 << 20}
"""A child may be silent so long, and for its weights as long as at this pace (cpu: 26 minutes for SD 1.5): one step of a batch of pictures
of 512 pixels takes minutes on two busy cores.
"""

FRAME_SECONDS = 60.0
"""A child may need so long for one frame, once it has begun it, or to take one."""

MAX_THREADS = 16
"""Threads of torch on processors: more of them wait for each other at the sizes of previews. One processor is left to whoever
works beside: where one of torch's threads has to wait for its turn, all wait for it (the sample sheet on two busy processors took
57 CPU seconds with one thread; with two, three of its eleven rows had taken 147).
"""

CPU_LARGEST_BYTES = 1 << 30
"""Weights that processors take on where nobody says otherwise: a 2 GB model needs minutes a picture there (measured: 10 s a step at 128
pixels), so it waits for a GPU.
"""

CPU_SHARE, GPU_SHARE = 0.2, 0.6
"""Largest weights as a share of memory: on processors halves become singles and both copies are there for a while (6.7 GB for a file of
2.1); on a GPU pictures and the working memory of 512 to 1024 pixels lie beside them.
"""

DATA_SHARE, KEEP_SHARE, MOST_SHARE = 0.8, 0.5, 0.85
"""Shares of the machine's memory: what a child on processors may write to at all, what it may keep between jobs, what it may take."""

ASKED_SECONDS = 60.0
"""How long a child stays that was only asked what it runs on: a process that has no pictures to make needs none."""

_SECRETS_FREE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DIFFUSERS_VERBOSITY": "error",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTORCH_ALLOC_CONF": "expandable_segments:True",
    "CUDA_CACHE_DISABLE": "1",
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    "MALLOC_ARENA_MAX": "2",
    "LOGNAME": "render",
    **dict.fromkeys(("HOME", "HF_HOME", "XDG_CACHE_HOME", "TORCH_HOME", "TMPDIR"), "/proc/nonexistent"),
    "TORCHINDUCTOR_CACHE_DIR": "/proc",  # torch makes this folder at its import: it must be there, and nobody can write to it
}
"""All of a child's environment, but for its threads, its GPU and what the caller adds: libraries look for caches where none can be."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a child is ended: after so many jobs, so long without one; when it starts, stops or says nothing for too long (seconds); and
    with so much memory of its own, between jobs or ever (bytes; 0: shares of the machine's).
    """

    jobs: int = 200
    idle_seconds: float = 600
    start_seconds: float = 600
    cancel_seconds: float = 15
    silence_seconds: float = 0
    keep_bytes: int = 0
    most_bytes: int = 0


class Engine:
    """A render child, started when it is first needed. Threads may share an engine; their jobs queue."""

    def __init__(
        self,
        device: str = "auto",
        *,
        gpu: str = "",
        threads: int = 0,
        largest_weights: int = 0,
        limits: Limits | None = None,
        readable: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        weak: bool = False,
        renderer: str = RENDERER,
    ) -> None:
        """`device` is "auto", "cpu" or "cuda"; `gpu` the index of the card, as nvidia-smi counts; `threads` of torch (0: all but one of
        the cores, to 16); `largest_weights` in bytes (0: by the device's memory); `readable` folders that the renderer may read beside the
        installed libraries, named to it in `environment` (never a secret); `weak` lets it run where no lock keeps it off the network.
        """
        self._memory = machine_memory()
        self._limits = limits or Limits()
        self._largest = largest_weights
        threads = threads or min(max(len(os.sched_getaffinity(0)) - 1, 1), MAX_THREADS)
        self._orders = Orders(device, threads, renderer, tuple(readable), int(DATA_SHARE * self._memory), weak)
        self._environment = {**_SECRETS_FREE, "OMP_NUM_THREADS": str(threads), **(environment or {})}
        if gpu:
            self._environment["CUDA_VISIBLE_DEVICES"] = gpu
        if device != "cpu" and (libraries := os.environ.get("LD_LIBRARY_PATH")):  # where some containers keep the driver's
            self._environment["LD_LIBRARY_PATH"] = libraries
            self._orders = replace(self._orders, readable=(*self._orders.readable, *filter(os.path.isabs, libraries.split(":"))))
        self._lock = threading.RLock()
        self._child: Resident | None = None
        self._facts: dict[str, Any] = {}
        self._jobs = 0
        self._nap: threading.Timer | None = None
        _ENGINES.add(self)

    def describe(self) -> dict[str, Any]:
        """{"device", "device_name", "memory_bytes", "largest_weights", "sandbox", "threads"}; starts the child the first time.

        Raises `EngineTrouble` where it does not start.
        """
        if not self._facts:
            with self._lock:
                self._running(_never)
                self._rest(min(ASKED_SECONDS, self._limits.idle_seconds))
        return dict(self._facts)

    def render(self, job: Job, fds: Sequence[int], heard: Callable[[Event], None], cancelled: Callable[[], bool] | None = None) -> None:
        """Have `job` done: `fds` are its files, open for reading, in the order of `job.files`; `heard` gets every event, checked.

        Raises `FormatError` for what a file is at fault of, `EngineTrouble`, `Cancelled` soon after `cancelled()` says so, and what `heard`
        or `cancelled` raise; `ValueError` for a job out of bounds.
        """
        check_job(job)
        with self._lock:
            if self._child is None:
                heard(Event("loading", note="The render process is starting."))
            child = self._running(cancelled or _never)
            try:
                ending = Conversation(
                    child, job, fds, patience=self._patience(job), cancel_seconds=self._limits.cancel_seconds, most_bytes=self._most
                ).run(heard, cancelled or _never)
            except BaseException as error:
                self._end(f"it was given up: {type(error).__name__}")
                raise
            self._jobs += 1
            self._recycle(heard if ending["say"] == "finished" else None)
        if ending["say"] == "refused":
            raise refusal(ending)
        if ending["say"] == "cancelled":
            raise Cancelled("the pictures are no longer wanted")

    def stop(self) -> None:
        """End the child, if there is one; the next job starts another."""
        with self._lock:
            self._end("")

    @property
    def pid(self) -> int | None:
        """The child's process id, while there is one."""
        child = self._child
        return child.pid if child is not None and child.alive else None

    @property
    def _most(self) -> int:
        return self._limits.most_bytes or int(MOST_SHARE * self._memory)

    def _patience(self, job: Job) -> float:
        device = self._facts["device"]
        weights = sum(file.size_bytes for file in job.files)
        return self._limits.silence_seconds or SILENCE_SECONDS[device] + weights / SILENT_BYTES_A_SECOND[device]

    def _running(self, cancelled: Callable[[], bool]) -> Resident:
        """The child, ready for a job."""
        if self._nap is not None:
            self._nap.cancel()
        if self._child is not None and self._child.alive:
            return self._child
        self._end("")
        try:
            self._child = Resident(ENTRY, [self._orders.to_json()], environment=self._environment)
        except OSError as error:
            raise EngineTrouble("start", "The render process could not be started.", str(error)) from error
        self._child.socket.settimeout(FRAME_SECONDS)
        try:
            self._facts = self._believed(Line(self._child, self._most).ready(self._limits.start_seconds, cancelled))
        except BaseException as error:
            self._end(f"it did not start: {error}")
            raise
        self._jobs = 0
        log.info("render process %s on %s (%s)", self._child.pid, self._facts["device_name"], ", ".join(self._facts["sandbox"]))
        return self._child

    def _believed(self, told: dict[str, Any]) -> dict[str, Any]:
        """Facts of the device: said before any file was read, so they are taken as they are, in bounds."""
        device = "cuda" if told.get("device") == "cuda" else "cpu"
        memory = int(told.get("memory_bytes") or 0) if device == "cuda" else self._memory
        largest = int(GPU_SHARE * memory) if device == "cuda" else min(CPU_LARGEST_BYTES, int(CPU_SHARE * memory))
        return {
            "device": device,
            "device_name": printable(str(told.get("device_name", "")), 120),
            "memory_bytes": memory,
            "largest_weights": self._largest or largest,
            "sandbox": [printable(str(layer), 20) for layer in list(told.get("sandbox") or [])[:8]],
            "threads": self._orders.threads,
        }

    def _recycle(self, heard: Callable[[Event], None] | None) -> None:
        """After a job: end a child that has done enough or keeps too much, and say why; else let it rest."""
        child = self._child
        if child is None:
            return
        kept, most = child.private_bytes(), self._limits.keep_bytes or int(KEEP_SHARE * self._memory)
        why = ""
        if kept > most:
            why = f"it kept {kept / 1e9:.1f} GB of memory, more than the {most / 1e9:.1f} GB that it may"
        elif self._jobs >= self._limits.jobs:
            why = f"it has done {self._jobs} jobs"
        if not why:
            self._rest(self._limits.idle_seconds)
            return
        self._end(why)
        if heard is not None:
            heard(Event("note", note=f"The render process is started anew: {why}."))

    def forked(self) -> None:
        """In a process that was forked off: the child is the other process's, and so are the locks that its threads held."""
        child, self._child = self._child, None
        self._lock, self._nap = threading.RLock(), None
        if child is not None:
            child.disown()

    def _rest(self, seconds: float) -> None:
        """Have the child ended when nothing is asked of it for so long: its memory belongs to the machine again."""
        self._nap = threading.Timer(seconds, self._idle)
        self._nap.daemon = True
        self._nap.start()

    def _idle(self) -> None:
        timer = threading.current_thread()
        if self._lock.acquire(blocking=False):
            try:
                if self._nap is timer:
                    self._end("nothing was asked of it for a while")
            finally:
                self._lock.release()

    def _end(self, why: str) -> None:
        child, self._child = self._child, None
        if self._nap is not None:
            self._nap.cancel()
            self._nap = None
        if child is None:
            return
        code = child.end()
        if why:
            log.info("render process %s ended (%s): %s", child.pid, code, why)
            if words := child.last_words():
                log.warning("render process %s said last: %s", child.pid, words)


def _never() -> bool:
    return False


def _forked() -> None:
    for engine in list(_ENGINES):
        engine.forked()


_ENGINES: weakref.WeakSet[Engine] = weakref.WeakSet()
os.register_at_fork(after_in_child=_forked)


def machine_memory() -> int:
    """Bytes of memory of this machine, or of the container where that is less (cgroup v2, v1)."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            found.append(int(Path(path).read_text()))
    return min(number for number in found if number > 0)
