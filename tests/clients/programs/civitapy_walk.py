"""Everything that civitapy does with a hub, run by civitapy's own interpreter: `civitapy_walk.py PUBLISHED FOLDER`. Prints JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

from civitapy import CivitAIClient

published, folder = json.loads(sys.argv[1]), sys.argv[2]
client = CivitAIClient(download_dir=folder, verify_hash=True, retry_count=3)
owner = CivitAIClient(download_dir=folder, verify_hash=True, token=published["token"])


async def walk() -> list[str]:
    return [model.name async for model in client.models_list_paginated_async(limit=2, sort="Newest")]


def refusal(ask: Callable[[], Any]) -> str:
    try:
        return f"nothing refused: {ask()!r}"
    except Exception as error:
        return type(error).__name__


lora, private = published["lora"], published["private"]
sha256 = lora["files"][0]["sha256"]
print(
    json.dumps(
        {
            "walk": asyncio.run(walk()),
            "searched": [model["name"] for model in client.models_list(query="lanterns", types=["LORA", "LoCon"])["items"]],
            "model": client.models_get(lora["model"])["name"],
            "by_hash": client.model_versions_by_hash(sha256)["id"],
            "by_short_hash": client.model_versions_by_hash(sha256[:10].upper())["id"],
            "saved": [path for name in ("lora", "unicode") for path in client.download_model_version(published[name]["version"])],
            "all_files": client.download_model(published["pickle"]["model"]),
            "sealed": client.download_model_version(published["sealed"]["version"]),
            "stranger": refusal(lambda: client.download_model_version(private["version"])),
            "owner": owner.download_model_version(private["version"]),
        }
    )
)
