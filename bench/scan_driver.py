"""Runs inside one scanner's own environment and asks it about file after file: paths in on stdin, one JSON line each out.

Standard library and that scanner only; it is started by `bench.scan_workers` and judges nothing itself. Nothing is unpickled: an audit
hook refuses whatever a scanner might do beyond reading. Limits, restarts and the meaning of the words are the caller's.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import resource
import sys
import time
import zipfile
from collections.abc import Callable
from typing import Any

Answer = dict[str, Any]
Ask = Callable[[str, str], Answer]
"""(path, the name its uploader gave) -> {"word": the scanner's own word, ...}"""

MEMORY = 8 << 30
"""Bytes of address space: a scanner that wants more gets MemoryError instead of the whole machine."""

FORBIDDEN = ("pickle.find_class", "os.system", "os.exec", "os.fork", "os.posix_spawn", "subprocess.Popen", "socket.connect")


def picklescan() -> Ask:
    """Words innocuous, suspicious, dangerous, error, and "nothing scanned"; exit codes of its command: 0, 0, 1, 2, 0."""
    from picklescan.scanner import SafetyLevel, scan_file_path

    def ask(path: str, name: str) -> Answer:
        found = scan_file_path(path)
        if found.issues_count:
            return {"word": "dangerous"}
        if found.scan_err or not found.scanned_files:
            return {"word": "error" if found.scan_err else "nothing scanned"}
        return {"word": "suspicious" if any(row.safety == SafetyLevel.Suspicious for row in found.globals) else "innocuous"}

    return ask


def modelscan() -> Ask:
    """Words CRITICAL to LOW (exit 1), error (2), skipped (3: it looked at nothing), clean (0)."""
    from modelscan.modelscan import ModelScan

    def ask(path: str, name: str) -> Answer:
        scan = ModelScan()
        scan.scan(path)
        if issues := scan.issues.all_issues:
            return {"word": max((issue.severity for issue in issues), key=lambda severity: severity.value).name}
        if scan.errors:
            return {"word": "error"}
        return {"word": "clean" if scan.scanned else "skipped"}

    return ask


def fickling() -> Ask:
    """Its six severities, error, and "nothing scanned" for a zip without .pkl, .pickle or .bin members, as its --huggingface reads them.

    A file that is a zip only at its end is also read as a pickle: two chances, the worse answer counts.
    """
    from fickling.analysis import Severity
    from fickling.loader import scan_file, scan_zip_archive

    def ask(path: str, name: str) -> Answer:
        results = []
        is_zip = zipfile.is_zipfile(path)
        if is_zip:
            results += scan_zip_archive(path, graceful=True).values()
        with open(path, "rb") as file:
            starts_as_zip = file.read(4) == b"PK\3\4"
        if not (is_zip and starts_as_zip):
            results.append(scan_file(path, graceful=True))
        if not results:
            return {"word": "nothing scanned"}
        worst = Severity.LIKELY_SAFE
        for result in results:
            worst = max([worst, *(each.severity for each in result.results)])
        failed = any(result.errors for result in results)
        return {"word": "error" if failed and worst < Severity.LIKELY_UNSAFE else worst.name}

    return ask


def modelaudit_picklescan() -> Ask:
    """Words clean, suspicious, malicious, unknown; "inconclusive" and "error" where it says clean of a scan it did not finish."""
    from modelaudit_picklescan import scan_file

    def ask(path: str, name: str) -> Answer:
        report = scan_file(path)
        complete = report.verdict.value != "clean" or report.status.value == "complete"
        return {"word": report.verdict.value if complete else report.status.value}

    return ask


def ours() -> Ask:
    """Our scanner as a library, in this process."""
    from scanner.pickles import scan

    def ask(path: str, name: str) -> Answer:
        with open(path, "rb") as file:
            report = scan(file.fileno(), name=name)
        return {"word": report.verdict, "codes": sorted({finding.code for finding in report.findings})}

    return ask


def ours_sandboxed() -> Ask:
    """Our scanner as the hub runs it: a new locked process for each file."""
    from scanner.run import scan_path

    def ask(path: str, name: str) -> Answer:
        report = scan_path(path, name=name, timeout=float(os.environ["BENCH_TIMEOUT"]))
        return {"word": report["verdict"], "codes": sorted({finding["code"] for finding in report["findings"]})}

    return ask


SCANNERS: dict[str, Callable[[], Ask]] = {
    "picklescan": picklescan,
    "modelscan": modelscan,
    "fickling": fickling,
    "modelaudit-picklescan": modelaudit_picklescan,
    "ours": ours,
    "ours sandboxed": ours_sandboxed,
}


def main() -> None:
    """`TITLE [FOLDER]`: which scanner, and a folder to import from; answers {"ready": true} once it is imported."""
    title, *folders = sys.argv[1:]
    sys.path[:0] = folders
    out = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    logging.disable(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    ask = SCANNERS[title]()
    if title != "ours sandboxed":  # which starts its children; they lock themselves in
        sys.addaudithook(_refuse)
    _say(out, {"ready": True})
    for line in sys.stdin:
        path, name = json.loads(line)
        _say(out, _timed(ask, path, name) | {"rss_kb": _peak_kb(title == "ours sandboxed")})


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event in FORBIDDEN:
        raise RuntimeError(f"refused: {event}")


def _timed(ask: Ask, path: str, name: str) -> Answer:
    started = time.perf_counter()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            answer = ask(path, name)
    except Exception as error:  # as each of their commands does: report it and exit with "error"
        answer = {"word": "error", "detail": f"{type(error).__name__}: {error}"[:200]}
    return answer | {"seconds": time.perf_counter() - started}


def _peak_kb(children: bool) -> int:
    """Peak resident set in KiB: of the largest child that has ended, or of this process since its start (VmHWM)."""
    if children:
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def _say(out: io.TextIOBase | Any, answer: Answer) -> None:
    out.write(json.dumps(answer) + "\n")
    out.flush()


if __name__ == "__main__":
    main()
