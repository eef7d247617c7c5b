"""The header of a safetensors file in the reference writer's own form, byte for byte. It writes no tensor data.

Form: safetensors/src/tensor.rs (0.8) `prepare`: compact JSON, `__metadata__` first, tensors by type then name, spaces up to 8 bytes.
"""

from __future__ import annotations

import json

from inference.weights.plan import Planned
from registry.formats.errors import FormatError, LimitExceeded
from registry.formats.safetensors import MAX_HEADER


def header_bytes(tensors: list[Planned], metadata: dict[str, str]) -> bytes:
    """Length and header of a file that holds `tensors` in the given order. Metadata is written in the order of its keys.

    Raises LimitExceeded `weights:header-too-large`, and FormatError `weights:name` for names that are no text.
    """
    table: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    at = 0
    for item in tensors:
        if item.name == "__metadata__":
            raise FormatError("weights:name", "A tensor of this file has a name that safetensors keeps for itself: __metadata__.")
        table[item.name] = {"dtype": item.dtype, "shape": list(item.entry.shape), "data_offsets": [at, at + item.nbytes]}
        at += item.nbytes
    try:
        text = json.dumps(table, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise FormatError("weights:name", "A tensor's name is not valid text, so it cannot be written.") from error
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER:
        raise LimitExceeded("weights:header-too-large", f"The names of this file's tensors take more than {MAX_HEADER >> 20} MB.")
    return len(text).to_bytes(8, "little") + text
