"""`python -m bench.render [--rounds 2] [--tiny] [--slow]`: pictures a second and loading, ours beside diffusers as documented, in one run.

On a GPU: an fp16 checkpoint of true SD 1.5 shapes with random weights, 12 prompts at 512x512, 20 steps of DPM++ 2M Karras. On processors:
3 prompts at 128x128, 4 steps, in the element type that the hub computes with there. Each way is a process of its own, in turn with the
other; the file is in the page cache. It writes 2.1 GB under the folder. `--slow`: true SD 1.5 and SDXL files load and make one step, with
no network (9 GB, and 12 GB of memory on processors). `--tiny` is a trial whose ratios mean nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.ground import ROOT
from bench.scan_results import table

PROMPTS = tuple(
    f"a photograph of {thing} {place}, soft light, highly detailed"
    for thing in ("a lighthouse", "an old bicycle", "a red fox", "a bowl of cherries")
    for place in ("by the sea", "in the snow", "under a tree")
)
NEGATIVE = "blurry, low quality"
GPU_TARGET, CPU_TARGET = 2.0, 1.2
"""Times diffusers' pictures a second that ours are to make."""
LOAD_TARGET, CPU_LOAD_TARGET = 1.2, 1.0
"""On a GPU times the floor, on processors times diffusers' own load."""

Taken = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """0; 1 where a target is missed in a run that means something."""
    parser = argparse.ArgumentParser(prog="python -m bench.render")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--folder", type=Path, help="where the files are kept; without it a temporary one")
    parser.add_argument("--tiny", action="store_true", help="a small model, for a trial")
    parser.add_argument("--slow", action="store_true", help="true SD 1.5 and SDXL files load offline and make one step")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="weighhouse-bench-") as made:
        folder = asked.folder or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        if asked.slow:
            return _slow(folder, asked.device, asked.threads)
        return _compare(folder, asked)


def checkpoint(folder: Path, family: str) -> Path:
    """A file of random weights, made once; "tiny" is a narrow model in the layout of SD 1.x."""
    path = folder / f"{family}.safetensors"
    if path.exists():
        return path
    beside = path.with_suffix(".part")
    if family == "tiny":
        from tests.diffusion_models import sd1_state, written

        written(beside, sd1_state(dtype="F16"))
    else:
        from bench.render_files import random_checkpoint

        random_checkpoint(beside, family)
    beside.replace(path)
    return path


def _orders(path: Path, device: str, threads: int, tiny: bool) -> Taken:
    """What both ways get; the device decides how much."""
    if tiny:
        size, steps, prompts = 64, 2, PROMPTS[:2]
    elif device == "cuda":
        size, steps, prompts = 512, 20, PROMPTS
    else:
        size, steps, prompts = 128, 4, PROMPTS[:3]
    recipe = {"size": size, "steps": steps, "cfg": 7.0, "negative": NEGATIVE, "prompts": prompts}
    return {"checkpoint": str(path), "device": device, "threads": threads, **recipe}


