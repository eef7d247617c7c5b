"""Every route's answer as a whole, against the JSON files under `golden/`: what a program would see change.

Ids, times, cursors and signatures are put in words before anything is compared. After a change that was meant, write the files anew with
`WEIGH_WRITE_GOLDEN=1 pytest tests/hub/api/civitai/test_golden.py` and read the difference.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.test import Client
from django.urls import get_resolver
from safetensors.numpy import save

from hub.api.civitai import urls
from hub.api.civitai.attached import raised
from registry import catalog
from registry.models import File, Token, User
from tests import imagerows
from tests.hub.published import published_entry, published_file, published_version
from tests.pictures import rendered, specs

GOLDEN = Path(__file__).with_name("golden")
WRITE = "WEIGH_WRITE_GOLDEN"
DESCRIBING = {"civitai-openapi"}
"""What describes the routes: it is made from them, and its own tests hold the two together."""
ID_KEYS = frozenset({"id", "modelId", "userId", "postId", "modelVersionId", "fileId", "modelVersionIds"})
PATTERNS = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "<time>"),
    (re.compile(r"(?<=/models/)\d+|(?<=fileId=)\d+|(?<=/files/)\d+|(?<=civitai:)\d+(?=@)|(?<=@)\d+(?=$|\+)|(?<=\+)\d+$"), "<id>"),
    (re.compile(r"(?<=/images/)\d+"), "<id>"),
    (re.compile(r"(?<=/pictures/)[0-9a-f]{64}"), "<sha256>"),
    (re.compile(r"(?<=expires=)\d+|(?<=signature=)[^&]+"), "<signed>"),
    (re.compile(r"(?<=cursor=)[^&]+"), "<cursor>"),
)


@dataclass(frozen=True)
class World:
    """One well-filled model, a withdrawn one, one behind it in the list; and two clients."""

    file: File
    small: File
    withdrawn: File
    picture: int
    image: int
    anonymous: Client
    owner: Client


@pytest.fixture
def world(creator: User) -> World:
    entry = published_entry(
        creator, name="Paper Lanterns", description="Glows **softly**.", allow_commercial_use=["Image", "RentCivit"], kind="lora"
    )
    catalog.set_tags(entry, ["light", "paper"])
    version = published_version(entry, trigger_words=["lantern style"], description="First.", base_model="SDXL 1.0", download_count=3)
    tensors = {"lora_unet_a.lora_down.weight": np.ones((4, 8), np.float16), "lora_unet_a.alpha": np.ones((), np.float32)}
    detected = {"precision": "fp16", "kind": "lora", "flavour": "LoCon", "family": "SDXL"}
    file = published_file(creator, save(tensors, {"ss_network_dim": "4"}), version=version, blob_detected=detected)
    small = published_file(
        creator, b"smaller", "lantern-fp16.safetensors", version=version, role="derived", source=file,
        recipe={"keep": "weights", "precision": "fp16"},
    )  # fmt: skip
    render = rendered(file, specs(2, 64))
    withdrawn = published_file(creator, b"withdrawn", "old.ckpt", version=published_version(published_entry(creator, name="Old")))
    catalog.withdraw(withdrawn.version, "made by mistake")
    another = published_file(
        creator, b"another", "another.safetensors", version=published_version(published_entry(creator, name="Another"))
    )
    image = imagerows.shown(creator, another.version)
    picture = render.shots.get(place=0).picture_id
    token = Token.issue(creator, "tests")[1]
    return World(file, small, withdrawn, picture or 0, raised(image.pk), Client(), Client(headers={"Authorization": f"Bearer {token}"}))


def get(address: str, **query: Any) -> Callable[[World], Any]:
    return lambda world: world.anonymous.get(_named(address, world), {key: _named(value, world) for key, value in query.items()})


def post(address: str, hashes: list[str]) -> Callable[[World], Any]:
    def ask(world: World) -> Any:
        body = json.dumps([_named(value, world) for value in hashes])
        return world.anonymous.post(address, body, content_type="application/json")

    return ask


def _named(text: str, world: World) -> str:
    version = world.file.version
    return text.format(
        model=version.entry_id, version=version.pk, file=world.file.pk, small=world.small.pk, sha=world.file.sha256,
        gone=world.withdrawn.sha256, gone_version=world.withdrawn.version_id, picture=world.picture,
        image=world.image,
    )  # fmt: skip


V = "/api/v1/"
ROUTES: dict[str, Callable[[World], Any]] = {
    "models": get(V + "models", limit="1", sort="Oldest"),
    "model": get(V + "models/{model}"),
    "version": get(V + "model-versions/{version}"),
    "by-hash": get(V + "model-versions/by-hash/{sha}"),
    "by-hash-withdrawn": get(V + "model-versions/by-hash/{gone}"),
    "bodies-by-hash": post(V + "model-versions/by-hash", ["{gone}", "{sha}", "0" * 64]),
    "ids-by-hash": post(V + "model-versions/by-hash/ids", ["{sha}", "{gone}", "0" * 64]),
    "mini": get(V + "model-versions/mini/{version}"),
    "mini-file": get(V + "model-versions/mini/{version}", modelFileId="{small}"),
    "images": get(V + "images", limit="1", sort="Oldest"),
    "images-of-model": get(V + "images", modelId="{model}", withMeta="true", withTags="true", sort="Oldest"),
    "image-flat": get(V + "images", imageId="{picture}", withMeta="true", flatMeta="true"),
    "image-attached": get(V + "images", imageId="{image}", withMeta="true", withTags="true", flatMeta="true"),
    "creators": get(V + "creators"),
    "tags": get(V + "tags", limit="1"),
    "users": get(V + "users", query="ad"),
    "me": lambda world: world.owner.get(V + "me"),
    "enums": get(V + "enums"),
    "permissions": lambda world: world.owner.get(V + "permissions/check", {"entityIds": world.file.version_id}),
    "tensor-metadata": get(V + "model-files/{file}/tensor-metadata"),
    "download": get("/api/download/models/{version}"),
    "download-file": get("/api/download/models/{version}", fileId="{small}"),
    "error-id": get(V + "models/x"),
    "error-model": get(V + "models/999999"),
    "error-version": get(V + "model-versions/999999"),
    "error-hash": get(V + "model-versions/by-hash/" + "0" * 64),
    "error-hashes": post(V + "model-versions/by-hash", ["short"]),
    "error-pages": get(V + "images", page="11", limit="100"),
    "error-me": get(V + "me"),
    "error-method": lambda world: world.anonymous.delete(V + "models"),
    "error-route": get(V + "articles"),
    "error-download": get("/api/download/models/999999"),
    "error-withdrawn": get("/api/download/models/{gone_version}"),
}


def worded(value: Any, key: str = "") -> Any:
    """`value` without what differs from run to run."""
    if isinstance(value, dict):
        return {("<id>" if name.isdigit() else name): worded(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [worded(inner, key) for inner in value]
    if key in ID_KEYS and isinstance(value, int):
        return "<id>"
    if key == "nextCursor":
        return "<cursor>"
    if isinstance(value, str):
        for pattern, word in PATTERNS:
            value = pattern.sub(word, value)
    return value


@pytest.mark.parametrize("name", ROUTES)
def test_the_answer_is_as_written_down(name: str, world: World) -> None:
    response = ROUTES[name](world)
    seen: dict[str, Any] = {"status": response.status_code}
    if response.content:
        seen["body"] = worded(response.json())
    if "Location" in response:
        seen["location"] = worded(response["Location"])
    path = GOLDEN / f"{name}.json"
    if os.environ.get(WRITE):
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(seen, indent=1, ensure_ascii=False) + "\n")
    assert json.loads(path.read_text()) == seen


def test_no_route_is_without_one_and_no_file_without_a_route(world: World) -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(ROUTES)
    asked = {ROUTES[name](world).resolver_match.url_name for name in ROUTES}
    assert {pattern.name for pattern in (*urls.reading, *urls.fetching)} - DESCRIBING <= asked
    assert get_resolver().resolve("/api/v1/models").url_name in asked
