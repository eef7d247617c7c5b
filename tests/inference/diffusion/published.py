"""What the published models' own configurations say (their config.json files), without the values that only training reads."""

from __future__ import annotations

from typing import Any

CROSS, PLAIN = "CrossAttn{}Block2D", "{}Block2D"


def _blocks(word: str, *attends: bool) -> list[str]:
    return [(CROSS if one else PLAIN).format(word) for one in attends]


SD1: dict[str, Any] = {
    "sample_size": 64, "in_channels": 4, "out_channels": 4, "block_out_channels": [320, 640, 1280, 1280], "layers_per_block": 2,
    "attention_head_dim": 8, "cross_attention_dim": 768, "norm_num_groups": 32, "norm_eps": 1e-5, "act_fn": "silu",
    "down_block_types": _blocks("Down", True, True, True, False), "up_block_types": _blocks("Up", False, True, True, True),
}  # fmt: skip
SD2: dict[str, Any] = {**SD1, "attention_head_dim": [5, 10, 20, 20], "cross_attention_dim": 1024, "use_linear_projection": True}
SDXL: dict[str, Any] = {
    "sample_size": 128, "in_channels": 4, "out_channels": 4, "block_out_channels": [320, 640, 1280], "layers_per_block": 2,
    "attention_head_dim": [5, 10, 20], "cross_attention_dim": 2048, "norm_num_groups": 32, "use_linear_projection": True,
    "transformer_layers_per_block": [1, 2, 10], "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
    "down_block_types": _blocks("Down", False, True, True), "up_block_types": _blocks("Up", True, True, False),
}  # fmt: skip
REFINER: dict[str, Any] = {
    **SDXL, "block_out_channels": [384, 768, 1536, 1536], "attention_head_dim": [6, 12, 24, 24], "cross_attention_dim": 1280,
    "transformer_layers_per_block": 4, "projection_class_embeddings_input_dim": 2560,
    "down_block_types": _blocks("Down", False, True, True, False), "up_block_types": _blocks("Up", False, True, True, False),
}  # fmt: skip
UNETS = {
    "sd1": SD1,
    "sd1-inpaint": {**SD1, "in_channels": 9},
    "sd1-pix2pix": {**SD1, "in_channels": 8},
    "sd2-base": SD2,
    "sd2-v": {**SD2, "sample_size": 96},
    "sd2-inpaint": {**SD2, "in_channels": 9},
    "sdxl": SDXL,
    "sdxl-inpaint": {**SDXL, "in_channels": 9},
    "sdxl-refiner": REFINER,
}
"""`upcast_attention` of SD 2.1 is left out: diffusers' scaled-dot-product attention, which is what runs, does not look at it."""

VAE: dict[str, Any] = {
    "in_channels": 3, "out_channels": 3, "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "latent_channels": 4,
    "norm_num_groups": 32, "down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4,
}  # fmt: skip
L: dict[str, Any] = {
    "hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "num_hidden_layers": 12, "hidden_act": "quick_gelu",
    "vocab_size": 49408, "max_position_embeddings": 77, "projection_dim": 768,
}  # fmt: skip
H: dict[str, Any] = {
    **L, "hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 23, "hidden_act": "gelu",
    "projection_dim": 1024,
}  # fmt: skip
G: dict[str, Any] = {
    **L, "hidden_size": 1280, "intermediate_size": 5120, "num_attention_heads": 20, "num_hidden_layers": 32, "hidden_act": "gelu",
    "projection_dim": 1280,
}  # fmt: skip
TEXTS = {"sd1": [L], "sd2": [H], "sdxl": [L, G], "sdxl-refiner": [G]}
"""By the family's name up to its variant. The projection of H is in its configuration and not in the file, and nothing reads it."""