def ask(module: str, *arguments: str) -> Taken:
    """What a way printed. Raises RuntimeError with its words where it failed."""
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **offline}, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[2:4])}: {done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def device_here(wanted: str) -> str:
    """ "cuda" where torch finds a card, asked in another process."""
    if wanted != "auto":
        return wanted
    code = "import torch; print('cuda' if torch.cuda.is_available() else 'cpu')"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def _compare(folder: Path, asked: argparse.Namespace) -> int:
    from bench.render_peers import write_config

    device = device_here(asked.device)
    path = checkpoint(folder, "tiny" if asked.tiny else "sd15")
    orders = _orders(path, device, asked.threads, asked.tiny)
    orders["config"] = str(write_config(path, folder / "config"))
    ours, theirs, floors = [], [], []
    for _ in range(asked.rounds):
        path.read_bytes()  # into the page cache, for whoever comes first
        ours.append(ask("bench.render_ours", json.dumps(orders)))
        orders["dtype"] = ours[-1]["done"]["dtype"]
        theirs.append(ask("bench.render_peers", "diffusers", json.dumps(orders)))
        floors.append(ask("bench.render_peers", "floor", json.dumps(orders)))
    missed = show(orders, ours, theirs, floors)
    return 1 if missed and not asked.tiny else 0


def show(orders: Taken, ours: Sequence[Taken], theirs: Sequence[Taken], floors: Sequence[Taken]) -> list[str]:
    """Print medians of all, the targets and the ratios last; the targets that were missed."""
    facts, done = ours[-1]["facts"], ours[-1]["done"]
    versions = ", ".join(f"{name} {number}" for name, number in done["versions"].items())
    count = len(orders["prompts"])
    print(f"{facts['device_name']} ({facts['device']}, {orders['threads']} threads), {done['dtype']}, {versions}")
    print(f"{count} prompts at {orders['size']}x{orders['size']}, {orders['steps']} steps DPM++ 2M Karras, {len(ours)} rounds in turn")
    print(f"batches of ours: {', '.join(str(batch['pictures']) for batch in done['batches'])}; locks: {', '.join(done['sandbox'])}")
    for note in (*done["notes"], *done["unfit"]):
        print(f"ours said: {note}")
    rows = [_row("ours", ours, count), _row("diffusers", theirs, count)]
    print(table(("way", "start s", "load s", "first s", "pictures s", "min-max", "CPU s", "images/s", "peak MB"), rows))
    floor = statistics.median(one["read"] + one["copy"] for one in floors)
    print(f"floor of loading: {floor:.2f} s (read {_median(floors, 'read'):.2f}, copy {_median(floors, 'copy'):.2f})")
    speed = _median(theirs, "pictures") / _median(ours, "pictures")
    load = _median(ours, "load")
    gpu = facts["device"] == "cuda"
    print(f"ratio processor time of the pictures, diffusers / ours: {_median(theirs, 'cpu') / _median(ours, 'cpu'):.2f}x")
    return [
        *_target("images a second, ours / diffusers", speed, GPU_TARGET if gpu else CPU_TARGET, least=True),
        *_target("load, ours / diffusers", load / _median(theirs, "load"), None if gpu else CPU_LOAD_TARGET),
        *_target("load, ours / floor", load / floor, LOAD_TARGET if gpu else None),
    ]


def _row(title: str, runs: Sequence[Taken], count: int) -> list[str]:
    pictures = [run["pictures"] for run in runs]
    cells = [f"{_median(runs, name):.2f}" for name in ("start", "load", "first", "pictures")]
    spread = [f"{min(pictures):.2f}-{max(pictures):.2f}", f"{_median(runs, 'cpu'):.2f}"]
    return [title, *cells, *spread, f"{count / _median(runs, 'pictures'):.3f}", f"{max(run['peak'] for run in runs) / 1e6:.0f}"]


def _median(runs: Sequence[Taken], name: str) -> float:
    return statistics.median(float(run[name]) for run in runs)


def _target(title: str, ratio: float, target: float | None, *, least: bool = False) -> list[str]:
    if target is None:
        print(f"ratio {title}: {ratio:.2f}x")
        return []
    met = ratio >= target if least else ratio <= target
    print(f"ratio {title}: {ratio:.2f}x (target: at {'least' if least else 'most'} {target:.1f}x, {'met' if met else 'MISSED'})")
    return [] if met else [title]


def _slow(folder: Path, wanted: str, threads: int) -> int:
    device = device_here(wanted)
    rows = []
    for family in ("sd15", "sdxl"):
        path = checkpoint(folder, family)
        orders = _orders(path, device, threads, tiny=False) | {"prompts": [], "size": 128 if device == "cpu" else 512}
        taken = ask("bench.render_ours", json.dumps(orders))
        seconds, done = taken["done"]["seconds"], taken["done"]
        size, peak = f"{path.stat().st_size / 1e9:.2f}", f"{taken['peak'] / 1e9:.1f}"
        rows.append([family, done["family"], done["dtype"], size, f"{seconds['load']:.1f}", f"{seconds['total']:.1f}", peak])
        print(f"{family}: locks {', '.join(done['sandbox'])}; {len(done['unfit'])} of 1 pictures unfit", flush=True)
    print(table(("file", "family", "type", "GB", "load s", "2 steps s", "peak GB"), rows, left=3))
    return 0


if __name__ == "__main__":
    sys.exit(main())
