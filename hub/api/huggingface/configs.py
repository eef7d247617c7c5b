"""A checkpoint in one file, described as diffusers' folders do: `model_index.json` and a configuration for each part. It holds no weights.

With these, `from_single_file(..., config="creator/name")` needs no other repository. Values come from `inference.diffusion.families`; the
keys are those that diffusers 0.42 and transformers 5 write themselves. SD 3 and Flux are left out: they need T5's tokenizer, which no
package brings.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from hub.snippets import PIPELINES
from inference.diffusion.families import Architecture
from inference.diffusion.textconfig import TOKENS, TextEncoderConfig
from inference.diffusion.vocabulary import END_WORD, START_WORD, VocabularyMissing, installed

DIFFUSERS = "0.42.1"
"""Whose configurations these are: diffusers reads an older version's differently."""
TRANSFORMERS = "5.23.0"
PAD_WORD = {"clip-l": END_WORD, "clip-h": "!", "clip-g": "!"}
START, END = 49_406, 49_407
NOTHING = [None, None]

Texts = dict[str, bytes]


def layout(found: Architecture) -> Texts:
    """Path -> content of the folder; empty for a family that has none here. Equal architectures give equal bytes.

    Without CLIP's vocabulary in this installation the tokenizers are left out: `has_tokenizers` says so.
    """
    pipeline = PIPELINES.get(found.family)
    if pipeline is None:
        return {}
    scheduler = _scheduler(found)
    texts = {
        "model_index.json": _json(_index(found, pipeline, str(scheduler["_class_name"]))),
        "scheduler/scheduler_config.json": _json(scheduler),
        "unet/config.json": _json({"_class_name": "UNet2DConditionModel", "_diffusers_version": DIFFUSERS, **found.unet}),
    }
    if found.vae is not None:
        texts["vae/config.json"] = _json({"_class_name": "AutoencoderKL", "_diffusers_version": DIFFUSERS, **found.vae})
    for place, encoder in zip(_places(found), found.text_encoders, strict=True):
        texts[f"text_encoder{place}/config.json"] = _json(_encoder(encoder))
        texts |= {f"tokenizer{place}/{name}": content for name, content in _tokenizer(PAD_WORD[encoder.kind]).items()}
    return texts


def has_tokenizers() -> bool:
    """Whether this installation has the vocabulary that tokenizers are written from."""
    try:
        return bool(installed())
    except VocabularyMissing:
        return False


def _places(found: Architecture) -> list[str]:
    """What diffusers puts behind `text_encoder` and `tokenizer`: SDXL's second encoder is number 2 also where it is the only one."""
    return ["_2"] if found.family == "sdxl-refiner" else ["", "_2"][: len(found.text_encoders)]


def _index(found: Architecture, pipeline: str, scheduler: str) -> dict[str, Any]:
    index: dict[str, Any] = {"_class_name": pipeline, "_diffusers_version": DIFFUSERS}
    index |= {"scheduler": ["diffusers", scheduler], "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"]}
    if found.is_sdxl:
        index |= {f"{part}{place}": NOTHING for part in ("text_encoder", "tokenizer") for place in ("", "_2")}
        index["force_zeros_for_empty_prompt"] = found.family != "sdxl-refiner"
        index |= {"requires_aesthetics_score": True} if found.family == "sdxl-refiner" else {}
    else:
        index |= {"safety_checker": NOTHING, "requires_safety_checker": False}
    index |= {"feature_extractor": NOTHING, "image_encoder": NOTHING}
    for place, encoder in zip(_places(found), found.text_encoders, strict=True):
        index[f"text_encoder{place}"] = ["transformers", _class_of(encoder)]
        index[f"tokenizer{place}"] = ["transformers", "CLIPTokenizer"]
    return index


def _scheduler(found: Architecture) -> dict[str, Any]:
    """The published models' own: PNDM of SD 1.x, DDIM of SD 2's velocity models, Euler of SDXL.

    A schedule that ends in pure noise must begin its steps there (Lin et al. 2023), which PNDM cannot.
    """
    known = dict(found.scheduler)
    zero = bool(known.pop("rescale_betas_zero_snr", False))
    velocity = known["prediction_type"] == "v_prediction"
    own: dict[str, Any] = {"trained_betas": None}
    if found.is_sdxl:
        name, own = "EulerDiscreteScheduler", {**own, "interpolation_type": "linear", "use_karras_sigmas": False}
        known = {key: value for key, value in known.items() if key not in ("clip_sample", "set_alpha_to_one")}
    elif velocity or zero:
        name = "DDIMScheduler"
    else:
        name, own = "PNDMScheduler", {**own, "skip_prk_steps": True}
        known.pop("clip_sample", None)
    if zero:
        own |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    return {"_class_name": name, "_diffusers_version": DIFFUSERS, **known, **own}


def _class_of(encoder: TextEncoderConfig) -> str:
    return "CLIPTextModelWithProjection" if encoder.projection else "CLIPTextModel"


def _encoder(encoder: TextEncoderConfig) -> dict[str, Any]:
    """A configuration of transformers' CLIP text model."""
    marks = {"bos_token_id": START, "eos_token_id": END, "pad_token_id": encoder.pad}
    kind = {"architectures": [_class_of(encoder)], "model_type": "clip_text_model", "transformers_version": TRANSFORMERS}
    rest = {"attention_dropout": 0.0, "dropout": 0.0, "initializer_factor": 1.0, "initializer_range": 0.02, "layer_norm_eps": 1e-05}
    return {**kind, **encoder.for_transformers(), **marks, **rest}


@cache
def _tokenizer(pad: str) -> Texts:
    """transformers' CLIPTokenizer in four files; nothing where this installation has no vocabulary."""
    try:
        vocabulary, merges = installed()
    except VocabularyMissing:
        return {}
    marks = {"bos_token": START_WORD, "eos_token": END_WORD, "unk_token": END_WORD, "pad_token": pad}
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": TOKENS, "do_lower_case": True, "add_prefix_space": False, **marks}
    lines = "".join(f"{first} {second}\n" for first, second in merges)
    return {
        "vocab.json": json.dumps(vocabulary, ensure_ascii=False, separators=(",", ":")).encode(),
        "merges.txt": f"#version: 0.2\n{lines}".encode(),
        "tokenizer_config.json": _json(settings),
        "special_tokens_map.json": _json(marks),
    }


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"
