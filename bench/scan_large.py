"""`python -m bench.scan --large`: seconds and memory for a 2 GB checkpoint, beside picklescan, and for files made to cost much.

Commands are run as a shell would; "library" is the same call in a process that is already warm. Nothing is loaded.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.ground import ROOT
from bench.scan_peers import OURS, PEERS, Tool, Unavailable, environment
from bench.scan_results import table
from bench.scan_workers import Answer, Worker

MAX_RATIO, MAX_RSS_MB = 1.5, 60
"""Targets for the large checkpoint: seconds over picklescan's, and megabytes of resident memory in the scan itself."""

BOMB_SECONDS, BOMB_RSS_MB = 2.0, 300

MEASURE = """
import json, os, sys, time
pid, started = None, time.perf_counter()
out = os.open(os.devnull, os.O_WRONLY)
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, out, 1), (os.POSIX_SPAWN_DUP2, out, 2)])
_, status, usage = os.wait4(pid, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), time.perf_counter() - started, usage.ru_maxrss]))
"""
"""Runs a command from a small process: Linux counts a parent's pages into its child's peak, and the bench itself holds torch."""

Ask = Callable[[Path], Answer]


@dataclass(frozen=True)
class Way:
    """One way to have a file scanned; `gated` where the targets are held to it."""

    title: str
    ask: Ask
    gated: bool = False


def command(*start: str, timeout: float) -> Ask:
    """Runs `start` and the path as a command: word "exit n", wall seconds with its start-up, peak resident KiB."""

    def ask(path: Path) -> Answer:
        measured = [sys.executable, "-I", "-S", "-c", MEASURE, *start, str(path)]
        process = subprocess.Popen(measured, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True)
        try:
            said, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            subprocess.run(["kill", "-9", f"-{process.pid}"], check=False)
            process.communicate()
            return Answer("hang", timeout, 0)
        code, seconds, rss = json.loads(said)
        return Answer(f"exit {code}", seconds, rss)

    return ask


def our_command(timeout: float) -> Ask:
    return command(sys.executable, "-m", "scanner.pickles", "--json", timeout=timeout)


def library(tool: Tool, timeout: float, stack: ExitStack) -> Ask:
    """Asks one warm process, kept until the stack ends."""
    worker = stack.enter_context(Worker(tool, timeout))
    return lambda path: worker.ask(path, path.name)


def run(tools: Sequence[Tool], gib: float, rounds: int, timeout: float) -> list[str]:
    """Print both tables; the targets that ours misses."""
    with tempfile.TemporaryDirectory(prefix="bench-large-") as folder:
        return [*checkpoint(Path(folder), gib, rounds, timeout), *bombs(Path(folder), tools, timeout)]


def checkpoint(folder: Path, gib: float, rounds: int, timeout: float) -> list[str]:
    from tests import tiny

    path = tiny.big_checkpoint(folder / "large.ckpt", gib)
    print(
        f"\ncheckpoint: {path.stat().st_size:,} bytes, torch zip, in the page cache; {rounds} rounds in turn after one that is not counted"
    )
    with ExitStack() as stack:
        ways = large_ways(timeout, stack)
        for way in ways:
            way.ask(path)
        answers: dict[str, list[Answer]] = {way.title: [] for way in ways}
        for _ in range(rounds):
            for way in ways:
                answers[way.title].append(way.ask(path))
    rows = [measured(title, given) for title, given in answers.items()]
    print(table(("way", "said", "median s", "min s", "max s", "peak RSS MB"), rows, left=2))
    return [*heavy(ways, answers), *ratios(answers)]


OUR_COMMAND, OUR_CHILD, OUR_LIBRARY = "ours: command", "ours: sandboxed child", "ours: library"
PEER_COMMAND, PEER_LIBRARY = "picklescan: command", "picklescan: library"


def large_ways(timeout: float, stack: ExitStack) -> list[Way]:
    picklescan = PEERS[0]
    ours, sandboxed = OURS
    ways = [
        Way(OUR_COMMAND, our_command(timeout), gated=True),
        Way(OUR_CHILD, library(sandboxed, timeout, stack), gated=True),
        Way(OUR_LIBRARY, library(ours, timeout, stack), gated=True),
    ]
    try:
        program = environment(picklescan) / "bin" / "picklescan"
    except Unavailable as problem:
        print(f"{picklescan.label}: not run, {problem}")
        return ways
    ways.insert(1, Way(PEER_COMMAND, command(str(program), "-p", timeout=timeout)))
    return [*ways, Way(PEER_LIBRARY, library(picklescan, timeout, stack))]


