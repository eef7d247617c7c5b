"""All other files: ControlNets, adapters, motion modules, autoencoders, text encoders, embeddings, hypernetworks, upscalers, detectors."""

from __future__ import annotations

from collections.abc import Callable

from tests.registry.identify import transformers as T
from tests.registry.identify import unets as N
from tests.registry.identify.case import Case
from tests.registry.identify.cases_loras import FLUX, SD1, SD2, SD3, XL
from tests.registry.identify.cases_models import sd1
from tests.registry.identify.tables import Keys, cast, f16, table


def _part(kind: str, build: Callable[[], Keys], family: str = "", base: str = "", flavour: str = "") -> Case:
    return Case(build, kind, family, base, flavour)


def _control(flavour: str, build: Callable[[], Keys], family: str, base: str) -> Case:
    return _part("controlnet", build, family, base, flavour)


def _diffusers_control(shape: N.Shape) -> Keys:
    extra = table(
        "controlnet_cond_embedding.conv_in 16x3x3x3 b\ncontrolnet_down_blocks.0 320x320x1x1 b\ncontrolnet_mid_block 1280x1280x1x1 b"
    )
    own = N.diffusers(N.unet(shape))
    return {name: info for name, info in own.items() if not name.startswith(("up_blocks.", "conv_norm_out", "conv_out"))} | extra


def _control_lora() -> Keys:
    own = {
        f"{name.removesuffix('.weight')}.{side}": ("F16", (64, dims[1]) if side == "down" else (dims[0], 64))
        for name, dims in N.rows(N.SDXL)
        for side in ("up", "down")
        if name.endswith(("attn2.to_k.weight", "label_emb.0.0.weight")) and name.startswith(("input_blocks.", "label_emb."))
    }
    return {**own, **table("=lora_controlnet 0\ninput_hint_block.0 16x3x3x3 b")}


def _motion(levels: int, length: int = 32) -> Keys:
    rows: dict[str, tuple[int, ...]] = {}
    for level in range(levels):
        stem = f"module.down_blocks.{level}.motion_modules.0.temporal_transformer"
        width = (320, 640, 1280, 1280)[level]
        rows |= {
            f"{stem}.proj_in.weight": (width, width),
            f"{stem}.transformer_blocks.0.attention_blocks.0.pos_encoder.pe": (1, length, width),
        }
    return f16(rows)


