"""`python -m inference.diffusion.compiling`: makes compiled code of a UNet, outside of every lock, from numbers alone.

It is told a configuration (what `families.describe` reads off names and shapes), never a file: weights are drawn by chance, and are no
part of the code. It measures the code beside the UNet itself and writes down from which amount of work on it pays, if at all.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn

from inference.diffusion.compiled import BESIDE, CODE, FACTS, LEAST_ROWS, MOST_ROWS, Compiled, Config, digest

ROWS = 4
"""Of the batch with which code is made and measured: two pictures with guidance."""
ROUNDS = 8
NEVER = None


class _Call(nn.Module):
    """The UNet as it is called, without the part that is added behind (`BESIDE`)."""

    def __init__(self, unet: UNet2DConditionModel) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, latents: Tensor, time: Tensor, context: Tensor, pooled: Tensor | None = None, ids: Tensor | None = None) -> Any:
        added = None if pooled is None else {"text_embeds": pooled, "time_ids": ids}
        return self.unet(latents, time, encoder_hidden_states=context, added_cond_kwargs=added, return_dict=False)[0]


def make(folder: Path, config: Config, dtype: torch.dtype, device: str, size: tuple[int, int], tokens: int) -> dict[str, Any]:
    """Compiles for latents of `size` (height, width) and texts of `tokens`; what was measured, as it is kept beside the code."""
    target = folder / digest(config, dtype, device, size, tokens)
    unet = UNet2DConditionModel(**config).to(device, dtype).eval().requires_grad_(False)
    given = _given(config, dtype, device, size, tokens)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        made = Path(scratch) / "made"
        made.mkdir(mode=0o755)
        _compile(unet, given, Path(scratch) / "unet.pt2", made)
        seconds = {"compile": time.perf_counter() - began, **_measured(unet, made / CODE, given, device)}
        told = {"break_even": break_even(seconds), "rows": ROWS, "seconds": {name: round(one, 5) for name, one in seconds.items()}}
        (made / FACTS).write_text(json.dumps(told))
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)
    return told


def _given(config: Config, dtype: torch.dtype, device: str, size: tuple[int, int], tokens: int) -> tuple[Tensor, ...]:
    """A batch of noise, in the order of `_Call.forward`."""
    drawn: Callable[..., Tensor] = lambda *shape: torch.randn(ROWS, *shape, device=device, dtype=dtype)  # noqa: E731
    given = (drawn(config["in_channels"], *size), torch.tensor(500.0, device=device), drawn(tokens, config["cross_attention_dim"]))
    if config.get("addition_embed_type") != "text_time":
        return given
    numbers = config["addition_time_embed_dim"]
    wide = config["projection_class_embeddings_input_dim"]
    ids = 5 if wide - 5 * numbers == config["cross_attention_dim"] else 6  # a refiner's one encoder gives tokens and text of one width
    return (*given, drawn(wide - ids * numbers), drawn(ids))


def _compile(unet: UNet2DConditionModel, given: tuple[Tensor, ...], package: Path, made: Path) -> None:
    """Leaves the code in `made`. Weights stay outside of it: nothing is folded into constants, whose values would be those drawn here."""
    rows = torch.export.Dim("rows", min=LEAST_ROWS, max=MOST_ROWS)
    shapes = tuple(None if one.dim() == 0 else {0: rows} for one in given)
    bias = dict(unet.named_parameters())[BESIDE]
    kept = bias.data.clone()
    bias.data.zero_()
    program = torch.export.export(_Call(unet), given, dynamic_shapes=shapes, strict=False)
    outside = {"aot_inductor.package_constants_in_so": False, "aot_inductor.use_runtime_constant_folding": False}
    inductor: Any = torch._inductor
    inductor.aoti_compile_and_package(program, package_path=str(package), inductor_configs=outside)
    bias.data.copy_(kept)
    with zipfile.ZipFile(package) as archive:
        for name in archive.namelist():
            if name.endswith((".so", ".cubin")):
                (made / (CODE if name.endswith(".so") else Path(name).name)).write_bytes(archive.read(name))


def _measured(unet: UNet2DConditionModel, code: Path, given: tuple[Tensor, ...], device: str) -> dict[str, float]:
    """Seconds of a call each way, and of mapping the code. Raises RuntimeError where both do not give the same."""
    latents, moment, context, *added = given
    more: dict[str, Any] = {"encoder_hidden_states": context, "return_dict": False}
    more["added_cond_kwargs"] = dict(zip(("text_embeds", "time_ids"), added, strict=False))
    began = time.perf_counter()
    fast = Compiled(code, unet, device)
    mapped = time.perf_counter() - began
    with torch.inference_mode():
        ours, theirs = fast(latents, moment, **more)[0].float(), unet(latents, moment, **more)[0].float()
        worst = float((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1e-6))
        if not worst < (1e-3 if unet.dtype == torch.float32 else 0.05):
            raise RuntimeError(f"the compiled code differs by {worst:.3f} of the largest number")
        ways = {"eager": lambda: unet(latents, moment, **more), "compiled": lambda: fast(latents, moment, **more)}
        return {"map": mapped, **_seconds(ways, device)}


def _seconds(ways: dict[str, Callable[[], object]], device: str) -> dict[str, float]:
    """The quickest of several calls each way, in turns: others work beside."""
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, call in ways.items():
            began = time.perf_counter()
            call()
            if device == "cuda":
                torch.cuda.synchronize()
            taken[way].append(time.perf_counter() - began)
    return {way: min(each) for way, each in taken.items()}


def break_even(seconds: dict[str, float]) -> int | None:
    """Rows of all steps together from which on mapping the code costs less than it saves; None where it saves nothing."""
    saved = (seconds["eager"] - seconds["compiled"]) / ROWS
    return math.ceil(seconds["map"] / saved) if saved > 0 else NEVER


def main(told: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m inference.diffusion.compiling", description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("config", help="JSON: arguments of diffusers' UNet2DConditionModel")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--size", default="64x64", help="of the latents, width x height: an eighth of the picture's")
    parser.add_argument("--tokens", type=int, default=77)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args(told)
    torch.set_num_threads(asked.threads)
    width, height = map(int, asked.size.split("x"))
    made = make(asked.folder, json.loads(asked.config), getattr(torch, asked.dtype), asked.device, (height, width), asked.tokens)
    print(json.dumps(made))
    return 0


if __name__ == "__main__":
    sys.exit(main())
