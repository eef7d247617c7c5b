"""What a file says of its own training, sorted for people: run, network, pictures, the most frequent tags. All of it is hearsay.

It reads what the scan kept (`Blob.detected`, the tensor directory) and opens nothing. Who may see the file is asked before.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from django.utils.translation import gettext_lazy as _

from hub import triggers
from registry import panel, places
from registry.formats.directory import TensorDirectory
from registry.formats.errors import FormatError
from registry.formats.plaintext import printable
from registry.models import File, Kind

MAX_TEXT, MAX_TAGS = 500, 50
VALUE = "weighhouse.value."
"""Before what an embedding or a hypernetwork held beside its tensors, in the metadata of its safetensors copy."""
OF_VALUES = frozenset({Kind.EMBEDDING, Kind.HYPERNETWORK})
"""Kinds that say it in values beside their tensors instead of in metadata; that takes a look into the directory."""

GROUPS: tuple[tuple[Any, dict[str, Any]], ...] = (
    (
        _("Trained on"),
        {
            "base_file": _("Model file"),
            "base_version": _("Kind of model"),
            "sd_checkpoint_name": _("Model file"),
            "architecture": _("Architecture"),
            "base_sha256": _("SHA-256 of the model"),
            "base_autov1": _("Old short hash of the model"),
            "sd_checkpoint": _("Short hash of the model"),
            "vae_sha256": _("SHA-256 of the VAE"),
        },
    ),
    (
        _("Network"),
        {
            "module": _("Module"),
            "algo": _("Algorithm"),
            "preset": _("Preset"),
            "network_dim": _("Dimension (rank)"),
            "network_alpha": _("Alpha"),
            "conv_dim": _("Dimension of convolutions"),
            "conv_alpha": _("Alpha of convolutions"),
            "factor": _("Factor"),
            "dora": _("Weight decomposition (DoRA)"),
            "layer_structure": _("Layers"),
            "activation_func": _("Activation"),
            "is_layer_norm": _("Layer normalisation"),
            "use_dropout": _("Dropout"),
            "dropout": _("Dropout"),
            "dropout_structure": _("Dropout by layer"),
            "weight_initialization": _("First weights"),
        },
    ),
    (
        _("Run"),
        {
            "steps": _("Steps"),
            "steps_planned": _("Steps planned"),
            "step": _("Steps"),
            "global_step": _("Steps"),
            "epochs": _("Epochs"),
            "epochs_planned": _("Epochs planned"),
            "epoch": _("Epochs"),
            "resolution": _("Resolution"),
            "optimizer": _("Optimiser"),
            "scheduler": _("Schedule of the learning rate"),
            "learning_rate": _("Learning rate"),
            "unet_learning_rate": _("Learning rate of the UNet"),
            "text_encoder_learning_rate": _("Learning rate of the text encoder"),
            "mixed_precision": _("Precision"),
            "noise_offset": _("Noise offset"),
            "min_snr_gamma": _("Min-SNR gamma"),
            "prediction_type": _("Prediction"),
            "v_parameterization": _("Predicts v"),
            "zero_terminal_snr": _("Zero terminal SNR"),
            "clip_skip": _("Clip skip"),
            "seed": _("Seed"),
        },
    ),
    (_("Pictures"), {"images": _("Pictures trained on"), "regularization_images": _("Regularisation pictures")}),
    (
        _("Said of itself"),
        {
            "title": _("Title"),
            "name": _("Name"),
            "output_name": _("Name at its training"),
            "author": _("Author"),
            "date": _("Date"),
            "license": _("Licence"),
            "merged_from": _("Merged from"),
            "usage_hint": _("How to use it"),
            "description": _("Description"),
            "comment": _("Comment"),
            "optional_info": _("Comment"),
        },
    ),
)
"""Heading -> (key of `registry.identify.training`, or of a value in the file, -> its label), in the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One line; `hidden` where the value named a place on somebody's machine."""

    label: Any
    value: str
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag of the captions; `share` is of the most frequent one, in percent, at least 1."""

    word: str
    count: int
    share: int


@dataclass(frozen=True)
class Training:
    """What is shown: `groups` are (heading, facts), none of them empty; `removed` are keys whose values are not for everybody."""

    file: File
    groups: list[tuple[Any, list[Fact]]] = field(default_factory=list)
    tags: list[Tag] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.groups or self.tags)


def of_version(kind: str, files: Iterable[File]) -> Training | None:
    """Of the first of these files that says anything; None where none does. At most one query a file, and for add-ons by value only."""
    for file in files:
        found = of_file(file, look_inside=kind in OF_VALUES)
        if found:
            return found
    return None


def of_file(file: File, *, look_inside: bool) -> Training:
    """`look_inside`: what the file holds beside its tensors is read too, and which of its metadata is not for everybody."""
    detected = places.hide(file.blob.detected) if file.blob else {}
    stated = detected.get("training")
    said: dict[str, Any] = dict(stated) if isinstance(stated, dict) else {}
    directory = _directory(file) if look_inside else None
    removed = [key for key, value in said.items() if value == places.HIDDEN]
    if directory is not None:
        said = {**places.hide(values_of(directory)), **said}
        removed = sorted(key for key, text in directory.metadata.items() if places.names_place(key, text))
    counted = [(word, count) for word, count in triggers.counted([file]) if count][:MAX_TAGS]
    most = counted[0][1] if counted else 1
    tags = [Tag(printable(word, 120), count, max(1, round(100 * count / most))) for word, count in counted]
    return Training(file, _groups(said), tags, [printable(key, 80) for key in removed[:50]])


def values_of(directory: TensorDirectory) -> dict[str, str]:
    """What a file holds beside its tensors, by name, or what its safetensors copy keeps of that; lists in one line."""
    found: dict[str, list[str]] = {}
    for other in directory.others[:2000]:
        if other.path and isinstance(other.path[0], str) and len(other.path) <= 2 and other.kind in {"str", "int", "float", "bool"}:
            found.setdefault(other.path[0], []).append(other.text)
    for key in sorted(directory.metadata, key=_by_number):
        if key.startswith(VALUE):
            found.setdefault(key.removeprefix(VALUE).split(".")[0], []).append(directory.metadata[key])
    found.pop("string_to_token", None)
    return {key: printable(", ".join(values[:50]), MAX_TEXT) for key, values in found.items()}


def _by_number(key: str) -> tuple[str, int]:
    head, _dot, last = key.rpartition(".")
    return (head, int(last)) if last.isdecimal() and len(last) < 9 else (key, 0)


def _directory(file: File) -> TensorDirectory | None:
    try:
        return panel.directory_of(file)
    except (panel.TooMany, FormatError, OSError, BotoCoreError, ClientError):
        return None  # the page says the rest


def _groups(said: Mapping[str, Any]) -> list[tuple[Any, list[Fact]]]:
    shown = []
    for heading, labels in GROUPS:
        facts = [Fact(label, text, said[key] == places.HIDDEN) for key, label in labels.items() if (text := _text(said.get(key)))]
        if facts:
            shown.append((heading, facts))
    return shown


def _text(value: Any) -> str:
    """A value as people read it; "" for what is none, and for a switch that is off."""
    if value is True or value == "True":
        return str(_("yes"))
    if value in (False, None, "False", "None"):
        return ""
    if isinstance(value, int):
        return f"{value:,}" if abs(value) < 10**9 else str(value)
    if isinstance(value, float):
        return f"{value:g}"
    return printable(value, MAX_TEXT) if isinstance(value, str) else printable(json.dumps(value, default=str), MAX_TEXT)
