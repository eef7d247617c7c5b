"""The life of a row: only moves of the table, one winner of every race, nothing lost when a worker dies."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from registry import lifecycle
from registry.lifecycle import (
    DERIVATIVE_LIFE,
    FILE_LIFE,
    IMAGE_LIFE,
    MERGE_LIFE,
    RENDER_LIFE,
    RESCAN_LIFE,
    DerivativeState,
    FileState,
    ImageState,
    Life,
    LostRace,
    MergeState,
    NotAMove,
    RenderState,
    RescanState,
)
from registry.models import File
from tests.factories import FileFactory

LIVES = [
    (FILE_LIFE, FileState),
    (DERIVATIVE_LIFE, DerivativeState),
    (RESCAN_LIFE, RescanState),
    (MERGE_LIFE, MergeState),
    (RENDER_LIFE, RenderState),
    (IMAGE_LIFE, ImageState),
]


@pytest.fixture
def queued(db: None) -> File:
    return FileFactory(state="queued")


def test_a_move_outside_the_table_is_refused(queued: File) -> None:
    with pytest.raises(NotAMove, match="queued -> ready"):
        lifecycle.advance(queued, FileState.READY)
    queued.refresh_from_db()
    assert (queued.state, queued.turn) == ("queued", 0)


def test_second_claim_loses(queued: File) -> None:
    mine, theirs = File.objects.get(pk=queued.pk), File.objects.get(pk=queued.pk)
    lifecycle.claim(mine, FileState.SCANNING)
    with pytest.raises(LostRace):
        lifecycle.claim(theirs, FileState.SCANNING)
    queued.refresh_from_db()
    assert (queued.state, queued.turn, queued.attempts) == ("scanning", 1, 1)


def test_a_worker_back_from_the_dead_holds_an_old_turn_and_loses(queued: File) -> None:
    dead = lifecycle.claim(File.objects.get(pk=queued.pk), FileState.SCANNING)
    File.objects.filter(pk=queued.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert lifecycle.reclaim(File) == 1
    lifecycle.claim(File.objects.get(pk=queued.pk), FileState.SCANNING)
    with pytest.raises(LostRace):
        lifecycle.advance(dead, FileState.CLEAN)
    with pytest.raises(LostRace):
        lifecycle.renew(dead)


def test_take_answers_none_for_a_late_message(queued: File) -> None:
    lifecycle.claim(queued, FileState.SCANNING)
    assert lifecycle.take(File, queued.pk, FileState.QUEUED) is None


def test_a_lease_that_is_renewed_is_not_reclaimed(queued: File) -> None:
    row = lifecycle.claim(queued, FileState.SCANNING)
    File.objects.filter(pk=row.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    lifecycle.renew(row)
    assert lifecycle.reclaim(File) == 0


def test_a_file_that_kills_three_workers_fails_with_a_sentence(queued: File) -> None:
    for attempt in range(1, lifecycle.MAX_ATTEMPTS + 1):
        row = lifecycle.claim(File.objects.get(pk=queued.pk), FileState.SCANNING)
        assert row.attempts == attempt
        File.objects.filter(pk=row.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
        lifecycle.reclaim(File)
    queued.refresh_from_db()
    assert queued.state == "failed"
    assert queued.error_code == "work:gave-up"
    assert "died 3 times" in queued.error


def test_the_next_stage_counts_its_attempts_afresh(queued: File) -> None:
    row = lifecycle.claim(queued, FileState.SCANNING)
    assert lifecycle.advance(row, FileState.CLEAN).attempts == 0


def test_retry_forgets_error_and_attempts(db: None) -> None:
    row = FileFactory(state="failed", error="broken", error_code="x:y", attempts=3)
    lifecycle.retry(row, FileState.QUEUED)
    assert (row.state, row.error, row.error_code, row.attempts) == ("queued", "", "", 0)


def test_place_in_queue_counts_those_who_wait_longer(db: None) -> None:
    now = timezone.now()
    first, second = (FileFactory(state="queued", moved_at=now + timedelta(seconds=n)) for n in range(2))
    assert [lifecycle.place_in_queue(first), lifecycle.place_in_queue(second)] == [1, 2]
    assert lifecycle.place_in_queue(FileFactory(state="ready")) is None


@pytest.mark.parametrize(("life", "states"), LIVES)
def test_every_state_has_moves_or_is_an_end(life: Life, states: Any) -> None:
    assert set(life.moves) == set(states.values)
    for state, targets in life.moves.items():
        assert targets <= set(states.values), state
        assert targets or state in life.ends


@pytest.mark.parametrize(("life", "states"), LIVES)
def test_a_leased_state_can_fall_back_and_fail(life: Life, states: Any) -> None:
    for state, back in life.leased.items():
        assert {back, life.failed} <= life.moves[state]
