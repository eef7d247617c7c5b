"""A merge end to end over a running hub: two models are uploaded, a program merges them, publishes the result, and its hash finds it."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from safetensors import safe_open

from tests import tiny
from tests.hub.services.program import Program
from tests.hub.services.running import Hub
from tests.hub.services.test_up import manage

NAME = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"


@pytest.fixture
def program(hub: Hub) -> Program:
    made = manage(hub.data, "create_token", "admin", "--scope", "write")
    assert made.returncode == 0, made.stderr
    return Program(hub.url, made.stdout.strip().splitlines()[-1])


def published(program: Program, name: str, path: Path) -> int:
    version = program.version(name)
    file = program.rest(program.upload(version, path))
    program.call("POST", f"versions/{version}/publish", {})
    return int(file["id"])


def ended(program: Program, merge: int, seconds: float = 90) -> dict[str, Any]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = program.call("GET", f"merges/{merge}")
        if answer["state"] not in {"wanted", "merging"}:
            return dict(answer)
        time.sleep(0.2)
    raise AssertionError(f"merge {merge} never ended: {answer}")


def test_two_uploads_become_a_third_model(hub: Hub, program: Program, tmp_path: Path) -> None:
    paths = [tiny.plain_checkpoint(tmp_path / f"{number}.safetensors", seed=number) for number in range(2)]
    files = [published(program, f"Parent {path.stem}", path) for path in paths]
    asked = program.call("POST", "merges", {"method": "weighted_sum", "a": files[0], "b": files[1], "multiplier": 0.25, "name": "Child"})
    made = ended(program, asked["id"])
    assert (made["state"], made["error"]) == ("made", "")
    file = program.rest(made["file_id"])
    assert (file["state"], file["verdict"]) == ("ready", "success")
    program.call("POST", f"versions/{made['version_id']}/publish", {})
    answer = requests.get(f"{hub.url}/api/download/models/{made['version_id']}?fileId={made['file_id']}", timeout=30)
    assert answer.status_code == 200
    got = answer.content
    assert hashlib.sha256(got).hexdigest() == file["sha256"]
    (tmp_path / "child.safetensors").write_bytes(got)
    first, second, child = (safe_open(path, "pt").get_tensor(NAME) for path in [*paths, tmp_path / "child.safetensors"])
    assert child.equal(0.75 * first + 0.25 * second)
    found = requests.get(f"{hub.url}/api/v1/model-versions/by-hash/{file['sha256']}", timeout=30).json()
    assert (found["id"], found["model"]["name"]) == (made["version_id"], "Child")
    page = requests.get(f"{hub.url}/file/{made['file_id']}", timeout=30).text
    assert "Weighted sum 0.25: 0.75 of A and 0.25 of B." in page
