"""A tensor directory that another process made, looked at before anyone counts on it: every number a number, every index in range.

Whether tensors lie inside their storages, and storages inside the file, is asked by `plan` and `source`, which know what is wanted of them.
"""

from __future__ import annotations

from typing import Any

from registry.formats.directory import Storage, TensorDirectory, TensorEntry
from registry.formats.dtypes import SIZES
from registry.formats.errors import FormatError

LARGEST = 1 << 62
"""No offset, size or stride is over this; products of several are Python's own integers and cannot wrap."""
MOST_DIMENSIONS = 64


def directory_of(data: Any) -> TensorDirectory:
    """`TensorDirectory.from_json` of data that nobody vouches for. Raises FormatError `weights:directory`, `weights:unnamed`."""
    try:
        directory = TensorDirectory.from_json(data)
        sound = (
            isinstance(directory.container, str)
            and all(isinstance(key, str) and isinstance(text, str) for key, text in directory.metadata.items())
            and all(map(_is_storage, directory.storages))
            and all(_is_tensor(entry, len(directory.storages)) for entry in directory.tensors)
            and all(isinstance(part, str | int) for other in directory.others for part in other.path)
            and all(isinstance(other.kind, str) and isinstance(other.text, str) for other in directory.others)
        )
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise _unsound() from error
    if not sound:
        raise _unsound()
    if any(not entry.path for entry in directory.tensors):
        raise FormatError(
            "weights:unnamed", 'This file is one tensor without a name. Save it under one, as in torch.save({"name": tensor}, "file.pt").'
        )
    return directory


def _is_storage(storage: Storage) -> bool:
    return (
        isinstance(storage.name, str)
        and _are_sizes((storage.start, storage.size))
        and (storage.crc32 is None or _are_sizes((storage.crc32,)))
    )


def _is_tensor(entry: TensorEntry, storages: int) -> bool:
    return (
        all(isinstance(part, str) or type(part) is int for part in entry.path)
        and isinstance(entry.dtype, str)
        and entry.dtype in SIZES
        and _are_sizes((entry.storage, entry.offset, *entry.shape, *entry.stride))
        and entry.storage < storages
        and len(entry.shape) == len(entry.stride) <= MOST_DIMENSIONS
    )


def _are_sizes(numbers: tuple[Any, ...]) -> bool:
    return all(type(number) is int and 0 <= number <= LARGEST for number in numbers)


def _unsound() -> FormatError:
    return FormatError("weights:directory", "What the scanner noted of this file's tensors makes no sense. Have the file scanned again.")
