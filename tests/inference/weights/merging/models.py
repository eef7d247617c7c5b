"""Tiny models of true SD 1.x layout as inputs of merges, and the shortest way to merge files of them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from inference.weights.merging.merge import Given, merge
from inference.weights.merging.outcome import MergeOutcome
from inference.weights.merging.recipe import MergeRecipe, Origin
from registry.formats.safetensors import read_safetensors
from registry.formats.window import Window
from samples.layout import TINY
from tests import tiny

State = dict[str, torch.Tensor]
FIRST = "model.diffusion_model.input_blocks.0.0.weight"


def model(seed: int, dtype: torch.dtype = torch.float32, *, channels: int = 4) -> State:
    """A whole tiny SD 1.x model; `channels`: of its UNet's input (9 inpainting, 8 instruct-pix2pix). Its tensors are not to be changed."""
    return dict(_model(seed, dtype, channels))


@cache
def _model(seed: int, dtype: torch.dtype, channels: int) -> State:
    return tiny.state_dict(replace(TINY, latent_in=channels), dtype=dtype, seed=seed)


@cache
def _bytes_of(seed: int, dtype: torch.dtype, channels: int) -> bytes:
    return save(_model(seed, dtype, channels), {"format": "pt"})


def _saved(state: State, metadata: dict[str, str]) -> bytes:
    """As safetensors writes it; of a model as `model` gave it, what was written before."""
    first = state.get(FIRST)
    if first is not None and metadata == {"format": "pt"}:
        for key in ((seed, first.dtype, first.shape[1]) for seed in (1, 2, 3)):
            known = _model(*key)
            if len(known) == len(state) and all(known.get(name) is tensor for name, tensor in state.items()):
                return _bytes_of(*key)
    return save({name: tensor.contiguous() for name, tensor in state.items()}, metadata)


def given(path: Path, state: State | None = None, *, origin: Origin | None = None, metadata: dict[str, str] | None = None) -> Given:
    """A file as an input, written first where there is a `state`."""
    if state is not None:
        path.write_bytes(_saved(state, metadata or {"format": "pt"}))
    with open(path, "rb") as file:
        directory = read_safetensors(Window(file.fileno()))
    return Given(path, directory, origin or Origin())


def merged(folder: Path, states: dict[str, State], /, **recipe: Any) -> tuple[bytes, MergeOutcome]:
    """The bytes of a merge of these states (role -> state), metadata {"format": "pt"} unless the recipe says otherwise."""
    inputs = {role: given(folder / f"{role}.safetensors", state) for role, state in states.items()}
    outcome = merge(inputs, folder / "out.safetensors", MergeRecipe(**{"metadata": "plain", **recipe}))
    return (folder / "out.safetensors").read_bytes(), outcome
