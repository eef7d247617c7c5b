"""A small program that uses the hub's own API from outside, as the README shows: only HTTP, only the standard library and requests."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import requests


class Program:
    """A client with a token; every call raises on an unexpected status with the hub's own sentence."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.session = url, requests.Session()
        self.session.headers["Authorization"] = f"Bearer {token}"

    def call(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.session.request(method, f"{self.url}/api/hub/{path}", json=body, timeout=30)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json() if answer.content else None

    def version(self, name: str, kind: str = "checkpoint") -> int:
        entry = self.call("POST", "entries", {"name": name, "kind": kind})
        return int(self.call("POST", f"entries/{entry['id']}/versions", {"name": "v1", "base_model": "SD 1.5"})["id"])

    def upload(self, version: int, path: Path, name: str = "") -> int:
        """Upload a whole file; returns its file id."""
        data = path.read_bytes()
        begun = self.call("POST", f"versions/{version}/uploads", {"file_name": name or path.name, "size_bytes": len(data)})
        if "file_id" in begun:
            return int(begun["file_id"])
        size = begun["part_size_bytes"]
        numbers = list(range(1, math.ceil(len(data) / size) + 1))
        for part in self.call("POST", f"uploads/{begun['id']}/parts", {"numbers": numbers}):
            block = data[(part["number"] - 1) * size : part["number"] * size]
            assert requests.put(part["url"], data=block, timeout=60).ok
        return int(self.call("POST", f"uploads/{begun['id']}/complete", {})["file_id"])

    def rest(self, file_id: int, seconds: float = 120) -> dict[str, Any]:
        """The file once it has come to rest, its variants too."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                file = self.call("GET", f"files/{file_id}")
            except (AssertionError, requests.RequestException):
                file = {"state": "unreachable", "derivatives": []}
            if file["state"] in {"ready", "quarantined", "failed"} and all(d["state"] in {"made", "failed"} for d in file["derivatives"]):
                return dict(file)
            time.sleep(0.2)
        raise AssertionError(f"file {file_id} never came to rest: {file}")
