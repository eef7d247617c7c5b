"""What lies in a stored file, tensor by tensor, without loading it: its header by ranged reads, or what the scan wrote down of it.

It answers for bytes and knows no people; who may ask is checked by the caller (`registry.queries`).
"""

from __future__ import annotations

import json
import logging
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from threading import BoundedSemaphore, Lock
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from registry import storage
from registry.formats.directory import Path, TensorDirectory, TensorEntry
from registry.formats.dtypes import SIZES
from registry.formats.errors import FormatError
from registry.formats.reader import cut_short
from registry.formats.safetensors import MAX_HEADER, header_length, read_safetensors
from registry.formats.window import Window
from registry.identify.keys import EMA, unwrap
from registry.models import Blob, File, TensorIndex
from registry.places import without_places
from registry.refusals import Refusal
from registry.remote import FIRST

log = logging.getLogger(__name__)
MAX_KEPT_TENSORS = 250_000
"""Of all files whose lists a process keeps at hand; one row takes about 300 bytes."""

MAX_LISTED_HEADER, MAX_LISTED_INDEX, MAX_LISTED = 4 << 20, 6 << 20, 40_000
"""Bytes of a header, bytes of the list of a scan (unpacked: what repeats packs to nothing), and tensors, that this process takes apart:
ten times the largest real model. The scan allows 200,000 tensors, which take 8 s and 330 MB to list: too much for a page.
"""

PARTS: dict[str, str] = {
    "unet": "Diffusion model",
    "text_encoder": "Text encoder",
    "vae": "VAE",
    "controlnet": "ControlNet",
    "ema": "EMA averages",
    "training": "Training state",
    "other": "Other",
}
"""Parts of a model in the order in which they are shown, with their names for people."""

PREFIXES: tuple[tuple[str, str], ...] = (
    (EMA, "ema"),
    ("model.diffusion_model.", "unet"),
    ("diffusion_model.", "unet"),
    ("unet.", "unet"),
    ("transformer.", "unet"),
    ("lora_unet_", "unet"),
    ("lora_transformer_", "unet"),
    ("first_stage_model.", "vae"),
    ("vae.", "vae"),
    ("cond_stage_model.", "text_encoder"),
    ("conditioner.", "text_encoder"),
    ("text_encoder", "text_encoder"),
    ("text_model.", "text_encoder"),
    ("lora_te", "text_encoder"),
    ("control_model.", "controlnet"),
    ("lora_controlnet", "controlnet"),
)
"""How the tensors of a part begin, in single-file layouts and those of trainers."""
WHOLE = {"unet": "unet", "vae": "vae", "text_encoder": "text_encoder", "controlnet": "controlnet"}
"""Kinds of file that are one part, whose tensors need no prefix."""


@dataclass(frozen=True, slots=True)
class TensorRow:
    """One tensor. `begin` and `end` are bytes from the start of the file; of a strided view, all that it spans. `bytes` is its own size."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int
    bytes: int
    numbers: int
    part: str


@dataclass(frozen=True, slots=True)
class Total:
    """How much there is of one thing: `bytes` as the tensors count them, views of the same bytes each for itself."""

    name: str
    tensors: int
    numbers: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows, how many match in all, and the name after which to go on (None at the end)."""

    rows: tuple[TensorRow, ...]
    matched: int
    next: str | None


@dataclass(frozen=True)
class Panel:
    """All of it: rows by name, and the metadata as the file has it. `source` is "header" (read from the bytes) or "scan"."""

    rows: tuple[TensorRow, ...]
    metadata: dict[str, str]
    source: str

    @cached_property
    def public_metadata(self) -> dict[str, str]:
        """The metadata without what tells folders of the trainer's machine: `registry.places`."""
        return without_places(self.metadata)

    @property
    def hidden(self) -> list[str]:
        """Keys whose values only the owner and moderators see."""
        return sorted(key for key, text in self.public_metadata.items() if text is not self.metadata[key])

    @cached_property
    def dtypes(self) -> list[Total]:
        """By element type, most numbers first."""
        return sorted(_totals(self.rows, lambda row: row.dtype), key=lambda total: (-total.numbers, total.name))

    @cached_property
    def parts(self) -> list[Total]:
        """By part of the model, in the order of `PARTS`."""
        return sorted(_totals(self.rows, lambda row: row.part), key=lambda total: list(PARTS).index(total.name))

    @cached_property
    def whole(self) -> Total:
        return Total("", len(self.rows), sum(row.numbers for row in self.rows), sum(row.bytes for row in self.rows))

    def page(self, *, after: str = "", limit: int = 100, text: str = "", part: str = "") -> Page:
        """At most about `limit` rows behind the name `after` that contain `text` (in any case) and belong to `part`.

        Tensors of one name stay together, so that going on by name loses none.
        """
        wanted = text.casefold()
        fits = [row for row in self.rows if (not part or row.part == part) and (not wanted or wanted in row.name.casefold())]
        start = bisect_right(fits, after, key=lambda row: row.name) if after else 0
        end = min(start + limit, len(fits))
        while start < end < len(fits) and fits[end].name == fits[end - 1].name:
            end += 1
        return Page(tuple(fits[start:end]), len(fits), fits[end - 1].name if start < end < len(fits) else None)


