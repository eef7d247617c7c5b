"""Honest files of many kinds, written by torch and safetensors themselves, for the scanner to accept. Nothing here is hostile."""

from __future__ import annotations

import argparse
import collections
import io
import pathlib
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from safetensors.torch import save as save_safetensors

from tests.scanner.honest_world import WORLD

X = torch.arange(24.0).reshape(4, 6)
Maker = Callable[[], bytes]


def saved(value: Any, **options: Any) -> bytes:
    out = io.BytesIO()
    torch.save(value, out, **options)
    return out.getvalue()


def old(value: Any, **options: Any) -> bytes:
    return saved(value, _use_new_zipfile_serialization=False, **options)


def callback_class() -> type:
    """A class that pickles as Lightning's ModelCheckpoint, without Lightning."""
    name = "pytorch_lightning.callbacks.model_checkpoint"
    module = sys.modules.get(name) or types.ModuleType(name)
    sys.modules[name] = module
    made = getattr(module, "ModelCheckpoint", None) or type("ModelCheckpoint", (), {"__module__": name})
    module.ModelCheckpoint = made
    for parent in ("pytorch_lightning", "pytorch_lightning.callbacks"):
        sys.modules.setdefault(parent, types.ModuleType(parent))
    assert isinstance(made, type)
    return made


def trained() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    return model, optimizer


def lightning() -> dict[str, Any]:
    model, optimizer = trained()
    return {
        "epoch": 7,
        "global_step": np.int64(1200),
        "pytorch-lightning_version": "1.4.2",
        "state_dict": model.state_dict(),
        "callbacks": {callback_class(): {"monitor": "val/loss", "best_model_score": torch.tensor(0.5), "dirpath": "logs"}},
        "optimizer_states": [optimizer.state_dict()],
        "lr_schedulers": [{"base_lrs": [1e-4], "last_epoch": 7, "_get_lr_called_within_step": False}],
        "hyper_parameters": argparse.Namespace(base_learning_rate=1e-4, tags=["a", "b"]),
    }


def textual_inversion() -> dict[str, Any]:
    """The layout of AUTOMATIC1111: one parameter under "*"."""
    return {
        "string_to_token": {"*": 265},
        "string_to_param": {"*": torch.nn.Parameter(torch.randn(2, 768))},
        "name": "style",
        "step": 500,
        "sd_checkpoint": "7460a6fa",
        "sd_checkpoint_name": "sd-v1-4",
    }


def original_textual_inversion() -> dict[str, Any]:
    """The layout of the paper's code: a token tensor and a ParameterDict."""
    parameters = torch.nn.ParameterDict({"*": torch.nn.Parameter(torch.randn(1, 768))})
    return {"string_to_token": {"*": torch.tensor(265)}, "string_to_param": parameters}


def hypernetwork() -> dict[Any, Any]:
    def layer() -> dict[str, torch.Tensor]:
        return {"linear.0.weight": torch.randn(8, 4), "linear.0.bias": torch.zeros(8)}

    return {320: (layer(), layer()), 640: (layer(), layer()), "step": 100, "name": "hyper", "layer_structure": [1, 2, 1]}


def shared() -> dict[str, torch.Tensor]:
    whole = torch.arange(100.0)
    return {"whole": whole, "part": whole[10:20], "strided": whole[::3], "grid": whole.reshape(10, 10).t(), "again": whole}


def many_types() -> dict[str, torch.Tensor]:
    names = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool uint16 uint32 uint64 complex64"
    eights = "float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz"
    return {name: X.to(getattr(torch, name)) for name in f"{names} {eights}".split()}


def metadata_and_attributes() -> dict[str, Any]:
    parameter = torch.nn.Parameter(X.clone())
    parameter.note = "kept"  # type: ignore[attr-defined]
    state = torch.nn.Linear(2, 2).state_dict()
    return {"model": state, "parameter": parameter, "buffer": torch.nn.Buffer(X.clone())}


def plain_python() -> dict[str, Any]:
    return {
        "set": {1, 2},
        "frozen": frozenset({"a"}),
        "bytes": b"a\xff",
        "empty": b"",
        "array": bytearray(b"xy"),
        "complex": 1 + 2j,
        "big": 1 << 100,
        "negative": -5,
        "nothing": None,
        "flags": [True, False],
        "float": 0.1,
        "default": collections.defaultdict(list, {"a": [1]}),
        "count": collections.Counter("abca"),
        "ordered": collections.OrderedDict(a=1),
        "tuple key": {(1, "a"): 1, 1.5: 2, None: 3},
        "path": pathlib.PurePosixPath("logs/last.ckpt"),
    }


def torch_constants() -> dict[str, Any]:
    kinds = {"dtype": torch.float16, "device": torch.device("cuda:0"), "size": X.shape, "layout": torch.strided}
    return {**kinds, "type": torch.Tensor, "x": X}


