"""Our scanner and four others over the project's own corpus: what each finds, misses, refuses and costs. Exit 1 where ours misses a target.

`python -m bench.scan [--tools ours,picklescan] [--only TEXT] [--timeout 30]` inside the project's virtual environment; the first run
installs the others, each into an environment of its own. `--large` measures a 2 GB checkpoint and the bombs instead (`bench.scan_large`).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench import scan_corpus, scan_results
from bench.scan_corpus import Sample
from bench.scan_peers import OURS, PEERS, Tool, Unavailable
from bench.scan_results import Answers
from bench.scan_workers import Worker

HOW = """\
How: each scanner runs in one process in an environment of its own and is asked about file after file, {timeout:g} s each; after a hang
or a crash it is started again. Seconds are counted inside that process, without its start; "ours sandboxed" starts one locked process
a file, as the hub does. unsafe: the scanner calls the file dangerous. not clean: it says anything but yes, "error" and "skipped"
included. silent: the file is hostile, and the scanner's command would exit with 0: picklescan innocuous, suspicious and nothing
scanned; modelscan clean; fickling LIKELY_SAFE, and zips with no member it looks at; modelaudit-picklescan clean. refused: honest files
that are not called clean, those that torch writes and all others (the scanners of pickles never promised to read the latter).
modelaudit-picklescan judges by what is installed beside it: here nothing is. The corpus is ours: our scanner was built against it,
the others were not, and not every file of it carries code: some only break a rule that a loader keeps."""


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m bench.scan")
    arguments.add_argument("--tools", default="", help="titles, separated by commas; all of them where left out")
    arguments.add_argument("--only", default="", help="files whose title holds this text")
    arguments.add_argument("--timeout", type=float, default=30.0, help="seconds a scanner has for one file")
    arguments.add_argument("--save", type=Path, help="write every single answer into this JSON file")
    arguments.add_argument("--large", action="store_true", help="the 2 GB checkpoint and the bombs instead of the corpus")
    arguments.add_argument("--gib", type=float, default=2.0, help="with --large: size of the checkpoint")
    arguments.add_argument("--rounds", type=int, default=3, help="with --large: runs of each")
    options = arguments.parse_args()
    tools = chosen(options.tools)
    print(f"load average before: {' '.join(f'{load:.2f}' for load in os.getloadavg())}, {os.cpu_count()} cores", flush=True)
    if options.large:
        from bench import scan_large

        return closing(scan_large.run(tools, options.gib, options.rounds, options.timeout))
    samples = scan_corpus.samples(options.only)
    answers = run(samples, tools, options.timeout)
    if options.save:
        save(options.save, samples, answers)
    print(HOW.format(timeout=options.timeout))
    scan_results.show(samples, answers)
    if not any(tool in answers for tool in OURS):
        print("\ntargets: not looked at, ours was not asked")
        return 0
    return closing(scan_results.missed_targets(samples, answers))


def closing(missed: Sequence[str]) -> int:
    print("\ntargets: " + ("all met" if not missed else "MISSED: " + "; ".join(missed)))
    return 1 if missed else 0


def chosen(titles: str) -> list[Tool]:
    """The scanners of these titles, peers first; SystemExit for a title that there is none of."""
    every = {tool.title: tool for tool in (*PEERS, *OURS)}
    wanted = [title.strip() for title in titles.split(",") if title.strip()] or list(every)
    if "ours" in wanted and "ours sandboxed" not in wanted:
        wanted.append("ours sandboxed")
    if unknown := [title for title in wanted if title not in every]:
        raise SystemExit(f"No scanner is called {', '.join(unknown)}. There are: {', '.join(every)}.")
    return [tool for title, tool in every.items() if title in wanted]


def run(samples: Sequence[Sample], tools: Sequence[Tool], timeout: float) -> Answers:
    """Ask every scanner about every sample, one after another; a peer that cannot be run is left out with a line that says so.

    Raises `Unavailable` where ours cannot be run.
    """
    answers: Answers = {}
    with tempfile.TemporaryDirectory(prefix="bench-corpus-") as folder:
        paths = [scan_corpus.write(sample, Path(folder) / f"{number:04d}") for number, sample in enumerate(samples)]
        for tool in tools:
            try:
                with Worker(tool, timeout) as worker:
                    answers[tool] = [worker.ask(path, sample.name) for path, sample in zip(paths, samples, strict=True)]
            except Unavailable as problem:
                if tool in OURS:
                    raise
                print(f"{tool.label}: not run, {problem}", flush=True)
            else:
                print(f"{tool.label}: {len(paths)} files read", flush=True)
    return answers


def save(path: Path, samples: Sequence[Sample], answers: Answers) -> None:
    rows = [
        {"title": sample.title, "class": sample.klass, "answers": {tool.label: asdict(row[number]) for tool, row in answers.items()}}
        for number, sample in enumerate(samples)
    ]
    path.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    sys.exit(main())
