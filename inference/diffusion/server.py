"""The render child: imports torch, sets up its device, locks itself in for good, then renders one job after another for its worker.

It holds no policy: when it is ended, what is stored and what is told is the worker's business (`inference.engine`). The renderer itself is
named in its orders, and imported before the doors close.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import json
import os
import select
import socket
import stat
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from inference.diffusion import wire
from inference.diffusion.hearing import check_job
from inference.diffusion.jobs import Event, Job
from registry.formats.errors import FormatError, LimitExceeded
from registry.sandbox import child
from registry.sandbox.computing import lock_computing, no_network

TEXT = 4000
"""Characters of a traceback that are told."""


class Renderer(Protocol):
    """What renders: `inference.diffusion.render.Renderer`. It keeps what it loaded from one job to the next."""

    def render(self, job: Job, fds: Sequence[int], emit: Callable[[Event], None], cancelled: Callable[[], bool]) -> None:
        """Say every shot's picture or why there is none, then "done"; return early where `cancelled()`. `FormatError` is an answer."""


@dataclass(frozen=True, slots=True)
class Orders:
    """How the worker wants its child: `device` "auto", "cpu" or "cuda"; `threads` of torch; `renderer` "module:Class"; files and folders
    that may be read beside the libraries; bytes of memory that it may write to (0: no bound); whether it may run without any lock on the
    network.
    """

    device: str
    threads: int
    renderer: str
    readable: tuple[str, ...] = ()
    data_bytes: int = 0
    weak: bool = False

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Orders:
        told = json.loads(text)
        return cls(**{**told, "readable": tuple(told["readable"])})


class Unusable(Exception):
    """This machine cannot do what was asked; the sentence says why."""


def main() -> None:
    """The entry for `registry.sandbox.resident.Resident`: ends when its socket does."""
    given = child.orders()
    sock = socket.socket(fileno=given.fd)
    faulthandler.enable()
    try:
        renderer, facts = set_up(Orders.from_json(given.arguments[0]))
    except Exception as error:
        sentence = str(error) if isinstance(error, Unusable) else "The render process could not start."
        wire.send(sock, {"say": "trouble", "reason": "start", "sentence": sentence, "text": traceback.format_exc()[-TEXT:]})
        return
    wire.send(sock, {"say": "ready", **facts})
    while (frame := wire.receive(sock)) is not None:
        try:
            going_on = frame.header.get("ask") != "job" or _work(sock, renderer, frame, facts)
        finally:
            for fd in frame.fds:
                os.close(fd)
        if not going_on:
            return


def set_up(orders: Orders) -> tuple[Renderer, dict[str, Any]]:
    """A renderer behind locks, and what it runs on. On processors no thread has been started when the doors close."""
    started = time.monotonic()
    module, _, name = orders.renderer.partition(":")
    make = getattr(importlib.import_module(module), name)
    torch: Any = importlib.import_module("torch")
    torch.set_num_threads(orders.threads)
    torch.set_num_interop_threads(1)
    device = _device(torch, orders.device)
    facts = _facts(torch, device)
    gc.freeze()  # 430,000 objects of libraries never go: looking at them took 0.22 s each time that a checkpoint made way for another
    layers = locked(orders, device)
    renderer: Renderer = make(device)
    return renderer, {**facts, "sandbox": layers, "threads": orders.threads, "seconds": round(time.monotonic() - started, 3)}


def locked(orders: Orders, device: str) -> list[str]:
    """Close the doors; the layers that hold. Raises `Unusable` where none of them keeps this process off the network."""
    layers = lock_computing(orders.readable, data_bytes=orders.data_bytes if device == "cpu" else 0, gpu=device == "cuda")
    if not no_network(layers) and not orders.weak:
        sentence = (
            "This kernel offers neither seccomp nor Landlock, so the render process cannot be kept off the network. Nothing is rendered."
        )
        raise Unusable(sentence)
    return layers


