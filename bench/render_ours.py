"""Our side of `bench.render`, in a process of its own: `python -m bench.render_ours ORDERS`. One line of JSON of what the engine took."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from inference.diffusion.jobs import CHECKPOINT, Event, Job, JobFile, Shot
from inference.engine import Engine


def render(orders: dict[str, Any]) -> dict[str, Any]:
    """As the hub renders: child, locks, checks of every PNG and all. A picture that is not counted comes first, on the same model."""
    engine = Engine(orders["device"], threads=orders["threads"])
    started = time.perf_counter()
    facts = engine.describe()
    ready = time.perf_counter()
    path = Path(orders["checkpoint"])
    file = JobFile(CHECKPOINT, path.stem, "0" * 64, path.stat().st_size)
    recipe = {"width": orders["size"], "height": orders["size"], "cfg_scale": orders["cfg"], "negative_prompt": orders["negative"]}
    shots = tuple(Shot(prompt, steps=orders["steps"], seed=seed, **recipe) for seed, prompt in enumerate(orders["prompts"]))
    with path.open("rb") as opened:
        first = _run(engine, Job((file,), (Shot("warm", steps=2, **recipe),)), opened.fileno())
        between, before = time.perf_counter(), _processor_seconds(engine.pid)
        then = _run(engine, Job((file,), shots), opened.fileno()) if shots else first
        ended = time.perf_counter()
    cpu, peak = _processor_seconds(engine.pid) - before, _peak(engine.pid)
    engine.stop()
    return {
        "start": ready - started,
        "load": first["seconds"]["load"],
        "first": between - ready - first["seconds"]["load"],
        "pictures": ended - between,
        "cpu": cpu,
        "peak": peak,
        "facts": facts,
        "done": then,
    }


def _run(engine: Engine, job: Job, fd: int) -> dict[str, Any]:
    heard: list[Event] = []
    engine.render(job, [fd], heard.append)
    done = next(event.data for event in heard if event.kind == "done")
    return {**done, "unfit": [event.note for event in heard if event.kind == "unfit"], "notes": [e.note for e in heard if e.kind == "note"]}


def _processor_seconds(pid: int | None) -> float:
    """Of the child and of this process, all threads."""
    fields = Path(f"/proc/{pid or os.getpid()}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") + time.process_time()


def _peak(pid: int | None) -> int:
    """The largest that the child ever was, in bytes, mapped pages of the file among them."""
    lines = Path(f"/proc/{pid or os.getpid()}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    print(json.dumps(render(json.loads(sys.argv[1]))))
