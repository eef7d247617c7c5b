"""Declared against proved: what a version says of itself that the tensors of its files contradict, and what was answered.

It reads and compares; answers are written by `registry.catalog`. What tensors cannot tell is never a question.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from registry.formats.plaintext import printable
from registry.identify.agreement import agrees, family_of
from registry.lifecycle import FileState
from registry.models import File, KeptDeclaration, Kind, Subject, Version
from registry.places import hide

DECLARABLE: dict[str, tuple[str, ...]] = {
    "checkpoint": (Kind.CHECKPOINT,),
    "unet": (Kind.CHECKPOINT, Kind.OTHER),
    "lora": (Kind.LORA,),
    "embedding": (Kind.EMBEDDING,),
    "hypernetwork": (Kind.HYPERNETWORK,),
    "vae": (Kind.VAE,),
    "controlnet": (Kind.CONTROLNET,),
    "t2i_adapter": (Kind.CONTROLNET,),
    "upscaler": (Kind.UPSCALER,),
    "text_encoder": (Kind.OTHER,),
    "ip_adapter": (Kind.OTHER, Kind.CONTROLNET),
    "motion_module": (Kind.OTHER,),
    "clip_vision": (Kind.OTHER,),
    "detection": (Kind.OTHER,),
}
"""Detected kind -> kinds that a creator may declare for it, the one to suggest first. Any other detected kind proves nothing."""

USUAL = {"SD 1.x": "SD 1.5", "SD 2.x": "SD 2.1", "SDXL": "SDXL 1.0", "Flux.1": "Flux.1 D", "LTX-Video": "LTXV"}
"""Family -> the base model to suggest where the detection names none: several families share the layout of their autoencoders."""

TOLD = (FileState.CLEAN, FileState.CONVERTING, FileState.READY)
"""States in which what a file was found to be counts: its verdict is in, and it was not refused."""
HEARSAY = "metadata only"
"""Confidence of a base model that no tensor proves: whoever wrote the metadata may be wrong, so nobody is asked because of it."""
MAX_EVIDENCE = 12


@dataclass(frozen=True)
class Question:
    """A contradiction. `suggestion` is what one click would declare instead; `reason` is why the creator keeps the declaration, or ""."""

    about: str
    declared: str
    detected: str
    suggestion: str
    evidence: tuple[str, ...]
    file_name: str
    reason: str = ""
    answered_at: datetime | None = None

    @property
    def answered(self) -> bool:
        return bool(self.reason)

    @property
    def subject(self) -> str:
        """ "base model" or "kind" """
        return str(Subject(self.about).label)

    @property
    def said(self) -> str:
        return self.declared if self.about == Subject.BASE_MODEL else kind_label(self.declared)

    @property
    def proved(self) -> str:
        return self.detected if self.about == Subject.BASE_MODEL else kind_label(self.detected)

    @property
    def instead(self) -> str:
        return self.suggestion if self.about == Subject.BASE_MODEL else kind_label(self.suggestion)


def kind_label(kind: str) -> str:
    """A kind as people read it: "lora" is LoRA, "text_encoder" is text encoder."""
    return str(Kind(kind).label) if kind in Kind.values else {"unet": "diffusion model alone"}.get(kind, kind.replace("_", " "))


def contradictions(version: Version, files: Iterable[File]) -> list[Question]:
    """What the files of a version prove against its declarations, answered or not, each once; the base model first.

    `files` have their blobs loaded. Costs a query only where there is something to answer (none where `kept` was prefetched).
    """
    told = [(file, file.blob.detected) for file in _own(list(files)) if file.blob]
    found = [*_bases(version, told), *_kinds(version, told)]
    return [_with_answer(question, list(version.kept.all())) for question in found] if found else []


def suggested_base(detected: dict[str, Any]) -> str:
    """The base model to declare for what was detected (`Detection.to_json()`); "" where no family was told."""
    first = str(detected.get("family") or "").split(" / ")[0]
    return (str(detected.get("base_model") or "") or USUAL.get(first, first))[:60]


def unanswered(version: Version, files: Iterable[File]) -> list[Question]:
    """What its creator has to answer before the version is published."""
    return [question for question in contradictions(version, files) if not question.answered]


def request_for(questions: list[Question]) -> str:
    """What is asked, as a sentence for the creator; "" where nothing is."""
    if not questions:
        return ""
    first = questions[0]
    more = (
        f" There {'is one more question' if len(questions) == 2 else f'are {len(questions) - 1} more questions'}." if questions[1:] else ""
    )
    return (
        f"Its declared {first.subject} is {printable(first.said)}, but the tensors of {printable(first.file_name, 120)} say "
        f"{printable(first.proved)}. Change the declaration, or keep it and say why.{more}"
    )


def _own(files: list[File]) -> list[File]:
    """Files that were told what they are; not the variants of others in the list, which can say nothing new."""
    known = {file.pk for file in files}
    return [file for file in files if file.state in TOLD and file.source_id not in known]


def _bases(version: Version, told: list[tuple[File, dict[str, Any]]]) -> list[Question]:
    found: dict[str, Question] = {}
    for file, detected in told:
        family = str(detected.get("family") or "")[:60]
        if detected.get("confidence") == HEARSAY or family in found:
            continue
        if agrees(version.base_model, detected) is False:
            found[family] = Question(
                Subject.BASE_MODEL, version.base_model, family, suggested_base(detected), _evidence(detected, "evidence_base"), file.name
            )
    return list(found.values())


def _kinds(version: Version, told: list[tuple[File, dict[str, Any]]]) -> list[Question]:
    """A version may carry helpers beside its model (a VAE): its kind is in question only where no file is of it."""
    declared = version.entry.kind
    proved = [(file, detected) for file, detected in told if str(detected.get("kind")) in DECLARABLE]
    if not proved or any(declared in DECLARABLE[str(detected["kind"])] for _, detected in proved):
        return []
    file, detected = max(proved, key=lambda pair: (pair[0].size_bytes, -pair[0].pk))
    kind = str(detected["kind"])
    return [Question(Subject.KIND, declared, kind, DECLARABLE[kind][0], _evidence(detected, "evidence_kind"), file.name)]


def _evidence(detected: dict[str, Any], part: str) -> tuple[str, ...]:
    """What speaks for this part of the answer, else all evidence there is; without places of somebody's machine."""
    lines = detected.get(part) or detected.get("evidence")
    return tuple(printable(str(hide(str(line))), 300) for line in lines[:MAX_EVIDENCE]) if isinstance(lines, list) else ()


def _with_answer(question: Question, kept: list[KeptDeclaration]) -> Question:
    """The question with the answer that was given to exactly it: another detection or another declaration asks anew."""
    for row in kept:
        if (row.about, row.detected) == (question.about, question.detected) and _same(question, row.declared):
            return replace(question, reason=row.reason, answered_at=row.created_at)
    return question


def _same(question: Question, declared: str) -> bool:
    if question.about == Subject.BASE_MODEL:
        return family_of(declared) == family_of(question.declared)
    return declared == question.declared
