"""Which base model an add-on was made for: LoRAs and their relatives, ControlNets, adapters, embeddings, autoencoders. One table a kind,
of rows that exclude each other. Base models themselves are in `models`.

Adapted modules are asked for by `facts`' names for them ("lora.unet.double_blocks_#_img_attn_qkv"), whose shape is that of the layer.
Sources: kohya's and musubi-tuner's module names, SwarmUI's T2IModelClassSorter, InvokeAI's probes, A1111's Lora/network.py.
"""

from __future__ import annotations

from registry.identify.basis import SAME_14_15, SAME_20_21, SAME_FLUX, SAME_SDXL, Base
from registry.identify.conditions import (
    Condition,
    any_name,
    both,
    claims,
    deep,
    either,
    has,
    lacks,
    ndim,
    once,
    reaches,
    silent,
    size,
    starts,
    width,
)

L = "lora.unet."
VERSION = "ss_base_model_version"


def layers(*names: str) -> tuple[str, ...]:
    """The names that facts have for these layers of an adapted diffusion model."""
    return tuple(L + name for name in names)


def any_of(*names: str) -> Condition:
    """One of these layers is adapted."""
    return either(*(has(name) for name in layers(*names)))


def _crosses() -> tuple[str, ...]:
    """Cross-attention of UNets, keys before values, by both spellings of its blocks."""
    inner = "transformer_blocks_#_attn2_to_"
    blocks = ("down_blocks_#_attentions_#_", "input_blocks_#_#_", "up_blocks_#_attentions_#_", "output_blocks_#_#_")
    return layers(*(f"{block}{inner}{letter}" for letter in "kv" for block in (*blocks, "mid_block_attentions_#_", "middle_block_#_")))


UNET = starts(*layers("down_blocks_#_attentions_", "down_blocks_#_resnets_", "down_blocks_#_downsamplers_", "up_blocks_#_attentions_",
                      "up_blocks_#_resnets_", "up_blocks_#_upsamplers_", "mid_block_attentions_", "mid_block_resnets_",
                      "input_blocks_", "output_blocks_", "middle_block_"))  # fmt: skip
MOTION = starts(*layers("down_blocks_#_motion_modules_", "up_blocks_#_motion_modules_", "mid_block_motion_modules_"))
TEXT_LAYERS = ("self_attn_q_proj", "self_attn_k_proj", "self_attn_v_proj", "self_attn_out_proj", "mlp_fc1")
ANY_MODEL = starts(L)


def text_width(part: str, *wanted: int) -> Condition:
    """Width of the adapted text encoder `part` ("te", "te1", "te2")."""
    return width((f"lora.{part}.text_model_encoder_layers_#_{layer}" for layer in TEXT_LAYERS), *wanted)


def cross(*wanted: int) -> Condition:
    """Width of the text that the adapted cross-attention reads; none wanted: it is known."""
    return width(_crosses(), *wanted)


SECOND, THIRD = starts("lora.te2."), starts("lora.te3.")
SHAPED_XL = either(deep(3), both(SECOND, lacks(THIRD, "third text encoder")))
"""SD 1.x and 2.x have one transformer in a block and one text encoder; the refiner's four are only believed with its width."""

DOUBLE = starts(*layers("double_blocks_", "single_blocks_", "single_transformer_blocks_"))
AURA = starts(*layers("double_layers_", "single_layers_", "joint_transformer_blocks_"))
HUNYUAN = either(
    starts(*layers("txt_in_individual_token_refiner", "context_embedder_token_refiner", "vision_in_", "byt5_in_")),
    any_of("double_blocks_#_img_mod_linear", "double_blocks_#_txt_mod_linear", "double_blocks_#_img_mlp_fc1", "double_blocks_#_txt_mlp_fc1",
           "double_blocks_#_img_mlp_fc2", "single_blocks_#_modulation_linear"),
    both(reaches(19, *layers(*(f"double_blocks_#_{side}_attn_{part}" for side in ("img", "txt") for part in ("qkv", "proj")))),
         width(layers("double_blocks_#_img_attn_qkv", "double_blocks_#_img_attn_proj"), 3072)),
    both(reaches(38, *layers("single_blocks_#_linear1", "single_blocks_#_linear2")), width(layers("single_blocks_#_linear1"), 3072)),
)  # fmt: skip
"""Flux.1 has 19 double and 38 single blocks, Hunyuan Video 20 and 40, and two more words for the same layers."""

