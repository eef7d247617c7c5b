"""What tests of merging share: real weights that are ready to be merged, and merges asked for as the API asks."""

from __future__ import annotations

import shutil
import tempfile
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from django.utils import timezone

from inference import merges
from inference.models import Merge
from registry import intake, storage
from registry.formats.hashes import Hashes, hash_file
from registry.formats.safetensors import read_safetensors
from registry.formats.window import Window
from registry.identify.detect import identify
from registry.models import Blob, File, TensorIndex, User, Version
from tests.factories import EntryFactory, FileFactory, VersionFactory
from tests.intake import TASKS
from tests.tiny import plain_checkpoint


@lru_cache(maxsize=64)
def told_of(data: bytes) -> tuple[Hashes, dict[str, Any], dict[str, Any]]:
    """Hashes, directory and identification of a safetensors file, each as a scan keeps them; many tests store the same few files."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        directory = read_safetensors(Window(file.fileno()))
        return hash_file(Path(file.name)), directory.to_json(), identify(directory).to_json()


def stored(path: Path) -> Blob:
    """The blob of a safetensors file as a scan that found it clean would leave it; the file stays where it is."""
    hashes, directory, detected = told_of(path.read_bytes())
    copy = path.with_name(f"{path.name}.copy")
    shutil.copyfile(path, copy)
    storage.place_file(copy, hashes.sha256)
    blob = intake.record_blob(hashes)
    TensorIndex.keep(blob, directory)
    known = {"verdict": "success", "container": "safetensors", "scanned_at": timezone.now(), "detected": detected}
    Blob.objects.filter(pk=blob.pk).update(**known)
    blob.refresh_from_db()
    return blob


def ready(owner: User, path: Path, *, published: bool = True, **entry: Any) -> File:
    """A file over a safetensors file's bytes, ready, in an entry of its own."""
    now = timezone.now() if published else None
    version: Version = VersionFactory(
        entry=EntryFactory(owner=owner, **{"live": published, "published_at": now, **entry}),
        status="published" if published else "draft",
        published_at=now,
    )
    blob = stored(path)
    made: File = FileFactory(version=version, name=path.name, blob=blob, size_bytes=blob.size_bytes)
    return made


@cache
def weights_of(name: str) -> bytes:
    """A tiny SD 1.x checkpoint; its weights follow from its name."""
    with tempfile.TemporaryDirectory() as folder:
        return plain_checkpoint(Path(folder) / name, seed=sum(name.encode())).read_bytes()


def checkpoint(owner: User, path: Path, **more: Any) -> File:
    """A tiny SD 1.x checkpoint, ready; its weights follow from the path's name."""
    if not path.exists():
        path.write_bytes(weights_of(path.name))
    return ready(owner, path, **more)


def wanted(user: User, a: File, b: File, *, multiplier: float = 0.3, **more: Any) -> Merge:
    """A weighted sum that waits for a worker."""
    recipe = {"method": "weighted_sum", "multiplier": multiplier, **more.pop("recipe", {})}
    target = {"name": "Blend"} if "entry" not in more else {}
    return merges.request_merge(user, recipe=recipe, files={"a": a.pk, "b": b.pk}, **{**target, **more})


def worked(merge: Merge) -> Merge:
    """The merge after a worker took it up."""
    TASKS["inference.merge"](merge.pk)
    merge.refresh_from_db()
    return merge
