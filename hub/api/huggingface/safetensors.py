"""The headers of a sharded model's files in one answer, as `get_sharded_safetensors_metadata` wants them. Reads no tensors."""

from __future__ import annotations

from typing import Any

import orjson

from hub.api.huggingface import trees
from hub.api.huggingface.answers import EntryNotFound, HubError
from hub.api.huggingface.repositories import Place
from registry import storage
from registry.formats.reader import Reader
from registry.formats.safetensors import MAX_HEADER, header_length
from registry.models import Blob, File

MAX_SHARDS = 200
MAX_BYTES = 2 * MAX_HEADER
"""Of all headers together: they are held in memory at once."""


def sharded(place: Place, path: str) -> dict[str, Any]:
    """{"index": {"metadata"}, "headers": {shard: its header}} of the index file at `path`."""
    row = trees.find_row(place.commit.tree, path)
    if row is None or "sha256" in row:
        raise EntryNotFound(place.commit.sha)
    index = _index(trees.read_text(row))
    folder = path.rpartition("/")[0]
    names = sorted(set(index["weight_map"].values()))
    if len(names) > MAX_SHARDS:
        raise HubError(400, f"This index names more than {MAX_SHARDS} files.")
    headers, left = {}, MAX_BYTES
    for name in names:
        data = _header(place, f"{folder}/{name}" if folder else name, left)
        left -= len(data)
        headers[name] = orjson.Fragment(data)
    return {"index": {"metadata": index.get("metadata")}, "headers": headers}


def _index(text: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
        names = list(found["weight_map"].values())
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise HubError(400, "This file is no index of safetensors files: it has no weight_map.") from None
    if not all(isinstance(name, str) for name in names):
        raise HubError(400, "The weight_map of this index holds something else than file names.")
    return dict(found)


def _header(place: Place, path: str, left: int) -> bytes:
    """The header of one shard as it stands in the file; it was read strictly when the file was scanned."""
    row = next((row for row in place.commit.tree if row["path"] == path and "file" in row), None)
    file = File.objects.select_related("blob").filter(pk=row["file"]).first() if row else None
    if file is None or file.blob is None or not file.downloadable or file.blob.container != "safetensors":
        raise EntryNotFound(place.commit.sha)
    return read_header(file.blob, left)


def read_header(blob: Blob, most: int = MAX_BYTES) -> bytes:
    """The JSON between a safetensors file's length and its tensors. Raises `HubError` 413 beyond `most` bytes."""
    with storage.reader(blob) as stored:
        length = header_length(_read(stored, 0, 8))
        if length > most:
            raise HubError(413, "The headers of these files are too large for one answer. Ask for them file by file.")
        return _read(stored, 8, length)


def _read(stored: Reader, start: int, size: int) -> bytes:
    data = bytearray(size)
    stored.read_into(start, memoryview(data))
    return bytes(data)
