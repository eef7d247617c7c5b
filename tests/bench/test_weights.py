"""The bench of weights still runs and counts as it says: two cases once, over narrow models whose ratios mean nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import weights
from bench.weights import Case, Taken, Target, Way


@pytest.mark.parametrize("name", ["full", "merge"])  # the others start the same programs with other words
def test_every_way_of_a_case_runs_on_narrow_models(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    case = weights.BUILDERS[name](weights.maker(tmp_path, small=True), tmp_path / "out")
    weights.run(case, 1, tmp_path / "out")
    printed = capsys.readouterr().out
    assert all(way.title in printed for way in (*case.ways, *case.floors))
    assert "target: ours" in printed
    assert ("(floors " in printed) == (name == "merge")


def test_a_missed_target_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    ways = (Way("theirs", ()), Way("ours", ()))
    case = Case("x", "a job", (), ways, (Target("ours", "theirs", 0.5, cpu=True),))
    middle = {"theirs": Taken(10, 10, 5), "ours": Taken(4, 6, 5)}
    assert weights._missed(case, middle) == ["a job: ours takes 0.60x of theirs (CPU; target 0.50x)"]
    assert weights._heavy(case, {"ours": [Taken(1, 1, 200)]}) == ["a job: ours holds 200 MB (target 150)"]
    assert "met: 0.40x" in capsys.readouterr().out


def test_a_target_below_what_the_hashes_alone_take_is_seen_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    ways, floors = (Way("theirs", ()), Way("ours", ())), (Way("one", ()), Way("two", ()))
    case = Case("x", "a job", (), ways, (Target("ours", "theirs", 0.3, cpu=True),), floors=floors)
    weights._missed(case, {"theirs": Taken(10, 20, 5), "ours": Taken(5, 8, 5), "one": Taken(4, 7, 5), "two": Taken(2, 6, 5)})
    printed = capsys.readouterr().out
    assert "wall: at most 0.30x, MISSED: 0.50x (floors 0.40x, 0.20x)" in printed
    assert "CPU: at most 0.30x, MISSED: 0.40x (floors 0.35x, 0.30x)" in printed


def test_a_way_that_fails_is_no_figure(tmp_path: Path) -> None:
    case = Case("x", "a job", (), (Way("ours", ("/bin/false",)),), ())
    with pytest.raises(RuntimeError, match="ours of a job ended with 1"):
        weights.measure(case.ways[0], case, tmp_path)
