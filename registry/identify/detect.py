"""Says what a file of weights is, from names, shapes and metadata alone, with its evidence. It reads no weights and runs nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from registry.formats.directory import TensorDirectory
from registry.formats.dtypes import FLOATS
from registry.formats.plaintext import printable
from registry.identify.bases import DESCENT, TABLES, VARIANTS, Base
from registry.identify.facts import Condition, Facts, facts_of
from registry.identify.keys import EMA, Named, unwrap
from registry.identify.rules import KINDS, Rule
from registry.identify.training import base_names, network_size, trigger_words

PRECISIONS = {"F64": "fp64", "F32": "fp32", "F16": "fp16", "BF16": "bf16"}
PARAMETER_KINDS = {"lora", "controlnet"}
RANK_ENDINGS = ("lora_down.weight", "lora_A.weight", "lora_A.default.weight", "lora.down.weight", "hada_w1_b", "lokr_w1_b", "lokr_w2_b")


@dataclass(frozen=True, slots=True)
class Detection:
    """The answer. `family` is proved by the tensors; `base` is the base model to suggest ("" where there is none to suggest).

    `kind`: checkpoint, unet (a diffusion model without VAE and text encoder), lora, embedding, hypernetwork, vae, controlnet, upscaler,
    text_encoder or other. `precision` is that of nine tenths of the numbers, else "mixed". `parameters` counts numbers without EMA.
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
    evidence: list[str] = []
    kind = _first_rule(facts, evidence)
    base = _first_base(facts, kind.kind, evidence)
    notes = [base.note] if base.note else []
    variants = [name for name, condition in VARIANTS if _holds(condition, facts, evidence)]
    suggestion = _suggested(base, facts, evidence)
    dim, alpha = network_size(directory.metadata)
    return Detection(
        kind=kind.kind,
        flavour=kind.flavour,
        family=base.family,
        base=suggestion,
        variants=variants,
        precision=_precision(facts.dtypes),
        has_vae=kind.kind == "vae" or facts.first("vae.") is not None,
        has_text_encoder=kind.kind == "text_encoder" or facts.first("te.") is not None,
        has_ema=named.has_ema,
        has_training_state=named.has_training_state,
        parameters=sum(facts.dtypes.values()),
        tensors=len(facts.names),
        network_dim=dim or (_rank(facts) if kind.kind == "lora" else None),
        network_alpha=alpha,
        trigger_words=[(printable(word), count) for word, count in trigger_words(directory.metadata)],
        evidence=[printable(text) for text in _with_ema(evidence, named)],
        notes=notes,
    )


NO_BASE = Base("", "", ())
NO_KIND = Rule("other", "", ())


def _holds(condition: Condition, facts: Facts, evidence: list[str]) -> bool:
    text = condition(facts)
    if text is not None and text not in evidence:
        evidence.append(text)
    return text is not None


def _match(conditions: tuple[Condition, ...], facts: Facts) -> list[str] | None:
    """The evidence of all conditions together, or None as soon as one does not hold."""
    texts: list[str] = []
    for condition in conditions:
        text = condition(facts)
        if text is None:
            return None
        texts.append(text)
    return texts


def _first_rule(facts: Facts, evidence: list[str]) -> Rule:
    if not facts.names:
        return NO_KIND
    for rule in KINDS:
        texts = _match(rule.when, facts)
        if texts is not None:
            evidence.extend(texts)
            return rule
    return NO_KIND


def _first_base(facts: Facts, kind: str, evidence: list[str]) -> Base:
    for base in TABLES.get(kind, ()):
        texts = _match(base.when, facts)
        if texts is not None:
            evidence.extend(text for text in texts if text not in evidence)
            return base
    return NO_BASE


def _suggested(base: Base, facts: Facts, evidence: list[str]) -> str:
    """SDXL's famous descendants by name, where the metadata names them."""
    if base.family == "SDXL":
        said = base_names(facts.metadata)
        for word, name in DESCENT:
            if word in said:
                evidence.append(f"metadata names {name}")
                return name
    return base.base


def _precision(census: Counter[str]) -> str:
    floats = {dtype: count for dtype, count in census.items() if dtype in FLOATS}
    total = sum(floats.values())
    if not total:
        return ""
    dtype, count = max(floats.items(), key=lambda item: (item[1], item[0]))
    return PRECISIONS.get(dtype, "fp8") if count >= 0.9 * total else "mixed"


def _rank(facts: Facts) -> int | None:
    """Rank by shape: the first dimension of a factor next to the input."""
    for ending in RANK_ENDINGS:
        name = facts.endings.get(ending)
        if name is not None and facts.shapes[name]:
            return facts.shapes[name][0]
    return None


def _with_ema(evidence: list[str], named: Named) -> list[str]:
    ema = next((name for name in sorted(named.tensors) if name.startswith(EMA + "diffusion_model")), None)
    outside = sorted({str(entry.path[0]) for entry in named.outside})[:5]
    extra = [f"EMA averages: {ema}"] if ema else []
    return evidence + extra + ([f"beside the model: {', '.join(outside)}"] if outside else [])
