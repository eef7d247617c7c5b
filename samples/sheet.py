"""Draws a contact sheet of the family from its committed files: `python -m samples.sheet [PNG] [--seed N]`.

It uses the training's own networks, to look at what was trained. The previews that visitors see come from the hub's renderer.
"""

from __future__ import annotations

import argparse
import json
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from safetensors.torch import load_file
from torch import Tensor, nn

from samples.build import HERE
from samples.layout import ema_name
from samples.training import files, words
from samples.training.adapters import Hypernetwork, Lora
from samples.training.autoencoder import Autoencoder
from samples.training.first_stage import WIDTHS
from samples.training.picture import render
from samples.training.second_stage import CONTEXT, UNET
from samples.training.textencoder import TextEncoder, compact
from samples.training.unet import UNet

State = dict[str, Tensor]
UNET_PREFIX, TEXT_PREFIX, VAE_PREFIX = "model.diffusion_model.", "cond_stage_model.transformer.", "first_stage_model."
CELL, LINE, LINES, LEFT = 136, 12, 3, 92


class Model:
    """The three networks of a single-file state dict."""

    def __init__(self, state: State) -> None:
        self.unet, self.text, self.vae = UNet(UNET, CONTEXT), TextEncoder(len(words.known()) + 1), Autoencoder(WIDTHS)
        self.unet.load_state_dict(_part(state, UNET_PREFIX))
        self.text.load_state_dict(compact(_part(state, TEXT_PREFIX), list(words.known())))
        self.vae.load_state_dict(_part(state, VAE_PREFIX))

    def pictures(self, prompts: list[str], **more: Any) -> NDArray[np.uint8]:
        return render(self.unet, self.text, self.vae, prompts, **more)


def _part(state: State, prefix: str) -> State:
    return {name.removeprefix(prefix): tensor.float() for name, tensor in state.items() if name.startswith(prefix)}


def base_state(averaged: bool = True) -> State:
    """The base model, its UNet's averages in place of the weights, as the hub's smaller variant has them."""
    state: State = torch.load(HERE / files.BASE, weights_only=True)["state_dict"]
    plain = {name: tensor for name, tensor in state.items() if not name.startswith("model_ema.")}
    if averaged:
        plain |= {name: state[ema] for name in plain if (ema := ema_name(name)) is not None}
    return plain


def half_and_half(a: State, b: State) -> State:
    """What the hub's weighted sum with multiplier 0.5 gives."""
    return {name: (tensor.float() + b[name].float()) / 2 if tensor.is_floating_point() else tensor for name, tensor in a.items()}


def with_lora(model: Model) -> Model:
    state = load_file(HERE / files.STICKER)
    rank = next(len(tensor) for name, tensor in state.items() if name.endswith("lora_down.weight"))
    alpha = next(float(tensor) for name, tensor in state.items() if name.endswith(".alpha"))
    lora = Lora(model.unet, model.text, rank, alpha)
    for name, layer in [*lora.down.items(), *lora.up.items()]:
        end = "lora_down" if layer is lora.down[name] else "lora_up"
        layer.weight = nn.Parameter(state[f"{name}.{end}.weight"].float())
    return model


def with_hypernetwork(model: Model) -> Model:
    root = torch.load(HERE / files.PRINT, weights_only=True)
    hypernetwork = Hypernetwork(CONTEXT)
    for part, state in zip((hypernetwork.keys, hypernetwork.values), root[CONTEXT], strict=True):
        part.load_state_dict({name.removeprefix("linear."): tensor for name, tensor in state.items()})
    hypernetwork.attach(model.unet)
    return model


def with_word(model: Model) -> Model:
    """The table with the new word's vectors behind it; its word means them."""
    vectors = torch.load(HERE / files.WINTERDAY, weights_only=True)["string_to_param"]["*"]
    old = model.text.text_model.embeddings.token_embedding
    table = nn.Embedding.from_pretrained(torch.cat([old.weight.detach(), vectors]), padding_idx=0)
    model.text.added[files.WORD] = list(range(len(old.weight), len(table.weight)))
    model.text.text_model.embeddings.token_embedding = table
    return model


def with_vae(model: Model) -> Model:
    model.vae.load_state_dict({name: tensor.float() for name, tensor in load_file(HERE / files.CRISP).items()})
    return model


def rows() -> list[tuple[str, Model, list[str]]]:
    """Label, model and prompts of every row of the sheet."""
    told = {entry["name"]: entry["version"]["prompts"] for entry in json.loads((HERE.parent / "samples.json").read_text())}
    base, neon = base_state(), load_file(HERE / files.NEON)
    return [
        ("Paper Shapes", Model(base), told["Paper Shapes"]),
        ("Neon Shapes", Model(neon), told["Neon Shapes"]),
        ("Half Lit", Model(half_and_half(base, neon)), told["Half Lit"]),
        ("no LoRA", Model(base), told["Sticker Sheet"]),
        ("Sticker Sheet", with_lora(Model(base)), told["Sticker Sheet"]),
        ("no embedding", Model(base), told["Winterday"]),
        ("Winterday", with_word(Model(base)), told["Winterday"]),
        ("no hypernet", Model(base), told["Old Print"]),
        ("Old Print", with_hypernetwork(Model(base)), told["Old Print"]),
        ("base's VAE", Model(base), told["Crisp Edges"]),
        ("Crisp Edges", with_vae(Model(base)), told["Crisp Edges"]),
    ]


def sheet(parts: list[tuple[str, Model, list[str]]], seed: int) -> Image.Image:
    """All rows beneath each other, each picture over its prompt."""
    picture = Image.new("RGB", (LEFT + 6 * CELL, len(parts) * (CELL + LINES * LINE)), "white")
    pen = ImageDraw.Draw(picture)
    for row, (label, model, prompts) in enumerate(parts):
        y = row * (CELL + LINES * LINE)
        pen.text((4, y + 58), label, fill="black")
        for column, made in enumerate(model.pictures(prompts, seed=seed)):
            x = LEFT + column * CELL
            picture.paste(Image.fromarray(made), (x, y))
            for line, text in enumerate(_wrapped(prompts[column])):
                pen.text((x, y + 128 + line * LINE), text, fill="black")
    return picture


def _wrapped(prompt: str) -> list[str]:
    return textwrap.wrap(prompt, 22)[:LINES]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("png", nargs="?", type=Path, default=HERE.parents[1] / "docs" / "screens" / "samples.png")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    asked.png.parent.mkdir(parents=True, exist_ok=True)
    sheet(rows(), asked.seed).save(asked.png, optimize=True)


if __name__ == "__main__":
    main()
