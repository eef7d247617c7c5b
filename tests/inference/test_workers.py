"""Render workers report themselves; what they take on decides what waits, and pages say for what."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from hub import pipeline
from inference import rendering, workers
from inference.models import FamilyBase, Render, RenderWorker
from tests.factories import FileFactory, UserFactory, VersionFactory
from tests.intake import empty_queues
from tests.processes import celery_worker, wait_until
from tests.renderable import worker

GB = 10**9


def waiting(size_bytes: int) -> Render:
    file = FileFactory()
    return Render.objects.create(owner=file.version.entry.owner, version=file.version, file=file, weight_bytes=size_bytes)


@pytest.mark.django_db
def test_a_worker_that_is_silent_for_a_minute_does_not_count() -> None:
    worker("fresh", largest=1 * GB)
    worker("gone", largest=9 * GB, age_seconds=70)
    assert [row.name for row in workers.alive()] == ["fresh"]
    assert workers.largest() == 1 * GB


@pytest.mark.django_db
def test_what_no_worker_can_take_says_what_it_waits_for() -> None:
    render = waiting(int(2.1 * GB))
    assert workers.why_waiting(render) == "No render worker is running here; it waits for one."
    worker("small", largest=300 * 10**6)
    assert workers.why_waiting(render) == "No worker here can render 2.1 GB of weights; it waits for one with a GPU."
    worker("card", "cuda", largest=2 * GB)
    assert workers.why_waiting(render).endswith("it waits for a larger one.")
    worker("large", "cuda", largest=20 * GB)
    assert workers.why_waiting(render) == ""


@pytest.mark.django_db
def test_a_cpu_takes_what_the_settings_say_and_a_gpu_what_it_has_room_for(settings: Any) -> None:
    settings.CPU_RENDER_MAX_BYTES = 123
    row = workers.report("one", {"device": "cpu", "device_name": "a processor", "memory_bytes": 8 * GB, "largest_weights": GB})
    assert (row.device, row.largest_weights, row.memory_bytes) == ("cpu", 123, 8 * GB)
    row = workers.report("one", {"device": "cuda:0", "device_name": "a card", "memory_bytes": 80 * GB, "largest_weights": 48 * GB})
    assert (row.device, row.largest_weights) == ("cuda", 48 * GB)
    assert RenderWorker.objects.count() == 1
    workers.forget("one")
    assert not RenderWorker.objects.exists()


@pytest.mark.django_db
def test_pictures_are_expected_from_a_gpu_that_has_room() -> None:
    assert workers.expected_device(GB) == "cpu"
    worker("card", "cuda", largest=2 * GB)
    assert (workers.expected_device(GB), workers.expected_device(3 * GB)) == ("cuda", "cpu")


@pytest.mark.django_db(transaction=True)
def test_nobody_is_told_again_of_what_nobody_can_take(broker: str) -> None:
    small, large = waiting(1000), waiting(9 * GB)
    assert pipeline.sweep()["sent"] == 0
    worker("one", largest=GB)
    assert pipeline.sweep()["sent"] == 1
    small.refresh_from_db(), large.refresh_from_db()
    assert (small.send_after is not None, large.send_after) == (True, None)
    empty_queues()


@pytest.mark.django_db
def test_a_worker_leaves_what_is_too_large_for_it_to_another(settings: Any) -> None:
    settings.CPU_RENDER_MAX_BYTES = 10**6
    worker("this", largest=10**6)
    render = waiting(2 * 10**6)
    assert list(rendering.in_turn(render.pk)) == []
    render.refresh_from_db()
    assert (render.state, render.attempts) == ("wanted", 0)
    assert render.send_after > timezone.now() + timedelta(seconds=10)
    assert "waits for one with a GPU" in render.note


@pytest.mark.django_db
def test_what_people_ask_for_goes_before_previews() -> None:
    preview, asked = waiting(1000), waiting(1000)
    Render.objects.filter(pk=preview.pk).update(purpose="preview")
    assert [row.pk for row in rendering.in_turn(preview.pk)] == [asked.pk, preview.pk]
    assert [row.pk for row in rendering.in_turn(asked.pk)] == [asked.pk]
    assert list(rendering.in_turn(0)) == []


@pytest.mark.django_db(transaction=True)
def test_a_real_worker_reports_itself_and_a_stopped_one_is_taken_off(tmp_path: Any, broker: str) -> None:
    with celery_worker(tmp_path, WEIGH_BROKER_URL=broker, WEIGH_RENDER_DEVICE="cpu", WEIGH_CPU_RENDER_MAX_BYTES="777") as process:
        row = wait_until(lambda: RenderWorker.objects.first(), 60, every=0.2)
        assert (row.device, row.largest_weights) == ("cpu", 777)
        assert row.memory_bytes > 10**8
        process.terminate()
        process.wait(60)
    assert not RenderWorker.objects.exists()


@pytest.mark.django_db
def test_admins_choose_default_bases_and_only_look_at_workers(client: Any) -> None:
    admin = UserFactory(is_staff=True, is_superuser=True)
    client.force_login(admin)
    version, row = VersionFactory(), worker("card", "cuda")
    client.post(reverse("admin:inference_familybase_add"), {"family": "SD 1.x", "version": version.pk})
    assert FamilyBase.objects.get(family="SD 1.x").version == version
    page = client.get(reverse("admin:inference_renderworker_changelist"))
    assert "card" in page.content.decode()
    assert client.get(reverse("admin:inference_renderworker_add")).status_code == 403
    assert client.post(reverse("admin:inference_renderworker_change", args=[row.pk]), {"name": "x"}).status_code == 403
    render = waiting(1000)
    assert client.get(reverse("admin:inference_render_change", args=[render.pk])).status_code == 200
