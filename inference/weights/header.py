"""The header of a safetensors file in the reference writer's own form, byte for byte. It writes no tensor data.

Form: safetensors/src/tensor.rs (0.8) `prepare`: compact JSON, `__metadata__` first, tensors by type then name, spaces up to 8 bytes.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring as quoted

from inference.weights.plan import Planned
from registry.formats.errors import FormatError, LimitExceeded
from registry.formats.plaintext import is_plain, printable
from registry.formats.safetensors import MAX_HEADER

MAX_NAME = 1024


def header_bytes(tensors: list[Planned], metadata: dict[str, str], aliases: dict[str, str] | None = None) -> bytes:
    """Length and header of a file that holds `tensors` in the given order. Metadata is written in the order of its keys.

    `aliases` (a name that was left out -> the name that its tensor has) become entries of the metadata, as in Hugging Face's convert.py.
    Raises LimitExceeded `weights:header-too-large`, and FormatError `weights:name` for names that are no text.
    """
    for name in aliases or ():
        _check_name(name)
    notes = {**(aliases or {}), **metadata}
    rows = ['"__metadata__":' + json.dumps(dict(sorted(notes.items())), ensure_ascii=False, separators=(",", ":"))] if notes else []
    at = 0
    for item in tensors:
        _check_name(item.name)
        # One text after another: as nested dicts, the names of 200,000 tensors take 200 MB.
        shape = ",".join(map(str, item.entry.shape))
        rows.append(f'{quoted(item.name)}:{{"dtype":"{item.dtype}","shape":[{shape}],"data_offsets":[{at},{at + item.nbytes}]}}')
        at += item.nbytes
    text = ("{" + ",".join(rows) + "}").encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER:
        raise LimitExceeded("weights:header-too-large", f"The names of this file's tensors take more than {MAX_HEADER >> 20} MB.")
    return len(text).to_bytes(8, "little") + text


def _check_name(name: str) -> None:
    """Refuses what our own strict reader, or another, would not read back."""
    if name == "__metadata__":
        raise FormatError("weights:name", "A tensor of this file has a name that safetensors keeps for itself: __metadata__.")
    if not name or len(name) > MAX_NAME or not is_plain(name):
        raise FormatError(
            "weights:name", "A tensor's name is empty, too long or not plain text. Rename it and save again.", where=printable(name)
        )