FLUX_HIDDEN = layers(
    "double_blocks_#_img_attn_qkv", "double_blocks_#_img_attn_proj", "double_blocks_#_txt_attn_qkv", "double_blocks_#_txt_attn_proj",
    "single_blocks_#_linear1", "double_blocks_#_img_mlp_0", "double_blocks_#_txt_mlp_0", "single_transformer_blocks_#_attn_to_q",
    "single_transformer_blocks_#_attn_to_k", "single_transformer_blocks_#_attn_to_v", "single_transformer_blocks_#_proj_mlp",
    "single_transformer_blocks_#_attn_to_qkv_mlp_proj", "transformer_blocks_#_attn_to_q", "transformer_blocks_#_attn_to_k",
)  # fmt: skip
GATED = either(
    size(f"{L}single_blocks_#_linear1", 0, 27648),
    size(f"{L}single_blocks_#_linear2", 1, 12288),
    size(f"{L}double_blocks_#_img_mlp_0", 0, 18432),
    size(f"{L}double_blocks_#_img_mlp_2", 1, 9216),
    both(any_of("single_transformer_blocks_#_attn_to_qkv_mlp_proj"), width(FLUX_HIDDEN, 3072)),
)
"""Flux.2 gates its MLP: at the same width its layers are 1.5 times (into) and 0.75 times (out of) as large as Flux.1's."""

FLUX_2 = either(width(FLUX_HIDDEN, 4096, 6144), GATED)
CHROMA = either(starts(f"{L}distilled_guidance_layer"), both(claims(VERSION, "chroma"), DOUBLE))
JOINT = starts(*layers("joint_blocks_"))
ADDED = layers(
    *(f"transformer_blocks_#_attn_{name}" for name in ("add_q_proj", "add_k_proj", "add_v_proj", "to_q", "to_k", "to_v", "to_out_#"))
)
SD3_HIDDEN = (*layers("joint_blocks_#_x_block_attn_qkv", "joint_blocks_#_context_block_attn_qkv", "joint_blocks_#_x_block_mlp_fc1",
                      "joint_blocks_#_context_block_mlp_fc1", "joint_blocks_#_x_block_attn_proj"), *ADDED)  # fmt: skip
SD3 = either(JOINT, both(width(ADDED, 1536, 2432), lacks(DOUBLE, "single blocks")))
DUAL = any_of("joint_blocks_#_x_block_attn#_qkv", "transformer_blocks_#_attn2_to_q", "joint_blocks_#_x_block_attn2_qkv")
QWEN = either(
    starts(*layers("transformer_blocks_#_img_mlp_", "transformer_blocks_#_txt_mlp_", "transformer_blocks_#_img_mod_")),
    both(width(ADDED, 3072), reaches(38, *ADDED), lacks(DOUBLE, "single blocks")),
)
FLUX_DOUBLE = both(any_of("transformer_blocks_#_ff_context_net_#_proj", "transformer_blocks_#_norm1_context_linear"), width(ADDED, 3072))
FLUX = either(DOUBLE, FLUX_DOUBLE)

WAN_HIDDEN = layers("blocks_#_cross_attn_k", "blocks_#_cross_attn_q", "blocks_#_self_attn_k", "blocks_#_self_attn_q", "blocks_#_ffn_#",
                    "blocks_#_attn2_to_k", "blocks_#_attn1_to_k", "blocks_#_attn1_to_q")  # fmt: skip
WAN = either(any_of("blocks_#_cross_attn_k", "blocks_#_cross_attn_q", "blocks_#_self_attn_k", "blocks_#_self_attn_q", "blocks_#_ffn_#"),
             any_of("blocks_#_ffn_net_#_proj"))  # fmt: skip
