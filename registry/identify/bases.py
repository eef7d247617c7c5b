"""Which base model a file belongs to, in Civitai's spellings: a table for each kind, read from the top, first match wins.

Sources: ComfyUI (model_detection.py, supported_models.py), A1111 (sd_models_config.py, Lora/network.py), InvokeAI's config probes and
SwarmUI's T2IModelClassSorter. Where tensors cannot tell (SD 1.4 from 1.5, Pony from SDXL) the family is certain and `base` a suggestion.
"""

from __future__ import annotations

from dataclasses import dataclass

from registry.identify.facts import Condition, Facts, both, either, has, lacks, ndim, says, size, starts

CROSS_1 = "unet.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
CROSS_4 = "unet.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight"
"""First cross-attention: SD 1.x and 2.x attend on the first level, SDXL from the second on. Dimension 1 is the text's width."""
IN = "unet.input_blocks.0.0.weight"
LABELS = "unet.label_emb.0.0.weight"


@dataclass(frozen=True, slots=True)
class Base:
    """A base model: `family` is what the tensors prove, `base` the name that an uploader would most often choose."""

    family: str
    base: str
    when: tuple[Condition, ...]
    note: str = ""


def _sdxl(base: str, *when: Condition) -> Base:
    return Base("SDXL", base, when)


JOINT = has("unet.joint_blocks.0.context_block.attn.qkv.weight")
FLUX = either(
    has("unet.double_blocks.0.img_attn.norm.key_norm.scale"),
    has("single_transformer_blocks.0.attn.norm_k.weight"),
    has("unet.single_transformer_blocks.0.attn.norm_k.weight"),
)
FLUX_2 = "unet.double_stream_modulation_img.lin.weight"
SDXL_TEXT = has("te.1.model.ln_final.weight")

MODELS: tuple[Base, ...] = (
    Base("SVD", "SVD", (starts("unet.input_blocks.1.0.time_stack."),)),
    Base("Flux.2", "Flux.2 D", (size(FLUX_2, 0, 36864),)),
    Base("Flux.2", "Flux.2 Klein 9B", (size(FLUX_2, 0, 24576),)),
    Base("Flux.2", "Flux.2 Klein 4B", (size(FLUX_2, 0, 18432),)),
    Base("Chroma", "Chroma", (either(starts("unet.distilled_guidance_layer."), starts("distilled_guidance_layer.")),)),
    Base(
        "Hunyuan Video",
        "Hunyuan Video",
        (either(starts("unet.txt_in.individual_token_refiner."), starts("txt_in.individual_token_refiner.")),),
    ),
    Base("Flux.1", "Flux.1 D", (FLUX, either(starts("unet.guidance_in."), starts("time_text_embed.guidance_embedder.")))),
    Base("Flux.1", "Flux.1 S", (FLUX, lacks(starts("unet.guidance_in."), "guidance_in"))),
    Base("SD 3.5", "SD 3.5 Large", (JOINT, size("unet.x_embedder.proj.weight", 0, 2432))),
    Base("SD 3.5", "SD 3.5 Medium", (JOINT, has("unet.joint_blocks.0.x_block.attn2.qkv.weight"))),
    Base("SD 3.5", "SD 3.5", (JOINT, has("unet.joint_blocks.0.context_block.attn.ln_q.weight"))),
    Base("SD 3", "SD 3", (JOINT,)),
    Base("SDXL Refiner", "SDXL 1.0", (size(IN, 0, 384), size(LABELS, 1, 2560))),
    _sdxl("Playground v2", has("edm_mean"), has("edm_std")),
    _sdxl(
        "SDXL Distilled",
        size(CROSS_4, 1, 2048),
        lacks(starts("unet.input_blocks.7.1.transformer_blocks.9."), "tenth block on the third level"),
    ),
    _sdxl("SDXL 1.0", size(CROSS_4, 1, 2048), size(LABELS, 1, 2816)),
    _sdxl("SDXL 1.0", SDXL_TEXT),
    Base("SD 2.x unCLIP", "SD 2.1 Unclip", (size(CROSS_1, 1, 1024), size(LABELS, 1, 1536, 2048))),
    Base("SD 2.x", "SD 2.1", (size(CROSS_1, 1, 1024),), "Tensors alone cannot tell SD 2.0 from 2.1, nor the 768 px v-prediction models."),
    Base("SD 1.x", "SD 1.5", (size(CROSS_1, 1, 768), size(IN, 0, 320)), "SD 1.4 and 1.5 have the same layout."),
    Base(
        "SD 1.x",
        "SD 1.5",
        (has(IN), has(CROSS_1), ndim("unet.input_blocks.1.1.proj_in.weight", 4)),
        "SD 1.x layout; its widths are not the standard ones.",
    ),
    Base(
        "SD 2.x",
        "SD 2.1",
        (has(CROSS_1), ndim("unet.input_blocks.1.1.proj_in.weight", 2)),
        "SD 2.x layout; its widths are not the standard ones.",
    ),
    Base("SDXL", "SDXL 1.0", (size("add_embedding.linear_1.weight", 1, 2816),)),
    Base("SD 1.x", "SD 1.5", (size("down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight", 1, 768),)),
    Base("SD 2.x", "SD 2.1", (size("down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight", 1, 1024),)),
    Base("Z-Image", "ZImageTurbo", (has("context_refiner.0.attention.k_norm.weight"), has("layers.0.adaLN_modulation.0.bias"))),
    Base("Lumina", "Lumina", (has("cap_embedder.1.weight"),)),
    Base("Qwen", "Qwen", (has("txt_norm.weight"),)),
    Base("HiDream", "HiDream", (has("caption_projection.0.linear.weight"),)),
    Base("Wan Video", "Wan Video", (either(has("head.modulation"), has("unet.head.modulation")),)),
    Base("AuraFlow", "AuraFlow", (either(has("double_layers.0.attn.w1q.weight"), has("unet.double_layers.0.attn.w1q.weight")),)),
    Base("PixArt", "PixArt a", (has("t_block.1.weight"), starts("csize_embedder."))),
    Base("PixArt", "PixArt E", (has("t_block.1.weight"),)),
    Base("Stable Cascade", "Stable Cascade", (has("clf.1.weight"),)),
)
"""Of a checkpoint or a diffusion model alone."""