PARTS: dict[str, Case] = {
    "ControlNet SD 1": _control("ControlNet", lambda: N.control(N.SD1), *SD1),
    "ControlNet SD 1, no prefix": _control("ControlNet", lambda: N.control(N.SD1, ""), *SD1),
    "ControlNet SD 1, diffusers": _control("ControlNet (diffusers)", lambda: _diffusers_control(N.SD1), *SD1),
    "ControlNet SD 1, whole checkpoint": _control("ControlNet", lambda: {**sd1(), **N.control(N.SD1)}, *SD1),
    "ControlNet SD 1, difference": _control("ControlNet (difference)", lambda: N.control(N.SD1) | f16({"difference": ()}), *SD1),
    "ControlNet SD 2": _control("ControlNet", lambda: N.control(N.SD2), *SD2),
    "ControlNet SDXL": _control("ControlNet", lambda: N.control(N.SDXL), *XL),
    "ControlNet SDXL, diffusers": _control("ControlNet (diffusers)", lambda: _diffusers_control(N.SDXL), *XL),
    "ControlNet Union SDXL": _control(
        "ControlNet Union",
        lambda: _diffusers_control(N.SDXL) | table("control_add_embedding.linear_1 1280x1536 b\n=task_embedding 6x320"),
        *XL,
    ),
    "Control-LoRA SDXL": _control("Control-LoRA", _control_lora, *XL),
    "ControlNet-LLLite SDXL": _control(
        "ControlNet-LLLite", lambda: table("lllite_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q.down.0 64x640"), *XL
    ),
    "ControlNet SD 3": _control(
        "ControlNet (transformer)",
        lambda: T.SD3_DIFFUSERS | table("controlnet_blocks.{12} 1536x1536 b\npos_embed_input.proj 1536x16x2x2 b"),
        *SD3,
    ),
    "ControlNet SD 3.5 Large": _control(
        "ControlNet (transformer)",
        lambda: table(
            "controlnet_blocks.{19} 2432x2432 b\n"
            "pos_embed_input.proj 2432x16x2x2 b\n"
            "transformer_blocks.{19}.adaLN_modulation.1 14592x2432 b"
        ),
        "SD 3.5",
        "SD 3.5 Large",
    ),
    "ControlNet Flux, InstantX": _control(
        "ControlNet (transformer)",
        lambda: T.FLUX_DIFFUSERS | table("controlnet_blocks.{5} 3072x3072 b\ncontrolnet_x_embedder 3072x64 b"),
        *FLUX,
    ),
    "ControlNet Flux, union": _control(
        "ControlNet Union",
        lambda: (
            T.FLUX_DIFFUSERS | table("controlnet_blocks.{5} 3072x3072 b\ncontrolnet_x_embedder 3072x64 b\ncontrolnet_mode_embedder 10x3072")
        ),
        *FLUX,
    ),
    "ControlNet Flux, XLabs": _control(
        "ControlNet (transformer)",
        lambda: cast(T.FLUX_DEV, "F16") | table("controlnet_blocks.{2} 3072x3072 b\ninput_hint_block.0 16x3x3x3 b"),
        *FLUX,
    ),
    "ControlNet Qwen-Image": _control(
        "ControlNet (transformer)",
        lambda: T.QWEN | table("controlnet_blocks.{5} 3072x3072 b\ncontrolnet_x_embedder 3072x64 b"),
        "Qwen",
        "Qwen",
    ),
    "ControlNet Hunyuan-DiT": _control(
        "ControlNet (transformer)", lambda: T.HUNYUAN_DIT | table("after_proj_list.{19} 1408x1408 b"), "Hunyuan-DiT", "Hunyuan 1"
    ),
    "SparseCtrl": _control(
        "SparseCtrl", lambda: _diffusers_control(N.SD1) | table("down_blocks.0.motion_modules.0.proj_in 320x320 b"), *SD1
    ),
    "T2I-Adapter SD 1": _part("t2i_adapter", lambda: table("conv_in 320x192x3x3 b\nbody.{8}.block2 320x320x1x1 b"), *SD1, "T2I-Adapter"),
    "T2I-Adapter SD 1, light": _part(
        "t2i_adapter", lambda: table("body.0.in_conv 80x192x1x1 b\nbody.0.body.0.block1 80x80x3x3 b"), *SD1, "T2I-Adapter"
    ),
    "T2I-Adapter SDXL, diffusers": _part(
        "t2i_adapter", lambda: table("adapter.conv_in 320x768x3x3 b\nadapter.body.{4}.resnets.{2}.block1 320x320x3x3 b"), *XL, "T2I-Adapter"
    ),
    "IP-Adapter SD 1": _part(
        "ip_adapter", lambda: table("image_proj.proj 3072x1024 b\nimage_proj.norm 768 b\nip_adapter.1.to_k_ip 320x768"), *SD1, "IP-Adapter"
    ),
    "IP-Adapter Plus SDXL": _part(
        "ip_adapter",
        lambda: table("=image_proj.latents 1x16x1280\nimage_proj.proj_in 1280x1280 b\nip_adapter.1.to_k_ip 640x2048"),
        *XL,
        "IP-Adapter Plus",
    ),
    "IP-Adapter FaceID SD 1": _part(
        "ip_adapter",
        lambda: table(
            "image_proj.proj.0 1024x512 b\n"
            "ip_adapter.0.to_q_lora.down 128x320\n"
            "ip_adapter.0.to_q_lora.up 320x128\n"
            "ip_adapter.1.to_k_ip 320x768"
        ),
        *SD1,
        "IP-Adapter FaceID",
    ),
    "IP-Adapter Flux": _part(
        "ip_adapter",
        lambda: table("ip_adapter_proj_model.proj 16384x768 b\ndouble_blocks.{19}.processor.ip_adapter_double_stream_k_proj 3072x4096 b"),
        *FLUX,
        "IP-Adapter (Flux)",
    ),
    "AnimateDiff": _part("motion_module", lambda: _motion(4), *SD1, "AnimateDiff"),
    "AnimateDiff v1": _part("motion_module", lambda: _motion(4, 24), *SD1, "AnimateDiff"),
    "AnimateDiff SDXL": _part("motion_module", lambda: _motion(3), *XL, "AnimateDiff"),
    "VAE": _part("vae", lambda: N.autoencoder(""), "SD 1.x / SD 2.x / SDXL"),
    "VAE, prefixed": _part("vae", N.autoencoder, "SD 1.x / SD 2.x / SDXL"),
    "VAE, diffusers": _part(
        "vae",
        lambda: table("encoder.conv_in 128x3x3x3 b\ndecoder.conv_in 512x4x3x3 b\ndecoder.up_blocks.{4}.resnets.{3}.norm1 512 b"),
        "SD 1.x / SD 2.x / SDXL",
        "",
        "Diffusers",
    ),
    "VAE decoder": _part(
        "vae",
        lambda: {name: info for name, info in N.autoencoder("").items() if name.startswith("decoder.")},
        "SD 1.x / SD 2.x / SDXL",
        "",
        "Decoder only",
    ),
    "VAE Flux": _part("vae", lambda: N.autoencoder("", 16), "SD 3 / Flux.1"),
    "VAE Flux.2": _part("vae", lambda: N.autoencoder("", 32) | f16({"bn.running_mean": (128,)}), "Flux.2"),
    "VAE Wan": _part(
        "vae", lambda: table("=decoder.middle.0.residual.0.gamma 384x1x1x1\ndecoder.conv1 384x16x3x3x3 b"), "Wan Video / Qwen", "", "Wan"
    ),
    "VAE Wan 2.2": _part(
        "vae",
        lambda: table("=decoder.middle.0.residual.0.gamma 1024x1x1x1\ndecoder.upsamples.0.upsamples.0.residual.2 1024x1024x3x3x3 b"),
        "Wan Video",
        "",
        "Wan",
    ),
    "VAE LTX": _part(
        "vae",
        lambda: table("decoder.conv_in.conv 512x128x3x3x3 b\ndecoder.up_blocks.0.res_blocks.0.conv1.conv 512x512x3x3x3 b"),
        "LTX-Video",
        "",
        "LTX-Video",
    ),
    "VAE Hunyuan Video": _part(
        "vae",
        lambda: table("decoder.conv_in.conv 512x16x3x3x3 b\nencoder.conv_in.conv 128x3x3x3x3 b"),
        "Hunyuan Video",
        "Hunyuan Video",
        "Video (causal)",
    ),
    "TAESD": _part("vae", lambda: table("taesd_decoder.1 64x4x3x3 b\ntaesd_encoder.0 64x3x3x3 b"), "", "", "TAESD"),
    "Stable Cascade stage A": _part(
        "vae",
        lambda: table("vquantizer.codebook 8192x4\nin_block.1 192x12x1x1 b"),
        "Stable Cascade",
        "Stable Cascade",
        "Stable Cascade stage A",
    ),
    "CLIP-L": _part("text_encoder", lambda: N.clip_l(""), flavour="CLIP-L"),
    "CLIP-H": _part("text_encoder", lambda: N.clip_l("", 1024, 24), flavour="CLIP-H"),
    "CLIP-G": _part("text_encoder", lambda: N.clip_l("", 1280, 32), flavour="CLIP-G"),
    "OpenCLIP": _part("text_encoder", lambda: N.open_clip("", 1280, 32), flavour="OpenCLIP"),
    "SD 1 text encoder": _part("text_encoder", lambda: N.clip_l("cond_stage_model.transformer.")),
    "T5-XXL": _part(
        "text_encoder",
        lambda: table("encoder.block.{24}.layer.0.SelfAttention.k 4096x4096\nencoder.block.{24}.layer.1.DenseReluDense.wi_1 10240x4096"),
        flavour="T5-XXL",
    ),
    "T5-base": _part("text_encoder", lambda: table("encoder.block.{12}.layer.0.SelfAttention.k 768x768"), flavour="T5"),
    "Qwen 2.5 VL": _part(
        "text_encoder",
        lambda: table("model.layers.{28}.self_attn.k_proj 512x3584 b\nmodel.layers.{28}.post_attention_layernorm 3584"),
        flavour="Qwen2.5",
    ),
    "Gemma 2": _part(
        "text_encoder",
        lambda: table("model.layers.{26}.post_feedforward_layernorm 2304\nmodel.layers.{26}.post_attention_layernorm 2304"),
        flavour="Gemma",
    ),
    "Llama": _part("text_encoder", lambda: table("model.layers.{32}.post_attention_layernorm 4096"), flavour="Llama"),
    "CLIP vision H": _part(
        "clip_vision",
        lambda: table("vision_model.encoder.layers.{32}.self_attn.k_proj 1280x1280 b\nvision_model.encoder.layers.{32}.layer_norm1 1280 b"),
        flavour="ViT-H",
    ),
    "Embedding SD 1": _part("embedding", lambda: f16({"emb_params": (4, 768)}), *SD1, "Textual inversion"),
    "Embedding SD 2": _part("embedding", lambda: f16({"emb_params": (4, 1024)}), *SD2, "Textual inversion"),
    "Embedding SDXL": _part("embedding", lambda: f16({"clip_l": (4, 768), "clip_g": (4, 1280)}), *XL, "Textual inversion (SDXL)"),
    "Embedding, diffusers": _part("embedding", lambda: f16({"<lantern>": (768,)}), *SD1, "Textual inversion"),
    "Hypernetwork SD 1": _part("hypernetwork", lambda: table("320.{2}.linear.0 640x320 b\n768.{2}.linear.0 1536x768 b"), *SD1),
    "Hypernetwork SD 2": _part("hypernetwork", lambda: table("320.{2}.linear.0 640x320 b\n1024.{2}.linear.0 2048x1024 b"), *SD2),
    "ESRGAN": _part(
        "upscaler", lambda: table("model.0 64x3x3x3 b\nmodel.1.sub.{23}.RDB1.conv1.0 32x64x3x3 b"), flavour="ESRGAN (old names)"
    ),
    "Real-ESRGAN": _part("upscaler", lambda: table("conv_first 64x3x3x3 b\nbody.{23}.rdb1.conv1 32x64x3x3 b"), flavour="Real-ESRGAN"),
    "BSRGAN": _part("upscaler", lambda: table("conv_first 64x3x3x3 b\nRRDB_trunk.{23}.RDB1.conv1 32x64x3x3 b"), flavour="BSRGAN"),
    "Compact": _part("upscaler", lambda: table("body.0 64x3x3x3 b\nbody.1 64\nbody.2 64x64x3x3 b\nbody.3 64"), flavour="Compact"),
    "SwinIR": _part(
        "upscaler",
        lambda: table("conv_first 180x3x3x3 b\n=layers.{6}.residual_group.blocks.{6}.attn.relative_position_index 64x64"),
        flavour="SwinIR",
    ),
    "Swin2SR": _part(
        "upscaler",
        lambda: table(
            "conv_first 180x3x3x3 b\npatch_embed.proj 180x180x1x1 b\n=layers.{6}.residual_group.blocks.{6}.attn.logit_scale 6x1x1\n"
            "=layers.{6}.residual_group.blocks.{6}.attn.relative_position_index 64x64"
        ),
        flavour="Swin2SR",
    ),
    "HAT": _part("upscaler", lambda: table("=relative_position_index_SA 256x256\nconv_first 180x3x3x3 b"), flavour="HAT"),
    "DAT": _part("upscaler", lambda: table("conv_first 180x3x3x3 b\nbefore_RG.1 180 b\nlayers.{6}.blocks.{6}.norm1 180 b"), flavour="DAT"),
    "RGT": _part("upscaler", lambda: table("conv_first 180x3x3x3 b\nbefore_RG.1 180 b\n=layers.{8}.blocks.{6}.gamma 180"), flavour="RGT"),
    "OmniSR": _part(
        "upscaler", lambda: table("residual_layer.{5}.residual_layer.0.layer.0.fn.0 64x64x1x1 b\nup.0 64x64x3x3 b"), flavour="OmniSR"
    ),
    "SPAN": _part("upscaler", lambda: table("block_1.c1_r.eval_conv 48x48x3x3 b\nconv_cat 48x192x1x1 b"), flavour="SPAN"),
    "GFPGAN": _part("upscaler", lambda: table("toRGB.0 3x512x1x1 b\nstylegan_decoder.style_mlp.1 512x512 b"), flavour="GFPGAN"),
    "YOLO": _part("detection", lambda: table("model.0.conv 16x3x3x3\nmodel.22.dfl.conv 1x16x1x1"), flavour="YOLO"),
    "YOLO segmentation": _part(
        "detection",
        lambda: table("model.0.conv 16x3x3x3\nmodel.22.dfl.conv 1x16x1x1\nmodel.22.proto.cv1.conv 64x64x3x3"),
        flavour="YOLO (segmentation)",
    ),
}