WAN_IMAGE = either(any_of("blocks_#_cross_attn_k_img", "blocks_#_attn2_add_k_proj"), starts(f"{L}img_emb_"))
ANIMA = any_of("blocks_#_self_attn_q_proj", "blocks_#_cross_attn_q_proj", "blocks_#_cross_attn_output_proj", "blocks_#_mlp_layer1")
HIDREAM = starts(*layers("double_stream_blocks_", "single_stream_blocks_"))
LUMINA_HIDDEN = layers("layers_#_attention_qkv", "layers_#_attention_to_q", "layers_#_attention_out", "layers_#_attn_to_q",
                       "layers_#_attn_to_k",
                       "layers_#_feed_forward_w#", "layers_#_attention_to_k", "layers_#_attention_to_v")  # fmt: skip
ATTENDED = layers("transformer_blocks_#_attn1_to_q", "transformer_blocks_#_attn1_to_k", "transformer_blocks_#_attn1_to_v")
CROSSED = any_of("transformer_blocks_#_attn2_to_q", "transformer_blocks_#_attn2_to_k", "transformer_blocks_#_attn2_to_v")
AUDIO = starts(*layers("transformer_blocks_#_audio_attn1_"))
HYDIT = any_of("blocks_#_attn1_Wqkv", "blocks_#_attn2_kv_proj")
CASCADE = either(starts(*layers("down_blocks_#_#_", "up_blocks_#_#_")))
KREA_2 = either(any_of("blocks_#_attn_gate", "blocks_#_mlp_gate"), starts(*layers("text_fusion_", "txtfusion_")))

STRUCTURE: tuple[Base, ...] = (
    Base("SD 1.x", "SD 1.5", (MOTION,), (UNET,), "Moves pictures through AnimateDiff's motion module."),
    Base("SDXL", "SDXL 1.0", (UNET, cross(2048)), (), SAME_SDXL),
    Base("SDXL Refiner", "SDXL 1.0", (UNET, cross(1280))),
    Base("SD 2.x", "SD 2.1", (UNET, cross(1024)), (), SAME_20_21),
    Base("SD 1.x", "SD 1.5", (UNET, cross(768)), (), SAME_14_15),
    Base("SDXL", "SDXL 1.0", (UNET, SHAPED_XL), (cross(),), SAME_SDXL),
    Base("SD 2.x", "SD 2.1", (UNET, text_width("te", 1024)), (cross(), SHAPED_XL), SAME_20_21),
    Base("SD 1.x", "SD 1.5", (UNET, text_width("te", 768)), (cross(), SHAPED_XL), SAME_14_15),
    Base("SDXL", "SDXL 1.0", (SECOND,), (ANY_MODEL, THIRD), SAME_SDXL),
    Base("SD 2.x", "SD 2.1", (text_width("te", 1024),), (ANY_MODEL, SECOND, THIRD), SAME_20_21),
    Base("SD 1.x", "SD 1.5", (text_width("te", 768),), (ANY_MODEL, SECOND, THIRD), SAME_14_15),
    Base("Flux.2", "Flux.2 D", (DOUBLE, width(FLUX_HIDDEN, 6144)), (AURA, HUNYUAN)),
    Base("Flux.2", "Flux.2 Klein 9B", (DOUBLE, width(FLUX_HIDDEN, 4096)), (AURA, HUNYUAN)),
    Base("Flux.2", "Flux.2 Klein 4B", (DOUBLE, GATED), (AURA, HUNYUAN, width(FLUX_HIDDEN, 4096, 6144))),
    Base("Chroma", "Chroma", (CHROMA,), (FLUX_2, HUNYUAN, AURA)),
    Base("Flux.1", "Flux.1 D", (FLUX,), (FLUX_2, HUNYUAN, AURA, CHROMA, QWEN), f"{SAME_FLUX} A LoRA for Chroma or Schnell looks the same."),
    Base("Hunyuan Video", "Hunyuan Video", (HUNYUAN,)),
    Base("SD 3.5", "SD 3.5 Large", (SD3, width(SD3_HIDDEN, 2432))),
    Base("SD 3.5", "SD 3.5 Medium", (SD3, DUAL), (width(SD3_HIDDEN, 2432),)),
    Base("SD 3", "SD 3", (SD3,), (width(SD3_HIDDEN, 2432), DUAL), "SD 3 Medium and SD 3.5 Medium have the same widths."),
    Base("Qwen", "Qwen", (QWEN,), (HUNYUAN, DOUBLE)),
    Base("AuraFlow", "AuraFlow", (AURA,), (HUNYUAN,), "Pony V7 has AuraFlow's layout."),
    Base("Wan Video", "Wan Video 1.3B t2v", (WAN, width(WAN_HIDDEN, 1536)), (ANIMA,)),
    Base("Wan Video", "Wan Video 2.2 TI2V-5B", (WAN, width(WAN_HIDDEN, 3072)), (ANIMA,)),
    Base(
        "Wan Video",
        "Wan Video 14B i2v 720p",
        (WAN, WAN_IMAGE, width(WAN_HIDDEN, 5120)),
        (ANIMA,),
        "The 480p and 720p models have the same layout.",
    ),
    Base("Wan Video", "Wan Video 14B t2v", (WAN, width(WAN_HIDDEN, 5120)), (ANIMA, WAN_IMAGE), "Wan 2.1 and 2.2 have the same layout."),
    Base("Wan Video", "Wan Video", (WAN,), (ANIMA, width(WAN_HIDDEN, 1536, 3072, 5120))),
    Base("Anima", "Anima", (ANIMA,), (), "Cosmos Predict 2, from which Anima comes, has the same layout."),
    Base("HiDream", "HiDream", (HIDREAM,)),
    Base("Lumina", "Lumina", (width(LUMINA_HIDDEN, 2304),)),
    Base("Z-Image", "ZImageTurbo", (width(LUMINA_HIDDEN, 3840),), (), "Z-Image Turbo and Base have the same layout."),
    Base("PixArt", "PixArt E", (width(ATTENDED, 1152), CROSSED), (), "PixArt a and E have the same layers."),
    Base("LTX-Video", "LTXV", (width(ATTENDED, 2048, 4096), CROSSED), (AUDIO,)),
    Base("LTX-Video", "LTXV2", (AUDIO,)),
    Base("CogVideoX", "CogVideoX", (width(ATTENDED, 1920, 3072),), (CROSSED, any_of("transformer_blocks_#_attn1_add_q_proj"))),
    Base("Mochi", "Mochi", (either(any_of("transformer_blocks_#_attn1_add_q_proj"), any_of("blocks_#_attn_qkv_x")),)),
    Base("Hunyuan-DiT", "Hunyuan 1", (HYDIT,)),
    Base("Stable Cascade", "Stable Cascade", (CASCADE,), (UNET,)),
    Base("Krea 2", "Krea 2", (KREA_2,)),
    Base("Ideogram 4", "Ideogram 4.0", (any_of("layers_#_attention_o"), any_of("layers_#_adaln_modulation"))),
)
"""Of the LoRA family, by the layers that they change. Flux LoRAs may change text encoders too: those count where no model is changed."""


