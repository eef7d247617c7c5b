"""Variants in the hub: made together in one pass, each with its own ending, and what the converter said of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from inference import making, tasks
from inference.models import Derivative
from registry import lifecycle, storage
from registry.models import File, TimelineStep
from tests import tiny
from tests.factories import VersionFactory
from tests.intake import drain, upload_path

pytestmark = pytest.mark.django_db

THREE = [("weights", "keep"), ("weights", "bf16"), ("ema", "bf16")]


@pytest.fixture
def checkpoint(at_rest: Any, creator: Any) -> File:
    """A ready fp32 checkpoint with averages; nothing was made of it but its twin."""
    return at_rest(ready_lightning, creator)


def ready_lightning(creator: Any, folder: Path) -> File:
    file = upload_path(VersionFactory(entry__owner=creator), creator, tiny.lightning_checkpoint(folder / "dream.ckpt"))
    drain_until_ready(file)
    Derivative.objects.filter(source=file, state="wanted").delete()
    file.refresh_from_db()
    return file


def drain_until_ready(file: File) -> None:
    from scanner import tasks as scanner_tasks

    scanner_tasks.examine(file.pk)
    tasks.settle(file.pk)


def want(file: File, *recipes: tuple[str, str]) -> list[Derivative]:
    return [Derivative.objects.create(source=file, recipe={"keep": keep, "precision": precision}) for keep, precision in recipes]


def made(file: File) -> dict[tuple[str, str], Derivative]:
    rows = Derivative.objects.filter(source=file).select_related("result__blob")
    return {(row.recipe["keep"], row.recipe["precision"]): row for row in rows}


def test_variants_that_wait_together_are_made_in_one_pass(checkpoint: File) -> None:
    rows = want(checkpoint, *THREE)
    tasks.derive(rows[0].pk)
    assert {row.state for row in made(checkpoint).values()} == {"made"}
    steps = TimelineStep.objects.filter(file=checkpoint, step__startswith="make")
    assert [(step.step, step.outcome) for step in steps] == [("make variants", "done")]
    assert "dream-pruned-bf16.safetensors" in steps[0].note
    tasks.derive(rows[1].pk)  # the message that was sent for the second row comes late
    assert steps.count() == 1


def test_one_pass_gives_the_bytes_that_single_passes_give(checkpoint: File) -> None:
    tasks.derive(want(checkpoint, *THREE)[0].pk)
    together = {recipe: row.result.sha256 for recipe, row in made(checkpoint).items() if row.result}
    Derivative.objects.filter(source=checkpoint).exclude(recipe__precision="keep", recipe__keep="all").delete()
    File.objects.filter(source=checkpoint).exclude(recipe__precision="keep", recipe__keep="all").delete()
    for recipe in THREE:
        (row,) = want(checkpoint, recipe)
        tasks.derive(row.pk)
    alone = {recipe: row.result.sha256 for recipe, row in made(checkpoint).items() if row.result}
    assert alone == together
    assert len(set(alone.values())) == 4


def test_one_that_cannot_be_made_fails_alone(creator: Any, tmp_path: Path) -> None:
    path = tiny.lightning_checkpoint(tmp_path / "plain.ckpt", ema=False)
    file = upload_path(VersionFactory(entry__owner=creator), creator, path)
    drain_until_ready(file)
    Derivative.objects.filter(source=file, state="wanted").delete()
    rows = want(file, ("weights", "bf16"), ("ema", "fp16"), ("weights", "fp16"))
    tasks.derive(rows[0].pk)
    found = made(file)
    assert found["weights", "bf16"].state == found["weights", "fp16"].state == "made"
    assert (found["ema", "fp16"].state, found["ema", "fp16"].error_code) == ("failed", "weights:no-ema")
    assert "no EMA averages" in TimelineStep.objects.get(file=file, step="make variants").note


def test_one_that_came_to_nothing_before_is_made_alone(checkpoint: File) -> None:
    """What brought a worker down must not bring the others down for ever."""
    rows = want(checkpoint, *THREE)
    Derivative.objects.filter(pk=rows[0].pk).update(attempts=1)
    rows[0].refresh_from_db()
    assert making.companions(rows[0]) == [rows[0]]
    assert making.companions(rows[1]) == [rows[1], rows[2]]


def test_at_most_four_are_made_at_once(checkpoint: File) -> None:
    rows = want(checkpoint, *THREE, ("ema", "keep"), ("ema", "fp16"))
    assert making.companions(rows[3]) == [rows[3], *rows[:3]]


def test_only_variants_of_the_same_file_go_together(checkpoint: File, creator: Any, tmp_path: Path) -> None:
    other = upload_path(VersionFactory(entry__owner=creator), creator, tiny.plain_checkpoint(tmp_path / "b.ckpt"))
    (row,) = want(checkpoint, ("weights", "bf16"))
    want(other, ("weights", "bf16"))
    assert making.companions(row) == [row]


def test_trouble_of_ours_returns_them_all_to_be_tried_later(checkpoint: File, monkeypatch: Any) -> None:
    rows = want(checkpoint, *THREE)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "place_file", full)
    tasks.derive(rows[0].pk)
    for row in rows:
        row.refresh_from_db()
        assert (row.state, row.attempts) == ("wanted", 1)
        assert row.send_after is not None
    monkeypatch.undo()
    for row in rows:
        tasks.derive(row.pk)
    assert {row.state for row in made(checkpoint).values()} == {"made"}


def test_the_twin_keeps_the_converters_report(checkpoint: File) -> None:
    twin = made(checkpoint)["all", "keep"]
    assert (twin.state, twin.result.name) == ("made", "dream.safetensors")
    assert twin.outcome["comparison"]["equal"] == 1819
    assert set(twin.outcome["dropped"]) == {"training state"}
    drain()
    assert lifecycle.take(Derivative, twin.pk, "made") is not None


def test_a_file_without_a_twin_keeps_no_report(creator: Any, tmp_path: Path) -> None:
    file = upload_path(VersionFactory(entry__owner=creator), creator, tiny.plain_checkpoint(tmp_path / "a.safetensors"))
    drain()
    assert ("all", "keep") not in made(file)


def test_what_became_infinite_is_kept_with_the_file(creator: Any, tmp_path: Path) -> None:
    file = upload_path(VersionFactory(entry__owner=creator), creator, overflowing(tmp_path / "loud.safetensors"))
    drain()
    small = made(file)["weights", "fp16"]
    assert small.result.recipe["overflow"] == 3
    assert small.outcome["losses"]["overflow"] == 3
    assert set(small.outcome["lossy"]) == {"model.diffusion_model.out.2.bias", "model.diffusion_model.out.0.bias"}


def overflowing(path: Path) -> Path:
    """A real checkpoint with 65,520 (the first number that fp16 rounds to infinity), 65,519 (which it does not) and worse."""
    state = tiny.state_dict()
    bias, other = state["model.diffusion_model.out.2.bias"], state["model.diffusion_model.out.0.bias"]
    bias[:3] = torch.tensor([65520.0, 65519.0, -1e6])
    other[0] = 3e38
    save_file(state, path)
    return path


def test_what_was_left_out_of_the_metadata_is_said(creator: Any, tmp_path: Path) -> None:
    metadata = {"format": "pt", "ss_dataset_dirs": '{"10_bob": {}}', "ss_sd_model_name": "/home/bob/base.safetensors"}
    path = tiny.plain_checkpoint(tmp_path / "trained.safetensors", metadata=metadata)
    file = upload_path(VersionFactory(entry__owner=creator), creator, path)
    drain()
    small = made(file)["weights", "fp16"]
    assert "Folders of the trainer's machine were left out of the metadata (ss_dataset_dirs, ss_sd_model_name)." in small.outcome["notes"]
    written = small.result.blob.tensor_index.directory.metadata
    assert written["ss_sd_model_name"] == "base.safetensors"
    assert "ss_dataset_dirs" not in written
    assert written["weighhouse.source_sha256"] == File.objects.get(pk=file.pk).sha256
