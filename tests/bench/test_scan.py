"""The scanner bench still asks, counts and fails as it says: over a handful of files, by ours alone, with nothing installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench import scan, scan_corpus, scan_large, scan_peers, scan_results
from bench.scan_corpus import Sample
from bench.scan_peers import OURS, PEERS
from bench.scan_workers import Answer, Worker

HANDFUL = ("imports.os_system_checkpoint", "floods.nested_200_000_deep", "honest: state dict", "honest: lora")

BAD_SCANNER = """
import json, sys, time
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    name = json.loads(line)[1]
    if name == "hang":
        time.sleep(60)
    if name == "crash":
        raise SystemExit(1)
    print(json.dumps({"word": "success", "seconds": 0.0, "rss_kb": 1}), flush=True)
"""


def handful() -> list[Sample]:
    by_title = {sample.title: sample for sample in scan_corpus.samples()}
    return [by_title[title] for title in HANDFUL]


def test_ours_meets_its_targets_on_a_handful(capsys: pytest.CaptureFixture[str]) -> None:
    samples = handful()
    answers = scan.run(samples, OURS, 20)
    scan_results.show(samples, answers)
    printed = capsys.readouterr().out
    assert scan_results.missed_targets(samples, answers) == []
    assert [[answer.word for answer in answers[tool]] for tool in OURS] == [["danger", "error", "success", "success"]] * 2
    assert "2 hostile files, 2 honest ones" in printed
    assert printed.count("every answer is as stated") == 2
    assert all(5_000 < answer.rss_kb < 300_000 for tool in OURS for answer in answers[tool])


def test_a_wrong_answer_fails_the_gate_and_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    samples = handful()
    said = [Answer("success", 0.1, 1), Answer("crash", 0.1, 1), Answer("suspicious", 0.1, 1), Answer("success", 0.1, 1)]
    answers = {OURS[0]: said}
    assert scan_results.missed_targets(samples, answers) == [
        "ours: 1 hostile called clean",
        "ours: 1 honest refused",
        "ours: 1 crashes and hangs",
        "ours: 3 answers that are not as stated",
    ]
    scan_results.show(samples, answers)
    printed = capsys.readouterr().out
    assert "  attack imports.os_system_checkpoint: says success" in printed
    assert "  honest file honest: state dict: says suspicious" in printed
    assert scan.closing(["one"]) == 1
    assert scan.closing([]) == 0


def test_a_peers_words_are_counted_as_stated() -> None:
    samples = handful()
    words = ("dangerous", "suspicious", "error", "innocuous")
    row = scan_results.comparison(PEERS[0], samples, [Answer(word, 0.1, 2048) for word in words])
    assert row[1:8] == ("1 (50.0%)", "1 (50.0%)", "1", "1 (100.0%)", "0 (0.0%)", "0", "0")


def test_a_scanner_that_hangs_or_dies_is_started_again(tmp_path: Path) -> None:
    script = tmp_path / "bad.py"
    script.write_text(BAD_SCANNER)
    with Worker(OURS[0], 1.0) as worker:
        worker.command = [sys.executable, "-I", "-S", str(script)]
        said = [worker.ask(tmp_path, name).word for name in ("good", "hang", "good", "crash", "crash", "good")]
    assert said == ["success", "hang", "success", "crash", "crash", "success"]


def test_a_peer_that_would_bring_torch_is_not_installed() -> None:
    report = b'{"install": [{"metadata": {"name": "modelscan"}}, {"metadata": {"name": "Torch"}}]}'
    with pytest.raises(scan_peers.Unavailable, match="torch"):
        scan_peers._refuse_heavy(PEERS[1], report)


def test_a_command_is_measured_without_the_memory_of_the_bench(tmp_path: Path) -> None:
    path = scan_corpus.write(handful()[2], tmp_path / "one")
    answer = scan_large.our_command(20)(path)
    assert answer.word == "exit 0"
    assert 0.01 < answer.seconds < 20
    assert 5_000 < answer.rss_kb < 60_000
