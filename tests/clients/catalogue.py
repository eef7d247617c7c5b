"""What the hub of the client tests holds: real files, brought in and judged by the pipeline. A program that prints what clients must know.

`python -m tests.clients.catalogue FOLDER`, in the environment of that hub; nothing of it runs in the tests' own process.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import django

if __name__ == "__main__":
    django.setup()

from django.utils import timezone

from registry import catalog
from registry.models import Entry, File, Status, Token, User, Version
from tests import intake, tiny
from tests.factories import UserFactory


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("echo weighed",)


def evil_ckpt(path: Path) -> Path:
    """A checkpoint that runs a command when it is loaded."""
    import torch

    torch.save({"state_dict": tiny.lora_state(seed=9), "callback": _Evil()}, path)
    return path


def published(owner: User, name: str, kind: str, *files: tuple[str, Path], publish: bool = True, **fields: Any) -> Version:
    """An entry with one version that holds these files under these names, judged; `fields` are the entry's."""
    entry = catalog.create_entry(owner, name=name, kind=kind, **fields)
    version = catalog.create_version(entry, name="v1", base_model="SD 1.5", trigger_words=["paper lantern"])
    for file_name, path in files:
        intake.upload_path(version, owner, path, file_name)
    intake.drain()
    if publish:
        catalog.publish(version)
    return version


def told(version: Version) -> dict[str, Any]:
    """The ids of a version, and each file's id, name, SHA-256, size and state."""
    files = File.objects.filter(version=version).select_related("blob").order_by("id")
    rows = [
        {"id": file.pk, "name": file.name, "sha256": file.sha256, "size": file.size_bytes, "state": file.state, "role": file.role}
        for file in files
    ]
    return {"model": version.entry_id, "version": version.pk, "files": rows}


def make(folder: Path) -> dict[str, Any]:
    """Fill the hub; {name: what `told` says of it} and the creator's `token`."""
    ada = UserFactory(username="ada")
    lora = tiny.lora_safetensors(folder / "lora.safetensors", rank=64)
    other = tiny.lora_safetensors(folder / "other.safetensors", seed=2)
    secret = tiny.lora_safetensors(folder / "secret.safetensors", seed=3)
    pickle = tiny.embedding_pt(folder / "embedding.pt")
    made = {
        "lora": published(ada, "Paper Lanterns", "lora", ("lantern v1.0.safetensors", lora), tags=["light"]),
        "unicode": published(ada, "Rice Paper", "lora", ("ランタン é.safetensors", other)),
        "pickle": published(ada, "Lantern Style", "embedding", ("lantern-style.pt", pickle)),
        "private": published(ada, "Mine Alone", "lora", ("mine.safetensors", secret), visibility="private"),
        "sealed": published(ada, "Poisoned", "checkpoint", ("poisoned.ckpt", evil_ckpt(folder / "evil.ckpt")), publish=False),
    }
    # Judged clean when it was published, and sealed since: what new rules do to a model that people have bookmarked.
    Version.objects.filter(pk=made["sealed"].pk).update(status=Status.PUBLISHED, published_at=timezone.now())
    Entry.objects.filter(pk=made["sealed"].entry_id).update(live=True, published_at=timezone.now())
    return {**{name: told(version) for name, version in made.items()}, "token": Token.issue(ada, "clients", "write")[1]}


if __name__ == "__main__":
    print(json.dumps(make(Path(sys.argv[1]))))
