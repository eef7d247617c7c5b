"""The work on files, live and by a plain reload: what a listener is told, and previews as a step."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from hub.web import progress
from hub.web.watching import QUIET_LOOKS, WorkFeed
from inference.models import PreviewPlan, Render
from registry import timeline
from registry.models import File
from tests.factories import FileFactory
from tests.pictures import published_weights, rendered, specs

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def kept_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """A feed gives back connections of threads; this test's is no such thread."""
    monkeypatch.setattr("hub.web.watching.close_old_connections", lambda: None)


def told(feed: WorkFeed) -> list[str]:
    return [event.name for event in feed.look().events]


def test_listener_hears_of_steps_states_and_variants_and_of_nothing_else(creator: Any) -> None:
    file, other = FileFactory(state="scanning", version__entry__owner=creator), FileFactory()
    version, alone = WorkFeed(f"version {file.version_id}"), WorkFeed(f"file {file.pk}")
    assert told(version) == told(alone) == ["news"], "the page may be older than the stream"
    assert told(version) == told(alone) == []
    timeline.mark(file, "received")
    assert told(version) == told(alone) == ["news"]
    timeline.mark(other, "received")
    assert told(version) == told(alone) == []
    File.objects.filter(pk=file.pk).update(state="ready")
    assert told(version) == told(alone) == ["news"]


def test_listener_is_sent_home_when_all_rests(creator: Any) -> None:
    feed = WorkFeed(f"version {FileFactory(version__entry__owner=creator).version_id}")
    looks = [feed.look() for _ in range(QUIET_LOOKS + 1)]
    assert [look.over for look in looks] == [False] * QUIET_LOOKS + [True]
    assert looks[-1].events[-1].name == "end"


def test_stream_is_opened_for_those_who_may_read_and_closed_for_who_heard_the_end(client: Client, creator: Any) -> None:
    file = FileFactory(version__entry__owner=creator)
    assert client.get(f"/file/{file.pk}/events").status_code == 404
    client.force_login(creator)
    answer = client.get(f"/file/{file.pk}/events")
    assert (answer["X-Hub-Events"], answer["X-Hub-Listener"]) == (f"work file {file.pk}", str(creator.pk))
    assert client.get(f"/upload/{file.version_id}/events")["X-Hub-Events"] == f"work version {file.version_id}"
    assert client.get(f"/file/{file.pk}/events", headers={"Last-Event-ID": "end"}).status_code == 204


def steps(file: File) -> list[tuple[str, str, str]]:
    return [(str(step.name), step.outcome, step.note) for step in progress.of_file(file).steps]


def test_previews_are_a_step_before_publishing(creator: Any) -> None:
    file = published_weights(creator)
    for name in ("received", "published"):
        timeline.mark(file, name)
    render = rendered(file, specs(3, 64), done=1)
    Render.objects.filter(pk=render.pk).update(state="rendering")
    PreviewPlan.objects.create(version=file.version, render=render, renderer="1", planned_at=timezone.now())
    assert [name for name, *_ in steps(file)] == ["Received", "Previews", "Published"]
    assert steps(file)[1][1:] == ("running", "1 of 3 pictures are rendered.")
    assert not progress.of_file(file).resting
    Render.objects.filter(pk=render.pk).update(state="failed", error="No worker could load it.")
    assert steps(file)[1][1:] == ("failed", "No worker could load it.")


def test_page_shows_the_timeline_without_a_script(client: Client, creator: Any) -> None:
    file = FileFactory(state="queued", version__entry__owner=creator, version__status="draft", declared_sha256="a" * 64)
    timeline.mark(file, "received", "12 bytes in 1 part.")
    client.force_login(creator)
    page = client.get(f"/upload/{file.version_id}").content.decode()
    assert "12 bytes in 1 part." in page
    assert page.index("Scanned") < page.index("Ready</span>") < page.index("Published</span>")
    assert page.index("Received") < page.index("Hashed") < page.index("Verified") < page.index("Scanned")
    assert f'data-events="/upload/{file.version_id}/events"' in page
