"""Key sets of published architectures, reduced to what tells them apart: name -> (dtype, shape). Shapes are those of the real files."""

from __future__ import annotations

from samples.layout import STANDARD, Widths, sd1

Keys = dict[str, tuple[str, tuple[int, ...]]]
U = "model.diffusion_model."
VAE = "first_stage_model."


def f16(shapes: dict[str, tuple[int, ...]]) -> Keys:
    return {name: ("I64" if name.endswith("position_ids") else "F16", shape) for name, shape in shapes.items()}


def prefixed(prefix: str, keys: Keys) -> Keys:
    return {prefix + name: info for name, info in keys.items()}


def only(prefix: str, keys: Keys) -> Keys:
    return {name: info for name, info in keys.items() if name.startswith(prefix)}


def bare(prefix: str, keys: Keys) -> Keys:
    return {name.removeprefix(prefix): info for name, info in only(prefix, keys).items()}


SD1 = f16(sd1(STANDARD))
SD1_INPAINTING = f16(sd1(Widths(unet=STANDARD.unet, vae=STANDARD.vae, clip=768, latent_in=9)))
SD1_PIX2PIX = f16(sd1(Widths(unet=STANDARD.unet, vae=STANDARD.vae, clip=768, latent_in=8)))
VAE_KL = only(VAE, SD1)

SD2 = VAE_KL | f16(
    {
        f"{U}input_blocks.0.0.weight": (320, 4, 3, 3),
        f"{U}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 1024),
        f"{U}input_blocks.1.1.proj_in.weight": (320, 320),
        "cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight": (3072, 1024),
    }
)
SD2_DEPTH = SD2 | f16({f"{U}input_blocks.0.0.weight": (320, 5, 3, 3)})
SD2_UNCLIP = SD2 | f16({f"{U}label_emb.0.0.weight": (1280, 2048), "embedder.model.ln_final.weight": (1024,)})
X4_UPSCALER = SD2 | f16({f"{U}input_blocks.0.0.weight": (256, 7, 3, 3)})

SDXL_UNET = f16(
    {
        f"{U}input_blocks.0.0.weight": (320, 4, 3, 3),
        f"{U}input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight": (640, 2048),
        f"{U}input_blocks.7.1.transformer_blocks.9.attn2.to_k.weight": (1280, 2048),
        f"{U}label_emb.0.0.weight": (1280, 2816),
    }
)
SDXL = (
    VAE_KL
    | SDXL_UNET
    | f16(
        {
            "conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight": (49408, 768),
            "conditioner.embedders.1.model.ln_final.weight": (1280,),
        }
    )
)
SDXL_INPAINTING = SDXL | f16({f"{U}input_blocks.0.0.weight": (320, 9, 3, 3)})
SDXL_VPRED = SDXL | f16({"v_pred": (0,), "ztsnr": (0,)})
SSD_1B = {name: info for name, info in SDXL.items() if "transformer_blocks.9." not in name}
PLAYGROUND = SDXL | f16({"edm_mean": (1, 4, 1, 1), "edm_std": (1, 4, 1, 1)})
REFINER = VAE_KL | f16(
    {
        f"{U}input_blocks.0.0.weight": (384, 4, 3, 3),
        f"{U}input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight": (768, 1280),
        f"{U}label_emb.0.0.weight": (1536, 2560),
        "conditioner.embedders.0.model.ln_final.weight": (1280,),
    }
)
SVD = VAE_KL | f16({f"{U}input_blocks.0.0.weight": (320, 8, 3, 3), f"{U}input_blocks.1.0.time_stack.emb_layers.1.bias": (320,)})

SD3 = f16(
    {
        f"{U}joint_blocks.0.context_block.attn.qkv.weight": (4608, 1536),
        f"{U}x_embedder.proj.weight": (1536, 16, 2, 2),
        f"{VAE}decoder.conv_in.weight": (512, 16, 3, 3),
    }
)
SD35_MEDIUM = SD3 | f16({f"{U}joint_blocks.0.x_block.attn2.qkv.weight": (4608, 1536)})
SD35_LARGE = SD3 | f16({f"{U}x_embedder.proj.weight": (2432, 16, 2, 2), f"{U}joint_blocks.0.context_block.attn.ln_q.weight": (64,)})

FLUX_SCHNELL = f16({"double_blocks.0.img_attn.norm.key_norm.scale": (128,), "img_in.weight": (3072, 64)})
FLUX_DEV = FLUX_SCHNELL | f16({"guidance_in.in_layer.weight": (3072, 256)})
FLUX_FILL = FLUX_DEV | f16({"img_in.weight": (3072, 384)})
FLUX_AIO = prefixed(U, FLUX_DEV) | f16({"text_encoders.clip_l.transformer.text_model.final_layer_norm.weight": (768,)})
FLUX_2 = FLUX_SCHNELL | f16({"double_stream_modulation_img.lin.weight": (36864, 6144)})
CHROMA = FLUX_SCHNELL | f16({"distilled_guidance_layer.in_proj.weight": (5120, 64)})

