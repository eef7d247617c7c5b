"""What can be put onto the finished networks without changing them: a LoRA, a hypernetwork, and vectors for a new word.

Each gives its parameters and, in the layout of the tool that made the format known, its state.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from samples.training.textencoder import TextEncoder
from samples.training.unet import CrossAttention, UNet

PLACES = {
    **{f"input_blocks.{1 + 3 * level + n}.1": f"down_blocks_{level}_attentions_{n}" for level in range(3) for n in range(2)},
    "middle_block.1": "mid_block_attentions_0",
    **{f"output_blocks.{3 * block + n}.1": f"up_blocks_{block}_attentions_{n}" for block in (1, 2, 3) for n in range(3)},
}
"""The UNet's transformers: their names in ldm, and in diffusers, which kohya's trainer uses."""

TEXT = re.compile(r"text_model\.encoder\.layers\.\d+\.(self_attn\.(q|k|v|out)_proj|mlp\.fc[12])$")


def targets(unet: UNet, text: TextEncoder) -> Iterator[tuple[str, nn.Module]]:
    """Layers that kohya's trainer adapts by default, by its names: all linear ones and 1x1 convolutions of transformers."""
    for place, name in PLACES.items():
        for inner, layer in unet.get_submodule(place).named_modules():
            if isinstance(layer, (nn.Linear, nn.Conv2d)):
                yield f"lora_unet_{name}_{inner.replace('.', '_')}", layer
    for name, layer in text.named_modules():
        if TEXT.match(name):
            yield f"lora_te_{name.replace('.', '_')}", layer


class Lora(nn.Module):
    """Low-rank additions to the outputs of a network's layers, there from construction until `remove`."""

    def __init__(self, unet: UNet, text: TextEncoder, rank: int, alpha: float) -> None:
        super().__init__()
        self.alpha, self.scale = alpha, alpha / rank
        self.down, self.up, self.hooks = nn.ModuleDict(), nn.ModuleDict(), []
        for name, layer in targets(unet, text):
            self.down[name], self.up[name] = _factors(layer, rank)
            self.hooks.append(layer.register_forward_hook(self._adding(name)))

    def _adding(self, name: str):
        down, up = self.down[name], self.up[name]
        return lambda layer, inputs, out: out + up(down(inputs[0])) * self.scale

    def remove(self) -> None:
        for hook in self.hooks:
            hook.remove()

    def state(self) -> dict[str, Tensor]:
        """kohya's layout in half precision."""
        state = {}
        for name in self.down:
            state[f"{name}.alpha"] = torch.tensor(self.alpha)
            state[f"{name}.lora_down.weight"] = self.down[name].weight.detach()
            state[f"{name}.lora_up.weight"] = self.up[name].weight.detach()
        return {name: tensor.half().contiguous() for name, tensor in state.items()}


def _factors(layer: nn.Module, rank: int) -> tuple[nn.Module, nn.Module]:
    if isinstance(layer, nn.Conv2d):
        down: nn.Module = nn.Conv2d(layer.in_channels, rank, 1, bias=False)
        up: nn.Module = nn.Conv2d(rank, layer.out_channels, 1, bias=False)
    else:
        assert isinstance(layer, nn.Linear)
        down, up = nn.Linear(layer.in_features, rank, bias=False), nn.Linear(rank, layer.out_features, bias=False)
    nn.init.zeros_(up.weight)
    return down, up


class Hypernetwork(nn.Module):
    """Two small networks that change what all attentions of one context width make their keys and values of."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.keys, self.values = self._layers(), self._layers()

    def _layers(self) -> nn.Sequential:
        """A1111's layer structure [1, 2, 1] with relu between, no output activation; the last layer starts at nothing."""
        layers = nn.Sequential(nn.Linear(self.width, self.width * 2), nn.ReLU(), nn.Linear(self.width * 2, self.width))
        nn.init.normal_(layers[2].weight, std=1e-3)
        nn.init.zeros_(layers[2].bias)
        return layers

    def contexts(self, context: Tensor) -> tuple[Tensor, Tensor]:
        return context + self.keys(context), context + self.values(context)

    def attach(self, unet: UNet, on: bool = True) -> None:
        """Put it into every attention whose context has its width, or take it out."""
        for layer in unet.modules():
            if isinstance(layer, CrossAttention) and layer.to_k.in_features == self.width:
                layer.contexts = self.contexts if on else None

    def state(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The two state dicts, under A1111's names."""
        parts = ({f"linear.{name}": tensor.clone() for name, tensor in part.state_dict().items()} for part in (self.keys, self.values))
        return next(parts), next(parts)


class NewWord(nn.Module):
    """Vectors that stand where a caption has the new word: rows `first..` of a caption mean them."""

    def __init__(self, text: TextEncoder, like: list[int]) -> None:
        super().__init__()
        table = text.text_model.embeddings.token_embedding.weight.detach()
        self.vectors = nn.Parameter(table[torch.tensor(like)].clone())
        self.first = len(table)

    def rows(self) -> list[int]:
        return list(range(self.first, self.first + len(self.vectors)))

    def context(self, text: TextEncoder, rows: Tensor) -> Tensor:
        table = torch.cat([text.text_model.embeddings.token_embedding.weight.detach(), self.vectors])
        return text.of_vectors(table[rows])
