"""What lies beside a downloaded file: read as the programs read it that look for it, by whom it may be had, and in how many queries."""

from __future__ import annotations

import io
import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from PIL import Image

from hub import sidecarzip, triggers
from hub.sidecars import Sidecar
from registry import catalog
from registry.models import Blob, BlobHash, Entry, File, Token, User, Version
from tests.factories import BlobFactory, FileFactory, UserFactory
from tests.hub.published import published_entry, published_file, published_version
from tests.pictures import rendered, specs, strengths

pytestmark = pytest.mark.django_db
EVIL = 'say "hi" \u202e</script>'
LORA_MANAGER = {"file_name", "model_name", "file_path", "size", "modified", "sha256", "base_model", "preview_url"}
"""Fields without a default of its BaseModelMetadata (py/utils/models.py): a file that lacks one is passed over."""
A1111 = {"description", "sd version", "activation text", "preferred weight", "negative text", "notes"}
"""Keys that its Lora card reads and writes (extensions-builtin/Lora/ui_edit_user_metadata.py)."""


@pytest.fixture
def lora(creator: User) -> File:
    entry = published_entry(creator, kind="lora", name="Paper Lantern", slug="paper-lantern", description=f"Glows. {EVIL}", spdx="MIT")
    settings = {"weight": 0.8, "negative_prompt": "blurry", "clip_skip": 2, "trigger_words": ["papr lntrn", "glow"]}
    version = published_version(entry, name="v1", **settings)
    return published_file(creator, b"L" * 70_000, version=version, blob_detected={"family": "SD 1.x", "kind": "lora"})


def archive(client: Client, version: Version, what: str = "sidecars", **headers: str) -> zipfile.ZipFile:
    response = client.get(f"/model-versions/{version.pk}/{what}.zip", headers=headers)
    assert response.status_code == 200
    return zipfile.ZipFile(io.BytesIO(response.content))


def loaded(found: zipfile.ZipFile, name: str) -> Any:
    return json.loads(found.read(name))


def test_every_program_finds_its_file_under_the_name_of_the_weights(client: Client, lora: File) -> None:
    found = archive(client, lora.version)
    assert sorted(found.namelist()) == ["lantern.civitai.info", "lantern.json", "lantern.metadata.json", "lantern.safetensors.sha256"]
    assert found.testzip() is None


def test_the_digest_is_as_sha256sum_checks_it(client: Client, lora: File, tmp_path: Path) -> None:
    archive(client, lora.version).extractall(tmp_path)
    (tmp_path / "lantern.safetensors").write_bytes(b"L" * 70_000)
    checked = subprocess.run(["sha256sum", "-c", "lantern.safetensors.sha256"], cwd=tmp_path, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout) == (0, "lantern.safetensors: OK\n")


def test_a1111_reads_words_strength_and_version(client: Client, lora: File) -> None:
    read = loaded(archive(client, lora.version), "lantern.json")
    assert read.keys() == A1111
    assert read["activation text"] == "papr lntrn, glow"
    assert (read["preferred weight"], read["sd version"], read["negative text"]) == (0.8, "SD1", "blurry")
    assert read["description"].startswith("Glows. ")
    assert "\u202e" not in read["description"]
    assert "clip_skip: 2" in read["notes"]


def test_civitai_info_is_what_the_door_answers_and_says_more_of_the_model(client: Client, lora: File) -> None:
    info = loaded(archive(client, lora.version), "lantern.civitai.info")
    door = client.get(f"/api/v1/model-versions/{lora.version_id}").json()
    assert "stats" not in info
    for key in door.keys() - {"stats", "model"}:
        assert info[key] == door[key]
    assert info["model"].items() >= door["model"].items()
    assert info["trainedWords"] == ["papr lntrn", "glow"]
    assert info["files"][0]["hashes"]["SHA256"] == lora.sha256.upper()
    assert info["creator"]["username"] == lora.version.entry.owner.username


