"""The main job end to end over a running hub: a creator uploads, the hub judges and derives, a stranger and a program download."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
import requests
import torch

from tests import tiny
from tests.hub.services.program import Program
from tests.hub.services.running import Hub
from tests.hub.services.test_up import manage, processes_named


class Payload:
    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/weighhouse-was-here",)


@pytest.fixture
def program(hub: Hub) -> Program:
    made = manage(hub.data, "create_token", "admin", "--scope", "write")
    assert made.returncode == 0, made.stderr
    return Program(hub.url, made.stdout.strip().splitlines()[-1])


def test_a_lightning_checkpoint_lives_its_whole_life(hub: Hub, program: Program, tmp_path: Path) -> None:
    version = program.version("Harbour lights")
    source = tiny.lightning_checkpoint(tmp_path / "harbour.ckpt")
    file = program.rest(program.upload(version, source))
    assert (file["state"], file["verdict"]) == ("ready", "success"), file
    assert file["sha256"].lower() == hashlib.sha256(source.read_bytes()).hexdigest()
    assert [derived["state"] for derived in file["derivatives"]] == ["made"] * len(file["derivatives"])
    variants_at_rest(program, version)
    program.call("POST", f"versions/{version}/publish", {})

    page = requests.get(f"{hub.url}/model-versions/{version}", timeout=30)
    assert page.ok
    for name in ("harbour.safetensors", "harbour-pruned-fp16.safetensors", "harbour-ema-fp16.safetensors"):
        assert name in page.text

    address = f"{hub.url}/api/download/models/{version}"
    done = subprocess.run(["curl", "-sSfJLO", address], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (got,) = (path for path in tmp_path.iterdir() if path.suffix == ".safetensors")
    digest = hashlib.sha256(got.read_bytes()).hexdigest()
    found = requests.get(f"{hub.url}/api/v1/model-versions/by-hash/{digest}", timeout=30).json()
    assert found["id"] == version
    assert digest.upper() in {sent["hashes"]["SHA256"] for sent in found["files"]}


def variants_at_rest(program: Program, version: int) -> None:
    for row in program.call("GET", f"versions/{version}")["files"]:
        assert program.rest(row["id"])["state"] == "ready"


def test_a_checkpoint_that_would_run_a_command_is_quarantined_with_the_reason(hub: Hub, program: Program, tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.zeros(4)}, "x": Payload()}, tmp_path / "evil.ckpt")
    version = program.version("Trojan")
    file = program.rest(program.upload(version, tmp_path / "evil.ckpt"))
    assert (file["state"], file["verdict"], file["download_url"]) == ("quarantined", "danger", None)
    assert "system" in json.dumps(program.call("GET", f"files/{file['id']}/scan"))
    refused = program.session.post(f"{hub.url}/api/hub/versions/{version}/publish", json={}, timeout=30)
    assert (refused.status_code, refused.json()["code"]) == (409, "publish:not-ready")
    assert program.session.get(f"{hub.url}/api/download/models/{version}", allow_redirects=False, timeout=30).status_code in {403, 404, 409}
    assert not Path("/tmp/weighhouse-was-here").exists()


@pytest.mark.parametrize("service", ["postgres", "valkey-server"])
def test_a_store_that_dies_under_load_loses_no_upload(hub: Hub, program: Program, tmp_path: Path, service: str) -> None:
    version = program.version(f"Storm of {service}")
    paths = []
    for number in range(6):
        paths.append(tiny.lora_safetensors(tmp_path / f"{service}{number}.safetensors", seed=hash((service, number)) % 10_000))
    ids: dict[int, int] = {}

    def send(number: int) -> None:
        for _ in range(40):  # what a client with retries does
            try:
                ids[number] = program.upload(version, paths[number], f"{number}.safetensors")
                return
            except (AssertionError, requests.RequestException, KeyError):
                threading.Event().wait(0.5)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(6)]
    for thread in threads[:3]:
        thread.start()
    os.kill(min(processes_named(hub.data, service)), signal.SIGKILL)
    for thread in threads[3:]:
        thread.start()
    for thread in threads:
        thread.join(90)
    files = program.call("GET", f"versions/{version}")["files"]
    taken = {row["name"]: row["id"] for row in files}
    assert set(ids) == set(range(6)), (ids, taken)
    assert {program.rest(file_id)["state"] for file_id in ids.values()} == {"ready"}
