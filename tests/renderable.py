"""Rows of files that could be rendered, by names and shapes alone, without bytes: for what is asked and planned, not for rendering."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from functools import cache
from typing import Any

from django.utils import timezone

from inference import previews
from inference.models import Picture, Render, RenderWorker, Shot
from registry import lifecycle
from registry.identify.detect import identify
from registry.models import File, TensorIndex, User
from samples.layout import sd1, vae
from tests.diffusion_models import TINY
from tests.factories import BlobFactory, EntryFactory, FileFactory, VersionFactory
from tests.tiny import directory_of

Shapes = dict[str, tuple[int, ...]]
CROSS = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_"


def checkpoint_shapes() -> Shapes:
    return sd1(TINY)


def lora_shapes(width: int = 64) -> Shapes:
    """A LoRA of rank 4 on keys and values of one cross-attention."""
    made: Shapes = {}
    for part in ("k", "v"):
        made |= {f"{CROSS}{part}.lora_down.weight": (4, width), f"{CROSS}{part}.lora_up.weight": (width, 4), f"{CROSS}{part}.alpha": ()}
    return made


def embedding_shapes(width: int = 64) -> Shapes:
    return {"emb_params": (2, width)}


def vae_shapes() -> Shapes:
    return dict(vae("", TINY))


def file_of(owner: User, shapes: Shapes, *, name: str = "", published: bool = True, size_bytes: int = 1000, **more: Any) -> File:
    """A ready safetensors file with these tensors; `more` are columns of its entry, and those of its version as `version={...}`."""
    found, packed = _scanned(tuple(shapes.items()))
    blob = BlobFactory(detected=found, size_bytes=size_bytes)
    TensorIndex.objects.create(blob=blob, packed=packed)
    now = timezone.now() if published else None
    kind = found["kind"] if found["kind"] in ("lora", "embedding", "vae", "hypernetwork") else "checkpoint"
    columns = more.pop("version", {})
    entry = EntryFactory(owner=owner, **{"kind": kind, "live": published, "published_at": now, **more})
    version = VersionFactory(entry=entry, status="published" if published else "draft", published_at=now, **columns)
    return FileFactory(version=version, blob=blob, size_bytes=size_bytes, **({"name": name} if name else {}))


@cache
def _scanned(shapes: tuple[tuple[str, tuple[int, ...]], ...]) -> tuple[dict[str, Any], bytes]:
    """Detection and packed tensor directory of these tensors, as a scan leaves them."""
    directory = directory_of({tensor: ("F16", shape) for tensor, shape in shapes})
    packed = gzip.compress(json.dumps(directory.to_json()).encode(), 1, mtime=0)
    return identify(directory).to_json(), packed


def worker(name: str = "gpu@here", device: str = "cpu", largest: int = 300 * 10**6, age_seconds: int = 0) -> RenderWorker:
    """A render worker that was heard of so many seconds ago."""
    seen = timezone.now() - timedelta(seconds=age_seconds)
    return RenderWorker.objects.create(name=name, device=device, largest_weights=largest, memory_bytes=largest, seen_at=seen)


def planned(file: File) -> Render:
    """The previews of a file's version, which are wanted now."""
    plan = previews.want(file.version)
    assert plan.render is not None, plan.sentence
    return plan.render


def specs(render: Render, number: int | None = None) -> list[dict[str, Any]]:
    """What is wanted of a render, or of one of its prompts."""
    rows = render.shots.filter(prompt_number=number) if number is not None else render.shots.all()
    return list(rows.values_list("spec", flat=True))


def made(render: Render, shots: Any = None) -> Render:
    """As a worker leaves it: every shot (or those) has its picture."""
    for shot in shots if shots is not None else render.shots.all():
        known = {"sha256": shot.key, "width": 128, "height": 128, "size_bytes": 1, "seed": 1, "parameters": "", "renderer": "1"}
        Shot.objects.filter(pk=shot.pk).update(picture=Picture.objects.get_or_create(key=shot.key, defaults=known)[0])
    if shots is None:
        lifecycle.advance(lifecycle.claim(render, "rendering"), "made")
    return render
