"""A worker renders with the real child: every ending has its place, finished pictures stay, and nothing is rendered or stored twice."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from django.core.files.storage import storages
from django.utils import timezone
from safetensors.torch import load_file

from hub import pipeline
from inference import pictures, previews, recipes, rendering, renders
from inference.diffusion import infotext, jobs
from inference.diffusion.jobs import Event
from inference.engine import Engine
from inference.models import Picture, Render, Shot
from inference.recipes import PlannedShot
from inference.renderfiles import of_version
from registry import catalog, lifecycle, storage
from registry.models import Blob, File, TensorIndex, TimelineStep
from tests import diffusion_models as tiny
from tests.intake import TASKS
from tests.merges import ready
from tests.processes import celery_worker, kill_group, wait_until
from tests.registry.sandbox.machine import on_linux
from tests.renderable import worker

pytestmark = [pytest.mark.django_db(transaction=True), on_linux]


@pytest.fixture(autouse=True)
def quiet(settings: Any) -> None:
    settings.RENDER_DEVICE, settings.RENDER_THREADS = "cpu", 1


@pytest.fixture(scope="module", autouse=True)
def child(render_child: Engine) -> Iterator[None]:
    """The session's render child in place of one of this process; the worker that is killed below starts its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendering, "engine", lambda: render_child)
        yield


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the files that are rendered here."""
    folder = tmp_path_factory.mktemp("weights")
    tiny.tiny_checkpoint(folder / "lantern.safetensors", dtype="F16")
    tiny.tiny_lora(folder / "ink.safetensors")
    return folder


@pytest.fixture
def base(creator: Any, weights: Path) -> File:
    return ready(creator, weights / "lantern.safetensors")


@pytest.fixture
def lora(creator: Any, weights: Path) -> File:
    return ready(creator, weights / "ink.safetensors", kind="lora")


SMALL = {"width": 64, "height": 64, "steps": 2, "seed": 5}


def asked(user: Any, file: File, **more: Any) -> Render:
    return renders.request(user, version_id=file.version_id, **{"prompt": "a red circle", **SMALL, **more})


def worked(render: Render) -> Render:
    """The render after a worker took it up."""
    TASKS["inference.render"](render.pk)
    return Render.objects.get(pk=render.pk)


def data_of(picture: Picture) -> bytes:
    with storages["media"].open(picture.stored_name) as file:
        return bytes(file.read())


def upon(monkeypatch: Any, kind: str, act: Callable[[], Any], *, nth: int = 1) -> None:
    """Do `act` once, right after the worker has heard the nth event of this kind: as a request or the sweep would at that moment."""
    heard, count = rendering.Watch.heard, [0]

    def watched(self: rendering.Watch, event: Event) -> None:
        heard(self, event)
        count[0] += event.kind == kind
        if event.kind == kind and count[0] == nth:
            self._asked = 0.0  # the next question goes to the database
            act()

    monkeypatch.setattr(rendering.Watch, "heard", watched)


def test_pictures_are_made_stored_and_say_how(creator: Any, base: File, lora: File) -> None:
    render = worked(asked(creator, base, n_iter=2, prompt="a red circle <lora:ink:0.5>", negative_prompt="blue"))
    assert (render.state, render.error, render.attempts, render.note) == ("made", "", 0, "")
    assert (render.steps_done, render.steps_total) == (4, 4)
    assert render.outcome["device"] == "cpu"
    first, second = render.shots.select_related("picture")
    assert first.picture.sha256 != second.picture.sha256
    data = data_of(first.picture)
    assert hashlib.sha256(data).hexdigest() == first.picture.sha256
    assert (first.picture.width, first.picture.height, first.picture.size_bytes, first.picture.seed) == (64, 64, len(data), 5)
    text = infotext.read(data)
    assert text == first.picture.parameters
    said = infotext.parse(text or "")
    assert said["Prompt"] == "a red circle <lora:ink:0.5>"
    assert (said["Model"], said["Model hash"], said["Seed"]) == ("lantern", base.sha256[:10], "5")
    assert said["Lora hashes"].startswith("ink: ")
    assert (first.picture.meta["cfgScale"], first.picture.meta["negativePrompt"]) == (7.0, "blue")
    assert "torch" in first.picture.renderer


def test_the_same_recipe_gives_the_same_bytes(creator: Any, base: File) -> None:
    one = worked(asked(creator, base)).shots.get().picture
    Shot.objects.all().delete()
    Picture.objects.all().delete()
    again = worked(asked(creator, base)).shots.get().picture
    assert (one.sha256, one.key) == (again.sha256, again.key)


def test_what_was_made_meanwhile_is_taken_by_the_worker(creator: Any, stranger: Any, base: File) -> None:
    first, second = asked(creator, base), asked(stranger, base)
    worked(first)
    render = worked(second)
    assert (render.state, render.outcome) == ("made", {"cached": 1})
    assert Picture.objects.count() == 1


def test_keys_are_those_of_the_device_that_rendered(creator: Any, base: File) -> None:
    card = worker("card", "cuda", largest=10**10)
    render = asked(creator, base)
    expected = render.shots.get().key
    card.delete()
    shot = worked(render).shots.get()
    assert shot.key != expected
    assert shot.picture.key == shot.key


def test_previews_of_a_lora_differ_by_its_strength_and_stand_in_the_timeline(creator: Any, base: File, lora: File) -> None:
    catalog.change_version(lora.version, steps=2)
    previews.configure(lora.version, base=base.version, prompts=["a red circle"])
    render = worked(previews.want(lora.version).render)  # type: ignore[arg-type]
    assert render.state == "made", render.error
    shown = previews.shown(lora.version)
    assert shown is not None
    assert len({shot.picture.sha256 for shot in shown.shots if shot.picture}) == 3
    step = TimelineStep.objects.get(file=lora, step="previews")
    assert step.outcome == "done"


def test_a_refiner_is_shown_beside_the_base_that_it_finishes(creator: Any, weights: Path) -> None:
    base = ready(creator, tiny.tiny_sdxl(weights / "xl.safetensors"))
    file = ready(creator, tiny.tiny_refiner(weights / "finisher.safetensors", seed=3))
    Blob.objects.filter(pk=file.blob_id).update(detected={**file.blob.detected, "family": "SDXL Refiner"})  # by widths that it has not
    catalog.change_version(file.version, steps=2)
    previews.configure(file.version, base=base.version, prompts=["a red circle"])
    render = worked(previews.want(file.version).render)  # type: ignore[arg-type]
    assert (render.state, render.error, render.steps_done) == ("made", "", 4)
    alone, refined = (shot.picture for shot in render.shots.select_related("picture"))
    assert alone.sha256 != refined.sha256
    said = [infotext.parse(one.parameters) for one in (alone, refined)]
    assert ("Refiner" in said[0], said[1]["Refiner"]) == (False, f"finisher [{file.sha256[:10]}]")
    File.objects.filter(pk=file.pk).update(state="danger")
    assert previews.shown(file.version) is None


def test_what_a_child_says_of_itself_can_be_stored(creator: Any, base: File) -> None:
    render = asked(creator, base)
    render.outcome = rendering._plain({"nul": "a\x00b", "half": "\ud800", "slash": "\\u0000 \\\x00.", "猫": 1})
    render.save()
    render.refresh_from_db()
    assert render.outcome == {"nul": "ab", "half": "?", "slash": "\\u0000 \\.", "猫": 1}


def test_two_messages_are_one_render(creator: Any, base: File) -> None:
    render = asked(creator, base)
    for _ in range(2):
        worked(render)
    assert Picture.objects.count() == 1


def test_a_cancelled_render_stops_and_keeps_what_is_done(creator: Any, base: File, monkeypatch: Any) -> None:
    render = asked(creator, base, steps=50)
    upon(monkeypatch, "step", lambda: renders.cancel(Render.objects.get(pk=render.pk)), nth=3)
    render = worked(render)
    assert (render.state, render.shots.get().picture) == ("cancelled", None)
    assert rendering.engine().pid is not None, "the child lives on for the next job"


def test_weights_that_are_condemned_meanwhile_make_no_more_pictures(creator: Any, base: File, monkeypatch: Any) -> None:
    render = asked(creator, base, steps=50)
    upon(monkeypatch, "step", lambda: Blob.objects.filter(pk=base.blob_id).update(verdict="danger"), nth=3)
    render = worked(render)
    assert (render.state, render.error_code) == ("failed", "render:input-gone")
    assert not Picture.objects.exists()


def test_what_may_not_be_loaded_any_more_is_not_begun(creator: Any, stranger: Any, base: File) -> None:
    hidden, sealed, withdrawn = asked(stranger, base), asked(creator, base, seed=1), asked(creator, base, seed=2)
    base.version.entry.visibility = "private"
    base.version.entry.save()
    assert worked(hidden).error_code == "render:input-gone"
    File.objects.filter(pk=base.pk).update(state="danger")
    assert worked(sealed).error_code == "render:not-ready"
    catalog.withdraw(base.version)
    assert worked(withdrawn).error_code == "render:withdrawn"


def test_previews_of_what_is_not_offered_any_more_end_without_a_fuss(creator: Any, base: File) -> None:
    plan = previews.want(base.version)
    Blob.objects.filter(pk=base.blob_id).update(verdict="danger")
    assert worked(plan.render).state == "cancelled"  # type: ignore[arg-type]
    plan.refresh_from_db()
    assert plan.render is None


def test_a_file_that_is_not_what_its_scan_said_fails_with_the_reason(creator: Any, weights: Path, base: File, lora: File) -> None:
    """The tensors are compared with the file's own header again, where they are loaded."""
    Blob.objects.filter(pk=lora.blob_id).update(detected=base.blob.detected)
    TensorIndex.objects.filter(blob=lora.blob).update(packed=base.blob.tensor_index.packed)
    render = worked(asked(creator, File.objects.get(pk=lora.pk)))
    assert (render.state, render.attempts) == ("failed", 0)
    assert render.error_code.startswith("render:")
    assert render.error


