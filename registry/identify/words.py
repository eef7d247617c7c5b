"""A detection and a fit in words for a terminal: short lines, the answer first, the evidence below. No colours, no decisions."""

from __future__ import annotations

from collections.abc import Iterator

from registry.identify.detect import Detection
from registry.identify.fitting import Fit

KINDS = {
    "unet": "diffusion model (no VAE, no text encoder)",
    "lora": "LoRA",
    "vae": "VAE",
    "controlnet": "ControlNet",
    "t2i_adapter": "T2I-Adapter",
    "ip_adapter": "IP-Adapter",
    "embedding": "textual inversion",
    "clip_vision": "image encoder",
    "other": "unknown",
}
SHOWN_WORDS = 12


def report(found: Detection) -> str:
    """The whole answer, line by line."""
    return "\n".join(f"{label + ':':15}{text}" if label else f"  {text}" for label, text in _lines(found) if text)


def _lines(found: Detection) -> Iterator[tuple[str, str]]:
    kind = KINDS.get(found.kind, found.kind.replace("_", " "))
    yield "Kind", f"{kind} ({found.flavour})" if found.flavour and found.flavour != kind else kind
    yield "Base model", _base(found)
    yield "Could also be", ", ".join(name for name in found.alternatives if name != found.base)
    yield "Variants", ", ".join(found.variants)
    yield "Prediction", found.prediction
    yield "Confidence", found.confidence
    yield "Precision", " ".join(part for part in (found.precision, f"({found.quantization})" if found.quantization else "") if part)
    yield "Size", f"{found.parameters:,} numbers in {found.tensors:,} tensors"
    inside = {
        "VAE": found.has_vae,
        "text encoder": found.has_text_encoder,
        "EMA": found.has_ema,
        "training state": found.has_training_state,
    }
    yield "Inside", ", ".join(name for name, there in inside.items() if there)
    yield "Rank, alpha", ", ".join(str(number) for number in (found.network_dim, found.network_alpha) if number is not None)
    yield "Trigger words", ", ".join(f"{word} ({count})" if count else word for word, count in found.trigger_words[:SHOWN_WORDS])
    for number, note in enumerate(found.notes):
        yield ("Note" if not number else "", note)
    for number, line in enumerate(found.evidence):
        yield ("Evidence" if not number else "", line)
    for number, (name, value) in enumerate(found.training.items()):
        yield ("Metadata says" if not number else "", f"{name.replace('_', ' ')}: {value}")


def _base(found: Detection) -> str:
    if found.base and found.family not in ("", found.base):
        return f"{found.base} (family {found.family})"
    return found.base or found.family


def fit_report(found: Fit) -> str:
    """The sentence, and below it what would not apply."""
    return "\n".join([found.sentence, *(f"  {line}" for line in found.misses)])