def _device(torch: Any, wanted: str) -> str:
    """ "cuda" or "cpu"; a GPU is set up as far as it will ever be. Raises `Unusable` where a GPU was asked for and cannot be had."""
    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return "cpu"
    try:
        torch.cuda.init()
        square = torch.ones(64, 64, device="cuda", dtype=torch.float16)
        torch.nn.functional.conv2d((square @ square)[None, None], square[None, None, :3, :3])
        torch.cuda.synchronize()
    except (RuntimeError, AssertionError) as error:
        raise Unusable(f"The GPU cannot be used: {str(error).partition(chr(10))[0]}") from error
    return "cuda"


def _facts(torch: Any, device: str) -> dict[str, Any]:
    if device == "cuda":
        card = torch.cuda.get_device_properties(0)
        return {"device": device, "device_name": str(card.name), "memory_bytes": int(card.total_memory)}
    return {"device": device, "device_name": _processor(), "memory_bytes": 0}


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), os.uname().machine)
    except OSError:
        return os.uname().machine


def _work(sock: socket.socket, renderer: Renderer, frame: wire.Frame, facts: dict[str, Any]) -> bool:
    """Do one job and say how it ended; whether this process is fit for another."""
    stop = _Stop(sock, frame.header.get("number"))

    def emit(event: Event) -> None:
        told = {key: value for key, value in asdict(event).items() if key != "png" and value not in ("", 0, (), {})}
        if event.kind == "done":
            told["data"] = {**event.data, "sandbox": facts["sandbox"], "threads": facts["threads"]}
        wire.send(sock, {"say": "event", **told}, event.png)

    try:
        job = Job.from_json(frame.header["job"])
        check_job(job)
        _check_files(job, frame.fds)
        renderer.render(job, frame.fds, emit, stop)
        ending: dict[str, Any] = {"say": "cancelled" if stop.told else "finished"}
    except FormatError as error:
        ending = {"say": "refused", "code": error.code, "sentence": error.sentence, "where": error.where}
        ending["limit"] = isinstance(error, LimitExceeded)
    except Exception as error:
        ending = {"say": "cancelled"} if stop.told else _trouble(error)
    wire.send(sock, ending)
    return bool(ending["say"] != "trouble")


def _check_files(job: Job, fds: Sequence[int]) -> None:
    """Each file of the job is an open one of its size. Raises `ValueError`."""
    if len(fds) != len(job.files):
        raise ValueError("a job came with other files than it names")
    for fd, file in zip(fds, job.files, strict=True):
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_size != file.size_bytes:
            raise ValueError("an open file is not the one that the job names")


class _Stop:
    """`cancelled` for a renderer: looks whether the worker has said so, and waits for nothing. Its end is ours."""

    def __init__(self, sock: socket.socket, number: object) -> None:
        self._sock, self._number = sock, number
        self.told = False

    def __call__(self) -> bool:
        while not self.told and select.select([self._sock], [], [], 0)[0]:
            frame = wire.receive(self._sock, files=0)
            if frame is None:
                os._exit(0)
            self.told = frame.header == {"ask": "cancel", "number": self._number}
        return self.told


_MEMORY_WORDS = ("out of memory", "can't allocate memory", "not enough memory")
_DEVICE_WORDS = ("CUDA error", "CUDNN", "cuDNN", "CUBLAS", "an illegal memory access", "no CUDA GPUs")


def _trouble(error: Exception) -> dict[str, Any]:
    """Why a job could not be done although its files may be right. What torch says of memory and of devices is a matter of words alone."""
    words = str(error)
    text = "".join(traceback.format_exception(error))[-TEXT:]
    if isinstance(error, MemoryError) or any(word in words for word in _MEMORY_WORDS):
        reason, sentence = "memory", "These pictures need more memory than this worker has. Ask for smaller ones, or for a larger worker."
    elif any(word in words for word in _DEVICE_WORDS):
        reason, sentence = "device", "The GPU reported an error; the render process starts anew."
    else:
        reason, sentence = "failed", "The render process met an error of its own."
    return {"say": "trouble", "reason": reason, "sentence": sentence, "text": text}