def test_broken_weights_are_said_and_not_shown(creator: Any, weights: Path) -> None:
    state = tiny.sd1_state(dtype="F16")
    state["model.diffusion_model.out.2.weight"] = torch.full_like(state["model.diffusion_model.out.2.weight"], float("nan"))
    file = ready(creator, tiny.written(weights / "broken.safetensors", state))
    render = worked(asked(creator, file))
    assert render.state == "failed"
    assert render.error_code == render.shots.get().error_code != ""
    assert render.error == render.shots.get().error != ""
    assert not Picture.objects.exists()
    assert renders.retry(render).state == "wanted"


def test_a_picture_that_an_add_on_spoils_is_not_blamed_on_the_checkpoint_alone(creator: Any, weights: Path, base: File) -> None:
    lora = tiny.tiny_lora(weights / "flood.safetensors")
    flooded = {name: torch.full(one.shape, 1e30) if one.ndim else one for name, one in load_file(lora).items()}
    file = ready(creator, tiny.written(lora, flooded), kind="lora")
    specs = [jobs.Shot("a red circle", width=64, height=64, steps=1, addons=(jobs.AddOn(1, much),)) for much in (0.0, 1.0)]
    planned = [PlannedShot(spec, number) for number, spec in enumerate(specs)]
    render = worked(
        recipes.want(planned, [of_version(base.version), of_version(file.version)], owner=creator, version=file.version, file=file)
    )
    plain, spoilt = render.shots.order_by("place")
    assert (render.state, bool(plain.picture), plain.error) == ("made", True, "")
    assert (spoilt.picture, spoilt.error_code, "made with flood: the fault" in spoilt.error) == (None, "render:nan", True)


