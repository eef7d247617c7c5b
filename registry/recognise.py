"""What a file seems to be before its bytes arrive: its name and the header that a client read from it, turned into fields to fill in.

A suggestion for a form and nothing else. What the hub believes is decided by the scan of the bytes themselves.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any

from registry.agreements import DECLARABLE, suggested_base
from registry.formats.directory import Storage, TensorDirectory, TensorEntry, row_major
from registry.formats.plaintext import printable
from registry.formats.safetensors import parse_header
from registry.identify.detect import Detection, identify
from registry.names import stem_of
from registry.places import names_place

MAX_WORDS = 20
"""Trigger words that are filled in: the most frequent captions of a training are not words that anybody types."""
MAX_NAME, MAX_VERSION = 120, 80
"""Characters of `Entry.name` and `Version.name`."""
TITLES = ("modelspec.title", "ss_output_name")
"""Metadata that names a model: ModelSpec's, then kohya's (the name of the file that it saved)."""
VARIANT = re.compile(
    r"[\s._-]+(fp16|fp32|bf16|f16|f32|fp8|e4m3fn|e5m2|pruned|full|ema(?:only)?|nonema|no-?ema|half|safetensors)$", re.IGNORECASE
)
RELEASE = re.compile(r"(?:[\s._-]+|(?<=[a-z]))(?:v|ver|version)[\s._-]?(\d{1,3}(?:[._]\d{1,3}){0,2}[a-z]?)$", re.IGNORECASE)


@dataclass(frozen=True)
class Recognised:
    """Fields to fill in; "" or an empty list for what the file does not tell. `kind` is one that a creator may declare."""

    name: str
    version: str
    kind: str = ""
    detected_kind: str = ""
    flavour: str = ""
    base_model: str = ""
    precision: str = ""
    confidence: str = ""
    tensors: int = 0
    trigger_words: list[str] = field(default_factory=list)
    evidence: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def recognise(file_name: str, header: bytes = b"") -> Recognised:
    """What a file of this name seems to be; `header` is the JSON of a safetensors file, without its length, or nothing.

    Raises `FormatError` with the reader's "S-" code for a header that the scan would refuse, too.
    """
    name, version = names_of(stem_of(file_name))
    if not header:
        return Recognised(name, version)
    directory = _directory(header)
    found = identify(directory)
    title, release = _title(directory.metadata)
    data = found.to_json()
    return Recognised(
        name=title or name,
        version=release or version,
        kind=next(iter(DECLARABLE.get(found.kind, ())), ""),
        detected_kind=found.kind,
        flavour=found.flavour,
        base_model=suggested_base(data),
        precision=found.precision,
        confidence=found.confidence,
        tensors=found.tensors,
        trigger_words=_words(found),
        evidence=found.evidence,
    )


def names_of(stem: str) -> tuple[str, str]:
    """A model's name and its version from the stem of a file name: `old_brass-v2.1-pruned-fp16` is ("old brass", "v2.1")."""
    text = printable(stem, 200).strip(" ._-")
    while (shorter := VARIANT.sub("", text)) != text and shorter:
        text = shorter
    version = ""
    if (release := RELEASE.search(text)) is not None and release.start() > 0:
        version, text = "v" + release[1].replace("_", "."), text[: release.start()]
    name = " ".join(re.sub(r"[_\s]+", " ", text).strip(" .-").split())
    return (name or printable(stem, MAX_NAME))[:MAX_NAME].strip(), version[:MAX_VERSION]


def _title(metadata: dict[str, str]) -> tuple[str, str]:
    """The name that the metadata gives, and its version; ("", "") where there is none, or it tells of somebody's folders."""
    for key in TITLES:
        text = metadata.get(key, "").strip()[:200]
        if text and text.lower() not in {"none", "last", "model"} and not names_place(key, text):
            return names_of(text)
    return "", ""


def _words(found: Detection) -> list[str]:
    words = (word for word, _ in found.trigger_words if "," not in word and not names_place("", word))
    return [printable(word, 200) for word in words][:MAX_WORDS]


def _directory(header: bytes) -> TensorDirectory:
    """Names and shapes as the scan will see them, of tensors whose bytes nobody has here."""
    parsed = parse_header(header)
    storages = tuple(Storage(name, 8 + len(header) + begin, end - begin) for name, _, _, begin, end in parsed.rows)
    tensors = tuple(
        TensorEntry((name,), dtype, shape, index, 0, row_major(shape)) for index, (name, dtype, shape, _, _) in enumerate(parsed.rows)
    )
    return TensorDirectory("safetensors", storages, tensors, parsed.metadata)
