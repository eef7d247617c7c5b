"""What trainers write into a file's metadata, read with suspicion: trigger words, network size, settings. Everything in it is hearsay.

Keys: kohya's sd-scripts (`ss_*`), the additional-networks extension (`ssmd_*`), ModelSpec 1.0.1 (`modelspec.*`). Paths and whole data sets
(`ss_dataset_dirs`, `ss_datasets`) are never read: they are the trainer's private matter.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from registry.formats.plaintext import printable

MAX_JSON = 4 << 20
"""Bytes of tag counts that are parsed; kohya writes one entry a distinct tag, so a real file stays far below."""
MAX_WORDS = 50
MAX_WORD = 120
MAX_TEXT = 500
MAX_LINE = 120

LINES: dict[str, str] = {
    "ss_sd_model_name": "base_file",
    "ss_base_model_version": "base_version",
    "ss_network_module": "module",
    "ss_optimizer": "optimizer",
    "ss_lr_scheduler": "scheduler",
    "ss_mixed_precision": "mixed_precision",
    "ss_output_name": "output_name",
    "modelspec.title": "title",
    "modelspec.author": "author",
    "modelspec.date": "date",
    "modelspec.license": "license",
    "modelspec.architecture": "architecture",
    "modelspec.implementation": "implementation",
    "modelspec.prediction_type": "prediction_type",
    "modelspec.timestep_range": "timestep_range",
    "modelspec.encoder_layer": "encoder_layer",
    "modelspec.preprocessor": "preprocessor",
    "modelspec.tags": "tags",
    "modelspec.merged_from": "merged_from",
    "ssmd_display_name": "shown_as",
    "ssmd_author": "shown_author",
    "ssmd_rating": "rating",
    "ssmd_tags": "shown_tags",
    "ssmd_keywords": "keywords",
    "ssmd_version": "version",
    "ssmd_source": "source",
}
"""Metadata key -> name in the answer, of texts of one line."""

TEXTS: dict[str, str] = {
    "ss_training_comment": "comment",
    "modelspec.description": "description",
    "modelspec.usage_hint": "usage_hint",
    "modelspec.trigger_phrase": "trigger_phrase",
    "ssmd_description": "shown_description",
}
NUMBERS: dict[str, str] = {
    "ss_network_dim": "network_dim",
    "ss_network_alpha": "network_alpha",
    "ss_clip_skip": "clip_skip",
    "ss_epoch": "epochs",
    "ss_num_epochs": "epochs_planned",
    "ss_steps": "steps",
    "ss_max_train_steps": "steps_planned",
    "ss_num_train_images": "images",
    "ss_num_reg_images": "regularization_images",
    "ss_learning_rate": "learning_rate",
    "ss_unet_lr": "unet_learning_rate",
    "ss_text_encoder_lr": "text_encoder_learning_rate",
    "ss_noise_offset": "noise_offset",
    "ss_min_snr_gamma": "min_snr_gamma",
    "ss_seed": "seed",
}
FLAGS: dict[str, str] = {
    "ss_v2": "v2",
    "ss_v_parameterization": "v_parameterization",
    "ss_zero_terminal_snr": "zero_terminal_snr",
    "modelspec.is_negative_embedding": "is_negative_embedding",
}
HASHES: dict[str, str] = {"ss_new_sd_model_hash": "base_sha256", "ss_sd_model_hash": "base_autov1", "ss_new_vae_hash": "vae_sha256"}
ARGUMENTS: dict[str, str] = {"conv_dim": "conv_dim", "conv_alpha": "conv_alpha", "factor": "factor", "dropout": "dropout"}
"""Names inside `ss_network_args` -> names in the answer; `algo`, `preset` and `dora_wd` are texts and taken besides."""

HEX = re.compile(r"[0-9a-fA-F]{8,64}")


def training_of(metadata: dict[str, str]) -> dict[str, Any]:
    """Settings and texts as the trainer states them: plain, bounded, printable; only what is there and makes sense.

    Texts of a line are cut at `MAX_LINE` characters, longer ones at `MAX_TEXT`; numbers that are none are left out.
    """
    found: dict[str, Any] = {}
    for table, limit in ((LINES, MAX_LINE), (TEXTS, MAX_TEXT)):
        found |= {name: printable(text, limit) for key, name in table.items() if (text := _text(metadata, key))}
    found |= {name: number for key, name in NUMBERS.items() if (number := _plain(_number(metadata.get(key)))) is not None}
    found |= {name: True for key, name in FLAGS.items() if metadata.get(key, "")[:5].strip().lower() == "true"}
    found |= {name: metadata[key].lower() for key, name in HASHES.items() if HEX.fullmatch(metadata.get(key, ""))}
    found |= _arguments(_mapping(metadata.get("ss_network_args", "")))
    size = resolution(metadata)
    return found | ({"resolution": size} if size else {})


def _text(metadata: dict[str, str], key: str) -> str:
    """A value without the words that trainers write for nothing."""
    text = " ".join(metadata.get(key, "")[: MAX_TEXT * 4].split())
    return "" if text in {"None", "null", "{}", "[]"} else text


def _arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    """The settings of LyCORIS and of kohya's own networks that change what the file is."""
    found: dict[str, Any] = {
        name: printable(str(value)[:MAX_LINE], 40) for name in ("algo", "preset") if isinstance(value := arguments.get(name), str) and value
    }
    for key, name in ARGUMENTS.items():
        number = _plain(_number(str(arguments.get(key, ""))[:40]))
        found |= {name: number} if number is not None else {}
    return found | ({"dora": True} if str(arguments.get("dora_wd", ""))[:5].lower() == "true" else {})


