"""What creators do, in a real browser against the real server: sign up, describe, send, watch, publish, and be told no."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from registry import staging
from registry.models import Entry, File, Upload, Version
from tests import intake
from tests.factories import EntryFactory, VersionFactory
from tests.hub.web.conftest import PASSWORD

pytestmark = pytest.mark.django_db(transaction=True)


def choose(page: Any, path: Path) -> None:
    """Give a file to the uploader, as the file dialog would."""
    page.wait_for_selector("#uploader[data-ready=true]")
    page.locator("#uploader input[type=file]").first.set_input_files(str(path))


def settle(page: Any, state: str) -> None:
    """Wait until the file has arrived, let the workers' tasks run, and wait until the page shows the end."""
    page.wait_for_selector("#work [data-file]")
    intake.drain()
    page.wait_for_selector(f"#work [data-state={state}]")


def test_creator_signs_up_uploads_publishes_and_a_stranger_downloads(open_page: Callable[..., Any], weights: Path) -> None:
    page = open_page()
    page.goto("/accounts/signup/")
    page.fill("#id_username", "nora")
    page.fill("#id_password1", PASSWORD)
    page.fill("#id_password2", PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Sign up").click()
    page.wait_for_url("**/")
    page.goto("/upload")
    page.fill("[name=model-name]", "Harbour Light")
    page.fill("[name=version-base_model]", "SD 1.5")
    page.fill("[name=version-trigger_words]", "harbour, fog bell")
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url(re.compile(r"/upload/\d+$"))
    choose(page, weights)
    settle(page, "ready")
    page.wait_for_selector("#work[data-resting=true]")
    assert "Scanned" in page.locator("#work .timeline").first.inner_text()
    page.get_by_role("button", name=re.compile("Publish Harbour Light")).click()
    page.wait_for_url(re.compile("/nora/harbour-light"))
    stranger = open_page()
    stranger.goto("/")
    stranger.fill("#q", "harb")
    stranger.get_by_role("link", name="Harbour Light").wait_for()
    stranger.get_by_role("link", name="Harbour Light").click()
    stranger.wait_for_selector("#download")
    with stranger.expect_download() as download:
        stranger.click("#download")
    assert download.value.suggested_filename == "lantern-pruned-fp16.safetensors"
    file = File.objects.select_related("blob").get(name="lantern-pruned-fp16.safetensors")
    assert os.path.getsize(download.value.path()) == file.size_bytes


class RunsCommand:
    """Pickled, it asks whoever loads it to run a command. Nobody here does."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("echo this must never run",)


def test_pickle_that_would_run_code_is_shown_quarantined_with_its_reason(
    open_page: Callable[..., Any], sign_in: Callable[..., None], creator: Any, tmp_path: Path
) -> None:
    import torch

    path = tmp_path / "evil.ckpt"
    torch.save({"state_dict": {"w": torch.zeros(4)}, "callback": RunsCommand()}, path)
    version = VersionFactory(entry=EntryFactory(owner=creator))
    page = open_page()
    sign_in(page, creator)
    page.goto(f"/upload/{version.pk}")
    choose(page, path)
    settle(page, "quarantined")
    assert "posix.system" in page.locator("#work").inner_text()
    page.get_by_role("link", name="What was found").click()
    page.wait_for_selector("[data-verdict=danger]")
    text = page.get_by_role("main").inner_text()
    assert "posix.system" in text
    assert "dangerous" in text


def test_interrupted_upload_goes_on_in_a_new_tab_and_sends_only_what_is_missing(
    open_page: Callable[..., Any], sign_in: Callable[..., None], creator: Any, tmp_path: Path, settings: Any
) -> None:
    settings.PART_SIZE_BYTES = 5 * 2**20
    path = tmp_path / "big.safetensors"
    path.write_bytes(os.urandom(18 * 2**20))
    version = VersionFactory(entry=EntryFactory(owner=creator))
    page = open_page()
    sign_in(page, creator)
    arrived: list[str] = []

    def first_two_only(route: Any) -> None:
        if len(arrived) < 2:
            arrived.append(route.request.url)
            route.continue_()
        # Later parts hang, as on a line that went dead.

    page.route("**/upload-parts/**", first_two_only)
    page.goto(f"/upload/{version.pk}")
    choose(page, path)
    upload = wait_for_parts(page, version, 2)
    page.close()  # which may let one of the parts that hung through
    page = page.context.new_page()
    page.goto(f"/upload/{version.pk}")
    assert "big.safetensors" in page.get_by_role("region", name="Interrupted uploads").inner_text()
    page.wait_for_timeout(500)
    missing = 4 - len(staging.received(upload))
    assert 1 <= missing <= 2
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "PUT" else None)
    choose(page, path)
    page.wait_for_selector("#work [data-file]")
    upload.refresh_from_db()
    assert upload.completed_at is not None
    assert len(sent) == missing
    assert File.objects.get(version=version).state == "queued"


def wait_for_parts(page: Any, version: Version, count: int) -> Upload:
    """The version's upload, as soon as the store has `count` parts of it."""
    for _ in range(200):
        upload = Upload.objects.filter(file__version=version).first()
        if upload is not None and len(staging.received(upload)) >= count:
            return upload
        page.wait_for_timeout(50)
    raise AssertionError("the parts did not arrive")


def test_refused_file_name_is_explained_beside_the_uploader(
    open_page: Callable[..., Any], sign_in: Callable[..., None], creator: Any, tmp_path: Path, complaints: list[str]
) -> None:
    path = tmp_path / "con.ckpt"
    path.write_bytes(b"x" * 100)
    version = VersionFactory(entry=EntryFactory(owner=creator))
    page = open_page()
    sign_in(page, creator)
    page.goto(f"/upload/{version.pk}")
    choose(page, path)
    page.locator("#upload-problem", has_text="device name on Windows").wait_for()
    assert all("400" in text or "Windows" in text for text in complaints)
    complaints.clear()  # the browser logs the refused request and Uppy its reason
    assert not Entry.objects.get().versions.get().files.exists()