def test_a_child_that_dies_is_our_trouble_and_finished_pictures_stay(creator: Any, base: File, monkeypatch: Any) -> None:
    specs = [jobs.Shot("a red circle", width=side, height=side, steps=4, seed=1) for side in (64, 72)]
    planned = [PlannedShot(spec, number) for number, spec in enumerate(specs)]
    found = of_version(base.version)
    render = recipes.want(planned, [found], owner=creator, version=base.version, file=base)
    upon(monkeypatch, "picture", lambda: os.kill(rendering.engine().pid or 0, signal.SIGKILL))
    render = worked(render)
    assert (render.state, render.attempts) == ("wanted", 1)
    assert render.send_after > timezone.now()
    done = render.shots.exclude(picture=None).get()
    render = worked(render)
    assert (render.state, render.steps_done) == ("made", 8)
    assert render.shots.get(pk=done.pk).picture_id == done.picture_id
    assert Picture.objects.count() == 2


@pytest.mark.timeout(900)  # two render children start; on a busy machine that takes minutes
def test_a_worker_killed_in_the_middle_resumes_without_a_double_picture(creator: Any, base: File, tmp_path: Path, broker: str) -> None:
    specs = [jobs.Shot("a red circle", width=side, height=side, steps=steps, seed=1) for side, steps in ((64, 2), (128, 40))]
    planned = [PlannedShot(spec, number) for number, spec in enumerate(specs)]
    env = {"WEIGH_BROKER_URL": broker, "WEIGH_LEASE_SECONDS": "4", "WEIGH_RENDER_DEVICE": "cpu", "WEIGH_RENDER_THREADS": "1"}
    with celery_worker(tmp_path, **env) as process:
        render = recipes.want(planned, [of_version(base.version)], owner=creator, version=base.version, file=base)
        wait_until(lambda: Render.objects.get(pk=render.pk).steps_done >= 10, 400, every=0.1)
        kill_group(process)
    render.refresh_from_db()
    assert (render.state, render.attempts) == ("rendering", 1), "the worker was too quick to be killed in the middle"
    done = render.shots.exclude(picture=None).get()
    assert render.lease_until <= timezone.now() + timedelta(seconds=4)
    Render.objects.update(lease_until=timezone.now() - timedelta(seconds=1))  # as when those seconds were over
    assert pipeline.sweep()["reclaimed"] == 1
    render = worked(render)
    assert (render.state, render.steps_done) == ("made", 42)
    assert render.shots.get(pk=done.pk).picture_id == done.picture_id
    assert Picture.objects.count() == 2
    assert len(list((tmp_path / "storage" / "media").rglob("*.png"))) == 2


