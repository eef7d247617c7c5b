"""Two processes of tests over one Valkey never meet: each has numbered databases of its own."""

from __future__ import annotations

import os
import subprocess
import sys

from tests import lanes
from tests.processes import ROOT

SHOW = "import os, tests.lanes; print(os.environ['WEIGH_BROKER_URL'], os.environ['WEIGH_CACHE_URL'])"
STORES = {"WEIGH_BROKER_URL": "redis+socket:///run/v.sock?virtual_host=0", "WEIGH_CACHE_URL": "unix:///run/v.sock?db=2"}


def seen_by(lane: str) -> list[str]:
    environment = {**os.environ, **STORES, "PYTEST_XDIST_WORKER": lane}
    return subprocess.run(
        [sys.executable, "-c", SHOW], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout.split()


def test_lanes_have_nothing_in_common() -> None:
    first, second = seen_by("gw0"), seen_by("gw1")
    assert len({*first, *second, *STORES.values()}) == 6
    assert first == ["redis+socket:///run/v.sock?virtual_host=4", "unix:///run/v.sock?db=5"]


def test_one_process_alone_uses_the_stores_as_they_are() -> None:
    assert seen_by("") == list(STORES.values())


def test_every_spelling_of_a_database_is_moved() -> None:
    assert lanes.moved("redis://127.0.0.1:6379/0", 7) == "redis://127.0.0.1:6379/7"


def test_tests_that_share_a_started_hub_stay_in_one_lane() -> None:
    assert lanes.scope("tests/clients/test_downloaders.py::test_a") == lanes.scope("tests/clients/test_huggingface.py::test_b[c]")
    assert lanes.scope("tests/hub/test_metrics.py::test_a") == "tests/hub/test_metrics.py"
    for folder in lanes.TOGETHER:
        assert list((ROOT / folder).glob("test_*.py")), f"{folder} holds no tests"