def _undecided() -> Condition:
    """No row of `STRUCTURE` holds: then metadata may say what it likes."""
    rows = [both(*row.when, *(lacks(condition, "") for condition in row.unless)) for row in STRUCTURE]
    return lacks(either(*rows), "layer that tells")


UNDECIDED = once("undecided", _undecided())


def _said(family: str, base: str, *versions: str) -> Base:
    """A row for what kohya's `ss_base_model_version` says where nothing else tells."""
    return Base(family, base, (UNDECIDED, claims(VERSION, *versions)))


SD2_FLAG = claims("ss_v2", "true")
CLAIMS: tuple[Base, ...] = (
    _said("SDXL", "SDXL 1.0", "sdxl_"),
    Base("SD 2.x", "SD 2.1", (UNDECIDED, either(claims(VERSION, "sd_v2"), both(SD2_FLAG, silent(VERSION))))),
    Base("SD 1.x", "SD 1.5", (UNDECIDED, claims(VERSION, "sd_v1")), (SD2_FLAG,)),
    _said("SD 3", "SD 3", "sd3", "sd_3"),
    _said("Flux.1", "Flux.1 D", "flux1"),
    _said("Flux.2", "Flux.2 D", "flux2", "flux_2"),
    _said("Chroma", "Chroma", "chroma"),
    _said("Lumina", "Lumina", "lumina"),
    _said("Hunyuan Image", "", "hunyuan-image"),
    _said("Hunyuan Video", "Hunyuan Video", "hunyuan_video", "hunyuan-video", "hunyuanvideo"),
    _said("Wan Video", "Wan Video", "wan"),
    _said("Qwen", "Qwen", "qwen"),
    _said("Z-Image", "ZImageTurbo", "zimage", "z_image", "z-image"),
)
LORAS: tuple[Base, ...] = (*STRUCTURE, *CLAIMS)

