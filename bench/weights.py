"""`python -m bench.weights [--rounds 3] [--case NAME ...]`: conversion, variants and merging beside the usual ways, in one run.

Every way is a process of its own, started in turn with the others; sources are in the page cache, outputs are synced to the disk.
It writes its own files with the true names and shapes of SD 1.5 and needs about 40 GB of disk and 10 GB of memory for the peers;
`--small` is a trial with narrow models. Wall time, CPU time of all processes, peak memory of the largest, and the ratio last.

A floor is what the hashes of the results alone take in the same run, reading the finished files from the page cache: of a target below
it no implementation that hashes could do better.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.ground import ROOT
from bench.scan_results import table

MEASURE = """
import json, os, sys, time
started = time.perf_counter()
out = os.open(os.devnull, os.O_WRONLY)
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, out, 1)])
_, status, usage = os.wait4(pid, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss]))
"""
"""Runs a command from a small process (a parent's pages count into its child's peak); its usage is that of all its processes."""

MAX_RSS_MB, MAX_RSS_CASTING_MB = 150, 300


@dataclass(frozen=True)
class Way:
    """One way to do a job: the command that leaves the outputs."""

    title: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Target:
    """Ours may take at most `ratio` of what `baseline` takes; `cpu` where that holds for CPU time too."""

    ours: str
    baseline: str
    ratio: float
    cpu: bool = False


@dataclass(frozen=True)
class Case:
    """A job: the files it reads, the ways to do it, what ours may take, and the memory that ours may hold (MB). `floors` read what the
    last way has left.
    """

    name: str
    title: str
    sources: tuple[Path, ...]
    ways: tuple[Way, ...]
    targets: tuple[Target, ...]
    max_rss_mb: int = MAX_RSS_MB
    floors: tuple[Way, ...] = ()


@dataclass(frozen=True)
class Taken:
    """What one run took: seconds of wall and of CPU time, and the peak of the largest process in megabytes."""

    wall: float
    cpu: float
    rss_mb: float


OURS, OURS_CHECKED, OURS_HUB = "ours", "ours, re-read and compared", "ours as in the hub: locked child, re-read"
"""The engine alone; with its result read back from the disk and compared; and both in the locked child, as every conversion of the hub."""
OURS_LISTED = "ours, without the hash of tensors"
"""The hashes that the targets list: SHA256, AutoV1-3, BLAKE3, CRC32. The hub always takes the hash of tensors besides."""


def peer(method: str, *paths: Path) -> tuple[str, ...]:
    return (sys.executable, "-m", "bench.weights_peers", method, *map(str, paths))


def ours(job: str, *arguments: str | Path) -> tuple[str, ...]:
    return (sys.executable, "-m", "bench.weights_ours", job, *map(str, arguments))


def shell(line: str, *paths: Path) -> tuple[str, ...]:
    return ("/bin/sh", "-ec", line, "sh", *map(str, paths))


def floors(*results: Path) -> tuple[Way, ...]:
    """The hashes of results alone: all that the targets list, by us; and SHA-256 and AutoV3, a SHA-256 each, side by side by openssl."""
    twice = 'for file; do openssl dgst -sha256 "$file" & openssl dgst -sha256 "$file"; wait $!; done'
    alone = Way("floor: these hashes alone, by us", ours("hash", *results, "--listed"))
    return alone, Way("floor: two SHA-256 alone, by openssl", shell(twice, *results))


def _full(files: Callable[[str], Path], out: Path) -> Case:
    source, target = files("plain"), out / "out.safetensors"
    ways = (
        Way("cp and fsync", shell('cp "$1" "$2"; sync "$2"', source, target)),
        Way("HF convert.py's method", peer("hf_convert", source, target)),
        Way("HF convert.py with its check", peer("hf_convert_checked", source, target)),
        Way(OURS, ours("convert", source, target, "--no-hashes", "--no-check")),
        Way(OURS_CHECKED, ours("convert", source, target, "--no-hashes")),
    )
    targets = (Target(OURS, "cp and fsync", 1.0), Target(OURS, "HF convert.py's method", 0.2))
    checked = (Target(OURS_CHECKED, "HF convert.py with its check", 0.2),)
    return Case("full", "full conversion, no hashes", (source,), ways, targets + checked)


def _hashed(files: Callable[[str], Path], out: Path) -> Case:
    source, target = files("plain"), out / "out.safetensors"
    ways = (
        Way("HF convert.py's method, no hash", peer("hf_convert", source, target)),
        Way(OURS_LISTED, ours("convert", source, target, "--no-check", "--listed")),
        Way(OURS, ours("convert", source, target, "--no-check")),
        Way(OURS_HUB, ours("convert", source, target, "--locked")),
    )
    targets = tuple(Target(title, "HF convert.py's method, no hash", 0.5) for title in (OURS_LISTED, OURS, OURS_HUB))
    return Case("hashed", "full conversion and all hashes of the output", (source,), ways, targets, floors=floors(target))


def _pruned(files: Callable[[str], Path], out: Path) -> Case:
    source, target = files("plain"), out / "out.safetensors"
    ways = (
        Way("torch, then a read a hash", peer("chain_pruned_half", source, target)),
        Way(OURS_LISTED, ours("convert", source, target, "--variant", "weights:fp16", "--no-check", "--listed")),
        Way(OURS, ours("convert", source, target, "--variant", "weights:fp16", "--no-check")),
        Way(OURS_HUB, ours("convert", source, target, "--variant", "weights:fp16", "--locked")),
    )
    targets = tuple(Target(title, "torch, then a read a hash", 0.30) for title in (OURS_LISTED, OURS, OURS_HUB))
    return Case("pruned", "pruned fp16 and all hashes", (source,), ways, targets, MAX_RSS_CASTING_MB, floors(target))


VARIANTS = ("all:keep", "weights:keep", "weights:fp16", "ema:fp16")


def _variants(files: Callable[[str], Path], out: Path) -> Case:
    source = files("training")
    targets_of = [out / f"out{number}.safetensors" for number in range(len(VARIANTS))]
    arguments = [source, *targets_of, *(word for variant in VARIANTS for word in ("--variant", variant))]
    ways = (
        Way("torch mmap, then a read a hash", peer("variants_separately", source, *targets_of)),
        Way(OURS_LISTED, ours("convert", *arguments, "--no-check", "--listed")),
        Way(OURS, ours("convert", *arguments, "--no-check")),
        Way(OURS_HUB, ours("convert", *arguments, "--locked")),
    )
    targets = tuple(Target(title, "torch mmap, then a read a hash", 0.40, cpu=True) for title in (OURS_LISTED, OURS, OURS_HUB))
    title = "full, no-EMA fp32, no-EMA fp16, EMA-only fp16, and all hashes of each"
    return Case("variants", title, (source,), ways, targets, MAX_RSS_CASTING_MB, floors(*targets_of))


def _merge(files: Callable[[str], Path], out: Path) -> Case:
    first, second, target = files("half-a"), files("half-b"), out / "out.safetensors"
    ways = (
        Way("A1111's method and sha256", peer("a1111_weighted_sum", first, second, target)),
        Way(OURS, ours("merge", first, second, target, "--no-check")),
        Way(OURS_CHECKED, ours("merge", first, second, target)),
        Way(OURS_HUB, ours("merge", first, second, target, "--locked")),
    )
    targets = tuple(Target(title, "A1111's method and sha256", 0.30) for title in (OURS, OURS_CHECKED, OURS_HUB))
    title = "weighted sum of two fp16 models and all hashes"
    return Case("merge", title, (first, second), ways, targets, MAX_RSS_CASTING_MB, floors(target))


def measure(way: Way, case: Case, out: Path) -> Taken:
    """One run with an empty folder for outputs and the sources in the page cache; RuntimeError where the command fails."""
    for left in out.iterdir():
        left.unlink()
    return timed(way, case, case.sources)


def timed(way: Way, case: Case, read: Iterable[Path]) -> Taken:
    """One run with the files that it reads in the page cache."""
    os.sync()
    for path in read:
        with path.open("rb", buffering=0) as file:
            while file.read(4 << 20):
                pass
    done = subprocess.run([sys.executable, "-I", "-S", "-c", MEASURE, *_found(way.command)], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    code, wall, cpu, rss = json.loads(done.stdout)
    if code:
        raise RuntimeError(f"{way.title} of {case.title} ended with {code}")
    return Taken(wall, cpu, rss / 1024)


def _found(command: tuple[str, ...]) -> tuple[str, ...]:
    """posix_spawn takes no search path; both programs used here are named whole."""
    return (os.path.abspath(command[0]), *command[1:])


def run(case: Case, rounds: int, out: Path) -> list[str]:
    """Print the table of one case; the targets that ours misses."""
    taken: dict[str, list[Taken]] = {way.title: [] for way in (*case.ways, *case.floors)}
    for number in range(rounds):
        ways = case.ways[number % len(case.ways) :] + case.ways[: number % len(case.ways)]
        for way in ways:
            taken[way.title].append(measure(way, case, out))
            for floor in case.floors if way is case.ways[-1] else ():
                taken[floor.title].append(timed(floor, case, out.iterdir()))
    middle = {title: _median(runs) for title, runs in taken.items()}
    size = sum(source.stat().st_size for source in case.sources)
    print(f"\n{case.title}: {size / 1e9:.2f} GB read, medians of {rounds} in turn")
    reference = middle[case.ways[0].title]
    rows = [
        (
            title,
            f"{m.wall:.2f}",
            f"{_spread(taken[title])}",
            f"{m.cpu:.2f}",
            f"{m.rss_mb:.0f}",
            f"{m.cpu / reference.cpu:.2f}x",
            f"{m.wall / reference.wall:.2f}x",
        )
        for title, m in middle.items()
    ]
    print(table(("way", "wall s", "min-max", "CPU s", "RSS MB", "CPU ratio", "wall ratio"), rows), flush=True)
    return [*_missed(case, middle), *_heavy(case, taken)]


def _median(runs: Sequence[Taken]) -> Taken:
    return Taken(*(statistics.median(getattr(run, name) for run in runs) for name in ("wall", "cpu", "rss_mb")))


def _spread(runs: Sequence[Taken]) -> str:
    walls = [run.wall for run in runs]
    return f"{min(walls):.2f}-{max(walls):.2f}"


def _missed(case: Case, middle: dict[str, Taken]) -> list[str]:
    missed = []
    for target in case.targets:
        mine, theirs = middle[target.ours], middle[target.baseline]
        for unit, ratio in (("wall", mine.wall / theirs.wall), *([("CPU", mine.cpu / theirs.cpu)] if target.cpu else [])):
            word = "met" if ratio <= target.ratio else "MISSED"
            floor = _floor(case, middle, theirs, unit)
            print(f"target: {target.ours} / {target.baseline}, {unit}: at most {target.ratio:.2f}x, {word}: {ratio:.2f}x{floor}")
            if ratio > target.ratio:
                missed.append(f"{case.title}: {target.ours} takes {ratio:.2f}x of {target.baseline} ({unit}; target {target.ratio:.2f}x)")
    return missed


def _floor(case: Case, middle: dict[str, Taken], theirs: Taken, unit: str) -> str:
    """What the hashes alone take of the baseline, in the order of the case's floors."""
    told = [getattr(middle[floor.title], unit.lower()) / getattr(theirs, unit.lower()) for floor in case.floors]
    return f" (floors {', '.join(f'{ratio:.2f}x' for ratio in told)})" if told else ""


