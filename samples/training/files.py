"""Writes the finished family under the layouts that the world knows: ldm's training checkpoint, kohya's LoRA, A1111's `.pt` files.

Numbers come from the trainings' own leftovers in one folder; nothing is trained here.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from samples.build import save_in_order
from samples.layout import ema_name
from samples.training.textencoder import expand
from samples.training.variants import ALPHA, RANK, WORD
from samples.training.words import known

State = dict[str, Tensor]
BASE, NEON, STICKER = "paper-shapes.ckpt", "neon-shapes-fp16.safetensors", "sticker-sheet.safetensors"
WINTERDAY, PRINT, CRISP = f"{WORD}.pt", "old-print.pt", "crisp-edges.vae.safetensors"


def load(folder: Path, name: str) -> Any:
    return torch.load(folder / f"{name}.pt", weights_only=True)


def single_file(unet: State, text: State, vae: State) -> State:
    """A whole Stable Diffusion 1.x state dict, parts in the order that ldm's checkpoints have."""
    parts = (
        ("model.diffusion_model.", unet),
        ("first_stage_model.", vae),
        ("cond_stage_model.transformer.", expand(text, list(known()))),
    )
    return {prefix + name: tensor.contiguous().clone() for prefix, state in parts for name, tensor in state.items()}


def half(state: State) -> State:
    return {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()}


def base(work: Path, path: Path) -> None:
    """The training checkpoint: weights, averages, and what the optimizer remembers of everything but the matrices.

    The matrices' momenta would take another 17 MB and are left out.
    """
    made = load(work, "base")
    state = single_file(made["unet"], made["text"], load(work, "vae"))
    state["model_ema.decay"] = torch.tensor(0.997)
    state["model_ema.num_updates"] = torch.tensor(made["step"], dtype=torch.int32)
    for name, tensor in made["unet_average"].items():
        averaged = ema_name(f"model.diffusion_model.{name}")
        assert averaged is not None
        state[averaged] = tensor.contiguous().clone()
    root = {
        "epoch": made["step"] * made["batch"] // made["pictures"],
        "global_step": made["step"],
        "pytorch-lightning_version": "1.4.2",
        "state_dict": state,
        "callbacks": {},
        "optimizer_states": made["optimizers"][1:],
        "lr_schedulers": [],
    }
    torch.save(root, path)


def neon(work: Path, path: Path) -> None:
    made = load(work, "neon")
    metadata = {
        "format": "pt",
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": "stable-diffusion-v1",
        "modelspec.implementation": "https://github.com/CompVis/stable-diffusion",
        "modelspec.title": "Neon Shapes",
        "modelspec.author": "weighhouse",
        "modelspec.description": "Paper Shapes, trained on to show everything as neon signs at night.",
        "modelspec.license": "CC0-1.0",
        "modelspec.resolution": "128x128",
        "modelspec.prediction_type": "epsilon",
        "modelspec.tags": "shapes, neon, tiny",
    }
    save_in_order(half(single_file(made["unet"], made["text"], load(work, "vae"))), path, metadata)


def sticker(work: Path, path: Path) -> None:
    made = load(work, "sticker")
    facts = made["facts"]
    metadata = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(RANK),
        "ss_network_alpha": str(ALPHA),
        "ss_base_model_version": "sd_v1",
        "ss_v2": "False",
        "ss_sd_model_name": BASE,
        "ss_output_name": Path(STICKER).stem,
        "ss_resolution": "(128, 128)",
        "ss_clip_skip": "None",
        "ss_num_train_images": str(facts["pictures"]),
        "ss_num_batches_per_epoch": str(facts["pictures"] // facts["batch"]),
        "ss_num_epochs": str(round(facts["steps"] * facts["batch"] / facts["pictures"])),
        "ss_max_train_steps": str(facts["steps"]),
        "ss_steps": str(facts["steps"]),
        "ss_batch_size_per_device": str(facts["batch"]),
        "ss_learning_rate": str(facts["rate"]),
        "ss_unet_lr": str(facts["rate"]),
        "ss_text_encoder_lr": str(facts["rate"]),
        "ss_lr_scheduler": "cosine",
        "ss_optimizer": "torch.optim.adamw.AdamW",
        "ss_seed": str(facts["seed"]),
        "ss_mixed_precision": "bf16",
        "ss_training_comment": "Trained by samples/train.py on drawn stickers.",
        "ss_tag_frequency": json.dumps({"1_sticker": facts["tags"]}),
    }
    save_in_order(made["lora"], path, metadata)
    metadata["sshs_model_hash"] = _payload_hash(path)
    save_in_order(made["lora"], path, metadata)


def _payload_hash(path: Path) -> str:
    """SHA-256 of everything behind the header, which kohya's trainer writes into it."""
    raw = path.read_bytes()
    return hashlib.sha256(raw[8 + int.from_bytes(raw[:8], "little") :]).hexdigest()


def winterday(work: Path, path: Path) -> None:
    made = load(work, "word")
    root = {"string_to_token": {"*": 265}, "string_to_param": {"*": made["vectors"]}, "name": WORD, "step": made["steps"]}
    torch.save({**root, "sd_checkpoint": _hash_of(path.parent / BASE)[:10], "sd_checkpoint_name": Path(BASE).stem}, path)


def old_print(work: Path, path: Path) -> None:
    made = load(work, "print")
    root: dict[Any, Any] = {made["layers"][0]["linear.0.weight"].shape[1]: made["layers"]}
    settings = {
        "step": made["steps"],
        "name": Path(PRINT).stem,
        "layer_structure": [1, 2, 1],
        "activation_func": "relu",
        "is_layer_norm": False,
        "weight_initialization": "Normal",
        "use_dropout": False,
        "activate_output": False,
        "last_layer_dropout": False,
        "dropout_structure": [0, 0, 0],
        "optional_info": "Old brown prints.",
    }
    sums = {"sd_checkpoint": _hash_of(path.parent / BASE)[:10], "sd_checkpoint_name": Path(BASE).stem}
    torch.save({**root, **settings, **sums}, path)


def crisp(work: Path, path: Path) -> None:
    save_in_order(half(load(work, "crisp")), path, {"format": "pt"})


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


WRITERS = {BASE: base, NEON: neon, STICKER: sticker, WINTERDAY: winterday, PRINT: old_print, CRISP: crisp}


def write(work: Path, folder: Path) -> list[Path]:
    """Write every file of the family and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, one in WRITERS.items():
        one(work, folder / name)
    return [folder / name for name in WRITERS]