C = "control."
C_CROSS_1 = f"{C}input_blocks.1.1.transformer_blocks.0.attn2.to_k."
C_LABELS = f"{C}label_emb.0.0."
EARLY = either(has(f"{C_CROSS_1}weight"), has(f"{C_CROSS_1}down"))
XL_CONTROL = either(
    *(size(f"{C_LABELS}{ending}", 1, 2816) for ending in ("weight", "down")),
    *(size(f"{C}input_blocks.4.1.transformer_blocks.0.attn2.to_k.{ending}", 1, 2048) for ending in ("weight", "down")),
    starts("lllite_unet_input_blocks_4_1_", "lllite_unet_input_blocks_7_1_", "lllite_unet_middle_block_"),
)
FLUX_CONTROL = either(
    has(f"{C}double_blocks.0.img_attn.norm.key_norm.scale"),
    has(f"{C}controlnet_blocks.0.linear.weight"),
    both(has(f"{C}controlnet_x_embedder.weight"), lacks(has(f"{C}txt_norm.weight"), "Qwen's norm")),
)
CONTROLNETS: tuple[Base, ...] = (
    Base("SDXL", "SDXL 1.0", (XL_CONTROL,), (EARLY,), SAME_SDXL),
    Base("SD 1.x", "SD 1.5", (either(size(f"{C_CROSS_1}weight", 1, 768), size(f"{C_CROSS_1}down", 1, 768)),), (), SAME_14_15),
    Base("SD 2.x", "SD 2.1", (either(size(f"{C_CROSS_1}weight", 1, 1024), size(f"{C_CROSS_1}down", 1, 1024)),), (), SAME_20_21),
    Base("SD 3.5", "SD 3.5 Large", (has(f"{C}pos_embed_input.proj.weight"), has(f"{C}transformer_blocks.0.adaLN_modulation.1.bias"))),
    Base("SD 3", "SD 3", (has(f"{C}pos_embed_input.proj.weight"),), (has(f"{C}transformer_blocks.0.adaLN_modulation.1.bias"),)),
    Base("Flux.1", "Flux.1 D", (FLUX_CONTROL,), (), SAME_FLUX),
    Base("Qwen", "Qwen", (either(has(f"{C}txt_norm.weight"), has(f"{C}controlnet_blocks.0.x_rms.weight")),)),
    Base("Hunyuan-DiT", "Hunyuan 1", (has(f"{C}after_proj_list.18.bias"),)),
    Base("Z-Image", "ZImageTurbo", (has(f"{C}control_layers.0.adaLN_modulation.0.weight"),)),
    Base("Anima", "Anima", (starts("lllite_dit_blocks_"),)),
)

CONV_IN, LIGHT_IN = ("conv_in.weight", "adapter.conv_in.weight"), ("body.0.in_conv.weight", "adapter.body.0.in_conv.weight")
XL_IN = either(*(size(name, 1, 256, 768) for name in CONV_IN))
T2I_ADAPTERS: tuple[Base, ...] = (
    Base("SDXL", "SDXL 1.0", (XL_IN,)),
    Base("SD 1.x", "SD 1.5", (either(*(size(name, 1, 64, 192) for name in (*CONV_IN, *LIGHT_IN))),), (XL_IN,)),
)
KEY_IP = tuple(f"ip_adapter.{number}.to_k_ip.weight" for number in range(1, 8))
IP_ADAPTERS: tuple[Base, ...] = (
    Base("SDXL", "SDXL 1.0", (width(KEY_IP, 2048),), (), SAME_SDXL),
    Base("SD 2.x", "SD 2.1", (width(KEY_IP, 1024),), (), SAME_20_21),
    Base("SD 1.x", "SD 1.5", (width(KEY_IP, 768),), (), SAME_14_15),
    Base("Flux.1", "Flux.1 D", (starts("ip_adapter_proj_model."), starts("double_blocks.0.processor.", "unet.double_blocks.0.processor."))),
)
FOURTH_LEVEL = starts("down_blocks.3.motion_modules.")
MOTION_MODULES: tuple[Base, ...] = (
    Base("SD 1.x", "SD 1.5", (starts("down_blocks.0.motion_modules."), FOURTH_LEVEL), (), SAME_14_15),
    Base("SDXL", "SDXL 1.0", (starts("down_blocks.0.motion_modules."),), (FOURTH_LEVEL,), SAME_SDXL),
)


