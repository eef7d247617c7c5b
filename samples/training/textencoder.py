"""CLIP's text encoder at any width, trained on a small table of known words; every other word is a row of zeros.

The table is what training sees; `state_dict_of` gives the file's layout, with all 49,408 rows.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from samples.training.layers import attend

LENGTH = 77
VOCABULARY = 49408


class SelfAttention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = max(1, width // 64)
        self.k_proj, self.v_proj, self.q_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.out_proj(attend(self.q_proj(x), self.k_proj(x), self.v_proj(x), self.heads, mask))


class Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, width * 4), nn.Linear(width * 4, width)

    def forward(self, x: Tensor) -> Tensor:
        h = self.fc1(x)
        return self.fc2(h * torch.sigmoid(1.702 * h))  # CLIP's quick GELU


class Layer(nn.Module):
    """Attention to the words before, and a feed-forward, each behind its norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.self_attn, self.layer_norm1 = SelfAttention(width), nn.LayerNorm(width)
        self.mlp, self.layer_norm2 = Mlp(width), nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x), mask)
        return x + self.mlp(self.layer_norm2(x))


class Embeddings(nn.Module):
    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(rows, width, padding_idx=0)
        self.position_embedding = nn.Embedding(LENGTH, width)
        nn.init.normal_(self.token_embedding.weight, std=0.3)
        nn.init.zeros_(self.token_embedding.weight[0].detach())
        nn.init.normal_(self.position_embedding.weight, std=0.05)


class Stack(nn.Module):
    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Layer(width) for _ in range(layers)])


class TextModel(nn.Module):
    def __init__(self, rows: int, width: int, layers: int) -> None:
        super().__init__()
        self.embeddings = Embeddings(rows, width)
        self.encoder = Stack(width, layers)
        self.final_layer_norm = nn.LayerNorm(width)


class TextEncoder(nn.Module):
    """Rows of the table [B,77] -> contexts [B,77,width]. Row 0 is the unknown word and stays zero."""

    def __init__(self, rows: int, width: int = 64, layers: int = 3) -> None:
        super().__init__()
        self.text_model = TextModel(rows, width, layers)
        self.added: dict[str, list[int]] = {}  # new words, and the rows behind the table's own that stand for them
        self.register_buffer("mask", torch.full((LENGTH, LENGTH), float("-inf")).triu(1), persistent=False)

    def forward(self, rows: Tensor) -> Tensor:
        return self.of_vectors(self.text_model.embeddings.token_embedding(rows))

    def of_vectors(self, vectors: Tensor) -> Tensor:
        """The context of word vectors [B,77,width], to which positions are added here."""
        x = vectors + self.text_model.embeddings.position_embedding.weight
        for layer in self.text_model.encoder.layers:
            x = layer(x, self.mask)
        return self.text_model.final_layer_norm(x)


def expand(state: dict[str, Tensor], ids: list[int]) -> dict[str, Tensor]:
    """The state dict as the file has it: the whole vocabulary, zero but for the known words, and the position numbers."""
    name = "text_model.embeddings.token_embedding.weight"
    table = torch.zeros(VOCABULARY, state[name].shape[1])
    table[torch.tensor(ids)] = state[name][1:]
    return {"text_model.embeddings.position_ids": torch.arange(LENGTH)[None], **state, name: table}


def compact(state: dict[str, Tensor], ids: list[int]) -> dict[str, Tensor]:
    """The way back from `expand`: the table of training."""
    name = "text_model.embeddings.token_embedding.weight"
    rows = torch.cat([torch.zeros(1, state[name].shape[1]), state[name][torch.tensor(ids)].float()])
    return {key: tensor.float() for key, tensor in state.items() if not key.endswith("position_ids")} | {name: rows}