DOWN_ENDINGS = (".lora_down.weight", ".lora_A.weight", ".lora_A.default.weight", ".lora.down.weight", ".down.weight", ".hada_w1_b", ".diff")


def width_of(*infixes: str, wanted: tuple[int, ...]) -> Condition:
    """The input width of the first adapted layer whose name contains one of `infixes`: dimension 1 of the factor next to the input."""

    def look(facts: Facts) -> str | None:
        for name in facts.names:
            if any(infix in name for infix in infixes) and (width := _width(facts, name)) is not None:
                return facts.quote(name) if width in wanted else None
        return None

    return look


def _width(facts: Facts, name: str) -> int | None:
    shape = facts.shapes[name]
    if name.endswith(DOWN_ENDINGS) and len(shape) >= 2:
        return shape[1]
    if name.endswith((".lokr_w1", ".lokr_w1_b")) and len(shape) >= 2:
        stem = name.rsplit(".", 1)[0]
        other = facts.shapes.get(f"{stem}.lokr_w2", facts.shapes.get(f"{stem}.lokr_w2_b", ()))
        return shape[1] * other[1] if len(other) >= 2 else None
    return None


def _context(*wanted: int) -> Condition:
    """Width of the text that a LoRA's cross-attention reads."""
    return width_of("attn2_to_k.", "attn2.to_k.", "attn2.processor.to_k_lora.", "attn2_to_v.", "attn2.to_v.", wanted=wanted)


def _text(*wanted: int) -> Condition:
    return width_of("lora_te_text_model_encoder_layers_", "text_encoder.text_model.encoder.layers.", wanted=wanted)


LORAS: tuple[Base, ...] = (
    Base("Flux.2", "Flux.2 D", (width_of("double_blocks_0_img_attn_proj.", "double_blocks.0.img_attn.proj.", wanted=(6144,)),)),
    Base("Flux.1", "Flux.1 D", (either(starts("lora_unet_double_blocks_"), starts("lora_unet_single_blocks_")),)),
    Base(
        "Flux.1",
        "Flux.1 D",
        (either(starts("transformer.single_transformer_blocks."), starts("lora_transformer_single_transformer_blocks_")),),
    ),
    Base("Flux.1", "Flux.1 D", (either(starts("unet.double_blocks."), starts("unet.single_blocks.")),)),
    Base("SD 3", "SD 3", (either(starts("lora_unet_joint_blocks_"), starts("unet.joint_blocks.")),)),
    Base(
        "SD 3",
        "SD 3",
        (starts("transformer.transformer_blocks.0.attn.add_q_proj."), starts("transformer.transformer_blocks.0.ff_context.")),
    ),
    Base("Wan Video", "Wan Video", (either(starts("lora_unet_blocks_0_cross_attn_"), starts("unet.blocks.0.cross_attn.")),)),
    Base("SDXL", "SDXL 1.0", (_context(2048),)),
    Base("SDXL Refiner", "SDXL 1.0", (_context(1280),)),
    Base("SD 2.x", "SD 2.1", (_context(1024),)),
    Base("SD 1.x", "SD 1.5", (_context(768),), "SD 1.4 and 1.5 have the same layout."),
    Base("SDXL", "SDXL 1.0", (either(starts("lora_te2_"), starts("text_encoder_2."), starts("lora_unet_input_blocks_4_1_")),)),
    Base("SD 2.x", "SD 2.1", (either(_text(1024), says("ss_v2", "true")),)),
    Base("SD 1.x", "SD 1.5", (_text(768),), "SD 1.4 and 1.5 have the same layout."),
    Base("SDXL", "SDXL 1.0", (says("ss_base_model_version", "sdxl_"),)),
    Base("SD 2.x", "SD 2.1", (says("ss_base_model_version", "sd_v2"),)),
    Base("SD 1.x", "SD 1.5", (says("ss_base_model_version", "sd_v1"),)),
    Base("Flux.1", "Flux.1 D", (says("ss_base_model_version", "flux1"),)),
    Base("Lumina", "Lumina", (says("ss_base_model_version", "lumina2"),)),
    Base("Chroma", "Chroma", (says("ss_base_model_version", "chroma"),)),
)
"""Of the LoRA family. Flux comes before SDXL, because Flux LoRAs may adapt the same text encoders."""