def test_weights_in_s3_are_fetched_once_and_kept_within_bounds(creator: Any, weights: Path, s3_stores: None, settings: Any) -> None:
    base = ready(creator, weights / "lantern.safetensors")
    assert worked(asked(creator, base)).state == "made"
    (copy,) = (storage.scratch_dir() / "weights").iterdir()
    assert copy.name == base.sha256
    inode = copy.stat().st_ino
    assert worked(asked(creator, base, seed=6)).state == "made"
    assert copy.stat().st_ino == inode
    settings.RENDER_CACHE_BYTES = 1
    lora = ready(creator, weights / "ink.safetensors", kind="lora")
    assert worked(asked(creator, lora, base={"version_id": base.version_id})).state == "made"
    assert len(list((storage.scratch_dir() / "weights").iterdir())) == 1


def test_pictures_that_nothing_shows_are_forgotten_after_a_day(creator: Any, base: File) -> None:
    render, other = worked(asked(creator, base)), worked(asked(creator, base, seed=6))
    picture = render.shots.get().picture
    render.delete()
    assert pictures.collect() == 0
    Picture.objects.update(created_at=timezone.now() - timedelta(days=2))
    assert pictures.collect() == 1
    assert not storages["media"].exists(picture.stored_name)
    assert storages["media"].exists(other.shots.get().picture.stored_name)


def test_a_lost_race_is_nobody_s_fault(creator: Any, base: File, monkeypatch: Any) -> None:
    render = asked(creator, base, steps=50)

    def lease_ends() -> None:
        Render.objects.filter(pk=render.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
        assert lifecycle.reclaim(Render) == 1

    upon(monkeypatch, "step", lease_ends, nth=2)
    assert worked(render).state == "wanted"
