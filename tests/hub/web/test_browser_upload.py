"""What creators do, in a real browser against the real server: sign up, describe, send, watch, publish, and be told no."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from registry import staging
from registry.models import Entry, File, Upload, Version
from tests import intake
from tests.factories import EntryFactory, VersionFactory
from tests.hub.published import published_file
from tests.hub.web.conftest import PASSWORD
from tests.registry.test_recognise import LORA

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


def test_folder_is_recognised_before_upload_and_becomes_one_model_for_each_file(
    open_page: Callable[..., Any], sign_in: Callable[..., None], creator: Any, tmp_path: Path, complaints: list[str]
) -> None:
    """Headers fill in the forms, what somebody typed stays, bytes that are here already are linked, and nothing is chosen twice."""
    folder = tmp_path / "models"
    folder.mkdir()
    lora, here = folder / "old_brass-v2-fp16.safetensors", folder / "already.safetensors"
    save_file({name: np.ones(shape, np.float16) for name, shape in LORA.items()}, lora)
    save_file({name: np.full(shape, 3, np.float16) for name, shape in LORA.items()}, here)
    (folder / "notes.txt").write_text("not weights")
    published_file(creator, here.read_bytes(), "already.safetensors")
    page = open_page()
    sign_in(page, creator)
    page.goto("/upload")
    page.locator("#chooser input[webkitdirectory]").set_input_files(str(folder))
    page.locator("#chosen li", has_text="old_brass").locator(".badge", has_text="SD 1.5").wait_for()
    page.locator("#chosen li", has_text="already").get_by_text("Already here").wait_for()
    assert "no weights: 1" in page.locator("#left-out").inner_text()
    page.get_by_label("One model for each file").check()
    rows = page.locator("#several-form fieldset", has_text="old_brass-v2-fp16.safetensors")
    assert [rows.locator(f"[name={name}]").input_value() for name in ("name", "version", "kind", "base_model")] == [
        "old brass", "v2", "lora", "SD 1.5",
    ]  # fmt: skip
    rows.locator("[name=name]").fill("")
    page.get_by_role("button", name="Make the drafts").click()
    rows.locator(".error").wait_for()
    assert rows.locator("[name=base_model]").input_value() == "SD 1.5"
    assert ["422" in text for text in complaints] == [True]
    complaints.clear()  # the browser logs the refused request
    rows.locator("[name=name]").fill("Old Brass")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "PUT" else None)
    page.get_by_role("button", name="Make the drafts").click()
    page.wait_for_url(re.compile(r"/upload/several\?v="))
    page.locator("#sending li[data-state=done]").nth(1).wait_for()
    intake.drain()
    page.locator("#work[data-resting=true]").wait_for()
    assert len(sent) == 1, "the bytes that were here were not sent again"
    made = {file.name: file for file in File.objects.select_related("version__entry").filter(version__entry__live=False, role="uploaded")}
    assert made[lora.name].version.entry.name == "Old Brass"
    assert made[lora.name].declared_sha256 == hashlib.sha256(lora.read_bytes()).hexdigest(), "the hub compared what arrived with it"
    assert {file.state for file in made.values()} == {"ready"}


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
    page.locator("#sending [role=alert]", has_text="device name on Windows").wait_for()
    assert all("400" in text for text in complaints)
    complaints.clear()  # the browser logs the refused request
    assert not Entry.objects.get().versions.get().files.exists()