def _heavy(case: Case, taken: dict[str, list[Taken]]) -> list[str]:
    worst = max(run.rss_mb for title, runs in taken.items() if title.startswith("ours") for run in runs)
    print(f"target: peak RSS of ours at most {case.max_rss_mb} MB, {'met' if worst <= case.max_rss_mb else 'MISSED'}: {worst:.0f} MB")
    return [] if worst <= case.max_rss_mb else [f"{case.title}: ours holds {worst:.0f} MB (target {case.max_rss_mb})"]


def maker(folder: Path, small: bool) -> Callable[[str], Path]:
    """Makes each source once, when it is asked for."""
    from bench import weights_files as files
    from samples.layout import STANDARD

    widths = files.SMALL if small else STANDARD
    makers: dict[str, tuple[str, Callable[[Path], Path]]] = {
        "plain": ("plain.ckpt", lambda path: files.checkpoint(path, widths)),
        "training": ("training.ckpt", lambda path: files.training_checkpoint(path, widths)),
        "half-a": ("a.safetensors", lambda path: files.half_safetensors(path, 3, widths)),
        "half-b": ("b.safetensors", lambda path: files.half_safetensors(path, 4, widths)),
    }

    def make(name: str) -> Path:
        file_name, write = makers[name]
        path = folder / file_name
        return path if path.exists() else write(path)

    return make


BUILDERS = {"full": _full, "hashed": _hashed, "pruned": _pruned, "variants": _variants, "merge": _merge}
NAMES = tuple(BUILDERS)


def main() -> int:
    """0 when every target is met."""
    parser = argparse.ArgumentParser(prog="python -m bench.weights", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--case", action="append", choices=NAMES, help="only this case; may be given again")
    parser.add_argument("--small", action="store_true", help="narrow models: a trial of the bench, its ratios mean nothing")
    parser.add_argument("--folder", type=Path, default=None, help="where the files go; removed afterwards")
    asked = parser.parse_args()
    missed = []
    with tempfile.TemporaryDirectory(prefix="bench-weights-", dir=asked.folder) as name:
        make, out = maker(Path(name), asked.small), Path(name) / "out"
        out.mkdir()
        for case_name in asked.case or NAMES:
            missed += run(BUILDERS[case_name](make, out), asked.rounds, out)
    print("\n" + ("\n".join(f"MISSED {text}" for text in missed) or "every target is met"))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
