"""What kind of file this is: one table, read from the top, first match wins. Which base model it belongs to is `bases`.

Rules follow the readers of such files: ComfyUI (model_detection.py, sd.py, weight_adapter/), A1111 (Lora/network.py, textual_inversion.py,
hypernetwork.py), kohya's and lycoris' own key names, spandrel's architecture registry. Names are canonical (`facts.PREFIXES`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from registry.identify.facts import Condition, Facts, either, ends, has, lacks, ndim, size, starts


@dataclass(frozen=True, slots=True)
class Rule:
    """`kind` and `flavour` of a file for which every condition in `when` holds."""

    kind: str
    flavour: str
    when: tuple[Condition, ...]


def any_name(fits: Callable[[str, tuple[int, ...]], bool]) -> Condition:
    """The first tensor, by name, that `fits`: for what no exact name or prefix can say."""

    def look(facts: Facts) -> str | None:
        return next((facts.quote(name) for name in facts.names if fits(name, facts.shapes[name])), None)

    return look


def few_tensors(limit: int) -> Condition:
    """At most `limit` tensors in the file."""
    return lambda facts: f"{len(facts.names)} tensors in all" if len(facts.names) <= limit else None


def _is_hypernetwork_layer(name: str, _shape: tuple[int, ...]) -> bool:
    parts = name.split(".")
    return len(parts) >= 3 and parts[0].isdigit() and parts[1] in {"0", "1"} and parts[2].startswith("linear")


CONV_DOWN = any_name(lambda name, shape: name.endswith((".lora_down.weight", ".lora_A.weight")) and len(shape) == 4 and shape[2] > 1)
"""A 3x3 convolution is factored: LoCon, where a plain LoRA stops at linear layers and 1x1 convolutions."""

LORA_DOWN = either(
    ends("lora_down.weight"),
    ends("lora_A.weight"),
    ends("lora_A.default.weight"),
    ends("lora.down.weight"),
    ends("lora_linear_layer.down.weight"),
    ends("to_q_lora.down.weight"),
)
LOHA = ends("hada_w1_a")
LOKR = either(ends("lokr_w1"), ends("lokr_w1_a"))
VECTORS = any_name(lambda _name, shape: len(shape) in (1, 2) and shape[-1] in (768, 1024, 1280))
"""Widths of the text encoders of SD 1.x, SD 2.x and SDXL's second one."""

UNET = either(starts("unet."), has("down_blocks.0.resnets.0.norm1.weight"), has("single_transformer_blocks.0.attn.norm_k.weight"))
DIT = either(
    has("cap_embedder.1.weight"),
    has("context_refiner.0.attention.k_norm.weight"),
    has("txt_norm.weight"),
    has("caption_projection.0.linear.weight"),
    has("head.modulation"),
    starts("txt_in.individual_token_refiner."),
    has("double_layers.0.attn.w1q.weight"),
    has("t_block.1.weight"),
    has("clf.1.weight"),
)
"""Transformers that are published without a prefix: Lumina 2, Z-Image, Qwen, HiDream, Wan, HunyuanVideo, AuraFlow, PixArt, Cascade."""

KINDS: tuple[Rule, ...] = (
    Rule("hypernetwork", "", (any_name(_is_hypernetwork_layer),)),
    Rule("embedding", "Textual inversion", (has("emb_params"),)),
    Rule("embedding", "Textual inversion (SDXL)", (has("clip_l"), has("clip_g"))),
    Rule("controlnet", "Control-LoRA", (has("lora_controlnet"),)),
    Rule("lora", "DoRA", (ends("dora_scale"),)),
    Rule("lora", "LoHa", (LOHA,)),
    Rule("lora", "LoKr", (LOKR,)),
    Rule("lora", "OFT", (either(ends("oft_blocks"), ends("oft_diag")),)),
    Rule("lora", "LoCon", (LORA_DOWN, either(ends("lora_mid.weight"), CONV_DOWN))),
    Rule("lora", "LoRA", (LORA_DOWN,)),
    Rule("lora", "GLoRA", (ends("a1.weight"), ends("b1.weight"), ends("a2.weight"), ends("b2.weight"))),
    Rule("lora", "IA3", (ends("on_input"),)),
    Rule("lora", "Full difference", (ends("diff"),)),
    Rule("controlnet", "ControlNet", (starts("control.zero_convs."),)),
    Rule("controlnet", "ControlNet (difference)", (has("difference"), starts("control."))),
    Rule("controlnet", "ControlNet (diffusers)", (has("controlnet_cond_embedding.conv_in.weight"),)),
    Rule("controlnet", "ControlNet Union", (has("control_add_embedding.linear_1.bias"),)),
    Rule("controlnet", "ControlNet (transformer)", (has("controlnet_blocks.0.weight"),)),
    Rule("controlnet", "T2I-Adapter", (either(has("body.0.in_conv.weight"), has("adapter.body.0.resnets.0.block1.weight")),)),
    Rule("controlnet", "T2I-Adapter", (ndim("conv_in.weight", 4), has("body.0.block2.weight"))),
    Rule("other", "IP-Adapter", (starts("image_proj."), starts("ip_adapter."))),
    Rule("checkpoint", "", (UNET, either(starts("vae."), starts("te.")))),
    Rule("unet", "", (UNET,)),
    Rule("unet", "", (DIT,)),
    Rule("vae", "", (has("vae.encoder.conv_in.weight"), has("vae.decoder.conv_in.weight"))),
    Rule("vae", "Decoder only", (has("vae.decoder.conv_in.weight"),)),
    Rule("vae", "Diffusers", (has("decoder.up_blocks.0.resnets.0.norm1.weight"),)),
    Rule("vae", "TAESD", (either(has("taesd_decoder.1.weight"), has("decoder.layers.0.weight")),)),
    Rule("vae", "Stable Cascade stage A", (has("vquantizer.codebook.weight"),)),
    Rule("upscaler", "ESRGAN (old names)", (has("model.0.weight"), has("model.1.sub.0.RDB1.conv1.0.weight"))),
    Rule("upscaler", "Real-ESRGAN", (has("conv_first.weight"), has("body.0.rdb1.conv1.weight"))),
    Rule("upscaler", "BSRGAN", (has("RRDB_trunk.0.RDB1.conv1.weight"),)),
    Rule("upscaler", "HAT", (has("relative_position_index_SA"),)),
    Rule("upscaler", "SwinIR", (has("layers.0.residual_group.blocks.0.attn.relative_position_index"),)),
    Rule("upscaler", "DAT", (has("before_RG.1.weight"),)),
    Rule("upscaler", "Compact", (ndim("body.0.weight", 4), ndim("body.1.weight", 1), has("body.2.weight"))),
    Rule("text_encoder", "CLIP-G", (has("text_model.encoder.layers.30.self_attn.k_proj.weight"),)),
    Rule("text_encoder", "CLIP-H", (has("text_model.encoder.layers.22.self_attn.k_proj.weight"),)),
    Rule("text_encoder", "CLIP-L", (has("text_model.encoder.layers.0.self_attn.k_proj.weight"),)),
    Rule("text_encoder", "T5-XXL", (size("encoder.block.23.layer.1.DenseReluDense.wi_1.weight", -1, 4096),)),
    Rule("text_encoder", "T5", (has("encoder.block.0.layer.0.SelfAttention.q.weight"),)),
    Rule("text_encoder", "", (starts("te."), lacks(UNET, "diffusion model"))),
    Rule("embedding", "Textual inversion", (few_tensors(2), VECTORS)),
)
