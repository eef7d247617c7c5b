"""Previews through their life: what is said of them, which pictures stand for a version, what the sweep plans anew and ends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from inference import previews
from inference.models import PreviewPlan, Render, Shot
from registry import catalog, lifecycle
from registry.models import Blob, File, Version
from tests.factories import VersionFactory
from tests.intake import drain, upload_path
from tests.renderable import checkpoint_shapes, file_of, made, planned, specs, worker
from tests.tiny import plain_checkpoint

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def unasked(settings: Any) -> None:
    settings.PREVIEWS = True


def test_status_follows_a_render_through_its_life(base: File) -> None:
    assert previews.status(base.version) == previews.SOON
    render = planned(base)
    status = previews.status(base.version)
    assert (status.kind, status.code) == ("waiting", "preview:no-worker")
    worker()
    status = previews.status(base.version)
    assert (status.kind, status.place, status.done, status.total) == ("queued", 1, 0, 6)
    render = lifecycle.claim(render, "rendering")
    made(render, render.shots.all()[:2])
    status = previews.status(base.version)
    assert (status.kind, status.sentence) == ("rendering", "2 of 6 pictures are rendered.")
    lifecycle.fail(render, "render:black", "All pictures came out black.")
    status = previews.status(base.version)
    assert (status.kind, status.sentence, status.code) == ("failed", "All pictures came out black.", "render:black")
    Render.objects.update(state="made")
    assert previews.status(base.version).kind == "made"
    catalog.withdraw(base.version)
    assert previews.status(base.version).kind == "none"


def test_weights_that_no_worker_takes_wait_for_one_that_does(creator: Any) -> None:
    large = file_of(creator, checkpoint_shapes(), size_bytes=2_130_000_000)
    planned(large)
    worker()
    status = previews.status(large.version)
    assert (status.kind, status.sentence) == ("waiting", "No worker here can render 2.1 GB of weights; it waits for one with a GPU.")


def test_pictures_are_shown_only_while_the_file_that_made_them_is_offered(base: File) -> None:
    assert previews.shown(base.version) is None
    render = made(planned(base))
    shown = previews.shown(base.version)
    assert shown is not None
    assert (shown.render, len(shown.shots), [len(row) for row in shown.rows]) == (render, 6, [1] * 6)
    Blob.objects.filter(pk=base.blob_id).update(verdict="danger")
    assert previews.shown(base.version) is None
    assert previews.covers([base.version]) == {}
    Blob.objects.filter(pk=base.blob_id).update(verdict="success")
    assert previews.shown(base.version) is not None
    previews.configure(base.version, enabled=False)
    assert previews.shown(base.version) is None
    previews.configure(base.version, enabled=True)
    catalog.withdraw(base.version)
    assert previews.shown(base.version) is None


def test_made_pictures_stay_until_new_ones_are_made(base: File) -> None:
    old = made(planned(base))
    previews.configure(base.version, prompts=["a cat", "a dog"])
    new = planned(base)
    made(new, new.shots.all()[:1])
    assert previews.shown(base.version).render == old  # type: ignore[union-attr]
    made(new, new.shots.all())
    lifecycle.advance(lifecycle.claim(new, "rendering"), "made")
    assert previews.shown(base.version).render == new  # type: ignore[union-attr]


def test_what_is_done_of_the_first_ones_is_shown_at_once(base: File) -> None:
    render = planned(base)
    made(render, render.shots.all()[:2])
    assert len(previews.shown(base.version).shots) == 2  # type: ignore[union-attr]


def test_a_list_gets_one_picture_of_each_version_in_one_question(base: File, lora: File, django_assert_num_queries: Any) -> None:
    made(planned(base))
    made(planned(lora))
    with django_assert_num_queries(1):
        found = previews.covers([base.version, lora.version_id, 999])
    strongest = Shot.objects.get(render__version=lora.version, prompt_number=0, label="strength 1").picture
    assert set(found) == {base.version_id, lora.version_id}
    assert found[lora.version_id] == strongest


def test_the_sweep_plans_what_was_never_planned_and_what_changed(base: File) -> None:
    assert list(previews.due()) == [base.version]
    assert previews.refresh() == {"planned": 1, "cancelled": 0}
    assert list(previews.due()) == []
    catalog.change_version(base.version, steps=5)
    assert list(previews.due()) == [base.version]
    previews.refresh()
    assert {row["steps"] for row in specs(Render.objects.get(state="wanted"))} == {5}


def test_another_renderer_plans_everything_again(base: File, monkeypatch: Any) -> None:
    previews.refresh()
    for module in ("previews", "previewplans", "recipes"):
        monkeypatch.setattr(f"inference.{module}.RENDERER_VERSION", "next")
    assert previews.refresh()["planned"] == 1
    assert Render.objects.get().state == "wanted", "the one that it replaces is gone"
    assert list(previews.due()) == []


def test_previews_that_were_cancelled_are_not_planned_by_the_sweep(base: File) -> None:
    lifecycle.advance(planned(base), "cancelled")
    assert list(previews.due()) == []
    assert previews.status(base.version).code == "preview:cancelled"


def test_a_hub_that_renders_only_when_asked_plans_nothing(base: File, settings: Any) -> None:
    settings.PREVIEWS = False
    assert previews.refresh() == {"planned": 0, "cancelled": 0}
    assert previews.status(base.version).code == "preview:off"


@pytest.mark.parametrize("what", ["danger", "withdrawn", "deleted", "base"])
def test_open_previews_of_what_is_not_offered_any_more_are_ended(base: File, lora: File, what: str) -> None:
    render = planned(lora)
    if what == "danger":
        Blob.objects.filter(pk=lora.blob_id).update(verdict="danger")
    elif what == "base":
        Blob.objects.filter(pk=base.blob_id).update(verdict="error")
    else:
        (catalog.withdraw if what == "withdrawn" else catalog.delete_version)(Version.objects.get(pk=lora.version_id))
    assert previews.cancel_stale() == 1
    render.refresh_from_db()
    assert render.state == "cancelled"


def test_made_previews_of_lost_weights_are_planned_anew(base: File) -> None:
    made(planned(base))
    assert previews.replan_lost() == 0
    File.objects.filter(pk=base.pk).update(state="danger")
    assert previews.replan_lost() == 1
    assert previews.want(base.version).code == "render:not-ready"


def test_superseded_previews_are_forgotten_after_a_day(base: File) -> None:
    old = made(planned(base))
    previews.configure(base.version, prompts=["a cat"])
    new = made(planned(base))
    assert previews.drop_superseded() == 0
    Render.objects.filter(pk=new.pk).update(moved_at=timezone.now() - timedelta(days=2))
    previews.drop_superseded()
    assert list(Render.objects.all()) == [new]
    assert old.pk != new.pk


@pytest.mark.django_db(transaction=True)
def test_a_file_that_becomes_ready_has_its_previews_planned(creator: Any, tmp_path: Any) -> None:
    file = upload_path(VersionFactory(entry__owner=creator), creator, plain_checkpoint(tmp_path / "a.safetensors"))
    drain()
    plan = PreviewPlan.objects.get(version=file.version)
    assert plan.render is None, "its widths are too odd to be rendered"
    assert plan.code.startswith("render:")


@pytest.mark.django_db(transaction=True)
def test_trouble_over_previews_holds_back_no_file(creator: Any, tmp_path: Any, monkeypatch: Any) -> None:
    def broken(version: Version) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("inference.previewplans.plan", broken)
    file = upload_path(VersionFactory(entry__owner=creator), creator, plain_checkpoint(tmp_path / "a.safetensors"))
    drain()
    file.refresh_from_db()
    assert file.state == "ready"
    assert not PreviewPlan.objects.exists()
