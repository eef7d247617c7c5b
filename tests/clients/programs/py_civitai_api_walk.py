"""What py-civitai-api reads of a hub, run by its own interpreter: `py_civitai_api_walk.py PUBLISHED`. Prints JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from civitai_api import CivitAI

published = json.loads(sys.argv[1])
client = CivitAI()
owner = CivitAI(api_key=published["token"])


def refusal(ask: Callable[[], Any]) -> str:
    try:
        return f"nothing refused: {ask()!r}"
    except Exception as error:
        return type(error).__name__


lora, private = published["lora"], published["private"]
found = client.model_versions.by_hash(lora["files"][0]["sha256"])
print(
    json.dumps(
        {
            "walk": [model.name for model in client.models.list(limit=2, sort="Newest").auto_paging_iter()],
            "searched": [model.name for model in client.models.list(query="lanterns", types=["LORA", "LoCon"])],
            "model": client.models.retrieve(lora["model"]).name,
            "by_hash": found.id,
            "address": str(found.download_url),
            "sealed": client.model_versions.retrieve(published["sealed"]["version"]).files,
            "stranger": refusal(lambda: client.models.retrieve(private["model"])),
            "owner": owner.models.retrieve(private["model"]).name,
        }
    )
)
