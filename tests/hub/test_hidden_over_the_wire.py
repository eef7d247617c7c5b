"""The layers around Django (events, files, parts, buckets) let nobody tell what is hidden from what is missing. Over real sockets."""

from __future__ import annotations

import http.client
import re
from pathlib import Path

import pytest
from django.conf import settings

from inference.models import Purpose
from registry import storage
from registry.models import User
from tests.hub.published import published_entry, published_file, published_version
from tests.pictures import rendered, specs
from tests.servers import LiveHub

CHANCE = re.compile(r"nonce-[\w+/=-]+|nonce=\"[^\"]*\"|[0-9a-f]{16}(?=</)")


def told(hub: LiveHub, method: str, path: str, name: str) -> tuple[int, list[tuple[str, str]], str]:
    """Everything of an answer, the asked-for name and what is chance taken out."""
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=20)
    connection.request(method, path)
    answer = connection.getresponse()
    body = CHANCE.sub("~", answer.read().decode("utf-8", "replace")).replace(name, "NAME")
    connection.close()
    changing = {"x-request-id", "date", "content-security-policy"}
    return answer.status, sorted((key, value) for key, value in answer.getheaders() if key.lower() not in changing), body


@pytest.fixture
def names(live_hub: LiveHub, creator: User, stores: Path) -> dict[str, tuple[str, str]]:
    """What of a private model has a name -> (its name, one of the same length that nobody has)."""
    file = published_file(creator, b"secret weights", version=published_version(published_entry(creator, visibility="private")))
    previews, own = rendered(file, specs(1, 64)), rendered(file, specs(1, 64, steps=9), purpose=Purpose.TXT2IMG, owner=creator)
    picture = previews.shots.get().picture
    found = {"version": file.version_id, "file": file.pk, "previews": previews.pk, "render": own.pk, "sha256": file.sha256}
    found |= {"picture": picture.sha256, "blob": storage.blob_name(file.sha256), "name": picture.stored_name}
    return {key: (str(value), re.sub(r"\d(?=\d*$)|[0-9a-f](?=[0-9a-f]*\.?\w*$)", "9", str(value))) for key, value in found.items()}


ADDRESSES = (
    "/api/hub/renders/{previews}/events",
    "/api/hub/renders/{render}/events",
    "//api/v1/model-versions/{version}",
    "/api/hub/files/{file}/header",
    "/api/download/models/{version}",
    "//api/download/models/{version}",
    "/files/{file}/lantern.safetensors",
    "/upload-parts/{sha256}",
    "/pictures/{picture}/original=true/a.png",
    "/pictures/{picture}/width=450/a.webp",
    "/protected/models/{blob}",
    "/protected/media/{name}",
    "/weighhouse-models/{blob}",
    "/weighhouse-models/{blob}?X-Amz-Signature=1",
    "/api/v1/model-versions/by-hash/{sha256}",
)


def test_no_layer_tells_what_is_hidden(live_hub: LiveHub, names: dict[str, tuple[str, str]]) -> None:
    assert settings.S3_BUCKETS["models"] == "weighhouse-models"
    for address in ADDRESSES:
        key = re.findall(r"\{(\w+)\}", address)[0]
        for method in ("GET", "HEAD", "POST", "PUT"):
            hidden, missing = (told(live_hub, method, address.replace("{" + key + "}", name), name) for name in names[key])
            assert hidden == missing, (method, address)
            assert hidden[0] >= 400, (method, address)