def vectors(*wanted: int) -> Condition:
    """An embedding's vectors have this width."""
    return any_name(lambda _name, shape: shape[-1:] in tuple((number,) for number in wanted))


TWO = both(has("clip_l"), has("clip_g"))
EMBEDDINGS: tuple[Base, ...] = (
    Base("SDXL", "SDXL 1.0", (TWO,), (), SAME_SDXL),
    Base("SDXL", "SDXL 1.0", (vectors(1280),), (TWO, vectors(768, 1024)), SAME_SDXL),
    Base("SD 2.x", "SD 2.1", (vectors(1024),), (TWO, vectors(768, 1280)), SAME_20_21),
    Base("SD 1.x", "SD 1.5", (vectors(768),), (TWO, vectors(1024, 1280)), SAME_14_15),
)

LATENTS, CAUSAL = "vae.decoder.conv_in.weight", "vae.decoder.conv_in.conv.weight"
IMAGES = ndim(LATENTS, 4)
FLUX_2_VAE = has("vae.bn.running_mean")
TEMPORAL = starts(
    "vae.decoder.mid.block_1.time_stack.", "vae.decoder.up.0.block.0.time_stack.", "vae.decoder.mid_block.resnets.0.temporal_res_block."
)
LTX_VAE = has("vae.decoder.up_blocks.0.res_blocks.0.conv1.conv.weight")
WAN_22 = has("vae.decoder.upsamples.0.upsamples.0.residual.2.weight")
WAN_VAE = either(has("vae.decoder.middle.0.residual.0.gamma"), has("vae.decoder.mid_block.resnets.0.norm1.gamma"))
CASCADE_VAE = either(has("vae.vquantizer.codebook.weight"), has("vae.backbone.1.0.block.0.1.num_batches_tracked"))
AUTOENCODERS: tuple[Base, ...] = (
    Base(
        "SD 1.x / SD 2.x / SDXL",
        "",
        (IMAGES, size(LATENTS, 1, 4)),
        (TEMPORAL,),
        "SD 1.x, 2.x and SDXL autoencoders have the same layout.",
    ),
    Base("SVD", "SVD", (TEMPORAL,)),
    Base("SD 3 / Flux.1", "", (IMAGES, size(LATENTS, 1, 16)), (TEMPORAL,), "SD 3 and Flux.1 autoencoders have the same layout."),
    Base("Flux.2", "", (size(LATENTS, 1, 32), FLUX_2_VAE)),
    Base("Hunyuan Image", "", (IMAGES, size(LATENTS, 1, 64))),
    Base("Wan Video", "", (WAN_22,), (), "The autoencoder of Wan 2.2 5B."),
    Base("Wan Video / Qwen", "", (WAN_VAE,), (WAN_22,), "Wan 2.1 and Qwen-Image have the same autoencoder."),
    Base("LTX-Video", "", (LTX_VAE,)),
    Base("Hunyuan Video", "Hunyuan Video", (size(CAUSAL, 1, 16, 32),), (LTX_VAE,)),
    Base("Mochi", "Mochi", (has("vae.decoder.blocks.2.blocks.3.stack.5.weight"),)),
    Base("Stable Cascade", "Stable Cascade", (CASCADE_VAE,)),
)

WIDE = starts("1024.")
HYPERNETWORKS: tuple[Base, ...] = (
    Base("SD 2.x", "SD 2.1", (WIDE,), (starts("768."),), SAME_20_21),
    Base("SD 1.x", "SD 1.5", (starts("320.", "640.", "768.", "1280."),), (WIDE,), SAME_14_15),
)
