"""What is laid beside a downloaded file so that programs know it again: the small files that they read, each in its own words.

Whoever may see the version, the caller knows. Which picture may be shown, the caller says. `hub.sidecarzip` packs and sends them.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from django.core.files.storage import storages

from hub import triggers
from hub.api.civitai import basemodels
from hub.api.civitai.versionbodies import asked_by, bodies
from inference.models import Picture
from inference.weights.metadata import ARCHITECTURES, SUFFIXES
from registry import queries
from registry.formats.plaintext import printable
from registry.lifecycle import FileState
from registry.models import File, User, Version
from registry.names import stem_of
from registry.statements import Given

log = logging.getLogger(__name__)
MOST_PICTURE_BYTES = 12 << 20
"""Of all previews of one archive together: the same picture lies beside every file, and an archive is put together in memory."""

SD_VERSIONS = {"sd1": "SD1", "sd2": "SD2", "sdxl": "SDXL", "sd3": "SD3", "sd3_5m": "SD3"}
"""Root ecosystem -> what A1111's Lora card offers as "sd version" (extensions-builtin/Lora/ui_edit_user_metadata.py); else "Unknown"."""

A1111_MOST_WEIGHT = 2.0
"""Its slider ends there; 0 means that nothing is preferred."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """One small file: its name in the folder of the weights, and its bytes."""

    name: str
    data: bytes


def of(origin: str, user: User | None, version: Version, *, pictures: bool) -> list[Sidecar]:
    """The sidecars of every file that may be downloaded, and of all that were, once the version is gone; none where there is no file.

    The recommended file comes first: where two files differ in their ending only, the sidecars that bear the stem alone are its own.
    `pictures` False leaves out pictures and their addresses. A constant number of queries; one read of the store.
    """
    body = _body(origin, user, version)
    files = _files(version, body)
    if not files:
        return []
    if not pictures or version.gone:
        body["images"] = []
    words = triggers.waking(triggers.of(version, files))
    picture = _picture(body["images"])
    room = MOST_PICTURE_BYTES
    found: dict[str, Sidecar] = {}
    for file in files:
        stem = stem_of(file.name)
        made = [Sidecar(f"{file.name}.sha256", f"{file.sha256}  {file.name}\n".encode())]
        made += [Sidecar(stem + ending, _json(data)) for ending, data in _texts(file, version, body, words, shown=bool(picture)).items()]
        if picture and len(picture) <= room and f"{stem}.preview.png".casefold() not in found:
            made.append(Sidecar(f"{stem}.preview.png", picture))
            room -= len(picture)
        for one in made:
            found.setdefault(one.name.casefold(), one)
    return list(found.values())


def _texts(file: File, version: Version, body: dict[str, Any], words: list[str], *, shown: bool) -> dict[str, dict[str, Any]]:
    """Ending -> content of those that are JSON."""
    return {
        ".civitai.info": body,
        ".json": a1111(version, words),
        ".metadata.json": {**lora_manager(file, version, body, shown=shown), **modelspec(file, version, words)},
    }


def _body(origin: str, user: User | None, version: Version) -> dict[str, Any]:
    """The version as `/api/v1/model-versions/<id>` answers it, with description and tags of the model, which readers of these files
    look for; without counts, which are old as soon as they lie on a disk."""
    body = bodies(origin, asked_by(user, _one), id=version.pk)[version.pk]
    body.pop("stats", None)
    tags = list(version.entry.tags.order_by("name").values_list("name", flat=True))
    body["model"] |= {"description": _text(version.entry.description), "tags": tags}
    return {**body, "creator": {"username": version.entry.owner.username, "image": None}}


def _one(user: User | None) -> Any:
    return queries.readable_versions(user).filter(pk=Given("id", "bigint"))


def _files(version: Version, body: dict[str, Any]) -> list[File]:
    """The files of the answer in its order, the primary first."""
    told = [one["id"] for one in (*body["files"], *body.get("heldFiles", ()))]
    ready = FileState.READY
    rows = {file.pk: file for file in queries.files_with_blobs().filter(version=version, pk__in=told) if file.blob and file.state == ready}
    return [rows[pk] for pk in told if pk in rows]


def a1111(version: Version, words: list[str]) -> dict[str, Any]:
    """What A1111's extra networks read beside a file (modules/ui_extra_networks.py, and the Lora extension's card for the last four)."""
    weight = version.weight if version.weight is not None and 0 < version.weight <= A1111_MOST_WEIGHT else 0.0
    return {
        "description": _text(version.entry.description)[:4000],
        "sd version": SD_VERSIONS.get(basemodels.ecosystem_of(version.base_model), "Unknown"),
        "activation text": ", ".join(words),
        "preferred weight": weight,
        "negative text": _text(version.negative_prompt),
        "notes": _notes(version),
    }


def _notes(version: Version) -> str:
    """What no other field has room for, a line each."""
    entry = version.entry
    settings = [
        f"{name}: {value}" for name, value in version.settings.items() if name in {"clip_skip", "sampler", "steps", "cfg_scale", "vae"}
    ]
    head = [f"{entry.name}, {version.name}, by {entry.owner.username}", f"Base model: {version.base_model}"]
    return "\n".join(printable(line, 300) for line in (*head, *settings, *([f"Licence: {entry.spdx}"] if entry.spdx else [])))


def lora_manager(file: File, version: Version, body: dict[str, Any], *, shown: bool) -> dict[str, Any]:
    """What ComfyUI-LoRA-Manager reads (py/utils/models.py): the eight fields that it cannot do without, and those that carry our words.

    It sets `file_path` and `preview_url` to where it finds the file, and keeps keys that it does not know.
    """
    entry, stem = version.entry, stem_of(file.name)
    tips = {"strength": version.weight, "clip_skip": version.clip_skip}
    changed = version.published_at or version.created_at
    return {
        "file_name": stem,
        "model_name": entry.name,
        "file_path": file.name,
        "size": file.size_bytes,
        "modified": changed.timestamp(),
        "sha256": file.sha256,
        "base_model": version.base_model,
        "preview_url": f"{stem}.preview.png" if shown else "",
        "preview_nsfw_level": entry.rating,
        "notes": _notes(version),
        "from_civitai": False,
        "civitai": body,
        "tags": body["model"]["tags"],
        "modelDescription": body["model"]["description"],
        "usage_tips": json.dumps({name: value for name, value in tips.items() if value is not None}),
    }


def modelspec(file: File, version: Version, words: list[str]) -> dict[str, str]:
    """The fields of Stability's ModelSpec 1.0.1 that are known; what is not known is left out."""
    entry = version.entry
    architecture = ARCHITECTURES.get(str((file.blob.detected if file.blob else {}).get("family") or ""), "")
    hashes = file.blob.hash_values() if file.blob else {}
    fields = {
        "sai_model_spec": "1.0.1",
        "architecture": architecture + SUFFIXES[entry.kind] if architecture and entry.kind in SUFFIXES else "",
        "title": f"{entry.name} {version.name}",
        "author": entry.owner.username,
        "description": _text(entry.description)[:4000],
        "date": (version.published_at or version.created_at).astimezone(UTC).date().isoformat(),
        "license": entry.spdx,
        "trigger_phrase": ", ".join(words),
        "hash_sha256": f"0x{hashes['DATA'].lower()}" if "DATA" in hashes else "",
    }
    return {f"modelspec.{name}": value for name, value in fields.items() if value}


def _picture(images: Iterable[dict[str, Any]]) -> bytes:
    """The PNG of the first picture that the answer tells of; empty where there is none, or the store has lost it."""
    first = next(iter(images), None)
    picture = Picture.objects.filter(pk=first["id"]).first() if first else None
    if picture is None or picture.size_bytes > MOST_PICTURE_BYTES:
        return b""
    try:
        with storages["media"].open(picture.stored_name) as file:
            return bytes(file.read())
    except OSError:
        log.exception("picture %s cannot be read", picture.pk)
        return b""


_LINES = re.compile(r"[^\S\n]+")


def _text(value: str) -> str:
    """A creator's text for somebody's disk: hidden and reordering characters shown as such, line breaks kept."""
    return "\n".join(printable(_LINES.sub(" ", line), 4000) for line in value.replace("\r\n", "\n").split("\n")).strip()


def _json(data: dict[str, Any]) -> bytes:
    """As A1111 writes them: UTF-8, four blanks. The same data are the same bytes."""
    return (json.dumps(data, ensure_ascii=False, indent=4) + "\n").encode("utf-8", "replace")
