"""Honest files in the layouts that training programs of the Stable Diffusion world really leave behind. Part of `honest.HONEST`."""

from __future__ import annotations

import collections
import io
import pathlib
import pickle
import random
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from safetensors.torch import save as save_safetensors

from tests.attacks.assemble import items, mapping, name, number, pickled, tensor, text, torch_zip

Maker = Callable[[], bytes]


def saved(value: Any, **options: Any) -> bytes:
    out = io.BytesIO()
    torch.save(value, out, **options)
    return out.getvalue()


def old(value: Any) -> bytes:
    return saved(value, _use_new_zipfile_serialization=False)


def weights(*names: str, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    return {name: torch.randn(4, 3).to(dtype) for name in names}


UNET = ("model.diffusion_model.input_blocks.0.0.weight", "model.diffusion_model.out.2.bias")
REST = ("first_stage_model.encoder.conv_in.weight", "cond_stage_model.transformer.text_model.final_layer_norm.bias")


def with_ema() -> dict[str, Any]:
    state = weights(*UNET, *REST, *(name.replace("model.diffusion_model.", "model_ema.diffusion_model").replace(".", "") for name in UNET))
    return {"state_dict": state | {"model_ema.decay": torch.tensor(0.9999), "model_ema.num_updates": torch.tensor(470000, dtype=torch.int)}}


def eight_bit_optimizer() -> dict[str, Any]:
    """As bitsandbytes' AdamW8bit leaves it: states as bytes, with maps and maxima beside them."""
    state = {
        index: {
            "step": 500,
            "state1": torch.randint(0, 255, (8, 8), dtype=torch.uint8),
            "state2": torch.randint(0, 255, (8, 8), dtype=torch.uint8),
            "qmap1": torch.linspace(-1, 1, 256),
            "absmax1": torch.rand(1),
        }
        for index in range(3)
    }
    groups = [{"lr": 1e-6, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-2, "params": [0, 1, 2], "initial_lr": 1e-6}]
    return {"state": state, "param_groups": groups}


def schedulers() -> dict[str, Any]:
    parameter = torch.nn.Parameter(torch.zeros(3))
    optimizer = torch.optim.SGD([parameter], lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10)
    optimizer.step()
    scheduler.step()
    return {"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict(), "scaler": {"scale": 65536.0, "_growth_tracker": 0}}


def random_states() -> dict[str, Any]:
    """As accelerate and Lightning keep them, so that training goes on where it stopped."""
    return {
        "step": 1000,
        "random_state": random.getstate(),
        "numpy_random_seed": np.random.get_state(),
        "torch_manual_seed": torch.get_rng_state(),
        "torch_cuda_manual_seed": [torch.get_rng_state()],
    }


def callbacks(module: str, *names: str) -> dict[Any, Any]:
    """State under classes that pickle by this name, without the package."""
    found = sys.modules.setdefault(module, types.ModuleType(module))
    for parent in ("lightning", "lightning.pytorch", "lightning.pytorch.callbacks", "pytorch_lightning", "pytorch_lightning.callbacks"):
        sys.modules.setdefault(parent, types.ModuleType(parent))
    for each in names:
        setattr(found, each, getattr(found, each, None) or type(each, (), {"__module__": module}))
    return {getattr(found, each): {"best": torch.tensor(0.1), "wait_count": 0} for each in names}


def renamed(value: Any, before: bytes, after: bytes) -> bytes:
    """A torch zip around a plain pickle in which a module has the name that an older or newer version gave it."""
    raw = pickle.dumps(value, 2)
    assert before in raw
    return torch_zip(raw.replace(before, after), {})


def on_device(location: str, module: str = "torch") -> bytes:
    stored = items(text("storage"), name(module, "FloatStorage"), text("0"), text(location), number(4)) + b"Q"
    return torch_zip(pickled(mapping(weight=tensor(stored))))


def arrays() -> dict[str, Any]:
    grid = np.arange(12).reshape(3, 4)
    kinds = {code: grid.astype(code) for code in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "c8", "c16", "?", "g")}
    shapes = {"fortran": np.asfortranarray(grid), "point": np.array(1.5), "none": np.empty((0, 3)), "big": grid.astype(">f4")}
    return kinds | shapes | {"texts": np.array(["a", "ßß"]), "bytes": np.array([b"abc"]), "dtype": np.dtype("float16")}


def views() -> dict[str, torch.Tensor]:
    x = torch.arange(48.0).reshape(1, 3, 4, 4)
    return {
        "channels last": x.to(memory_format=torch.channels_last),
        "expanded": torch.ones(1, 3).expand(5, 3),
        "step": x.flatten()[5::7],
        "transposed": x[0, 0].t(),
        "point": x[0, 0, 0, 0],
        "strange": torch.as_strided(x, (3, 3), (1, 1), 2),
        "empty": x[:0],
    }


def sparse() -> dict[str, torch.Tensor]:
    x = torch.eye(4)
    return {"csc": x.to_sparse_csc(), "bsr": x.to_sparse_bsr((2, 2)), "bsc": x.to_sparse_bsc((2, 2)), "coalesced": x.to_sparse().coalesce()}


def configured() -> dict[str, Any]:
    options = collections.OrderedDict(name="SRx4", scale=4, path=collections.OrderedDict(root="/x", resume=None), gpu_ids=[0])
    history = collections.defaultdict(list, {"loss": [0.5, 0.25]})
    return {"params_ema": weights("conv_first.weight"), "opt": options, "history": history, "tags": collections.Counter(cat=10)}


KOHYA = {
    "ss_network_module": "networks.lora",
    "ss_network_dim": "32",
    "ss_tag_frequency": '{"10_cat": {"cat": 10}}',
    "modelspec.architecture": "stable-diffusion-v1/lora",
    "modelspec.thumbnail": "data:image/jpeg;base64," + "A" * 20_000,
    "ss_training_comment": "\u732b\u306e\u7d75 \U0001f431",
}

WORLD: dict[str, tuple[str, Maker]] = {
    "diffusers unet": ("diffusion_pytorch_model.bin", lambda: saved(weights("conv_in.weight", "down_blocks.0.x", dtype=torch.float16))),
    "diffusers embedding": ("learned_embeds.bin", lambda: saved({"<cat>": torch.randn(768)})),
    "diffusers lora": ("pytorch_lora_weights.bin", lambda: saved(weights("unet.up.lora.down.weight", dtype=torch.bfloat16))),
    "text encoder": ("pytorch_model.bin", lambda: saved(weights("text_model.embeddings.x") | {"text_model.ids": torch.arange(77)[None]})),
    "checkpoint with ema": ("sd-v1-4-full-ema.ckpt", lambda: saved(with_ema())),
    "checkpoint with ema, legacy": ("sd-v1-4-full-ema.ckpt", lambda: old(with_ema())),
    "dreambooth": ("dream.ckpt", lambda: saved({"state_dict": weights(*UNET, *REST, dtype=torch.float16)})),
    "merged": ("merge.ckpt", lambda: saved({"global_step": 0, "state_dict": weights(*UNET), "sd_merge_recipe": '{"a": 1}'})),
    "kohya lora": ("lora.pt", lambda: saved(weights("lora_te_x.lora_up.weight", dtype=torch.float16) | {"a.alpha": torch.tensor(16.0)})),
    "kohya resume": ("model-000010.ckpt", lambda: saved({"state_dict": weights(*UNET), "epoch": 10, "global_step": 2000})),
    "controlnet": ("control.pth", lambda: saved(weights("control_model.zero_convs.0.0.weight"))),
    "vae": ("kl-f8.vae.pt", lambda: saved({"state_dict": weights("encoder.conv_in.weight", "loss.logvar"), "epoch": np.float64(3.0)})),
    "upscaler": ("4x.pth", lambda: old(configured())),
    "aesthetic embedding": ("fantasy.pt", lambda: saved(torch.randn(1, 768))),
    "sdxl embedding": ("style.pt", lambda: saved({"clip_g": torch.randn(2, 1280), "clip_l": torch.randn(2, 768)})),
    "many embeddings": (
        "more.bin",
        lambda: saved(torch.nn.ParameterDict({f"<{n}>": torch.nn.Parameter(torch.ones(n + 1)) for n in range(3)})),
    ),
    "optimizer of eight bits": ("optimizer.bin", lambda: saved(eight_bit_optimizer())),
    "optimizer and scheduler": ("optimizer.pt", lambda: saved(schedulers())),
    "optimizer and scheduler, legacy": ("optimizer.pt", lambda: old(schedulers())),
    "random states": ("random_states_0.pkl", lambda: saved(random_states())),
    "lightning 2": (
        "last.ckpt",
        lambda: saved(
            {
                "callbacks": callbacks("lightning.pytorch.callbacks.model_checkpoint", "ModelCheckpoint"),
                "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 3}}}},
                "hparams_name": "kwargs",
                "state_dict": weights(*UNET),
            }
        ),
    ),
    "early stopping": (
        "last.ckpt",
        lambda: saved(callbacks("pytorch_lightning.callbacks.early_stopping", "EarlyStopping") | {"state_dict": weights("a")}),
    ),
    "numpy number by its old name": ("a.ckpt", lambda: renamed({"n": np.float32(1)}, b"numpy._core.", b"numpy.core.")),
    "numpy array by its old name": ("a.ckpt", lambda: renamed({"n": np.ones(3)}, b"numpy._core.", b"numpy.core.")),
    "path by its name of python 3.13": (
        "a.ckpt",
        lambda: renamed({"p": pathlib.PurePosixPath("a/b")}, b"cpathlib\n", b"cpathlib._local\n"),
    ),
    "paths": ("a.ckpt", lambda: saved({"p": pathlib.Path("logs/x"), "w": pathlib.PureWindowsPath("C:\\x"), "q": torch.ones(2)})),
    "saved on a graphics card, cuda": ("a.ckpt", lambda: on_device("cuda:0")),
    "saved on a graphics card, cuda, by its old name": ("a.ckpt", lambda: on_device("cuda:1", "torch.cuda")),
    "arrays": ("a.ckpt", lambda: saved(arrays())),
    "arrays, protocol 5": ("a.ckpt", lambda: saved(arrays(), pickle_protocol=5)),
    "views": ("a.ckpt", lambda: saved(views())),
    "views, legacy": ("a.ckpt", lambda: old(views())),
    "sparse of all kinds": ("a.ckpt", lambda: saved(sparse())),
    "quantised to 32 bits": ("a.ckpt", lambda: saved({"q": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint32)})),
    "sets as keys and members": ("a.ckpt", lambda: saved({frozenset({1}): {frozenset({(1, "a")}), "b"}, "x": torch.ones(1)})),
    "many tensors": ("a.ckpt", lambda: saved({f"block.{number}.weight": torch.ones(2) for number in range(1500)})),
    "plain data, bare": ("options.pkl", lambda: pickle.dumps({"a": [1, 2.5, None], "b": ("x", b"y"), "c": {1, 2}}, 4)),
    "plain data, bare, protocol 0": ("options.pkl", lambda: pickle.dumps({"a": [1, 2.5, None, True, 1 << 70], "b": ("x\n\u00e9", -1)}, 0)),
    "kohya safetensors": ("lora.safetensors", lambda: save_safetensors(weights("lora_unet_x.lora_down.weight"), KOHYA)),
    "points, safetensors": ("a.safetensors", lambda: save_safetensors({"alpha": torch.tensor(4.0), "none": torch.empty(0, 3)})),
}
"""title -> (file name, maker of the bytes)"""
