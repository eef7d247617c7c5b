"""Fills the hub of the client tests with repositories of one more creator: files of the sample family, which really make pictures.

`python -m tests.clients.hubrepos make` prints her token; `... drain` lets the pipeline judge what clients have pushed meanwhile.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import django

if __name__ == "__main__":
    django.setup()

from registry.models import File, Token
from tests import intake
from tests.clients.catalogue import published
from tests.factories import UserFactory
from tests.processes import ROOT

SAMPLES = ROOT / "samples" / "files"


def make() -> dict[str, Any]:
    """Bea's repositories: `neon` a checkpoint, `sticker` a LoRA for it, `winterday` an embedding that came as a pickle."""
    bea = UserFactory(username="bea")
    published(bea, "Neon", "checkpoint", ("neon.safetensors", SAMPLES / "neon-shapes-fp16.safetensors"))
    published(bea, "Sticker", "lora", ("sticker.safetensors", SAMPLES / "sticker-sheet.safetensors"))
    published(bea, "Winterday", "embedding", ("winterday.pt", SAMPLES / "winterday.pt"))
    return {"token": Token.issue(bea, "diffusers", "write")[1]}


def drain() -> dict[str, str]:
    """Name -> state of every file of hers, after everything that waits was done."""
    intake.drain()
    return dict(File.objects.filter(version__entry__owner__username="bea").values_list("name", "state"))


if __name__ == "__main__":
    print(json.dumps({"make": make, "drain": drain}[sys.argv[1]]()))