def numpy_values() -> dict[str, Any]:
    return {
        "f": np.float64(1.5),
        "i": np.int32(3),
        "b": np.bool_(True),
        "grid": np.arange(6, dtype=np.float32).reshape(2, 3),
        "s": np.array(["ab"]),
    }


def lora() -> bytes:
    state = {
        "lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight": torch.randn(4, 8, 1, 1).half(),
        "lora_unet_down_blocks_0_attentions_0_proj_in.lora_up.weight": torch.zeros(8, 4, 1, 1).half(),
        "lora_unet_down_blocks_0_attentions_0_proj_in.alpha": torch.tensor(4.0).half(),
    }
    return save_safetensors(state, {"ss_network_dim": "4", "ss_tag_frequency": '{"10_cat": {"cat": 10, "[bracket], comma": 2}}'})


NOT_IN_LEGACY = ("uint16", "uint32", "uint64", "float8")
"""Types that torch 2.13 writes into legacy files but cannot load from them."""

HONEST: dict[str, tuple[str, Maker]] = {
    "state dict": ("a.ckpt", lambda: saved({"a": X, "b": X[0]})),
    "state dict, legacy": ("a.ckpt", lambda: old({"a": X, "b": X[0]})),
    "ordered state dict of a module": ("a.pt", lambda: saved(trained()[0].state_dict())),
    "ordered state dict of a module, legacy": ("a.pth", lambda: old(trained()[0].state_dict())),
    **{
        f"protocol {number}": ("a.bin", lambda number=number: saved(metadata_and_attributes(), pickle_protocol=number))
        for number in (2, 3, 4, 5)
    },
    **{f"protocol {number}, legacy": ("a.bin", lambda number=number: old({"a": X}, pickle_protocol=number)) for number in (2, 3, 4, 5)},
    "many types": ("a.ckpt", lambda: saved(many_types())),
    "many types, legacy": (
        "a.ckpt",
        lambda: old({name: value for name, value in many_types().items() if not name.startswith(NOT_IN_LEGACY)}),
    ),
    "shared storages": ("a.ckpt", lambda: saved(shared())),
    "shared storages, legacy": ("a.ckpt", lambda: old(shared())),
    "lightning": ("last.ckpt", lambda: saved(lightning())),
    "lightning, legacy": ("last.ckpt", lambda: old(lightning())),
    "textual inversion": ("style.pt", lambda: saved(textual_inversion())),
    "textual inversion, original": ("embeddings.pt", lambda: saved(original_textual_inversion())),
    "textual inversion, original, legacy": ("embeddings.bin", lambda: old(original_textual_inversion())),
    "hypernetwork": ("hyper.pt", lambda: saved(hypernetwork())),
    "attributes": ("a.ckpt", lambda: saved(metadata_and_attributes())),
    "plain python": ("a.ckpt", lambda: saved(plain_python())),
    "plain python, protocol 5": ("a.ckpt", lambda: saved(plain_python(), pickle_protocol=5)),
    "torch constants": ("a.ckpt", lambda: saved(torch_constants())),
    "numpy values": ("a.ckpt", lambda: saved(numpy_values())),
    "numpy values, protocol 5": ("a.ckpt", lambda: saved(numpy_values(), pickle_protocol=5)),
    "quantised": ("a.ckpt", lambda: saved({"q": torch.quantize_per_tensor(X, 0.1, 0, torch.qint8)})),
    "quantised by channel": (
        "a.ckpt",
        lambda: saved({"q": torch.quantize_per_channel(X, torch.ones(4), torch.zeros(4, dtype=torch.int64), 0, torch.quint8)}),
    ),
    "sparse": ("a.ckpt", lambda: saved({"coo": X.to_sparse(), "csr": X.to_sparse_csr()})),
    "meta parameter": ("a.ckpt", lambda: saved({"m": torch.nn.Parameter(torch.zeros(3, device="meta")), "x": X})),
    "meta": ("a.ckpt", lambda: saved({"m": torch.zeros(3, device="meta"), "x": X})),
    "conjugated": ("a.ckpt", lambda: saved({"c": X.to(torch.complex64).conj(), "d": X.to(torch.complex128)})),
    "scalars and empty tensors": ("a.ckpt", lambda: saved({"zero": torch.tensor(3.0), "none": torch.empty(0), "flat": torch.empty(0, 4)})),
    "empty dictionary": ("a.ckpt", lambda: saved({})),
    "list of tensors": ("a.pt", lambda: saved([X, [X.half(), (X.int(),)]])),
    "names of all scripts": ("a.ckpt", lambda: saved({"重み": X, "poids é": X, "мир": X, "🙂": X})),
    "lora": ("lora.safetensors", lora),
    "many types, safetensors": ("a.safetensors", lambda: save_safetensors({n: v.contiguous() for n, v in many_types().items()})),
    "empty safetensors": ("a.safetensors", lambda: save_safetensors({})),
    **WORLD,
}
"""title -> (file name, maker of the bytes)"""
