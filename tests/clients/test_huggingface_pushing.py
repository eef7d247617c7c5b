"""Unmodified huggingface_hub pushing: 0.36 as it is, the newest as its environment must tell it, and what it says where that is missing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import ClientsHub
from tests.clients.test_huggingface import HERE, NEWEST, OLD, environment, run
from tests.clients.venvs import client_python
from tests.tiny import lora_safetensors

NO_XET = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}


@pytest.mark.parametrize("client", [NEWEST, OLD])
def test_a_repository_is_made_and_filled(client: str, clients_hub: ClientsHub, catalogue: dict[str, Any], tmp_path: Path) -> None:
    python = client_python(client)
    weights = lora_safetensors(tmp_path / "lora.safetensors", seed=len(client) + (client == OLD), rank=1000)
    told = environment(clients_hub.url, tmp_path / "home", catalogue["token"], **(NO_XET if client == NEWEST else {}))
    done = run([python, HERE / "programs" / "push_hub.py", f"ada/pushed-{client}", weights], told)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["url"] == found["again"] == f"{clients_hub.url}/ada/pushed-{client}"
    assert found["files"] == ["README.md", "lantern.safetensors", "notes/ä.txt"]
    assert found["after"] == ["README.md", "lantern.safetensors"]
    assert found["titles"][:2] == ["Notes", "A card"]
    assert {"main", "v2"} <= set(found["branches"])
    assert "safetensors" in found["lie"]
    shutil.rmtree(tmp_path / "home")


def test_the_newest_says_how_to_push_without_xet(clients_hub: ClientsHub, catalogue: dict[str, Any], tmp_path: Path) -> None:
    python = client_python(NEWEST)
    weights = lora_safetensors(tmp_path / "lora.safetensors", seed=77)
    told = environment(clients_hub.url, tmp_path / "home", catalogue["token"])
    done = run([python, HERE / "programs" / "push_hub.py", "ada/xet", weights], told)
    assert done.returncode != 0
    assert "HF_HUB_DISABLE_XET=1" in done.stderr
