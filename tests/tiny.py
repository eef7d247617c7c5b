"""Real weight files in small: written by torch and safetensors themselves, in the true key layouts, within a second.

Every builder takes the path to write and returns it; the same arguments give the same bytes.
"""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Callable
from functools import wraps
from math import prod
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import numpy as np
import torch

from samples.build import save_in_order
from samples.layout import TINY, Widths, ema_name, sd1, vae

State = dict[str, torch.Tensor]
P = ParamSpec("P")
KEPT_BYTES = 160 << 20
"""Bytes of files that `once` keeps."""
_kept: dict[str, bytes] = {}


def once(builder: Callable[Concatenate[Path, P], Path]) -> Callable[Concatenate[Path, P], Path]:
    """A builder that writes what it wrote before for the same arguments and name (torch writes a file's name into it)."""

    @wraps(builder)
    def write(path: Path, *args: P.args, **more: P.kwargs) -> Path:
        key = repr((builder.__module__, builder.__name__, path.name, args, sorted(more.items())))
        if key in _kept:
            path.write_bytes(_kept[key])
            return path
        builder(path, *args, **more)
        if sum(map(len, _kept.values())) + path.stat().st_size <= KEPT_BYTES:
            _kept[key] = path.read_bytes()
        return path

    return write


def state_dict(widths: Widths = TINY, *, dtype: torch.dtype = torch.float32, seed: int = 0) -> State:
    """A whole SD 1.x state dict without EMA; `position_ids` is int64 as in published files."""
    dice = np.random.default_rng(seed)
    return {
        name: _tensor(name, shape, dice).to(torch.int64 if name.endswith("position_ids") else dtype) for name, shape in sd1(widths).items()
    }


def _tensor(name: str, shape: tuple[int, ...], dice: np.random.Generator) -> torch.Tensor:
    if name.endswith("position_ids"):
        return torch.arange(77).reshape(shape)
    return torch.from_numpy(dice.standard_normal(shape, dtype=np.float32) * np.float32(0.05))


def with_ema(state: State) -> State:
    """The state dict with the EMA copy of its UNet that ldm training adds; every average differs from its weight."""
    names = ((ema_name(name), tensor) for name, tensor in state.items())
    averages = {name: tensor * 0.5 for name, tensor in names if name is not None}
    return {**state, "model_ema.decay": torch.tensor(0.9999), "model_ema.num_updates": torch.tensor(1000, dtype=torch.int32), **averages}


def optimizer_states(state: State, count: int = 40) -> list[dict[str, Any]]:
    """Adam's memory of the first `count` UNet parameters, as Lightning nests it."""
    names = [name for name in state if name.startswith("model.diffusion_model.")][:count]
    memory = {
        number: {"step": torch.tensor(1000.0), "exp_avg": torch.zeros_like(state[name]), "exp_avg_sq": torch.ones_like(state[name])}
        for number, name in enumerate(names)
    }
    group = {"lr": 1e-5, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01, "amsgrad": False, "params": list(memory)}
    return [{"state": memory, "param_groups": [group]}]


@once
def lightning_checkpoint(
    path: Path,
    *,
    ema: bool = True,
    optimizer: bool = True,
    dtype: torch.dtype = torch.float32,
    widths: Widths = TINY,
    seed: int = 0,
    legacy: bool = False,
) -> Path:
    """A .ckpt as training leaves it: `state_dict` among epoch, callbacks and optimizer states. `legacy`: torch's old, non-zip format."""
    state = state_dict(widths, dtype=dtype, seed=seed)
    root = {
        "epoch": 3,
        "global_step": 1000,
        "pytorch-lightning_version": "1.4.2",
        "state_dict": with_ema(state) if ema else state,
        "callbacks": {},
        "lr_schedulers": [],
    }
    if optimizer:
        root["optimizer_states"] = optimizer_states(state)
    torch.save(root, path, _use_new_zipfile_serialization=not legacy)
    return path


@once
def plain_checkpoint(
    path: Path, *, dtype: torch.dtype = torch.float32, widths: Widths = TINY, seed: int = 0, metadata: dict[str, str] | None = None
) -> Path:
    """Weights only: a bare state dict, pickled, or safetensors when the path's suffix says so."""
    state = state_dict(widths, dtype=dtype, seed=seed)
    if path.suffix == ".safetensors":
        save_in_order(state, path, metadata or {"format": "pt"})
    else:
        torch.save(state, path)
    return path


KOHYA = {
    "ss_network_module": "networks.lora",
    "ss_network_dim": "4",
    "ss_network_alpha": "2.0",
    "ss_base_model_version": "sd_v1",
    "ss_v2": "False",
    "ss_sd_model_name": "v1-5-pruned-emaonly.safetensors",
    "ss_resolution": "(512, 512)",
    "ss_num_train_images": "40",
    "ss_tag_frequency": json.dumps({"10_lantern": {"paper lantern": 40, "night": 12, "warm light": 25}}),
}
"""The metadata that kohya's trainer leaves, in its own spelling: every value a string."""


def lora_state(*, rank: int = 4, width: int = 320, context: int = 768, dtype: torch.dtype = torch.float16, seed: int = 1) -> State:
    """A kohya LoRA of the cross-attention of one UNet block and of one text encoder layer."""
    dice = np.random.default_rng(seed)
    unet = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2"
    modules = {f"{unet}_to_{part}": (width, context if part in "kv" else width) for part in "qkv"}
    modules |= {f"lora_te_text_model_encoder_layers_0_self_attn_{part}_proj": (context, context) for part in "qv"}
    state: State = {}
    for name, (out, inp) in modules.items():
        state[f"{name}.lora_down.weight"] = _tensor(name, (rank, inp), dice).to(dtype)
        state[f"{name}.lora_up.weight"] = _tensor(name, (out, rank), dice).to(dtype)
        state[f"{name}.alpha"] = torch.tensor(rank / 2, dtype=dtype)
    return state


