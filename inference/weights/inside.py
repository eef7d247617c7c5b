"""What a locked process of the converter is: it imports, locks itself in, takes its job, does it and says how it ended. For `locked`.

An entry of another kind of work (a merge) is a function that calls `work` with its own job; it finds sources, outputs and orders on the
`Desk` and answers plain data. Nothing can be opened there: what a job needs must be imported by its module.
"""

from __future__ import annotations

import concurrent.futures.thread
import json
import os
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

import numpy as np
from isal.isal_zlib import crc32

from inference.weights.convert import Output, write_outputs
from inference.weights.directories import directory_of
from inference.weights.kernels import Kernel, NumpyKernel, TorchKernel
from inference.weights.metadata import derived_metadata
from inference.weights.plan import PLAIN, make_plan
from inference.weights.recipe import Recipe
from registry.formats.errors import FormatError, LimitExceeded
from registry.formats.hashes import Hasher
from registry.formats.reader import FileReader, Reader
from registry.sandbox import child
from registry.sandbox.locks import lock
from registry.sandbox.ranges import Ranges

PRELOADED = (concurrent.futures.thread, crc32)
"""Otherwise imported on first use, when nothing can be opened any more."""

TELL_EVERY = 0.2
"""Seconds between two words on how far the work is."""

THREADS = 8
"""Times the wall time that all threads together may compute: the writer, the hashes, the work."""


class Late(BaseException):
    """Time is up; not an Exception, so that nothing takes it for its own."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What lies before a job: its sources, (buffered, direct or None) descriptors of its outputs, and its orders, which are not checked.

    `tell(done, total)` says how far it is, as often as one likes.
    """

    sources: list[Reader]
    outputs: list[tuple[int, int | None]]
    orders: Any
    tell: Callable[[int, int], None]


Job = Callable[[Desk], dict[str, Any]]


def convert() -> None:
    """The entry of `locked.convert_locked`."""
    work(_convert)


def _convert(desk: Desk) -> dict[str, Any]:
    """A row for each output: [report, hashes], or {"error"} where its recipe cannot be followed; the others are made."""
    directory = directory_of(desk.orders["directory"])
    rows: list[Any] = []
    outputs: list[Output] = []
    for (fields, plain, sha256, title), (fd, direct_fd) in zip(desk.orders["outputs"], desk.outputs, strict=True):
        recipe = Recipe(**fields)
        metadata = dict(PLAIN) if plain else derived_metadata(directory, recipe, source_sha256=sha256, title=title)
        try:
            make_plan(directory, recipe, metadata)
            outputs.append(Output(recipe, metadata, fd, direct_fd))
            rows.append(None)
        except FormatError as error:
            rows.append({"error": _in_words(error)})
    made = write_outputs(desk.sources[0], directory, outputs, progress=desk.tell) if outputs else []
    finished = iter(made)
    return {"made": [row if row else written(next(finished)) for row in rows]}


def written(outcome: Any) -> list[Any]:
    """The row of one output in a job's answer: its report, and the hashes of the file."""
    return [outcome.to_json(), asdict(outcome.hashes)]


def work(job: Job) -> NoReturn:
    """The whole life of a child: does `job` behind locks and says {"answer"}, {"error"} of the file, {"late"}, or {"trouble"}.

    With the argument "torch" in its orders it opens that library first. Which locks this machine has is said; whether they are enough is
    not asked here.
    """
    given = child.orders()
    _warm("torch" in given.arguments)
    finish = child.watch(given.seconds, Late)
    layers = lock(
        cpu_seconds=THREADS * given.seconds, memory_bytes=given.memory_bytes, file_bytes=given.file_bytes, threads=True, writing=True
    )
    try:
        said = _ending(job)
        finish()
    except Late:
        said = {"late": True}
    child.say({**said, "sandbox": layers})


def _ending(job: Job) -> dict[str, Any]:
    try:
        return {"answer": job(_desk(json.loads(child.told())))}
    except FormatError as error:
        return {"error": _in_words(error)}
    except MemoryError:
        return {"error": {"code": "weights:memory", "sentence": "This file needs more memory than a conversion may take.", "where": ""}}
    except Exception as trouble:
        return {"trouble": {"errno": getattr(trouble, "errno", None), "text": traceback.format_exc()[-4000:]}}


def _in_words(error: FormatError) -> dict[str, Any]:
    place = {"where": error.where, "offset": error.offset, "limit": isinstance(error, LimitExceeded)}
    return {"code": error.code, "sentence": error.sentence, **place}


def _desk(told: dict[str, Any]) -> Desk:
    sources: list[Reader] = [FileReader(row[0]) if len(row) == 1 else Ranges(*row) for row in told["sources"]]
    last = -TELL_EVERY

    def tell(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= TELL_EVERY:
            last = now
            child.tell([done, total])

    return Desk(sources, [(fd, direct) for fd, direct in told["outputs"]], told["orders"], tell)


def _warm(torch: bool) -> None:
    """Do once what imports late, and hash nothing, so that its modules are there."""
    os.cpu_count()
    json.loads(json.dumps({"warm": [1.5, "ü"]}))
    hasher = Hasher()
    hasher.update(b"warm")
    hasher.finish()
    values, out = np.linspace(-1, 1, 1000, dtype=np.float32), np.empty(1000, np.uint16)
    kernels: list[Kernel] = [NumpyKernel()]
    if torch:
        with suppress(ImportError, OSError):  # it is faster, and never needed
            kernels.append(TorchKernel())
    for kernel in kernels:
        kernel.half(values, out)
        kernel.bfloat(values, out)
