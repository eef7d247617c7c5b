"""Brings real bytes in as a client would, and lets the pipeline run to its end in this process, without a broker."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from hub import pipeline
from hub import tasks as hub_tasks
from hub.celery import app
from inference import tasks as inference_tasks
from registry import catalog, staging, uploads
from registry.deposit import deposit, send_parts
from registry.models import File, Upload, User, Version
from scanner import tasks as scanner_tasks
from tests import tiny
from tests.factories import VersionFactory
from tests.grey import suspicious_checkpoint

TASKS = {
    "scanner.examine": scanner_tasks.examine,
    "scanner.seal": scanner_tasks.seal,
    "scanner.rescan": scanner_tasks.rescan,
    "hub.check_image": hub_tasks.check_image,
    "inference.settle": inference_tasks.settle,
    "inference.derive": inference_tasks.derive,
    "inference.merge": inference_tasks.merge,
    "inference.render": inference_tasks.render,
}


def put_parts(upload: Upload, data: bytes) -> None:
    """Send every part of an upload, to whichever store this test uses."""
    send_parts(upload, io.BytesIO(data))


def upload_bytes(version: Version, owner: User, name: str, data: bytes, sha256: str = "") -> File:
    """Begin, send every part, complete; returns the queued file (or the linked one)."""
    begun = uploads.begin(version, owner, name, len(data), sha256)
    if isinstance(begun, File):
        return begun
    put_parts(begun, data)
    assert len(staging.received(begun)) == begun.part_count
    return uploads.complete(begun)


def upload_path(version: Version, owner: User, path: Path, name: str = "") -> File:
    return deposit(version, owner, path, name)


def drain(rounds: int = 50) -> int:
    """Run every waiting row's task, in this process, until nothing waits; how many tasks ran."""
    ran = 0
    for _ in range(rounds):
        waiting: list[tuple[str, Any]] = [
            (stage.task, pk)
            for (model, state), stage in pipeline.TABLE.items()
            for pk in model.objects.filter(state=state).values_list("pk", flat=True)  # type: ignore[attr-defined]
        ]
        if not waiting:
            return ran
        for task, pk in waiting:
            TASKS[task](pk)
            ran += 1
    raise AssertionError("the pipeline does not come to rest")


def published_lightning(creator: User, folder: Path) -> File:
    """A published fp32 checkpoint with averages and training state, a pickle, and everything that the hub makes of it unasked."""
    version: Any = VersionFactory(entry__owner=creator)
    file = upload_path(version, creator, tiny.lightning_checkpoint(folder / "dream.ckpt"))
    drain()
    catalog.publish(version)
    return File.objects.get(pk=file.pk)


def sealed_suspicious(creator: User, folder: Path) -> File:
    """A real file that needs a class which nobody has reviewed: sealed, in a draft."""
    file = upload_path(VersionFactory(entry__owner=creator), creator, suspicious_checkpoint(folder / "grey.ckpt"))
    drain()
    file = File.objects.get(pk=file.pk)
    assert (file.state, file.blob.sealed) == ("quarantined", True)  # type: ignore[union-attr]
    return file


def ready_pickle(creator: User, folder: Path) -> File:
    """A ready `a.ckpt` with its twin and variants, in a draft; `folder` keeps its bytes."""
    return _ready(creator, tiny.plain_checkpoint(folder / "a.ckpt"))


def ready_safetensors(creator: User, folder: Path) -> File:
    """As `ready_pickle`, of `a.safetensors`."""
    return _ready(creator, tiny.plain_checkpoint(folder / "a.safetensors"))


def _ready(creator: User, path: Path) -> File:
    file = upload_path(VersionFactory(entry__owner=creator), creator, path)
    drain()
    return File.objects.get(pk=file.pk)


def empty_queues() -> None:
    """Forget every message that waits for a worker."""
    with app.connection_for_write() as connection:
        client = connection.default_channel.client
        client.delete("gpu", *client.keys("cpu*"))  # one list per priority
