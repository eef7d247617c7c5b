"""Pushes as requests, without a client program: what is sent byte by byte, so that it can be sent wrong."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

from django.test import Client

from registry import deposit, uploads
from registry.models import Token, Upload, User

JSON = "application/json"
REPO = "ada/lantern"
CREATE = "/api/repos/create"
Send = Callable[..., Any]


def sender(user: User | None, scope: str = "write") -> Send:
    """`send(method, path, body)` as this person: a dict goes as JSON, bytes go as they are."""
    headers = {"Authorization": f"Bearer {Token.issue(user, 'laptop', scope)[1]}"} if user else {}
    client = Client(headers=headers)

    def send(method: str, path: str, body: Any = b"", **more: Any) -> Any:
        data = body if isinstance(body, bytes | str) else json.dumps(body)
        return client.generic(method, path, data, JSON, **more)

    return send


def line(key: str, **value: Any) -> str:
    return json.dumps({"key": key, "value": value})


def text(path: str, content: bytes) -> str:
    return line("file", path=path, content=base64.b64encode(content).decode(), encoding="base64")


def large(path: str, data: bytes) -> str:
    return line("lfsFile", path=path, algo="sha256", oid=hashlib.sha256(data).hexdigest(), size=len(data))


def commit(send: Send, *lines: str, revision: str = "main", repo: str = REPO, **header: Any) -> Any:
    """POST a commit of these lines."""
    body = "\n".join([line("header", **{"summary": "A push", **header}), *lines])
    return send("POST", f"/api/models/{repo}/commit/{revision}", body.encode())


def batch(send: Send, *data: bytes, repo: str = REPO, **more: Any) -> Any:
    """Ask where these bytes go."""
    objects = [{"oid": hashlib.sha256(one).hexdigest(), "size": len(one)} for one in data]
    return send("POST", f"/{repo}.git/info/lfs/objects/batch", {"operation": "upload", "objects": objects, **more})


def arrive(send: Send, data: bytes, repo: str = REPO) -> Upload:
    """Bring bytes in as a client does, up to the request that completes them; no commit names them yet."""
    from io import BytesIO

    [told] = batch(send, data, repo=repo).json()["objects"]
    upload = Upload.objects.select_related("file").get(file__declared_sha256=told["oid"], completed_at=None)
    deposit.send_parts(upload, BytesIO(data))
    address = told["actions"]["upload"]["href"].partition("//")[2].partition("/")[2]
    answer = sender(None)("POST", f"/{address}", {"oid": told["oid"], "parts": []})
    assert answer.status_code == 200, answer.content
    assert uploads.staging.joined(upload)
    return upload