def measured(title: str, given: Sequence[Answer]) -> tuple[str, ...]:
    seconds = [answer.seconds for answer in given]
    rss = max(answer.rss_kb for answer in given) / 1024
    said = ", ".join(sorted({answer.word for answer in given}))
    return title, said, f"{statistics.median(seconds):.3f}", f"{min(seconds):.3f}", f"{max(seconds):.3f}", f"{rss:.0f}"


def heavy(ways: Sequence[Way], answers: dict[str, list[Answer]]) -> list[str]:
    missed = []
    for way in ways:
        rss = max(answer.rss_kb for answer in answers[way.title]) / 1024
        if way.gated and rss > MAX_RSS_MB:
            missed.append(f"{way.title} holds {rss:.0f} MB for the checkpoint (target {MAX_RSS_MB})")
        if way.gated and {answer.word for answer in answers[way.title]} - {"success", "exit 0"}:
            missed.append(f"{way.title} does not call the checkpoint a success")
    return missed


def ratios(answers: dict[str, list[Answer]]) -> list[str]:
    """Print each of our ways over picklescan's like; those above the target."""
    missed = []
    for ours, peer in ((OUR_COMMAND, PEER_COMMAND), (OUR_CHILD, PEER_COMMAND), (OUR_LIBRARY, PEER_LIBRARY)):
        if peer in answers:
            mine, theirs = (statistics.median(answer.seconds for answer in answers[title]) for title in (ours, peer))
            print(f"ratio {ours} / {peer}: {mine / theirs:.2f}x")
            if mine / theirs > MAX_RATIO:
                missed.append(f"{ours} takes {mine / theirs:.2f}x of {peer} (target {MAX_RATIO}x)")
    return missed


def bomb_files(folder: Path) -> dict[str, tuple[Path, bool]]:
    """title -> (file, whether the targets of bombs are held to it)."""
    from tests.attacks import floods
    from tests.attacks.assemble import Part, torch_parts, torch_zip, zipped

    idle = b"\x80\x02" + b"N0" * (128 << 20) + b"N."
    packed = torch_parts()
    packed[0] = Part("archive/data.pkl", idle, method=8)
    makers: dict[str, tuple[Callable[[], bytes], bool]] = {
        "256 MB data.pkl of zeros, packed": (floods.quarter_gigabyte_pickle, True),
        "256 MB data.pkl of opcodes, packed": (lambda: zipped(packed), True),
        "200,000 deep": (floods.nested_200_000_deep, True),
        "62 MB data.pkl of opcodes, stored": (lambda: torch_zip(b"\x80\x02" + b"N0" * (31 << 20) + b"N.", {}), False),
    }
    files = {}
    for number, (title, (make, gated)) in enumerate(makers.items()):
        path = folder / f"bomb{number}.ckpt"
        path.write_bytes(make())
        files[title] = (path, gated)
    return files


def bombs(folder: Path, tools: Sequence[Tool], timeout: float) -> list[str]:
    """Each bomb by each scanner, once; a new process for each, so that memory is this file's alone."""
    rows, missed = [], []
    for title, (path, gated) in bomb_files(folder).items():
        for name, answer in bomb_answers(path, tools, timeout):
            rss = answer.rss_kb / 1024
            rows.append((title, name, answer.word, f"{answer.seconds:.2f}", f"{rss:.0f}"))
            if gated and name.startswith("ours") and (answer.seconds > BOMB_SECONDS or rss > BOMB_RSS_MB or answer.word in FAILURES):
                missed.append(
                    f"{name} takes {answer.seconds:.2f} s and {rss:.0f} MB for {title} (target {BOMB_SECONDS:g} s, {BOMB_RSS_MB} MB)"
                )
    print(f"\nbombs, once each, {timeout:g} s at most")
    print(table(("bomb", "scanner", "said", "s", "peak RSS MB"), rows, left=3))
    print(f"no target for what is stored: its opcodes are really read, up to the limit of {opcode_limit():,}")
    return missed


FAILURES = ("hang", "crash", "success", "exit 0")


def opcode_limit() -> int:
    from scanner.pickles.limits import LIMITS

    return LIMITS.opcodes


def bomb_answers(path: Path, tools: Sequence[Tool], timeout: float) -> list[tuple[str, Answer]]:
    answers = [(OUR_COMMAND, our_command(timeout)(path))]
    for tool in tools:
        try:
            with Worker(tool, timeout) as worker:
                answers.append((tool.label, worker.ask(path, path.name)))
        except Unavailable as problem:
            if tool in OURS:
                raise
            print(f"{tool.label}: not run, {problem}")
    return answers