def _totals(rows: Iterable[TensorRow], key: Callable[[TensorRow], str]) -> list[Total]:
    found: dict[str, list[int]] = {}
    for row in rows:
        sums = found.setdefault(key(row), [0, 0, 0])
        sums[0] += 1
        sums[1] += row.numbers
        sums[2] += row.bytes
    return [Total(name, *sums) for name, sums in found.items()]


class TooMany(Refusal):
    """A file of more tensors than a page should take apart; its owner can read the header raw."""

    def __init__(self) -> None:
        super().__init__("tensors:too-many", "This file describes more tensors than can be listed here; no model needs so many.")


def served(file: File) -> bool:
    """Whether the bytes of this file may be read for its visitors; of what is sealed or taken back only the scan's words are left."""
    return file.downloadable and not file.version.gone


def of_file(file: File) -> Panel | None:
    """The tensors of a file, or None where nobody knows any. Reads the header of a safetensors file that is served, never its tensors.

    Where the bytes cannot be had (a store that does not answer), what the scan wrote down is the answer. Raises `TooMany`.
    """
    blob = file.blob
    if blob is None:
        return None
    if served(file) and blob.container == "safetensors":
        try:
            return _kept.get((blob.sha256, "header"), lambda: _panel(header_of(blob), blob, "header"))
        except TooMany:
            raise
        except (OSError, BotoCoreError, ClientError, FormatError):
            log.exception("the header of %s cannot be read", blob)
    return _kept.get((blob.sha256, blob.verdict_key), lambda: _of_scan(blob))


def directory_of(file: File) -> TensorDirectory | None:
    """Where every tensor of a file lies, as the scan wrote it down, else by its header; None where neither is known. Raises `TooMany`."""
    directory = scanned(file.blob) if file.blob else None
    if directory is None and file.blob and file.blob.container == "safetensors" and served(file):
        return header_of(file.blob)
    return directory


def header_of(blob: Blob) -> TensorDirectory:
    """Reads length and header of a stored safetensors file, strictly, wherever it lies.

    Raises `TooMany`, FormatError, OSError, botocore's errors.
    """
    return _listable(read_safetensors(Window(_head(blob, MAX_LISTED_HEADER))))


def raw_header(file: File, most: int = MAX_HEADER) -> bytes:
    """The JSON header as it is stored. Raises `Refusal` (409) for a file that has none or is not served, `TooMany` over `most` bytes."""
    blob = file.blob
    if blob is None or blob.container != "safetensors":
        raise Refusal("header:none", "Only safetensors files have a header. The tensors of others are listed under `tensors`.")
    if not served(file):
        raise Refusal("header:not-served", "The bytes of this file are not served now; see its state and its scan.")
    window = Window(_head(blob, most))
    return window.read(8, header_length(window.read(0, 8)))


def public_header(raw: bytes) -> tuple[bytes, list[str]]:
    """A header without what tells folders of the trainer's machine, and the keys of what was replaced; the same bytes where nothing was.

    It takes the header apart: for those of at most `MAX_LISTED_HEADER` bytes, since one of 25 MB keeps a process busy for two seconds.
    """
    header: dict[str, Any] = json.loads(raw)
    metadata: dict[str, str] = header.get("__metadata__", {})
    shown = without_places(metadata)
    hidden = sorted(key for key, text in shown.items() if text is not metadata[key])
    if not hidden:
        return raw, hidden
    return json.dumps({**header, "__metadata__": shown}, ensure_ascii=False, separators=(",", ":")).encode(), hidden


