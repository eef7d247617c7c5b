"""Unmodified client programs from PyPI against civitai.com, which is this hub: what they list, find, fetch, resume and are refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import Door
from tests.clients.venvs import client_program, client_python

PROGRAMS = Path(__file__).parent / "programs"
MODEL, DOWNLOAD = "https://civitai.com/models", "https://civitai.com/api/download/models"
CUT = 300_000
ON_DISK = pytest.mark.parametrize("door", ["local"], indirect=True)
"""For clients that fetch as others do, or only read: once is enough."""
PUBLIC = {"Paper Lanterns", "Rice Paper", "Lantern Style"}


def digests(folder: Path) -> dict[str, str]:
    """{name: SHA-256} of every file below the folder that looks like weights."""
    kinds = {".safetensors", ".pt", ".ckpt"}
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.suffix in kinds}


def expected(door: Door, *names: str) -> dict[str, str]:
    return {file["name"]: file["sha256"] for name in names for file in door.published[name]["files"]}


def walk(door: Door, client: str, folder: Path) -> dict[str, Any]:
    """The JSON that the program of this client prints."""
    program = PROGRAMS / f"{client.replace('-', '_')}_walk.py"
    done = door.run([client_python(client), program, json.dumps(door.published), folder / "got"], folder)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_civitapy(door: Door, tmp_path: Path) -> None:
    lora = door.published["lora"]
    door.proxy.cut(CUT)
    said = walk(door, "civitapy", tmp_path)
    assert door.proxy.uncut is None
    assert len(said["walk"]) == len(set(said["walk"]))
    assert set(said["walk"]) >= PUBLIC
    assert said["searched"] == ["Paper Lanterns"]
    assert said["model"] == "Paper Lanterns"
    assert said["by_hash"] == said["by_short_hash"] == lora["version"]
    assert digests(tmp_path / "got") == expected(door, "lora", "unicode", "pickle", "private")
    assert (said["sealed"], said["stranger"]) == ([], "CivitAINotFoundError")


@ON_DISK
def test_py_civitai_api(door: Door, tmp_path: Path) -> None:
    said = walk(door, "py-civitai-api", tmp_path)
    assert len(said["walk"]) == len(set(said["walk"]))
    assert set(said["walk"]) >= PUBLIC
    assert (said["searched"], said["model"]) == (["Paper Lanterns"], "Paper Lanterns")
    assert said["by_hash"] == door.published["lora"]["version"]
    assert said["address"] == f"{DOWNLOAD}/{said['by_hash']}"
    assert (said["sealed"], said["owner"]) == ([], "Mine Alone")
    assert said["stranger"] == "NotFoundError"


@ON_DISK
def test_comfy_cli(door: Door, tmp_path: Path) -> None:
    workspace = tmp_path / "ComfyUI"
    workspace.mkdir()
    comfy = [
        client_program("comfy-cli", "comfy"),
        "--skip-prompt",
        "--no-enable-telemetry",
        f"--workspace={workspace}",
        "model",
        "download",
    ]
    published, token = door.published, door.published["token"]
    for address in (f"{MODEL}/{published['lora']['model']}", f"{DOWNLOAD}/{published['unicode']['version']}"):
        done = door.run([*comfy, "--relative-path", "models/loras", "--url", address], tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    assert digests(workspace) == expected(door, "lora", "unicode")
    private = [*comfy, "--relative-path", "models/loras", "--url", f"{MODEL}/{published['private']['model']}"]
    refused = door.run(private, tmp_path)
    assert refused.returncode != 0
    assert "404" in refused.stdout + refused.stderr
    assert door.run([*private, "--set-civitai-api-token", token], tmp_path).returncode == 0
    assert digests(workspace) == expected(door, "lora", "unicode", "private")


def test_civitdl(door: Door, tmp_path: Path) -> None:
    """It sends `Authorization: Bearer None` when it has no key, to the signed address too."""
    civitdl = [client_program("civitdl", "civitdl"), "--strict-mode", "1", "--no-with-color", "--pause-time", "0.01", "--retry-count", "1"]
    models = [door.published[name]["model"] for name in ("lora", "unicode")]
    done = door.run([*civitdl, *models, tmp_path / "got"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    saved = digests(tmp_path / "got")
    assert sorted(saved.values()) == sorted(expected(door, "lora", "unicode").values()), done.stdout
    door.run([*civitdl, door.published["private"]["model"], door.published["sealed"]["model"], tmp_path / "none"], tmp_path)
    assert digests(tmp_path / "none") == {}


def test_civitai_downloader(door: Door, tmp_path: Path) -> None:
    """It reads the redirect by itself, takes the name from its query, and says that it is a browser."""
    code = "import sys; from civitai_downloader import download_file; download_file(*sys.argv[1:])"
    python, published = client_python("civitai-downloader"), door.published
    for name, token in (("lora", "None"), ("unicode", "None"), ("private", published["token"])):
        done = door.run([python, "-c", code, f"{DOWNLOAD}/{published[name]['version']}", tmp_path, token], tmp_path)
        assert done.returncode == 0, done.stderr
    assert digests(tmp_path) == expected(door, "lora", "unicode", "private")
    for name, sentence in (("sealed", "No redirect found"), ("private", "File not found")):
        refused = door.run([python, "-c", code, f"{DOWNLOAD}/{published[name]['version']}", tmp_path, "None"], tmp_path)
        assert refused.returncode == 1
        assert sentence in refused.stderr


@ON_DISK
def test_civitai_hub(door: Door, tmp_path: Path) -> None:
    civitai, published = client_program("civitai-hub", "civitai"), door.published
    fetch = [civitai, "download", "--no-symlinks", "--no-progress", "--local-dir", tmp_path / "got", "--cache-dir", tmp_path / "cache"]
    for host, name in (("civitai.com", "lora"), ("civitai.red", "unicode")):
        done = door.run([*fetch, f"https://{host}/models/{published[name]['model']}"], tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    assert digests(tmp_path / "got") == expected(door, "lora", "unicode")
    found = door.run([civitai, "by-hash", "--json", published["lora"]["files"][0]["sha256"]], tmp_path)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "Paper Lanterns" in door.run([civitai, "search", "--json", "lanterns"], tmp_path).stdout
    for name in ("sealed", "private"):
        assert door.run([*fetch, f"{MODEL}/{published[name]['model']}"], tmp_path).returncode != 0
    # Its own rule: whatever is not called Public it takes for paid, even with a token that may have it.
    mine = door.run([*fetch, "--token", published["token"], f"{MODEL}/{published['private']['model']}"], tmp_path)
    assert "is 'Private'" in mine.stderr


@ON_DISK
@pytest.mark.parametrize("name", ["lora", "unicode"])
def test_pycivitai(door: Door, tmp_path: Path, name: str) -> None:
    """It insists on exactly one primary file and on sizes that are whole bytes."""
    code = "import sys; from pycivitai import civitai_download; print(civitai_download(int(sys.argv[1])))"
    done = door.run([client_python("pycivitai"), "-c", code, str(door.published[name]["model"])], tmp_path)
    assert done.returncode == 0, done.stderr
    assert list(digests(tmp_path).values()) == list(expected(door, name).values())
