"""How diffusers renders as its documentation shows it, in a process of its own: `python -m bench.render_peers WAY ORDERS`. Measures itself.

`diffusers`: `StableDiffusionPipeline.from_single_file` with a folder of configurations (so that nothing is fetched), `.to(device)`, the
scheduler of the recipe made from its config, one prompt at a time, each picture saved as PNG. `floor`: the file read into memory and its
numbers brought to the device in the type that is computed with, nothing else. Both print one line of JSON.
"""

from __future__ import annotations

import io
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

from inference.diffusion.families import describe
from registry.formats.safetensors import header_length, read_safetensors
from registry.formats.window import Window


def write_config(checkpoint: Path, folder: Path) -> Path:
    """A diffusers folder without weights for an SD 1.x checkpoint, as `from_single_file(config=...)` takes it."""
    from inference.diffusion.vocabulary import installed

    with checkpoint.open("rb") as file:
        directory = read_safetensors(Window(file))
    found = describe({str(tensor.path[0]): tensor.shape for tensor in directory.tensors})
    (encoder,) = found.text_encoders
    vocabulary, merges = installed()
    parts = {
        "unet": ("diffusers", "UNet2DConditionModel"),
        "vae": ("diffusers", "AutoencoderKL"),
        "text_encoder": ("transformers", "CLIPTextModel"),
        "tokenizer": ("transformers", "CLIPTokenizer"),
        "scheduler": ("diffusers", "PNDMScheduler"),
    }
    none = {key: [None, None] for key in ("safety_checker", "feature_extractor", "image_encoder")}
    clip = {"architectures": ["CLIPTextModel"], "model_type": "clip_text_model", **encoder.for_transformers()}
    _write(folder / "model_index.json", {"_class_name": "StableDiffusionPipeline", "requires_safety_checker": False, **parts, **none})
    _write(folder / "unet" / "config.json", {"_class_name": "UNet2DConditionModel", **found.unet})
    _write(folder / "vae" / "config.json", {"_class_name": "AutoencoderKL", **(found.vae or {})})
    _write(folder / "text_encoder" / "config.json", clip)
    _write(folder / "scheduler" / "scheduler_config.json", {"_class_name": "PNDMScheduler", "skip_prk_steps": True, **found.scheduler})
    marks = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    _write(folder / "tokenizer" / "tokenizer_config.json", {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, **marks})
    _write(folder / "tokenizer" / "special_tokens_map.json", marks)
    _write(folder / "tokenizer" / "vocab.json", vocabulary)
    lines = "".join(f"{first} {second}\n" for first, second in merges)
    (folder / "tokenizer" / "merges.txt").write_text("#version: 0.2\n" + lines)
    return folder


def _write(path: Path, told: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told))


def diffusers(orders: dict[str, Any]) -> dict[str, Any]:
    """The quick start's way. Seconds of the imports, of loading, and of the pictures after one that is not counted."""
    started = time.perf_counter()
    import torch
    from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline

    torch.set_num_threads(orders["threads"])
    imported = time.perf_counter()
    dtype = getattr(torch, orders["dtype"])
    pipe = StableDiffusionPipeline.from_single_file(
        orders["checkpoint"], config=orders["config"], torch_dtype=dtype, local_files_only=True, safety_checker=None
    )
    pipe = pipe.to(orders["device"])
    pipe.set_progress_bar_config(disable=True)
    _wait(orders["device"])
    loaded = time.perf_counter()
    pipe.scheduler = DPMSolverMultistepScheduler.from_config(pipe.scheduler.config, use_karras_sigmas=True)

    def picture(prompt: str, seed: int, steps: int) -> None:
        made = pipe(
            prompt,
            negative_prompt=orders["negative"],
            width=orders["size"],
            height=orders["size"],
            num_inference_steps=steps,
            guidance_scale=orders["cfg"],
            generator=torch.Generator("cpu").manual_seed(seed),
        )
        made.images[0].save(io.BytesIO(), "PNG")

    picture("warm", 0, 2)
    warmed, before = time.perf_counter(), time.process_time()
    for seed, prompt in enumerate(orders["prompts"]):
        picture(prompt, seed, orders["steps"])
    taken = {"pictures": time.perf_counter() - warmed, "cpu": time.process_time() - before}
    return {"start": imported - started, "load": loaded - imported, "first": warmed - loaded, **taken, "peak": _peak()}


def floor(orders: dict[str, Any]) -> dict[str, Any]:
    """Reads all, brings all to the device: what no loader can be faster than, without reading while it copies."""
    import torch

    torch.set_num_threads(orders["threads"])
    torch.zeros(1, device=orders["device"])
    _wait(orders["device"])
    started = time.perf_counter()
    data = bytearray(os.path.getsize(orders["checkpoint"]))
    with open(orders["checkpoint"], "rb", buffering=0) as file:
        view = memoryview(data)
        while view and (got := file.readinto(view)):
            view = view[got:]
    read = time.perf_counter()
    start = 8 + header_length(bytes(data[:8]))
    halves = torch.frombuffer(data, dtype=torch.float16, offset=start, count=(len(data) - start) // 2)
    placed = halves.to(orders["device"], getattr(torch, orders["dtype"]), copy=True)
    _wait(orders["device"])
    assert placed.numel() == halves.numel()
    return {"read": read - started, "copy": time.perf_counter() - read, "peak": _peak()}


def _wait(device: str) -> None:
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    print(json.dumps({"diffusers": diffusers, "floor": floor}[sys.argv[1]](json.loads(sys.argv[2]))))