LUMINA = f16({"cap_embedder.1.weight": (2304, 2304)})
Z_IMAGE = f16(
    {
        "context_refiner.0.attention.k_norm.weight": (128,),
        "layers.0.adaLN_modulation.0.bias": (15360,),
        "cap_embedder.1.weight": (3840, 2560),
    }
)
WAN = f16({"head.modulation": (1, 2, 5120)})
PIXART = f16({"t_block.1.weight": (6912, 1152)})
AURAFLOW = f16({"double_layers.0.attn.w1q.weight": (3072, 3072)})

CONTROLNET = f16(
    {
        "control_model.zero_convs.0.0.weight": (320, 320, 1, 1),
        "control_model.input_blocks.0.0.weight": (320, 4, 3, 3),
        "control_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 768),
        "control_model.middle_block.0.in_layers.0.weight": (1280,),
    }
)
UPSCALER_OLD = f16({"model.0.weight": (64, 3, 3, 3), "model.1.sub.0.RDB1.conv1.0.weight": (32, 64, 3, 3)})
UPSCALER_REAL = f16({"conv_first.weight": (64, 3, 3, 3), "body.0.rdb1.conv1.weight": (32, 64, 3, 3)})
UPSCALER_COMPACT = f16({"body.0.weight": (64, 3, 3, 3), "body.1.weight": (64,), "body.2.weight": (64, 64, 3, 3)})
CLIP_L = f16({"text_model.encoder.layers.0.self_attn.k_proj.weight": (768, 768)})
T5 = f16(
    {"encoder.block.23.layer.1.DenseReluDense.wi_1.weight": (10240, 4096), "encoder.block.0.layer.0.SelfAttention.q.weight": (4096, 4096)}
)
IP_ADAPTER = f16({"image_proj.proj.weight": (3072, 1024), "ip_adapter.1.to_k_ip.weight": (320, 768)})


def lora(module: str, out: int, inp: int, rank: int = 16) -> Keys:
    return f16({f"{module}.lora_down.weight": (rank, inp), f"{module}.lora_up.weight": (out, rank), f"{module}.alpha": ()})


SD1_CROSS = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
XL_CROSS = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k"
LORA_SD1 = lora(SD1_CROSS, 320, 768)
LORA_SD2 = lora(SD1_CROSS, 320, 1024)
LORA_SDXL = lora(XL_CROSS, 640, 2048) | lora("lora_te1_text_model_encoder_layers_0_self_attn_q_proj", 768, 768)
LORA_FLUX = lora("lora_unet_double_blocks_0_img_attn_qkv", 9216, 3072) | lora("lora_te1_text_model_encoder_layers_0_mlp_fc1", 3072, 768)
LORA_SD3 = lora("lora_unet_joint_blocks_0_context_block_attn_qkv", 4608, 1536)
LORA_TEXT_ONLY = lora("lora_te_text_model_encoder_layers_0_self_attn_q_proj", 768, 768)
LORA_DIFFUSERS = f16(
    {
        "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight": (8, 768),
        "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.lora_B.weight": (320, 8),
    }
)
LORA_FLUX_DIFFUSERS = f16(
    {
        "transformer.single_transformer_blocks.0.attn.to_k.lora_A.weight": (16, 3072),
        "transformer.single_transformer_blocks.0.attn.to_k.lora_B.weight": (3072, 16),
    }
)
LOCON = LORA_SD1 | f16(
    {
        "lora_unet_down_blocks_0_resnets_0_conv1.lora_down.weight": (8, 320, 3, 3),
        "lora_unet_down_blocks_0_resnets_0_conv1.lora_up.weight": (320, 8, 1, 1),
    }
)
LOHA = f16(
    {
        f"{SD1_CROSS}.{part}": shape
        for part, shape in {"hada_w1_a": (320, 4), "hada_w1_b": (4, 768), "hada_w2_a": (320, 4), "hada_w2_b": (4, 768)}.items()
    }
)
LOKR = f16({f"{XL_CROSS}.lokr_w1": (16, 32), f"{XL_CROSS}.lokr_w2": (40, 64)})
DORA = LORA_SD1 | f16({f"{SD1_CROSS}.dora_scale": (320, 1)})
OFT = f16({f"{SD1_CROSS}.oft_blocks": (4, 80, 80)})
IA3 = f16({f"{SD1_CROSS}.weight": (320,), f"{SD1_CROSS}.on_input": ()})
FULL_DIFF = f16({f"{SD1_CROSS}.diff": (320, 768)})
