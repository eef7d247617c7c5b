"""Says what a file of weights is, from names, shapes and metadata alone, with its evidence. It reads no weights and runs nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from registry.formats.directory import TensorDirectory
from registry.formats.dtypes import FLOATS
from registry.formats.plaintext import printable
from registry.identify.bases import ALTERNATIVES, DESCENT, TABLES, VARIANTS, Base
from registry.identify.conditions import METADATA, SHAPES, Condition, Evidence
from registry.identify.facts import Facts, facts_of
from registry.identify.keys import EMA, Named, unwrap
from registry.identify.prediction import prediction_of, quantization_of
from registry.identify.rules import KINDS, Rule
from registry.identify.training import base_names, network_size, resolution, training_of, trigger_words

PRECISIONS = {"F64": "fp64", "F32": "fp32", "F16": "fp16", "BF16": "bf16"}
MAX_EVIDENCE = 12
PROVED, NAMED, SAID = "proved by shapes", "told by names", "metadata only"
"""Words for how sure an answer is: shapes cannot be otherwise, names could be another model's, metadata is hearsay."""


@dataclass(frozen=True, slots=True)
class Detection:
    """The answer. `family` is proved by the tensors; `base` is the base model to suggest ("" where there is none to suggest).

    `kind`: checkpoint, unet (a diffusion model without VAE and text encoder), lora, embedding, hypernetwork, vae, controlnet,
    t2i_adapter, ip_adapter, motion_module, upscaler, text_encoder, clip_vision, detection or other. `alternatives` are all base models
    whose tensors are the same as the suggested one's. `precision` is that of nine tenths of the numbers, else "mixed". `prediction` is
    "v", "epsilon", "edm" or "" (not known). `parameters` counts numbers without EMA. `training` is hearsay, see `training`.
    """

    kind: str
    flavour: str
    family: str
    base: str
    variants: list[str]
    precision: str
    has_vae: bool
    has_text_encoder: bool
    has_ema: bool
    has_training_state: bool
    parameters: int
    tensors: int
    network_dim: int | None
    network_alpha: float | None
    trigger_words: list[tuple[str, int]]
    evidence: list[str]
    notes: list[str] = field(default_factory=list)
    alternatives: list[str] = field(default_factory=list)
    confidence: str = ""
    evidence_kind: list[str] = field(default_factory=list)
    evidence_base: list[str] = field(default_factory=list)
    prediction: str = ""
    resolution: str = ""
    quantization: str = ""
    training: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready; `base` is spelled `base_model` as everywhere in the hub, trigger words are objects with `word` and `count`."""
        data = asdict(self)
        data["base_model"] = data.pop("base")
        data["trigger_words"] = [{"word": word, "count": count} for word, count in self.trigger_words]
        return data


def identify(directory: TensorDirectory) -> Detection:
    """What this file is. Raises FormatError `weights:duplicate-name` only; a file that no rule knows is of kind "other"."""
    named = unwrap(directory)
    facts = facts_of(named, directory.metadata)
    kind, kind_evidence, notes = _kind(facts)
    base, base_evidence = _base(facts, kind.kind, notes)
    suggestion = _suggested(base, facts, base_evidence)
    prediction, hints = prediction_of(facts)
    marks = [(name, evidence) for name, condition in VARIANTS if (evidence := condition(facts)) is not None]
    dim, alpha = network_size(directory.metadata)
    lines = [*kind_evidence, *base_evidence, *(evidence for _, evidence in marks), *hints]
    return Detection(
        kind=kind.kind,
        flavour=kind.flavour,
        family=base.family,
        base=suggestion,
        variants=[name for name, _ in marks],
        precision=_precision(facts.dtypes),
        has_vae=kind.kind == "vae" or facts.first("vae.") is not None,
        has_text_encoder=kind.kind == "text_encoder" or facts.first("te.") is not None,
        has_ema=named.has_ema,
        has_training_state=named.has_training_state,
        parameters=sum(facts.dtypes.values()),
        tensors=facts.tensors,
        network_dim=dim or (facts.rank if kind.kind == "lora" else None),
        network_alpha=alpha,
        trigger_words=[(printable(word), count) for word, count in trigger_words(directory.metadata)],
        evidence=_lines(lines) + _beside(named),
        notes=notes,
        alternatives=list(ALTERNATIVES.get((base.family, base.base), (suggestion,) if suggestion else ())),
        confidence=_confidence(base_evidence or kind_evidence),
        evidence_kind=_lines(kind_evidence),
        evidence_base=_lines(base_evidence),
        prediction=prediction,
        resolution=resolution(directory.metadata),
        quantization=quantization_of(facts),
        training=training_of(directory.metadata),
    )


NO_BASE = Base("", "", ())
NO_KIND = Rule("other", "", ())
SEVERAL = "This file fits several descriptions ({}), so none is given."


def holds(when: Iterable[Condition], unless: Iterable[Condition], facts: Facts) -> list[Evidence] | None:
    """The evidence of all conditions together, or None where one does not hold or one of `unless` does."""
    found: list[Evidence] = []
    for condition in when:
        evidence = condition(facts)
        if evidence is None:
            return None
        found.append(evidence)
    return found if all(condition(facts) is None for condition in unless) else None


def _kind(facts: Facts) -> tuple[Rule, list[Evidence], list[str]]:
    """The one rule that fits; where two do the file is "other" and a note names them."""
    found = [(rule, evidence) for rule in KINDS if (evidence := holds(rule.when, rule.unless, facts)) is not None] if facts.names else []
    if len(found) > 1:
        return NO_KIND, [], [SEVERAL.format(", ".join(f"{rule.kind} {rule.flavour}".strip() for rule, _ in found))]
    return (*found[0], []) if found else (NO_KIND, [], [])


def _base(facts: Facts, kind: str, notes: list[str]) -> tuple[Base, list[Evidence]]:
    """The one base model of this kind that fits; its note, or that several fit, is added to `notes`."""
    found = [(base, evidence) for base in TABLES.get(kind, ()) if (evidence := holds(base.when, base.unless, facts)) is not None]
    if len(found) > 1:
        notes.append(SEVERAL.format(", ".join(base.base or base.family for base, _ in found)))
    if len(found) != 1:
        return NO_BASE, []
    notes.extend([found[0][0].note] if found[0][0].note else [])
    return found[0]


def _suggested(base: Base, facts: Facts, evidence: list[Evidence]) -> str:
    """Famous descendants by name, where the metadata names them."""
    said = base_names(facts.metadata) if base.family in DESCENT else ""
    for word, name in DESCENT.get(base.family, ()):
        if word in said:
            evidence.append(Evidence(f"metadata names {name}", METADATA))
            return name
    return base.base


def _confidence(evidence: list[Evidence]) -> str:
    by = {line.by for line in evidence}
    if SHAPES in by:
        return PROVED
    return SAID if METADATA in by else NAMED if by else ""


def _lines(evidence: list[Evidence]) -> list[str]:
    """Every line once, in order, fit to show; what is absent is not shown as evidence."""
    return [printable(text) for text in dict.fromkeys(line.text for line in evidence)][:MAX_EVIDENCE]


def _precision(census: dict[str, int]) -> str:
    floats = {dtype: count for dtype, count in census.items() if dtype in FLOATS}
    total = sum(floats.values())
    if not total:
        return ""
    dtype, count = max(floats.items(), key=lambda item: (item[1], item[0]))
    return PRECISIONS.get(dtype, "fp8") if count >= 0.9 * total else "mixed"


def _beside(named: Named) -> list[str]:
    """What the file holds beside the model: EMA averages, training state."""
    ema = next((name for name in sorted(named.tensors) if name.startswith(EMA + "diffusion_model")), None) if named.has_ema else None
    outside = sorted({str(entry.path[0]) for entry in named.outside})[:5]
    lines = [f"EMA averages: {ema}"] if ema else []
    return [printable(line) for line in lines + ([f"beside the model: {', '.join(outside)}"] if outside else [])]