CONTROL_CROSS = "control.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
CONTROLNETS: tuple[Base, ...] = (
    Base(
        "SDXL",
        "SDXL 1.0",
        (either(starts("control.input_blocks.4.1.transformer_blocks.1."), size("add_embedding.linear_1.weight", 1, 2816)),),
    ),
    Base("SD 1.x", "SD 1.5", (size(CONTROL_CROSS, 1, 768),)),
    Base("SD 2.x", "SD 2.1", (size(CONTROL_CROSS, 1, 1024),)),
    Base("SD 1.x", "SD 1.5", (size("down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight", 1, 768),)),
    Base("SD 2.x", "SD 2.1", (size("down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight", 1, 1024),)),
    Base("SD 3", "SD 3", (has("pos_embed_input.proj.weight"),)),
    Base("Flux.1", "Flux.1 D", (has("controlnet_x_embedder.weight"),)),
    Base("SDXL", "SDXL 1.0", (size("conv_in.weight", 1, 256, 768),)),
    Base("SD 1.x", "SD 1.5", (size("conv_in.weight", 1, 64, 192),)),
)


def _vector_width(*wanted: int) -> Condition:
    def look(facts: Facts) -> str | None:
        name = facts.names[0]
        return facts.quote(name) if facts.shapes[name][-1:] and facts.shapes[name][-1] in wanted else None

    return look


EMBEDDINGS: tuple[Base, ...] = (
    Base("SDXL", "SDXL 1.0", (has("clip_l"), has("clip_g"))),
    Base("SD 1.x", "SD 1.5", (_vector_width(768),)),
    Base("SD 2.x", "SD 2.1", (_vector_width(1024),)),
    Base("SDXL", "SDXL 1.0", (_vector_width(1280),)),
)

VAES: tuple[Base, ...] = (
    Base("SD 3 / Flux.1", "", (size("vae.decoder.conv_in.weight", 1, 16),), "SD 3 and Flux.1 autoencoders have the same layout."),
    Base(
        "SD 1.x / SD 2.x / SDXL", "", (size("vae.decoder.conv_in.weight", 1, 4),), "SD 1.x, 2.x and SDXL autoencoders have the same layout."
    ),
)

HYPERNETWORKS: tuple[Base, ...] = (
    Base("SD 2.x", "SD 2.1", (starts("1024."),)),
    Base("SD 1.x", "SD 1.5", (either(starts("320."), starts("640."), starts("768."), starts("1280.")),)),
)

TABLES: dict[str, tuple[Base, ...]] = {
    "checkpoint": MODELS,
    "unet": MODELS,
    "lora": LORAS,
    "controlnet": CONTROLNETS,
    "embedding": EMBEDDINGS,
    "vae": VAES,
    "hypernetwork": HYPERNETWORKS,
}

VARIANTS: tuple[tuple[str, Condition], ...] = (
    ("inpainting", either(size(IN, 1, 9), size("unet.img_in.weight", 1, 384))),
    ("pix2pix", both(size(IN, 1, 8), lacks(starts("unet.input_blocks.1.0.time_stack."), "time axis"))),
    ("depth", size(IN, 1, 5)),
    ("upscaling", size(IN, 1, 7)),
    (
        "v-prediction",
        either(has("v_pred"), has("edm_vpred.sigma_max"), says("modelspec.prediction_type", "v"), says("ss_v_parameterization", "true")),
    ),
    ("zero terminal SNR", has("ztsnr")),
)
"""What a model does differently, told by the number of its input channels or by marker tensors; several may hold."""

DESCENT: tuple[tuple[str, str], ...] = (("pony", "Pony"), ("noob", "NoobAI"), ("illustrious", "Illustrious"))
"""SDXL fine-tunes that have a name of their own as a base: no tensor tells them, the trainer's metadata may."""