class _Head:
    """The first bytes of a file as a `Reader` of the whole; its header lies in them."""

    def __init__(self, size: int, data: bytearray) -> None:
        self.size, self._data = size, data

    def read_into(self, offset: int, view: memoryview) -> None:
        if offset + len(view) > len(self._data):
            raise cut_short(len(self._data))
        view[:] = memoryview(self._data)[offset : offset + len(view)]


def _head(blob: Blob, most: int) -> _Head:
    """Length and header of a stored safetensors file: one range, and for a long header a second of what is missing of it.

    Raises `TooMany` for a header of more than `most` bytes, FormatError for one that no file has.
    """
    with storage.reader(blob) as source:
        size, data = source.size, bytearray(min(FIRST, source.size))
        source.read_into(0, memoryview(data))
    length = header_length(bytes(data[:8])) if size >= 8 else 0
    if length > most:
        raise TooMany
    missing = min(8 + length, size) - len(data)
    if missing > 0:
        rest = bytearray(missing)
        with storage.reader(blob) as source:  # opened anew: one that is read on in order reads ahead
            source.read_into(len(data), memoryview(rest))
        data += rest
    return _Head(size, data)


class _Kept:
    """The lists that were asked for last, by rows, not by number: the header of one hostile file may describe 200,000 tensors.

    At most two are made at a time, so that no crowd of requests holds many half-made ones.
    """

    def __init__(self) -> None:
        self._panels: OrderedDict[tuple[str, str], Panel | None] = OrderedDict()
        self._lock, self._makers = Lock(), BoundedSemaphore(2)

    def get(self, key: tuple[str, str], make: Callable[[], Panel | None]) -> Panel | None:
        with self._lock:
            if key in self._panels:
                self._panels.move_to_end(key)
                return self._panels[key]
        with self._makers:
            panel = make()
        if panel is not None:
            self._keep(key, panel)
        return panel

    def _keep(self, key: tuple[str, str], panel: Panel) -> None:
        with self._lock:
            self._panels[key] = panel
            while len(self._panels) > 1 and sum(len(one.rows) + 50 for one in self._panels.values() if one) > MAX_KEPT_TENSORS:
                self._panels.popitem(last=False)

    def forget(self) -> None:
        """For tests: nothing is at hand any more."""
        with self._lock:
            self._panels.clear()


_kept = _Kept()
forget = _kept.forget


def scanned(blob: Blob) -> TensorDirectory | None:
    """What the scan wrote down of where a blob's tensors lie; None where it wrote nothing. Raises `TooMany`."""
    index = TensorIndex.objects.filter(blob=blob).first()
    if index is None:
        return None
    if index.unpacked_bytes > MAX_LISTED_INDEX:
        raise TooMany
    return _listable(index.directory)


def _listable(directory: TensorDirectory) -> TensorDirectory:
    if len(directory.tensors) > MAX_LISTED:
        raise TooMany
    return directory


def _of_scan(blob: Blob) -> Panel | None:
    directory = scanned(blob)
    return _panel(directory, blob, "scan") if directory else None


def _panel(directory: TensorDirectory, blob: Blob, source: str) -> Panel:
    whole = WHOLE.get(str(blob.detected.get("kind")), "other")
    names = _model_names(directory)
    rows = [_row(directory, entry, _part(names.get(entry.path), whole)) for entry in directory]
    return Panel(tuple(sorted(rows, key=lambda row: (row.name, row.begin))), directory.metadata, source)


def _model_names(directory: TensorDirectory) -> dict[Path, str]:
    """Way in the file -> name in the model; what is missing is training state."""
    try:
        return {entry.path: name for name, entry in unwrap(directory).tensors.items()}
    except FormatError:  # two tensors of one name: shown as they are
        return {entry.path: _dotted(entry.path) for entry in directory}


def _part(name: str | None, whole: str) -> str:
    if name is None:
        return "training"
    return next((part for prefix, part in PREFIXES if name.startswith(prefix)), whole)


def _dotted(path: Path) -> str:
    return ".".join(map(str, path))


def _row(directory: TensorDirectory, entry: TensorEntry, part: str) -> TensorRow:
    size, numel = SIZES[entry.dtype], entry.numel
    begin = directory.storages[entry.storage].start + entry.offset * size
    span = 1 + sum((length - 1) * step for length, step in zip(entry.shape, entry.stride, strict=True)) if numel else 0
    return TensorRow(_dotted(entry.path), entry.dtype, entry.shape, begin, begin + span * size, numel * size, numel, part)
