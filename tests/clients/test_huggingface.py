"""Unmodified huggingface_hub, newest and 0.36, `hf`, and diffusers against a live hub that they know by HF_ENDPOINT and HF_TOKEN alone."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.clients.conftest import ClientsHub
from tests.clients.cutting import cutting_line
from tests.clients.hubrepos import SAMPLES
from tests.clients.venvs import client_program, client_python

HERE = Path(__file__).parent
NEWEST, OLD = "huggingface-hub-2", "huggingface-hub-0"


def environment(url: str, home: Path, token: str = "", **more: str) -> dict[str, str]:
    """What a client is told: where the hub is, and who asks. Nothing else of this process, and no way out of this machine."""
    home.mkdir(exist_ok=True)
    told = {"HOME": str(home), "HF_HOME": str(home / "hf"), "HF_ENDPOINT": url, "PYTHONPATH": str(HERE / "loopback")}
    told |= {"HF_TOKEN": token} if token else {}
    return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1", **told, **more}


def run(command: list[Any], told: dict[str, str], seconds: int = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=told, cwd=told["HOME"], capture_output=True, text=True, timeout=seconds, check=False)


def refused(answer: Any, name: str) -> str:
    """The words of an exception that was told."""
    assert isinstance(answer, list), answer
    assert answer[0] == name, answer
    return str(answer[1])


@pytest.mark.parametrize("client", [NEWEST, OLD])
def test_everything_that_people_read(client: str, clients_hub: ClientsHub, catalogue: dict[str, Any], tmp_path: Path) -> None:
    python = client_python(client)
    told = environment(clients_hub.url, tmp_path / "home", catalogue["token"])
    done = run([python, HERE / "programs" / "read_hub.py", str(catalogue["lora"]["version"])], told)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    weights = catalogue["lora"]["files"][0]
    for way in ("download", "again", "branch", "version id", "alias"):
        assert found[way] == weights["sha256"], way
    assert found["snapshot"][weights["name"]] == weights["size"]
    assert set(found["snapshot"]) == {weights["name"], "README.md"}
    assert [name for name in found["patterns"] if not name.startswith(".cache/")] == ["lantern-style.safetensors"]
    assert found["non-ASCII"] == catalogue["unicode"]["files"][0]["sha256"]
    _read_info(found, weights)
    _read_lists(found)
    assert found["private"] == catalogue["private"]["files"][0]["sha256"]
    _read_refusals(found)


def _read_info(found: dict[str, Any], weights: dict[str, Any]) -> None:
    base = "stable-diffusion-v1-5/stable-diffusion-v1-5"
    assert found["info"] == ["ada/paper-lanterns", "ada", False, "text-to-image", "diffusers", base]
    assert found["siblings"][0] == [weights["name"], weights["size"]]
    assert found["files"] == [weights["name"], "README.md"]
    assert found["tree"][0] == [weights["name"], weights["size"], "safe"]
    assert found["paths"] == [weights["name"]]
    assert found["exists"] == [True, False, False]
    assert found["refs"] == ["main", "v1"]
    assert found["commits"][0] == found["sha"]
    assert (found["safetensors"], found["header"] > 0) == (False, True)


def _read_lists(found: dict[str, Any]) -> None:
    assert {"ada/paper-lanterns", "ada/mine-alone"} <= set(found["list"])
    assert found["search"] == ["ada/rice-paper"]
    assert found["filter"] == ["ada/paper-lanterns", "ada/rice-paper"]
    assert found["pages"] == 2
    assert (found["who"], found["auth"]) == ("ada", None)


def _read_refusals(found: dict[str, Any]) -> None:
    """Each case has the class that programs catch. What is hidden and what is missing read the same."""
    hidden, missing = refused(found["private info"], "RepositoryNotFoundError"), refused(found["none"], "RepositoryNotFoundError")
    assert hidden.split("api/models/")[0].split("(Request ID")[0] == missing.split("api/models/")[0].split("(Request ID")[0]
    assert found["private to others"][0] in ("RepositoryNotFoundError", "LocalEntryNotFoundError")
    assert "Danger" in refused(found["sealed"], "GatedRepoError")
    assert found["no such file"][0] in ("RemoteEntryNotFoundError", "EntryNotFoundError")
    refused(found["no such revision"], "RevisionNotFoundError")
    assert "Invalid" in found["bad token"][1]
    refused(found["no auth"], "RepositoryNotFoundError")


def test_hf_on_the_command_line(clients_hub: ClientsHub, catalogue: dict[str, Any], tmp_path: Path) -> None:
    hf = client_program(NEWEST, "hf")
    told = environment(clients_hub.url, tmp_path / "home", catalogue["token"])
    fetched = run([hf, "download", "ada/paper-lanterns", catalogue["lora"]["files"][0]["name"], "--revision", "v1"], told)
    assert fetched.returncode == 0, fetched.stderr
    assert fetched.stdout.strip().removeprefix("path=").endswith(catalogue["lora"]["files"][0]["name"])
    listed = run([hf, "models", "ls", "--author", "ada", "--format", "json"], told)
    assert listed.returncode == 0, listed.stderr
    assert "ada/paper-lanterns" in {row["id"] for row in json.loads(listed.stdout)}
    shown = run([hf, "models", "info", "ada/paper-lanterns"], told)
    assert shown.returncode == 0, shown.stderr
    assert "ada/paper-lanterns" in shown.stdout
    sealed = run([hf, "download", "ada/poisoned", "poisoned.ckpt"], told)
    assert "Access denied" in sealed.stderr  # the program's own words; the hub's reason only with
    reason = run([hf, "download", "ada/poisoned", "poisoned.ckpt"], {**told, "HF_DEBUG": "1"})
    assert "Danger" in reason.stderr


@pytest.fixture(scope="module")
def bea(clients_hub: ClientsHub) -> str:
    """The token of a creator whose repositories hold files of the sample family."""
    return str(clients_hub.run("tests.clients.hubrepos", "make")["token"])


@pytest.mark.parametrize("client", [NEWEST, OLD])
def test_a_download_goes_on_where_the_line_was_cut(client: str, clients_hub: ClientsHub, bea: str, tmp_path: Path) -> None:
    """The newest goes on by itself. The old one ends, and goes on when it is started again. Both keep whole steps of 10 MB."""
    python = client_python(client)
    command = [python, HERE / "programs" / "resume.py", "bea/neon", "neon.safetensors"]
    with cutting_line(urlsplit(clients_hub.url).port or 80, 15_000_000) as line:
        told = environment(f"http://127.0.0.1:{line.port}", tmp_path / "home")
        done = run(command, told)
        assert line.cut
        if client == OLD:
            assert "ChunkedEncodingError" in done.stderr
            done = run(command, told)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split()[-1] == hashlib.sha256((SAMPLES / "neon-shapes-fp16.safetensors").read_bytes()).hexdigest()
    assert any("\r\nrange: bytes=10485760-" in head.lower() for head in line.requests)
    shutil.rmtree(tmp_path / "home")


def test_diffusers_loads_adapts_pushes_and_loads_again(clients_hub: ClientsHub, bea: str, tmp_path: Path) -> None:
    """diffusers, transformers and torch are the project's own, beside them what diffusers wants for LoRAs."""
    peft = next(client_python("peft").parent.parent.glob("lib/python3.*/site-packages"))
    more = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "PYTHONPATH": f"{HERE / 'loopback'}:{peft}"}
    told = environment(clients_hub.url, tmp_path / "home", bea, **more)
    command = [sys.executable, HERE / "programs" / "use_diffusers.py"]
    with (tmp_path / "errors").open("w+") as errors:
        process = subprocess.Popen(
            command, env=told, cwd=told["HOME"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        )  # fmt: skip
        try:
            found = _until(process, "pushed")
            if process.poll() is None and "pushed" in found:
                states = clients_hub.run("tests.clients.hubrepos", "drain")
                assert set(states.values()) == {"ready"}, states
            rest, _ = process.communicate("go on\n", timeout=120)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 0, (tmp_path / "errors").read_text()[-4000:]
    for line in rest.splitlines():
        found |= json.loads(line)
    shutil.rmtree(tmp_path / "home")
    _loaded(found)


def _until(process: subprocess.Popen[str], step: str) -> dict[str, Any]:
    """What was told up to this step, or all of it where the program ended before."""
    found: dict[str, Any] = {}
    assert process.stdout is not None
    while step not in found and (line := process.stdout.readline()):
        found |= json.loads(line)
    return found


def _loaded(found: dict[str, Any]) -> None:
    """Everything loads by the generated configurations, and add-ons change the picture, each always in the same way."""
    assert found["parts"] == ["scheduler", "text_encoder", "tokenizer", "unet", "vae"]
    assert found["tokens"] == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert found["local"] == found["plain"] == found["back"]
    assert found["lora"] == found["lora unnamed"] != found["plain"]
    assert found["embedding"] == found["embedding unnamed"]
    assert (found["class"], found["transformers"] > 0) == ("StableDiffusionPipeline", True)
    assert {"tokenizer_2/vocab.json", "text_encoder_2/config.json", "vae/config.json", "model_index.json"} <= set(found["whole"])
    assert found["configs"] == {
        "stable-diffusion-v1-5/stable-diffusion-v1-5": ["StableDiffusionPipeline", 4],
        "stabilityai/stable-diffusion-2-1": ["StableDiffusionPipeline", 4],
        "stable-diffusion-v1-5/stable-diffusion-inpainting": ["StableDiffusionInpaintPipeline", 9],
        "stabilityai/stable-diffusion-2-inpainting": ["StableDiffusionInpaintPipeline", 9],
        "stabilityai/stable-diffusion-xl-base-1.0": ["StableDiffusionXLPipeline", 4],
        "stabilityai/stable-diffusion-xl-refiner-1.0": ["StableDiffusionXLImg2ImgPipeline", 4],
        "diffusers/stable-diffusion-xl-1.0-inpainting-0.1": ["StableDiffusionXLInpaintPipeline", 9],
        "timbrooks/instruct-pix2pix": ["StableDiffusionInstructPix2PixPipeline", 8],
    }