def test_lora_manager_has_every_field_it_needs_and_modelspec_is_beside_them(client: Client, lora: File) -> None:
    read = loaded(archive(client, lora.version), "lantern.metadata.json")
    assert read.keys() >= LORA_MANAGER
    assert (read["file_name"], read["sha256"], read["size"]) == ("lantern", lora.sha256, 70_000)
    assert read["civitai"]["trainedWords"] == ["papr lntrn", "glow"]
    assert json.loads(read["usage_tips"]) == {"strength": 0.8, "clip_skip": 2}
    assert read["modelspec.architecture"] == "stable-diffusion-v1/lora"
    assert read["modelspec.trigger_phrase"] == "papr lntrn, glow"
    assert read["modelspec.license"] == "MIT"


def test_the_same_things_are_the_same_bytes(client: Client, lora: File) -> None:
    address = f"/model-versions/{lora.version_id}/sidecars.zip"
    assert client.get(address).content == client.get(address).content


def test_words_that_only_the_file_or_the_description_gives_are_not_lost(client: Client, lora: File) -> None:
    lora.version.trigger_words = []
    lora.version.save()
    Entry.objects.filter(pk=lora.version.entry_id).update(description="Trigger words: **moon lamp**, `soft light`")
    said = [{"word": "paper lantern", "count": 0}, {"word": "1girl", "count": 900}]
    Blob.objects.filter(pk=lora.blob_id).update(detected={"trigger_words": said})
    assert loaded(archive(client, lora.version), "lantern.json")["activation text"] == "paper lantern, moon lamp, soft light"


def test_files_that_share_a_stem_share_the_sidecars_of_the_recommended_one(client: Client, lora: File) -> None:
    published_file(lora.version.entry.owner, b"P" * 90_000, "lantern.ckpt", version=lora.version, blob_container="torch-zip")
    found = archive(client, lora.version)
    assert sorted(name for name in found.namelist() if name.endswith(".sha256")) == ["lantern.ckpt.sha256", "lantern.safetensors.sha256"]
    assert loaded(found, "lantern.metadata.json")["sha256"] == lora.sha256
    assert len(set(found.namelist())) == len(found.namelist())


def test_the_strongest_picture_lies_beside_it_and_only_within_the_visitors_rating(client: Client, lora: File) -> None:
    rendered(lora, strengths(1, 64))
    picture = Image.open(io.BytesIO(archive(client, lora.version).read("lantern.preview.png")))
    assert (picture.size, picture.format) == ((64, 64), "PNG")
    Entry.objects.filter(pk=lora.version.entry_id).update(rating=8)
    hidden = archive(client, lora.version)
    assert "lantern.preview.png" not in hidden.namelist()
    assert loaded(hidden, "lantern.civitai.info")["images"] == []
    client.force_login(UserFactory(max_rating=8))
    assert "lantern.preview.png" in archive(client, lora.version).namelist()


def test_what_is_private_looks_like_what_does_not_exist_and_a_token_opens_it(client: Client, lora: File, stranger: User) -> None:
    Entry.objects.filter(pk=lora.version.entry_id).update(visibility="private")
    for what in ("sidecars", "bundle"):
        for person in (None, stranger):
            if person:
                client.force_login(person)
            hidden, missing = (client.get(f"/model-versions/{pk}/{what}.zip") for pk in (lora.version_id, 999_999))
            assert (hidden.status_code, missing.status_code) == (404, 404)
        client.logout()
        secret = Token.issue(lora.version.entry.owner, "tests")[1]
        assert "lantern.json" in archive(client, lora.version, authorization=f"Bearer {secret}").namelist()