def lora_safetensors(path: Path, *, metadata: dict[str, str] | None = None, **shape: Any) -> Path:
    save_in_order(lora_state(**shape), path, KOHYA if metadata is None else metadata)
    return path


def embedding_pt(path: Path, *, width: int = 768, vectors: int = 2, name: str = "lantern-style") -> Path:
    """A textual inversion as A1111 writes it."""
    weights = _tensor(name, (vectors, width), np.random.default_rng(2))
    root = {"string_to_token": {"*": 265}, "string_to_param": {"*": weights}, "name": name, "step": 500}
    torch.save({**root, "sd_checkpoint": None, "sd_checkpoint_name": None}, path)
    return path


def hypernetwork_pt(path: Path, *, widths: tuple[int, ...] = (320, 640)) -> Path:
    """A hypernetwork as A1111 writes it: integer keys, a pair of layer dictionaries behind each."""
    dice = np.random.default_rng(3)

    def layers(width: int) -> State:
        return {
            "linear.0.weight": _tensor("", (width * 2, width), dice),
            "linear.0.bias": torch.zeros(width * 2),
            "linear.1.weight": _tensor("", (width, width * 2), dice),
            "linear.1.bias": torch.zeros(width),
        }

    root: dict[Any, Any] = {width: (layers(width), layers(width)) for width in widths}
    torch.save({**root, "step": 100, "name": "paper", "layer_structure": [1, 2, 1], "activation_func": "relu"}, path)
    return path


@once
def vae_safetensors(path: Path, *, widths: Widths = TINY, dtype: torch.dtype = torch.float32) -> Path:
    """The autoencoder alone, without prefix."""
    dice = np.random.default_rng(4)
    save_in_order({name: _tensor(name, shape, dice).to(dtype) for name, shape in vae("", widths)}, path, {"format": "pt"})
    return path


class _Pickler(pickle.Pickler):
    """Pickles tensors as torch does, and remembers how long each storage is instead of writing it."""

    def __init__(self, out: io.BytesIO) -> None:
        super().__init__(out, protocol=2)
        self.sizes: dict[str, int] = {}

    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, torch.storage.TypedStorage):
            return None
        key = str(len(self.sizes))
        self.sizes[key] = obj._untyped_storage.nbytes()
        return ("storage", torch.FloatStorage, key, "cpu", self.sizes[key] // 4)


def big_checkpoint(path: Path, gib: float, *, seed: int = 0) -> Path:
    """A Lightning-style fp32 .ckpt with EMA of about `gib` GiB, for benches: SD 1.5's names, its widths scaled to fit.

    torch's own archive writer lays it out; only the bytes come from one repeated 16 MiB pattern, so memory stays small.
    """
    shapes = _shapes_for(int(gib * 2**28))
    state = {name: torch.from_numpy(np.zeros(shape, np.float32)) for name, shape in shapes.items()}  # calloc: no page is touched
    pickled = io.BytesIO()
    pickler = _Pickler(pickled)
    pickler.dump({"epoch": 0, "global_step": 1, "state_dict": state})
    pool = np.random.default_rng(seed).standard_normal(4 << 20, dtype=np.float32).tobytes()
    writer = torch._C.PyTorchFileWriter(str(path))
    writer.write_record("data.pkl", pickled.getvalue(), len(pickled.getvalue()))
    writer.write_record("byteorder", "little", 6)
    for key, size in pickler.sizes.items():
        writer.write_record(f"data/{key}", pool * (size // len(pool)) + pool[: size % len(pool)], size)
    writer.write_end_of_file()
    return path


def _shapes_for(numbers: int) -> dict[str, tuple[int, ...]]:
    """SD 1.x with EMA at the largest width that fits, and 16 Mi-element tensors of padding up to `numbers` elements."""
    shapes: dict[str, tuple[int, ...]] = {}
    for unit in range(40, 0, -4):
        widths = Widths((unit * 8, unit * 16, unit * 32, unit * 32), (unit * 3, unit * 6, unit * 12, unit * 12), unit * 19)
        shapes = sd1(widths)
        shapes |= {ema: shape for name, shape in shapes.items() if (ema := ema_name(name)) is not None}
        if sum(map(prod, shapes.values())) <= numbers:
            break
    missing = numbers - sum(map(prod, shapes.values()))
    return shapes | {f"model.padding.{n}": (min(missing - at, 1 << 24),) for n, at in enumerate(range(0, missing, 1 << 24))}


def directory_of(tensors: dict[str, tuple[str, tuple[int, ...]]], metadata: dict[str, str] | None = None) -> Any:
    """A TensorDirectory of names, dtypes and shapes alone, for identification: nothing lies behind it."""
    from registry.formats.directory import Storage, TensorDirectory, TensorEntry, row_major

    rows = tuple(TensorEntry((name,), dtype, shape, 0, 0, row_major(shape)) for name, (dtype, shape) in tensors.items())
    return TensorDirectory("safetensors", (Storage("data", 0, 1 << 40),), rows, metadata or {})


def read_directory(path: Path) -> Any:
    """The TensorDirectory of a file on disk, as the real scanner gives it."""
    from scanner.pickles import scan

    with open(path, "rb") as file:
        directory = scan(file.fileno(), name=path.name).directory
    assert directory is not None, f"the scanner gives no directory for {path.name}"
    return directory
