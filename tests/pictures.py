"""Renders with pictures for tests of what shows them: rows as a worker leaves them, and flat pictures drawn by Pillow in the store.

Stand-ins for serving and for pages only; what a renderer makes of weights is tested where it renders.
"""

from __future__ import annotations

import hashlib
import io
from functools import lru_cache
from math import prod
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from inference.diffusion.jobs import AddOn
from inference.diffusion.jobs import Shot as Spec
from inference.models import Picture, Purpose, Render, Shot
from registry import storage
from registry.formats.directory import Storage, TensorDirectory, TensorEntry, row_major
from registry.identify.detect import identify
from registry.models import Blob, File, TensorIndex, User, Version
from samples.layout import Widths, sd1
from tests.factories import EntryFactory, FileFactory, VersionFactory
from tests.hub.published import published_entry, published_version

PROMPTS = ("a red circle", "a blue square on white", "three green stars", "a yellow moon at night", "two hearts", "a ring, outlined")
RENDERER = "renderer 1, CPU, torch 2.13.0, diffusers 0.42.1"
BLURHASH = "LEHV6nWB2yk8pyo0adR*.7kCMdnj"
"""Of no picture of ours: computing one for each would take longer than most of the tests that ask for them."""


@lru_cache(64)
def png(colour: tuple[int, int, int], size: tuple[int, int], text: str = "") -> bytes:
    """A PNG with a gradient from `colour`, so that no two are alike, and with `text` as A1111 keeps it."""
    picture = Image.linear_gradient("L").resize(size)
    dark = tuple(part // 3 for part in colour)
    coloured = Image.merge("RGB", [picture.point(lambda v, a=a, b=b: a + (b - a) * v // 255) for a, b in zip(dark, colour, strict=True)])
    info, target = PngInfo(), io.BytesIO()
    if text:
        info.add_text("parameters", text)
    coloured.save(target, "PNG", pnginfo=info, compress_level=1)
    return target.getvalue()


def picture_of(spec: Spec, *, colour: tuple[int, int, int] = (200, 60, 40)) -> Picture:
    """A stored picture of a shot."""
    size = f"Size: {spec.width}x{spec.height}"
    text = f"{spec.prompt}\nSteps: {spec.steps}, Sampler: {spec.sampler}, CFG scale: {spec.cfg_scale}, Seed: {spec.seed}, {size}"
    data = png(colour, (spec.width, spec.height), text)
    sha256 = hashlib.sha256(data).hexdigest()
    known = Picture.objects.filter(sha256=sha256).first()
    if known:
        return known
    picture = Picture.objects.create(
        key=hashlib.sha256(repr(spec).encode() + data).hexdigest(),
        sha256=sha256,
        width=spec.width,
        height=spec.height,
        size_bytes=len(data),
        seed=spec.seed,
        parameters=text,
        meta={"prompt": spec.prompt, "seed": spec.seed, "steps": spec.steps, "cfgScale": spec.cfg_scale, "sampler": spec.sampler},
        renderer=RENDERER,
        blurhash=BLURHASH,
    )
    storage.path_of("media", picture.stored_name).write_bytes(data)
    return picture


def specs(count: int = 6, size: int = 640, **more: Any) -> list[Spec]:
    return [Spec(prompt=PROMPTS[n % len(PROMPTS)], width=size, height=size, seed=100 + n, **more) for n in range(count)]


def rendered(
    file: File, wanted: list[Spec] | None = None, *, done: int | None = None, labels: tuple[str, ...] = (), **fields: Any
) -> Render:
    """A render of `wanted` on a file, of which the first `done` are finished. With `labels` so many shots in turn share a prompt."""
    wanted = specs() if wanted is None else wanted
    done = len(wanted) if done is None else done
    known = {"purpose": Purpose.PREVIEW, "owner": file.version.entry.owner, "state": "made" if done == len(wanted) else "rendering"}
    total = sum(spec.steps for spec in wanted)
    steps = {"steps_total": total, "steps_done": sum(spec.steps for spec in wanted[:done])}
    files = [{"role": "checkpoint", "name": "lantern", "sha256": file.sha256, "size_bytes": file.size_bytes, "autov3": "", "file": file.pk}]
    render = Render.objects.create(version=file.version, file=file, **{**known, **steps, "files": files, **fields})
    each = len(labels) or 1
    for place, spec in enumerate(wanted):
        colour = ((place * 53 + 90) % 256, (place * 97 + 40) % 256, (place * 31 + 120) % 256)
        Shot.objects.create(
            render=render,
            place=place,
            spec=spec.to_json(),
            prompt_number=place // each,
            label=labels[place % each] if labels else "",
            key=hashlib.sha256(f"{file.pk} {spec}".encode()).hexdigest(),
            picture=picture_of(spec, colour=colour) if place < done else None,
        )
    return render


def strengths(prompts: int = 3, size: int = 640) -> list[Spec]:
    """Shots of an add-on (file 1 of its job) at 0, 0.5 and 1 for each prompt."""
    return [
        Spec(prompt=PROMPTS[n], width=size, height=size, seed=100 + n, addons=(AddOn(file=1, strength=strength),) if strength else ())
        for n in range(prompts)
        for strength in (0.0, 0.5, 1.0)
    ]


def published_weights(owner: User, *, kind: str = "checkpoint", **entry: Any) -> File:
    """A ready file in a published version of a public entry, without bytes."""
    return FileFactory(version=published_version(published_entry(owner, kind=kind, **entry)))


def renderable_weights(owner: User, *, kind: str = "checkpoint", **entry: Any) -> File:
    """As `published_weights`, and a scan has told where its tensors lie: an SD 1.x checkpoint, or with kind "lora" one for it. No bytes."""
    shapes = sd1(NARROW)
    if kind == "lora":
        name = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
        shapes = {f"{name}.lora_down.weight": (4, 64), f"{name}.lora_up.weight": (64, 4), f"{name}.alpha": ()}
    rows, start = [], 0
    for tensor, shape in shapes.items():
        rows.append(TensorEntry((tensor,), "F16", shape, 0, start // 2, row_major(shape)))
        start += 2 * prod(shape)
    directory = TensorDirectory("safetensors", (Storage("data", 8, start),), tuple(rows))
    file = published_weights(owner, kind=kind, **entry)
    Blob.objects.filter(pk=file.blob_id).update(detected={**identify(directory).to_json(), "kind": kind}, size_bytes=start)
    TensorIndex.keep(file.blob, directory.to_json())
    return File.objects.select_related("blob", "version__entry__owner").get(pk=file.pk)


NARROW = Widths(unet=(64, 64, 64, 64), vae=(32, 32, 64, 64), clip=64, clip_layers=3)


def drafted_weights(owner: User) -> File:
    version: Version = VersionFactory(entry=EntryFactory(owner=owner))
    return FileFactory(version=version)
