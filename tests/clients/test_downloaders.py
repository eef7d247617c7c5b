"""curl, wget and aria2c against civitai.com, which is this hub: names, bytes, cut transfers, sealed and private files."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import Door

DOWNLOAD = "https://civitai.com/api/download/models"
CUT = 300_000


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def is_file(folder: Path, file: dict[str, Any]) -> bool:
    """Whether a published file lies in the folder, whole and under its own name."""
    path = folder / file["name"]
    assert path.exists(), sorted(other.name for other in folder.iterdir())
    return hashlib.sha256(path.read_bytes()).hexdigest() == file["sha256"]


def curl(door: Door, folder: Path, *arguments: str) -> tuple[int, str]:
    """(exit status, HTTP status of the last answer)"""
    done = door.run([program("curl"), "-sSL", "--fail", "--max-time", "60", "-w", "%{http_code}", *arguments], folder)
    return done.returncode, done.stdout


@pytest.mark.parametrize("name", ["lora", "unicode"])
def test_curl(door: Door, tmp_path: Path, name: str) -> None:
    shown = door.published[name]
    assert curl(door, tmp_path, "-JO", f"{DOWNLOAD}/{shown['version']}") == (0, "200")
    assert is_file(tmp_path, shown["files"][0])


def test_curl_resumes_after_a_cut(door: Door, tmp_path: Path) -> None:
    [file], address = door.published["lora"]["files"], f"{DOWNLOAD}/{door.published['lora']['version']}"
    door.proxy.cut(CUT)
    assert curl(door, tmp_path, "-o", file["name"], address)[0] in {18, 56}
    assert 0 < (tmp_path / file["name"]).stat().st_size < file["size"]
    assert curl(door, tmp_path, "-C", "-", "-o", file["name"], address) == (0, "206")
    assert is_file(tmp_path, file)
    assert curl(door, tmp_path, "-C", "-", "-o", file["name"], address)[1] == "416"


def test_curl_is_told_what_it_may_not_have(door: Door, tmp_path: Path) -> None:
    sealed, private, token = door.published["sealed"], door.published["private"], door.published["token"]
    for address, status in (
        (f"{DOWNLOAD}/{sealed['version']}", "403"),
        (f"{DOWNLOAD}/{sealed['version']}?fileId={sealed['files'][0]['id']}&token={token}", "403"),
        (f"{DOWNLOAD}/{private['version']}", "404"),
        (f"{DOWNLOAD}/{private['version']}?token=None", "404"),
    ):
        assert curl(door, tmp_path, "-JO", address) == (22, status)
    assert list(tmp_path.glob("*.*t*")) == []
    assert curl(door, tmp_path, "-JO", f"{DOWNLOAD}/{private['version']}?token={token}") == (0, "200")
    assert is_file(tmp_path, private["files"][0])
    bearer = ("-H", f"Authorization: Bearer {token}")
    assert curl(door, tmp_path, *bearer, "-o", "again", f"https://civitai.red/api/download/models/{private['version']}") == (0, "200")


def test_what_head_leads_to_can_be_fetched(door: Door, tmp_path: Path) -> None:
    """Some clients look first, keep the address that they were led to, and fetch from there."""
    lora = door.published["lora"]
    head = ["-sSL", "--fail", "--head", "-w", "%{url_effective}", "-H", "Authorization: Bearer None"]
    looked = door.run([program("curl"), *head, f"{DOWNLOAD}/{lora['version']}"], tmp_path)
    *headers, address = looked.stdout.splitlines()
    said = dict(line.lower().split(": ", 1) for line in headers if ": " in line)
    assert said["content-length"] == str(lora["files"][0]["size"])
    assert said["accept-ranges"] == "bytes"
    assert said["content-disposition"] == f'attachment; filename="{lora["files"][0]["name"]}"'
    assert said["etag"].startswith('"')
    assert address.startswith("https://civitai.com/")
    assert curl(door, tmp_path, "-JO", "-H", "Authorization: Bearer None", address) == (0, "200")
    assert is_file(tmp_path, lora["files"][0])


def test_a_pickle_is_fetched_as_its_twin_unless_it_is_named(door: Door, tmp_path: Path) -> None:
    pickle, twin = door.published["pickle"]["files"]
    address = f"{DOWNLOAD}/{door.published['pickle']['version']}"
    assert curl(door, tmp_path, "-JO", address) == (0, "200")
    assert is_file(tmp_path, twin)
    assert curl(door, tmp_path, "-JO", f"{address}?type=Model&format=PickleTensor") == (0, "200")
    assert is_file(tmp_path, pickle)


def test_wget_goes_on_after_a_cut(door: Door, tmp_path: Path) -> None:
    command = [program("wget"), "-q", "--content-disposition", f"--ca-certificate={door.proxy.ca_file}", "--waitretry=1"]
    door.proxy.cut(CUT)
    for name in ("lora", "unicode"):
        done = door.run([*command, f"{DOWNLOAD}/{door.published[name]['version']}"], tmp_path)
        assert done.returncode == 0, done.stderr
        assert is_file(tmp_path, door.published[name]["files"][0])
    assert door.proxy.uncut is None
    assert door.run([*command, f"{DOWNLOAD}/{door.published['sealed']['version']}"], tmp_path).returncode == 8  # an error answer


def test_aria2c(door: Door, tmp_path: Path) -> None:
    options = ["--quiet", f"--ca-certificate={door.proxy.ca_file}", "--content-disposition-default-utf8=true", "--retry-wait=1", "-x4"]
    door.proxy.cut(CUT)
    for name in ("lora", "unicode"):
        done = door.run([program("aria2c"), *options, f"{DOWNLOAD}/{door.published[name]['version']}"], tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert is_file(tmp_path, door.published[name]["files"][0])
    assert door.proxy.uncut is None
    sealed = door.run([program("aria2c"), *options, f"{DOWNLOAD}/{door.published['sealed']['version']}"], tmp_path)
    assert sealed.returncode == 22, sealed.stdout  # HTTP status that it did not expect
