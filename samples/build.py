"""Builds the sample files, the same bytes every time: `python -m samples.build [FOLDER]`. The weights are constructed, not trained.

Numbers come from numpy's legacy generator, whose stream is frozen, so the files can be made again anywhere.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

from samples.layout import STANDARD, TINY, Shape, ema_name, sd1

State = dict[str, torch.Tensor]
HERE = Path(__file__).resolve().parent / "files"


def constructed(name: str, shape: Shape, dice: np.random.RandomState) -> torch.Tensor:
    """A parameter as a fresh model has it: norms pass values through, biases are zero, matrices are scaled by their inputs."""
    if name.endswith("position_ids"):
        return torch.arange(shape[-1]).reshape(shape)
    if len(shape) == 1:
        return torch.ones(shape) if name.endswith(".weight") else torch.zeros(shape)
    scale = 0.02 if "embedding" in name else float(np.prod(shape[1:])) ** -0.5
    return torch.from_numpy((dice.standard_normal(shape) * scale).astype(np.float32))


def save_in_order(state: State, path: Path, metadata: dict[str, str]) -> None:
    """What `save_file` writes, with the metadata in the order of its keys: the library's own order changes from run to run."""
    blob = save(state)
    end = 8 + int.from_bytes(blob[:8], "little")
    header = {"__metadata__": dict(sorted(metadata.items())), **json.loads(blob[8:end])}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + blob[end:])


def model(seed: int) -> State:
    dice = np.random.RandomState(seed)
    return {name: constructed(name, shape, dice) for name, shape in sd1(TINY).items()}


def training_checkpoint(path: Path) -> None:
    """What ldm training leaves behind: weights, their EMA averages, Adam's memory of the cross-attention layers, and Lightning's books."""
    state = model(seed=15)
    averages = {ema: tensor * 0.98 for name, tensor in state.items() if (ema := ema_name(name)) is not None}
    counters = {"model_ema.decay": torch.tensor(0.9999), "model_ema.num_updates": torch.tensor(1200, dtype=torch.int32)}
    trained = [name for name in state if ".attn2.to_k." in name]
    memory = {
        number: {"step": torch.tensor(1200.0), "exp_avg": state[name] * 1e-3, "exp_avg_sq": (state[name] * 1e-3) ** 2}
        for number, name in enumerate(trained)
    }
    group = {"lr": 1e-5, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01, "amsgrad": False, "params": list(memory)}
    root = {
        "epoch": 4,
        "global_step": 1200,
        "pytorch-lightning_version": "1.4.2",
        "state_dict": {**state, **counters, **averages},
        "callbacks": {},
        "optimizer_states": [{"state": memory, "param_groups": [group]}],
        "lr_schedulers": [],
    }
    torch.save(root, path)


def half_checkpoint(path: Path) -> None:
    """A checkpoint as most people publish it: half precision, safetensors, nothing but the model."""
    half = {name: tensor if tensor.dtype == torch.int64 else tensor.half() for name, tensor in model(seed=128).items()}
    metadata = {
        "format": "pt",
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": "stable-diffusion-v1",
        "modelspec.title": "Tide Pool Tiny",
        "modelspec.description": "Constructed demonstration weights in narrow SD 1.x layout. Not trained.",
    }
    save_in_order(half, path, metadata)


def lora(path: Path, rank: int = 2) -> None:
    """A LoRA in kohya's names, at SD 1.5's real widths, of the keys and values of every cross-attention."""
    dice = np.random.RandomState(77)
    state: State = {}
    for name, (out, width) in _cross_attention():
        down = (dice.standard_normal((rank, width)) * width**-0.5).astype(np.float16)
        up = (dice.standard_normal((out, rank)) * 1e-3).astype(np.float16)
        state[f"{name}.lora_down.weight"] = torch.from_numpy(down)
        state[f"{name}.lora_up.weight"] = torch.from_numpy(up)
        state[f"{name}.alpha"] = torch.tensor(float(rank), dtype=torch.float16)
    metadata = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(rank),
        "ss_network_alpha": f"{rank}.0",
        "ss_base_model_version": "sd_v1",
        "ss_v2": "False",
        "ss_output_name": "ink-wash-demo",
        "ss_training_comment": "Demonstration file: constructed by samples/build.py. Nothing was trained; the tag counts are examples.",
        "ss_tag_frequency": json.dumps({"8_inkwash": {"inkwash": 48, "ink wash painting": 48, "mountains": 17, "mist": 12, "river": 9}}),
    }
    save_in_order(state, path, metadata)


def _cross_attention() -> list[tuple[str, tuple[int, int]]]:
    """kohya's (that is, diffusers') name and the shape of every cross-attention key and value projection of SD 1.5."""
    levels = STANDARD.unet
    places = [(f"down_blocks_{level}_attentions_{n}", levels[level]) for level in range(3) for n in range(2)]
    places += [("mid_block_attentions_0", levels[3])]
    places += [(f"up_blocks_{block}_attentions_{n}", levels[3 - block]) for block in (1, 2, 3) for n in range(3)]
    return [
        (f"lora_unet_{place}_transformer_blocks_0_attn2_to_{part}", (width, STANDARD.clip))
        for place, width in places
        for part in ("k", "v")
    ]


def embedding(path: Path, vectors: int = 4) -> None:
    """A textual inversion as A1111 saves it, four vectors of SD 1.5's width, about as long as those of real words."""
    dice = np.random.RandomState(4)
    weights = torch.from_numpy((dice.standard_normal((vectors, STANDARD.clip)) * 0.013).astype(np.float32))
    root = {"string_to_token": {"*": 265}, "string_to_param": {"*": weights}, "name": "soft-morning", "step": 0}
    torch.save({**root, "sd_checkpoint": None, "sd_checkpoint_name": None}, path)


FILES = {
    "tiny-sd15-ema.ckpt": training_checkpoint,
    "tide-pool-tiny-fp16.safetensors": half_checkpoint,
    "ink-wash-demo.safetensors": lora,
    "soft-morning.pt": embedding,
}


def build(folder: Path = HERE) -> list[Path]:
    """Writes every sample file into `folder` and returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, write in FILES.items():
        write(folder / name)
    return [folder / name for name in FILES]


if __name__ == "__main__":
    for made in build(Path(sys.argv[1])) if len(sys.argv) > 1 else build():
        print(f"{made}  {made.stat().st_size} bytes")
