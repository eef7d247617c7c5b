"""An upload whose line breaks, whose server goes away and comes back and whose user pauses: it goes on where it was, in a real browser."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client

from registry.models import File, Upload
from tests.factories import EntryFactory, VersionFactory
from tests.servers import free_port, serving

pytestmark = pytest.mark.django_db(transaction=True)
MIB = 2**20


def test_upload_survives_a_dead_line_a_pause_and_a_new_server(
    chromium: Any, creator: Any, stores: Path, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hub.asgi import application

    path, version = tmp_path / "big.safetensors", VersionFactory(entry=EntryFactory(owner=creator))
    path.write_bytes(os.urandom(23 * MIB))
    settings.PART_SIZE_BYTES = 5 * MIB
    port, through = free_port(), []
    client = Client()
    client.force_login(creator)
    session = client.cookies[django_settings.SESSION_COOKIE_NAME].value
    context = chromium.new_context(base_url=f"http://127.0.0.1:{port}")
    context.set_default_timeout(20_000)

    def first_two_only(route: Any) -> None:
        if len(through) < 2:
            through.append(route.request.url)
            route.continue_()
        # Later parts hang, as on a line that went dead.

    try:
        with serving(application, monkeypatch, port) as hub:
            context.add_cookies([{"name": django_settings.SESSION_COOKIE_NAME, "value": session, "url": hub.url}])
            page = context.new_page()
            page.route("**/upload-parts/**", first_two_only)
            page.goto(f"/upload/{version.pk}")
            page.locator("#uploader[data-ready=true] input[type=file]").first.set_input_files(str(path))
            row = page.locator("#sending li")
            row.get_by_text("part 2 of 5").wait_for()
            upload = Upload.objects.get(file__version=version)
            assert upload.file.declared_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
            assert float(row.get_by_role("progressbar").get_attribute("aria-valuenow")) >= 40
            context.set_offline(True)
            row.get_by_text("No connection").wait_for()
            context.set_offline(False)
            row.get_by_role("button", name="Pause").click()
            row.get_by_text("Paused").wait_for()
        page.unroute("**/upload-parts/**")
        sent: list[str] = []
        page.on("requestfinished", lambda request: sent.append(request.url) if request.method == "PUT" else None)
        row.get_by_role("button", name="Resume").click()
        page.wait_for_timeout(300)
        with serving(application, monkeypatch, port):
            page.locator("#sending li[data-state=done]").wait_for()
        assert len(sent) == 3, "parts that had arrived were not sent again"
    finally:
        context.close()
    upload.refresh_from_db()
    assert upload.completed_at is not None
    assert File.objects.get(version=version).state == "queued"
