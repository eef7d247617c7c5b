"""The files of a version as its page shows them: which one to recommend, what each is, how safe. Reads; changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import F, Func, IntegerField, QuerySet
from django.utils.translation import gettext_lazy as _

from hub import outcomes, wishes
from hub.verdicts.reports import ReleaseNote, in_force, level_of, release_note
from hub.web import words
from hub.wishes import NO_WISH, Wish
from registry import queries
from registry.models import File, Role, Version
from scanner.models import ScanReport

HASH_ORDER = ("SHA256", "BLAKE3", "AutoV3", "AutoV2", "AutoV1", "CRC32", "TENSORS")
HASH_NAMES = {"TENSORS": _("Tensors (content)")}
"""Names for people, where they differ from those that programs use."""


LEAST_SAVING = 5
"""Percent: what is less is no reason to choose a file."""


@dataclass
class FileRow:
    """One line of the file list."""

    file: File
    precision: str
    container: str
    title: str
    about: str
    maker: str
    scan: str
    hashes: list[tuple[str, str]]
    recommended: bool = False
    report: ScanReport | None = None
    release: ReleaseNote | None = None
    warning: str = ""
    detected: dict[str, Any] = field(default_factory=dict)
    memory: int = 0

    @property
    def saving(self) -> int:
        """Percent of the file it was made from that need not be downloaded; 0 where it saves nothing worth telling."""
        source = self.file.source
        percent = round(100 - 100 * self.file.size_bytes / source.size_bytes) if source and source.size_bytes else 0
        return percent if percent >= LEAST_SAVING else 0

    @property
    def level(self) -> str:
        return level_of(self.file)


def recommended(files: Iterable[File], wish: Wish = NO_WISH) -> File | None:
    """The file for somebody who wants to make pictures: safe format first, then the small variant with identical pictures.

    A wish comes first where some file meets it: format, then room on the GPU, precision, and for training all that the creator saved.
    Never one whose cast made values infinite.
    """
    ready = [file for file in files if file.downloadable and not outcomes.overflow_of(file)]
    return min(ready, key=lambda file: _order(file, wish), default=None)


def _order(file: File, wish: Wish = NO_WISH) -> tuple[int, ...]:
    keep, precision = file.recipe.get("keep", "all"), file.recipe.get("precision", "keep")
    small = {("weights", "fp16"): 0, ("weights", "bf16"): 1, ("weights", "keep"): 2}.get((keep, precision), 4 if keep == "ema" else 3)
    container = file.blob.container if file.blob else ""
    form = 2 if words.is_pickle(file) else 0 if container == "safetensors" else 1  # what every program takes before what few do
    if wish.form == "ckpt":
        form = 0 if words.is_pickle(file) else form + 1
    wished = (not wishes.fits(file, wish), bool(wish.precision) and words.precision(file) != wish.precision)
    if wish.purpose == "train":
        small, size = (0 if is_full(file) else 1 if (keep, precision) == ("weights", "keep") else 2), -file.size_bytes
    else:
        size = file.size_bytes
    return (form, *map(int, wished), small, size, file.pk)


def is_full(file: File) -> bool:
    """Whether a file has every number that its creator saved."""
    return (file.recipe.get("keep", "all"), file.recipe.get("precision", "keep")) == ("all", "keep")


def latest_reports(files: Iterable[File]) -> dict[int, ScanReport]:
    """Blob id -> its newest report, with `import_count` and `release_in_force`, without the report's body. One query."""
    blobs = {file.blob_id for file in files if file.blob_id}
    count = Func(F("report__imports"), function="jsonb_array_length", output_field=IntegerField(), default=0)
    rows: QuerySet[ScanReport] = ScanReport.objects.filter(blob__in=blobs).order_by("blob_id", "-id").distinct("blob_id")
    return {row.blob_id: row for row in in_force(rows).defer("report").annotate(import_count=count)}


def rows_of(version: Version, states: Collection[str] | None = None, wish: Wish = NO_WISH) -> list[FileRow]:
    """The files of a version (in `states` only, where given): the one for this wish first, then what may be downloaded, then the rest."""
    files = [file for file in queries.files_with_blobs().filter(version=version) if states is None or file.state in states]
    reports = latest_reports(files)
    best = recommended(files, wish)
    rows = [row(file, reports.get(file.blob_id or 0), recommended=best is not None and file.pk == best.pk) for file in files]
    return sorted(rows, key=lambda r: (not r.recommended, not r.file.downloadable, *_order(r.file, wish)))


def row(file: File, report: ScanReport | None, *, recommended: bool = False) -> FileRow:
    values = file.blob.hash_values() if file.blob else {}
    known = [(str(HASH_NAMES.get(kind, kind)), values[kind]) for kind in HASH_ORDER if kind in values]
    return FileRow(
        file=file,
        precision=words.precision(file),
        container=words.container(file),
        title=words.title(file),
        about=words.about_file(file),
        maker=words.maker(file),
        scan=words.scan_line(file, getattr(report, "import_count", None)),
        hashes=known,
        recommended=recommended,
        report=report,
        release=release_note(getattr(report, "release_in_force", None)),
        warning=outcomes.warning_of(file),
        detected=file.blob.detected if file.blob else {},
        memory=wishes.memory_bytes(file),
    )


def detected_base(rows: Iterable[FileRow]) -> dict[str, Any]:
    """What the tensors of the uploaded files say: {"kind", "base_model", ...}; empty where nothing was told."""
    for candidate in sorted(rows, key=lambda r: r.file.role != Role.UPLOADED):
        if candidate.detected.get("kind") or candidate.detected.get("base_model"):
            return candidate.detected
    return {}