def resolution(metadata: dict[str, str]) -> str:
    """Such as "1024x1024", from ModelSpec's or kohya's own statement ("1024x1024", "(1024, 1024)", "512"); "" where it is none."""
    for key in ("modelspec.resolution", "ss_resolution"):
        numbers = [int(text) for text in re.findall(r"\d{2,5}", metadata.get(key, "")[:60], re.ASCII)]
        if len(numbers) in (1, 2) and all(16 <= number <= 16384 for number in numbers):
            return f"{numbers[0]}x{numbers[-1]}"
    return ""


def trigger_words(metadata: dict[str, str]) -> list[tuple[str, int]]:
    """Words that the training captions used, most frequent first, with how often; at most `MAX_WORDS`.

    From kohya's `ss_tag_frequency` ({folder: {tag: count}}) and ModelSpec's `modelspec.trigger_phrase` (count 0: stated, not counted).
    """
    counts: Counter[str] = Counter()
    for tags in _mapping(metadata.get("ss_tag_frequency", "")).values():
        if isinstance(tags, dict):
            for tag, count in tags.items():
                word = " ".join(tag.split())
                if word and len(word) <= MAX_WORD and type(count) is int and count > 0:
                    counts[word] += count
    stated = [word.strip() for word in metadata.get("modelspec.trigger_phrase", "")[: MAX_WORD * 10].split(",")]
    found = [(word, 0) for word in dict.fromkeys(stated) if word and len(word) <= MAX_WORD and word not in counts]
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [*found, *ranked][:MAX_WORDS]


def network_size(metadata: dict[str, str]) -> tuple[int | None, float | None]:
    """Rank and alpha as the trainer states them, or None where it does not."""
    dim, alpha = _number(metadata.get("ss_network_dim")), _number(metadata.get("ss_network_alpha"))
    return (int(dim) if dim is not None and dim == int(dim) else None), alpha


def base_names(metadata: dict[str, str]) -> str:
    """All that the metadata says about the model that this one was made from, in lower case, for a search of known names."""
    keys = ("ss_sd_model_name", "modelspec.title", "modelspec.merged_from", "ss_output_name", "modelspec.architecture")
    return " ".join(metadata.get(key, "")[:300] for key in keys).lower()


def _mapping(text: str) -> dict[str, Any]:
    if not text.startswith("{") or len(text) > MAX_JSON:
        return {}
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _number(text: str | None) -> float | None:
    """A positive, finite number of a plausible size, or None."""
    try:
        value = float((text or "")[:40])
    except ValueError:
        return None
    return value if 0 < value < 1e10 else None


def _plain(number: float | None) -> int | float | None:
    return int(number) if number is not None and number == int(number) else number
