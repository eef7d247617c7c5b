"""How far the work on files is, for people: steps with times, queue place, what failed and what to do. Reads only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC

from django.utils.formats import date_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from hub import retrying
from hub.web import words
from inference import previews
from inference.models import Derivative
from registry import lifecycle, queries
from registry.lifecycle import DerivativeState, FileState
from registry.models import File, Role, Status, TimelineStep, Version
from registry.names import extension

SAID = {
    "wanted": _("wanted"),
    "making": _("being made"),
    "queued": _("waiting"),
    "scanning": _("being examined"),
    "clean": _("found clean"),
    "converting": _("converting"),
    "ready": _("ready"),
    "failed": _("failed"),
    "danger": _("dangerous"),
    "quarantined": _("quarantined"),
}
NO_FUTURE = {FileState.FAILED, FileState.QUARANTINED, FileState.DANGER}
RESTING = {FileState.READY, FileState.QUARANTINED, FileState.FAILED}
PICKLES = {".ckpt", ".pt", ".pth", ".bin"}
"""Endings of what is mostly pickled, and then converted; the scan says what it really is."""
AHEAD = ("received", "hash", "verified", "scan", "identify", "ready")
"""The steps that every upload goes through, shown in outline before they begin; only what was announced is verified."""


@dataclass
class Step:
    """One line of a timeline; `outcome` is running, done, bad, failed, interrupted or ahead."""

    name: str
    outcome: str
    seconds: float | None = None
    note: str = ""
    done_bytes: int = 0
    total_bytes: int = 0
    at: object = None


@dataclass
class Variant:
    """One line of what is made of a file: its name, how far it is, and the file once there is one."""

    name: str
    state: str
    file: File | None = None
    error: str = ""
    error_code: str = ""

    @property
    def failed(self) -> bool:
        return self.state == "failed"

    @property
    def said(self) -> str:
        """The state in words."""
        return str(SAID.get(self.state, self.state))


@dataclass
class FileProgress:
    file: File
    title: str
    sentence: str
    steps: list[Step]
    place: int | None
    resting: bool
    variants: list[Variant] = field(default_factory=list)

    @property
    def retryable(self) -> bool:
        """Trying again can help: the bytes are here, or some variant failed."""
        return retrying.bytes_are_here(self.file) if self.file.state == FileState.FAILED else any(v.failed for v in self.variants)


def of_version(version: Version) -> list[FileProgress]:
    """Every uploaded file of a version; those still arriving are left to the uploader."""
    rows = of_versions([version])[version.pk]
    _add_previews(version, rows)
    _add_publishing(version, rows)
    return rows


def of_versions(versions: Iterable[Version]) -> dict[int, list[FileProgress]]:
    """As `of_version`, for several at once: by the version's id."""
    found: dict[int, list[FileProgress]] = {version.pk: [] for version in versions}
    files = lifecycle.with_places(File.kept.filter(version__in=list(found), role=Role.UPLOADED).exclude(state=FileState.UPLOADING))
    for row in of_files(files.select_related("blob").prefetch_related("timeline", "derivatives__result__blob", "derived").order_by("-id")):
        found[row.file.version_id].append(row)
    return found


def of_file(file: File) -> FileProgress:
    found = queries.files_with_blobs().prefetch_related("timeline", "derivatives__result__blob", "derived").filter(pk=file.pk)
    rows = of_files(found)
    _add_previews(file.version, rows)
    _add_publishing(file.version, rows)
    return rows[0]


def of_files(files: Iterable[File]) -> list[FileProgress]:
    return [_progress(file) for file in files]


def _progress(file: File) -> FileProgress:
    title, sentence = words.STATES[file.state]
    rows = [_step(row) for row in file.timeline.all()]  # type: ignore[attr-defined]
    variants = _variants(file)
    resting = file.state in RESTING and all(variant.state in RESTING for variant in variants)
    if file.state not in RESTING:
        known = {row.name for row in rows} | (set() if file.declared_sha256 else {words.step_name("verified")})
        ahead = [*AHEAD[:-1], *(["convert"] if extension(file.name) in PICKLES else []), AHEAD[-1]]
        rows += [Step(words.step_name(name), "ahead") for name in ahead if words.step_name(name) not in known]
    return FileProgress(file, title, sentence, rows, lifecycle.place_in_queue(file), resting, variants)


def _add_publishing(version: Version, rows: list[FileProgress]) -> None:
    """What is left to do for a draft: its creator publishes it, or it is published at the moment that they chose."""
    if version.status != Status.DRAFT:
        return
    at = date_format(version.publish_at.astimezone(UTC), "DATETIME_FORMAT") if version.publish_at else ""
    note = gettext("By itself on %(moment)s UTC.") % {"moment": at} if at else ""
    for row in rows:
        if row.file.state not in NO_FUTURE and row.file.role == Role.UPLOADED:
            row.steps.append(Step(words.step_name("published"), "ahead", note=note))


PREVIEW_OUTCOMES = {"waiting": "ahead", "queued": "ahead", "rendering": "running", "made": "done", "failed": "failed"}


def _add_previews(version: Version, rows: list[FileProgress]) -> None:
    """The version's previews as a step of the file that is rendered, the last before it is published."""
    if not rows:
        return
    status = previews.status(version)
    outcome = PREVIEW_OUTCOMES.get(status.kind)
    if outcome is None:
        return
    pictured = status.render.file if status.render else None
    pks = {pictured.pk, pictured.source_id} if pictured else {rows[-1].file.pk}
    row = next((row for row in rows if row.file.pk in pks), None)
    if row is None or row.file.state in NO_FUTURE:
        return
    at = status.render.moved_at if status.render else None
    note = status.sentence if row.file.state == FileState.READY else ""
    step = Step(words.step_name("previews"), outcome, None, note, status.done, status.total, at)
    published = [place for place, one in enumerate(row.steps) if one.name == words.step_name("published")]
    row.steps.insert(published[0] if published else len(row.steps), step)
    row.resting = row.resting and status.kind not in ("queued", "rendering")


def _variants(file: File) -> list[Variant]:
    """What was and will be made of a file: wanted variants first as names, then as files; and its safetensors twin."""
    wanted = list(file.derivatives.all())  # type: ignore[attr-defined]
    made = {derivative.result_id for derivative in wanted}
    twins = [Variant(twin.name, twin.state, twin, twin.error, twin.error_code) for twin in file.derived.all() if twin.pk not in made]  # type: ignore[attr-defined]
    return twins + [_variant(derivative) for derivative in wanted]


def _variant(derivative: Derivative) -> Variant:
    result = derivative.result
    if result is not None:
        return Variant(result.name, result.state, result, result.error, result.error_code)
    state = FileState.READY if derivative.state == DerivativeState.MADE else derivative.state
    return Variant(words.recipe(derivative.recipe), state, None, derivative.error, derivative.error_code)


def _step(row: TimelineStep) -> Step:
    """A step that was done and ended badly for the file is no green one: its outcome is "bad"."""
    bad = row.step == "quarantined" or (row.step == "scan" and row.note.startswith(("danger", "error", "suspicious")))
    return Step(
        words.step_name(row.step),
        "bad" if bad and row.outcome == TimelineStep.Outcome.DONE else row.outcome,
        row.seconds,
        row.note,
        row.done_bytes,
        row.total_bytes,
        row.started_at,
    )
