"""The parts of a model by what is in them: which other files have the same diffusion model, VAE or text encoders, bit for bit.

It compares digests that were taken when the bytes were read; it reads no tensors, and says nothing about parts that are merely alike.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q, QuerySet

from registry import queries
from registry.formats.contents import content_hash
from registry.formats.directory import TensorDirectory
from registry.formats.errors import FormatError
from registry.identify.adapternames import split
from registry.identify.keys import EMA, unwrap
from registry.models import Blob, BlobHash, File, TensorDigests, TensorIndex

log = logging.getLogger(__name__)

PARTS = ("unet", "vae", "te")
PREFIXES: tuple[tuple[str, str], ...] = (
    ("model.diffusion_model.", "unet"),
    ("diffusion_model.", "unet"),
    ("first_stage_model.", "vae"),
    ("vae.", "vae"),
    ("cond_stage_model.", "te"),
    ("conditioner.embedders.", "te"),
    ("text_encoders.", "te"),
)
"""What single-file layouts (ldm, sgm, ComfyUI) put in front of a part's tensors. Stored digests rest on these tables and on what is left
out below: they are this module's own, and whoever changes them has every blob's parts told again.
"""
ALONE: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"input_blocks.0.0.weight", "middle_block.0.in_layers.0.weight", "out.2.weight"}), "unet"),
    (frozenset({"joint_blocks.0.context_block.attn.qkv.weight"}), "unet"),
    (frozenset({"double_blocks.0.img_attn.norm.key_norm.scale"}), "unet"),
    (frozenset({"encoder.conv_in.weight", "decoder.conv_in.weight"}), "vae"),
)
"""Files that hold one part only, without its prefix: names that give it away. A ControlNet has the first two of a UNet, and no output."""
WHOLE = "whole"
"""The part that is all of a file: other bytes, the same tensors."""
LEFT_OUT = (".position_ids", ".logit_scale")
"""Endings of tensors that hold no weight of the part: tools add, drop and convert them, and pictures stay as they are."""
TRAINING_ONLY = ("loss.",)
"""What the training of a VAE leaves behind in it: files of the same VAE have it or not."""
ADAPTED = frozenset({"down", "up", "hada_w1_a", "lokr_w1", "lokr_w1_a", "lokr_w2", "oft_blocks", "diff"})
"""Roles of tensors that adapt a model instead of being one: the "unet" of a LoRA is no UNet."""
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Shared:
    """One part of a file: its digest, and other files that have it too: the newest `SHOWN` of `count`."""

    part: str
    digest: str
    files: list[File] = field(default_factory=list)
    count: int = 0


def components(directory: TensorDirectory, digests: Mapping[str, str]) -> dict[str, str]:
    """{"unet": 64 hex digits, "vae": ..., "te": ...}, those parts that the file has: the content hash of the part's own tensors.

    Names count from the part on, so that a VAE is the same alone and inside a checkpoint. Adapters have no parts, and neither has a
    file where `digests` (name -> hex) lacks a tensor of a part.
    """
    try:
        named = unwrap(directory)
    except FormatError:
        return {}
    if any((pair := split(name)) and pair[1] in ADAPTED for name in named.tensors):
        return {}
    alone = next((part for marks, part in ALONE if marks <= named.tensors.keys()), None)
    found: dict[str, list[tuple[str, str, tuple[int, ...], str]]] = {part: [] for part in PARTS}
    for name, entry in named.tensors.items():
        part, inside = _placed(name, alone)
        if part is None:
            continue
        digest = digests.get(".".join(map(str, entry.path)))
        if digest is None:
            return {}
        found[part].append((inside, entry.dtype, entry.shape, digest))
    return {part: content_hash(sorted(rows)) for part, rows in found.items() if rows}


def _placed(name: str, alone: str | None) -> tuple[str | None, str]:
    """The part that a tensor belongs to, and its name inside of the part; (None, name) for what belongs to none or does not count."""
    prefix, part = next(((prefix, part) for prefix, part in PREFIXES if name.startswith(prefix)), ("", alone))
    inside = name[len(prefix) :]
    counts = part is not None and not name.startswith(EMA) and not inside.endswith(LEFT_OUT) and not inside.startswith(TRAINING_ONLY)
    return (part if counts else None), inside


def settle(blob: Blob) -> None:
    """Note the parts of a blob whose digests and tensor directory are both known by now; called by whoever brings the second."""
    row = TensorDigests.objects.filter(blob=blob).first()
    index = TensorIndex.objects.filter(blob=blob).first()
    if row is None or index is None:
        return
    try:
        parts = components(index.directory, row.digests)
    except Exception:  # a file whose parts cannot be told is still a good file
        log.exception("the parts of %s could not be told", blob.sha256)
        return
    TensorDigests.objects.filter(blob=blob).update(**{part: parts.get(part, "") for part in PARTS})


def digested(file: File) -> File | None:
    """The file whose digests speak for this one: itself, or the safetensors twin of a pickle. None where nothing is known."""
    twins = Q(source=file, recipe__keep="all", recipe__precision="keep")
    known = File.objects.filter(Q(pk=file.pk) | twins, blob__tensor_digests__isnull=False).select_related("blob__tensor_digests")
    known = known.defer("blob__tensor_digests__packed")
    return min(known, key=lambda one: (one.pk != file.pk, one.pk), default=None)


def shared_parts(user: Any, file: File, rating_cap: int) -> list[Shared]:
    """The parts of a file that has digests of its own, each with other files that `user` may be led to (`queries.suggested_files`).

    The whole comes first, and only where another file has it. Files of the same version are left out: that they share parts is
    known. Newest first.
    """
    if file.blob is None or not hasattr(file.blob, "tensor_digests"):
        return []
    row = file.blob.tensor_digests
    content = BlobHash.objects.filter(blob=file.blob, kind="TENSORS").values_list("value", flat=True).first()
    twins = Q(blob__hashes__kind="TENSORS", blob__hashes__value=content) if content else Q(pk=None)
    others = queries.suggested_files(user, rating_cap).exclude(version=file.version_id).exclude(blob=file.blob_id)
    parts = [_shared(WHOLE, (content or "").lower(), others.filter(twins))]
    for part in PARTS:
        if digest := getattr(row, part):
            parts.append(_shared(part, digest, others.filter(**{f"blob__tensor_digests__{part}": digest})))
    return [found for found in parts if found.part != WHOLE or found.count]


def _shared(part: str, digest: str, files: QuerySet[File]) -> Shared:
    rows = files.select_related("version__entry__owner").order_by("-id")
    return Shared(part, digest, list(rows[:SHOWN]), files.count())
