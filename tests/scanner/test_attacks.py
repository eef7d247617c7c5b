"""Every attack gets the verdict and the reason it must get, and none is ever called a success."""

from __future__ import annotations

import io

import pytest

from scanner.pickles import scan
from tests.attacks import ATTACKS, Attack


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.title)
def test_attack_is_answered_as_stated(attack: Attack) -> None:
    report = scan(io.BytesIO(attack.build()), name=attack.name)
    assert report.verdict == attack.verdict, [(finding.code, finding.message) for finding in report.findings]
    assert attack.code in {finding.code for finding in report.findings}
    assert attack.verdict != "success"
    assert report.verdict == "suspicious" or report.directory is None
    assert report.duration_ms < 5000


def test_there_are_many_attacks() -> None:
    assert len(ATTACKS) >= 60
    assert len({attack.title for attack in ATTACKS}) == len(ATTACKS)