def test_what_was_withdrawn_keeps_its_sidecars_without_picture_and_without_its_file(client: Client, lora: File) -> None:
    rendered(lora, specs(1, 64))
    catalog.withdraw(lora.version, "made by mistake")
    found = archive(client, lora.version)
    assert sorted(found.namelist()) == ["lantern.civitai.info", "lantern.json", "lantern.metadata.json", "lantern.safetensors.sha256"]
    info = loaded(found, "lantern.civitai.info")
    assert info["trainedWords"] == ["papr lntrn", "glow"]
    assert "downloadUrl" not in json.dumps(info)
    assert client.get(f"/model-versions/{lora.version_id}/bundle.zip").status_code == 410


def test_a_version_without_a_file_to_download_has_none(client: Client, creator: User) -> None:
    version = published_version(published_entry(creator))
    FileFactory(version=version, state="quarantined", blob=BlobFactory(verdict="danger", sealed=True))
    assert client.get(f"/model-versions/{version.pk}/sidecars.zip").status_code == 404


def test_queries_do_not_grow_with_the_files(client: Client, lora: File, django_assert_max_num_queries: Any) -> None:
    for number in range(12):
        published_file(lora.version.entry.owner, bytes([number]) * 100, f"more{number}.safetensors", version=lora.version)
    address = f"/model-versions/{lora.version_id}/sidecars.zip"
    client.get(address)
    with django_assert_max_num_queries(6):
        assert client.get(address).status_code == 200


def whole(client: Client, file: File, data: bytes) -> bytes:
    """A bundle as the layer below puts it together."""
    response = client.get(f"/model-versions/{file.version_id}/bundle.zip")
    sha256, size, offset = response["X-Hub-Insert"].split()
    assert (sha256, int(size)) == (file.sha256, len(data))
    return response.content[: int(offset)] + data + response.content[int(offset) :]


def test_a_bundle_is_a_zip_with_the_recommended_file_and_all_sidecars(client: Client, lora: File, tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    path.write_bytes(whole(client, lora, b"L" * 70_000))
    assert subprocess.run(["unzip", "-tq", path], capture_output=True).returncode == 0
    found = zipfile.ZipFile(path)
    assert found.read("lantern.safetensors") == b"L" * 70_000
    assert {"lantern.json", "lantern.civitai.info"} <= set(found.namelist())
    assert found.testzip() is None


def test_a_bundle_past_four_gigabytes_is_zip64(lora: File, tmp_path: Path) -> None:
    size = 5 * 2**30
    huge = FileFactory(version=lora.version, name="huge.safetensors", size_bytes=size)
    BlobHash.objects.create(blob=huge.blob, kind="CRC32", value="00000000")
    data, offset = sidecarzip.around([Sidecar("huge.json", b"{}")], huge)
    path = tmp_path / "huge.zip"
    with path.open("wb") as file:  # a hole where the weights would be: nothing is written for it
        file.write(data[:offset])
        file.seek(size, 1)
        file.write(data[offset:])
    found = zipfile.ZipFile(path)
    assert [(one.filename, one.file_size) for one in found.infolist()] == [("huge.json", 2), ("huge.safetensors", size)]
    with found.open("huge.safetensors") as weights:
        assert weights.read(4) == b"\0\0\0\0"
    assert found.read("huge.json") == b"{}"


def test_a_bundle_counts_as_a_download(client: Client, lora: File) -> None:
    from registry.models import DownloadCount

    client.get(f"/model-versions/{lora.version_id}/bundle.zip")
    client.head(f"/model-versions/{lora.version_id}/bundle.zip")
    assert DownloadCount.objects.filter(file_id=lora.pk).count() == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Trigger words: lantern glow, **night**", ["lantern glow", "night"]),
        ("**Trigger word:** `lntrn`", ["lntrn"]),
        ("use `lntrn style` with `<lora:x:1>` from `a.safetensors`, `0.8`", ["lntrn style"]),
        ("```\nTrigger words: no\n```\nActivation: yes please", ["yes please"]),
        ("触发词：灯笼，夜晚", ["灯笼", "夜晚"]),
        ("a trigger is pulled", []),
    ],
)
def test_words_of_a_description(text: str, words: list[str]) -> None:
    assert triggers.described(text) == words
