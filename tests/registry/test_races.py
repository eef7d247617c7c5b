"""Two workers in two processes over one PostgreSQL: exactly one gets the work."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.models import File
from tests.factories import FileFactory
from tests.processes import start_python, wait_until

CLAIM_ALL = """
import pathlib, time
from registry import lifecycle
from registry.models import File
rows = list(File.objects.filter(state="queued").order_by("pk"))
pathlib.Path({mark!r}).touch()
while not pathlib.Path({go!r}).exists():
    time.sleep(0.001)
won = 0
for row in rows:
    try:
        lifecycle.claim(row, "scanning"); won += 1
    except lifecycle.LostRace:
        pass
print("won", won)
"""


@pytest.mark.django_db(transaction=True)
def test_two_processes_share_out_the_work_without_doing_any_twice(tmp_path: Path) -> None:
    FileFactory.create_batch(200, state="queued")
    go, marks = tmp_path / "go", [tmp_path / "a", tmp_path / "b"]
    workers = [start_python(CLAIM_ALL.format(mark=str(mark), go=str(go)), tmp_path) for mark in marks]
    wait_until(lambda: all(mark.exists() for mark in marks), 60)
    go.touch()
    outputs = [worker.communicate(timeout=90)[0] for worker in workers]
    won = [int(output.rsplit("won ", 1)[1]) for output in outputs]
    assert sum(won) == 200, outputs
    assert not File.objects.exclude(state="scanning", turn=1, attempts=1).exists()
