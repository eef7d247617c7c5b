"""The lines that a model page offers: shells and Python read them as meant whatever files are called, and what can run is run."""

from __future__ import annotations

import ast
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from hub import usage
from hub.folders import FOLDERS
from hub.folders import NAMES as PROGRAMS
from hub.snippets import Usage
from hub.usage import Program, Wanted, places, programs
from registry.models import Kind, Token, User
from tests.hub.published import published_entry, published_file, published_version
from tests.servers import LiveHub

NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cf", "Co", "Zl", "Zp"], exclude_characters="/\\"), min_size=1, max_size=40)
AWKWARD = "-o $(touch owned) `x` 'q' \"z\" ü光;&.safetensors"
ADDRESS = "https://hub.example.org/api/download/models/12?fileId=34"


def wanted(name: str = "lantern.safetensors", kind: str = "lora", *, private: bool = False, **more: Any) -> Wanted:
    use = Usage("ada/lantern", "v1", kind, name, "https://hub.example.org", "StableDiffusionPipeline", ("lantern",), 0.8)
    return Wanted(use, name, ADDRESS, "AB" * 32, private)


def lines_of(found: list[Program], name: str) -> list[str]:
    return [command.text for program in found if program.name == name for command in program.commands]


@given(name=NAMES, private=st.booleans())
def test_shells_read_every_name_as_one_word(name: str, private: bool) -> None:
    found = programs(wanted(f"{name}.safetensors", private=private))
    words = shlex.split(lines_of(found, "curl")[0])
    place = f"{name}.safetensors"
    assert words[words.index("-o") + 1].removeprefix("./") == place
    assert words[-1] == ADDRESS
    aria = shlex.split(lines_of(found, "aria2c")[0])
    assert f"--out={place}" in aria
    assert aria[-1] == (f"{ADDRESS}&token=$WEIGH_TOKEN" if private else ADDRESS)
    hf = shlex.split(lines_of(found, "hf download")[0])
    assert hf[-2:] == ["ada/lantern", place]
    assert ("--" in hf) == place.startswith("-")
    folders = places(wanted(f"{name}.safetensors", private=private))
    comfy = shlex.split(lines_of(folders, "ComfyUI")[1])
    assert comfy[comfy.index("--filename") + 1] == place
    for program in set(PROGRAMS.values()) - {"InvokeAI"}:
        assert shlex.split(lines_of(folders, program)[0])[-2].endswith(f"/{place}")
    ast.parse(lines_of(found, "diffusers")[0])


@pytest.mark.parametrize("kind", [*Kind.values, "unet", "text_encoder"])
def test_every_program_has_a_folder_for_every_kind_or_says_that_it_has_none(kind: str) -> None:
    found = places(wanted(kind=kind))
    assert [program.name for program in found] == list(PROGRAMS.values())
    for program in found:
        if program.slug == "invokeai":
            assert bool(program.folder) == (kind != "hypernetwork")
        else:
            assert program.folder == FOLDERS[program.slug].get(kind, "")
        assert program.folder or "folder for" in program.note or "does not load" in program.note
        assert bool(program.commands) == bool(program.folder)


@pytest.mark.parametrize("kind", Kind.values)
def test_every_kind_is_fetched_by_every_tool(kind: str) -> None:
    found = {program.name for program in programs(wanted(kind=kind))}
    assert {"curl", "wget", "aria2c", "hf download"} <= found
    assert ("diffusers" in found) == (kind in {"checkpoint", "lora", "embedding"})
    assert ("Python" in found) != ("diffusers" in found)


def test_a_token_is_named_only_where_it_is_needed() -> None:
    assert "WEIGH_TOKEN" not in repr([*programs(wanted()), *places(wanted())])
    secret = wanted(private=True)
    named = [program.name for program in [*programs(secret), *places(secret)] if "WEIGH_TOKEN" in repr(program)]
    assert named == ["curl", "wget", "aria2c", "hf download", "diffusers", *(name for name in PROGRAMS.values() if name != "InvokeAI")]
    assert "remote_api_tokens" in lines_of(places(secret), "InvokeAI")[1]


def test_the_hub_is_never_named_to_from_single_file() -> None:
    (text,) = lines_of(programs(wanted(kind="checkpoint")), "diffusers")
    assert 'from_single_file(\n    "https://huggingface.co/ada/lantern/blob/main/lantern.safetensors", config="ada/lantern"' in text
    assert text.count("hub.example.org") == 1
    assert text.index("HF_ENDPOINT") < text.index("from diffusers")


@pytest.mark.parametrize(
    ("kind", "words"),
    [("lora", "<lora:lantern:0.8>, lantern"), ("embedding", "lantern"), ("hypernetwork", "<hypernet:lantern:0.8>, lantern")],
)
def test_prompts_call_an_add_on_by_its_file_name(kind: str, words: str) -> None:
    assert usage.prompt_words(wanted(kind=kind)) == words
    assert lines_of(places(wanted(kind=kind)), "A1111")[-1] == words


def test_programs_that_write_it_otherwise_get_it_otherwise() -> None:
    spoken = {program.slug: program.commands[-1].text for program in places(wanted(kind="embedding"))}
    assert spoken["comfyui"] == "embedding:lantern"
    assert spoken["swarmui"] == "<embed:lantern>"
    assert spoken["invokeai"] == "<lantern>"
    comfy = next(program for program in places(wanted(kind="lora")) if program.slug == "comfyui")
    assert "Load LoRA" in comfy.note
    assert "0.8" in comfy.note
    assert not any("<lora" in command.text for command in comfy.commands)


@pytest.mark.parametrize("private", [False, True])
def test_the_lines_fetch_the_file(live_hub: LiveHub, creator: User, tmp_path: Path, private: bool) -> None:
    """curl, wget, aria2c and hf as they stand on the page, with a name that a careless shell would run."""
    data = b"\x08\0\0\0\0\0\0\0{}      " + bytes(5000)
    version = published_version(published_entry(creator, kind="lora", visibility="private" if private else "public"))
    file = published_file(creator, data, AWKWARD, version=version)
    secret = Token.issue(creator, "tests")[1]
    client = Client(headers={"host": f"127.0.0.1:{live_hub.port}"})
    client.force_login(creator, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get(f"/{creator.username}/{version.entry.slug}")
    found = page.context["page"].ways.programs
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(tmp_path), "HF_HUB_DISABLE_TELEMETRY": "1"}
    ran = 0
    for name, tool in (("curl", "curl"), ("wget", "wget"), ("aria2c", "aria2c"), ("hf download", "hf")):
        if shutil.which(tool, path=environment["PATH"]) is None:
            continue
        place = tmp_path / tool
        place.mkdir()
        for line in lines_of(found, name):
            done = subprocess.run(
                ["sh", "-c", line], cwd=place, env={**environment, "WEIGH_TOKEN": secret}, capture_output=True, text=True, timeout=60
            )
            assert done.returncode == 0, (line, done.stdout, done.stderr)
        assert (place / file.name).read_bytes() == data
        assert not (place / "owned").exists()
        ran += 1
    assert ran >= 3  # curl, wget and hf; aria2c where it is installed
    assert private == ("WEIGH_TOKEN" in page.content.decode())
    assert secret not in page.content.decode()
