"""Which base model a checkpoint or a diffusion model alone is: one table of rows that exclude each other. Add-ons are in `addons`.

Sources of the names and shapes: ComfyUI (model_detection.py, supported_models.py), diffusers (single_file_utils.py and the modules under
models/transformers), SwarmUI's T2IModelClassSorter, A1111's sd_models_config.py. Names are canonical (`canonical`).
"""

from __future__ import annotations

from registry.identify.basis import ODD_WIDTHS, SAME_14_15, SAME_20_21, SAME_FLUX, SAME_SDXL, Base
from registry.identify.conditions import Condition, both, claims, either, has, lacks, ndim, size, starts
from registry.identify.prediction import V_CLAIMS, V_MARKS

CROSS_1 = "unet.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
CROSS_4 = "unet.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight"
CROSS_KOALA = "unet.input_blocks.3.1.transformer_blocks.0.attn2.to_k.weight"
"""First cross-attention: SD 1.x and 2.x attend on the first level, SDXL from the second on. Dimension 1 is the text's width."""
IN = "unet.input_blocks.0.0.weight"
LABELS = "unet.label_emb.0.0.weight"
PROJ = "unet.input_blocks.1.1.proj_in.weight"

UNET = has(IN)
SVD = starts("unet.input_blocks.1.0.time_stack.", "unet.input_blocks.1.1.time_stack.")
FIRST_LEVEL = has(CROSS_1)
XL_CROSS = either(size(CROSS_4, 1, 2048), size(CROSS_KOALA, 1, 2048))
KOLORS = either(has("unet.encoder_hid_proj.weight"), size(LABELS, 1, 5632))
PLAYGROUND = either(has("edm_mean"), has("unet.edm_mean"))
STANDARD_1, STANDARD_2 = both(size(CROSS_1, 1, 768), size(IN, 0, 320)), both(size(CROSS_1, 1, 1024), size(IN, 0, 320))
UNCLIP = size(LABELS, 1, 1536, 2048)
CONVOLVED, LINEAR = ndim(PROJ, 4), ndim(PROJ, 2)
"""SD 1.x projects by 1x1 convolutions, SD 2.x and SDXL by linear layers."""


def depth(block: str, count: int) -> Condition:
    """Exactly `count` transformers in this UNet block."""
    last, next_one = (f"unet.{block}.transformer_blocks.{number}.attn2.to_k.weight" for number in (count - 1, count))
    return both(has(last), lacks(has(next_one), f"{count + 1} transformers in {block}"))


def _sdxl(base: str, *when: Condition, unless: tuple[Condition, ...] = (), note: str = SAME_SDXL, family: str = "SDXL") -> Base:
    return Base(family, base, (UNET, XL_CROSS, *when), (SVD, FIRST_LEVEL, *unless), note)


SSD_1B = both(depth("input_blocks.7.1", 4), depth("input_blocks.4.1", 2))
VEGA = both(depth("input_blocks.7.1", 2), depth("input_blocks.4.1", 1))
KOALA = either(
    both(depth("input_blocks.5.1", 5), depth("input_blocks.3.1", 2)), both(depth("input_blocks.5.1", 6), depth("input_blocks.3.1", 2))
)
DISTILLED = either(SSD_1B, VEGA, KOALA)
REFINER = both(size(IN, 0, 384), size(CROSS_4, 1, 1280))
X4 = both(size(IN, 0, 256), size(IN, 1, 7))

UNETS: tuple[Base, ...] = (
    Base("SVD", "SVD", (UNET, SVD), (), "SVD and SVD XT have the same layout."),
    Base("SDXL Refiner", "SDXL 1.0", (UNET, REFINER), (SVD, FIRST_LEVEL)),
    _sdxl("Kolors", KOLORS, family="Kolors", note=""),
    _sdxl("Playground v2", PLAYGROUND, unless=(KOLORS,), note="Playground v2.5: it has its own noise schedule (EDM)."),
    _sdxl("SDXL Distilled", SSD_1B, unless=(KOLORS, PLAYGROUND), note="SSD-1B: a shortened SDXL."),
    _sdxl("SDXL Distilled", VEGA, unless=(KOLORS, PLAYGROUND), note="Segmind Vega: a shortened SDXL."),
    _sdxl("SDXL Distilled", KOALA, unless=(KOLORS, PLAYGROUND), note="KOALA: a shortened SDXL."),
    _sdxl("SDXL 1.0", unless=(KOLORS, PLAYGROUND, DISTILLED)),
    Base(
        "SDXL", "SDXL 1.0", (UNET, has(CROSS_4), has(LABELS)), (SVD, FIRST_LEVEL, XL_CROSS, REFINER, KOLORS, X4), ODD_WIDTHS.format("SDXL")
    ),
    Base("SD 2.x", "SD 2.1", (UNET, X4), (SVD, FIRST_LEVEL, XL_CROSS), "The x4 upscaler of SD 2."),
    Base("SD 2.x unCLIP", "SD 2.1 Unclip", (UNET, FIRST_LEVEL, LINEAR, UNCLIP), (SVD,)),
    Base("SD 2.x", "SD 2.1", (UNET, LINEAR, STANDARD_2), (SVD, UNCLIP), SAME_20_21),
    Base("SD 2.x", "SD 2.1", (UNET, FIRST_LEVEL, LINEAR), (SVD, UNCLIP, STANDARD_2), ODD_WIDTHS.format("SD 2.x")),
    Base("SD 1.x", "SD 1.5", (UNET, CONVOLVED, STANDARD_1), (SVD,), SAME_14_15),
    Base("SD 1.x", "SD 1.5", (UNET, FIRST_LEVEL, CONVOLVED), (SVD, STANDARD_1), ODD_WIDTHS.format("SD 1.x")),
    Base("Kandinsky 2", "", (UNET, has("unet.encoder_hid_proj.image_embeds.weight")), (SVD, XL_CROSS, FIRST_LEVEL, has(CROSS_4))),
)
"""Of diffusion models that are a UNet."""

BLOCK, SINGLE = "unet.transformer_blocks.0.", "unet.single_transformer_blocks.0."
JOINT = "unet.joint_blocks.0."
SD3 = either(
    has(f"{JOINT}context_block.attn.qkv.weight"),
    both(
        has(f"{BLOCK}norm1_context.linear.weight"),
        has("unet.pos_embed.pos_embed"),
        lacks(starts("unet.single_transformer_blocks."), "single blocks"),
    ),
)
SD3_WIDTH = ("unet.x_embedder.proj.weight", "unet.pos_embed.proj.weight")
LARGE = either(*(size(name, 0, 2432) for name in SD3_WIDTH))
DUAL = either(has(f"{JOINT}x_block.attn2.qkv.weight"), has(f"{BLOCK}attn2.to_q.weight"))
RMS = either(has(f"{JOINT}context_block.attn.ln_q.weight"), has(f"{BLOCK}attn.norm_added_q.weight"))

HUNYUAN = either(
    starts("unet.txt_in.individual_token_refiner."), starts("unet.context_embedder.token_refiner."), has("unet.byt5_in.fc1.weight")
)
HUNYUAN_IMAGE = either(size("unet.img_in.proj.weight", 0, 3584), size("unet.x_embedder.proj.weight", 0, 3584))
HUNYUAN_15 = either(has("unet.vision_in.proj.0.weight"), has("unet.image_embedder.norm_in.weight"))
CHROMA = starts("unet.distilled_guidance_layer.")
FLUX_2 = either(has("unet.double_stream_modulation_img.lin.weight"), has("unet.double_stream_modulation_img.linear.weight"))
FLUX_2_WIDTH = ("unet.double_stream_modulation_img.lin.weight", "unet.double_stream_modulation_img.linear.weight")
LONGCAT, OVIS = has("unet.double_blocks.0.txt_attn.norm.query_norm.weight"), has("unet.double_blocks.0.img_mlp.down_proj.weight")
FLUX = either(
    has("unet.double_blocks.0.img_attn.norm.key_norm.scale"),
    both(has("unet.double_blocks.0.img_attn.qkv.weight"), has("unet.img_in.weight")),
    both(has(f"{SINGLE}proj_mlp.weight"), has("unet.x_embedder.weight")),
    has(f"{SINGLE}norm.linear.qweight"),
)
GUIDED = either(starts("unet.guidance_in."), starts("unet.time_text_embed.guidance_embedder."))
NOT_FLUX = (HUNYUAN, FLUX_2, LONGCAT, OVIS)


def flux_2(*wanted: int) -> Condition:
    """The modulation of Flux.2's double blocks has so many rows: six times the model's width."""
    return either(*(size(name, 0, *wanted) for name in FLUX_2_WIDTH))


FLOWS: tuple[Base, ...] = (
    Base("SD 3.5", "SD 3.5 Large", (SD3, LARGE)),
    Base("SD 3.5", "SD 3.5 Medium", (SD3, DUAL), (LARGE,)),
    Base("SD 3.5", "SD 3.5", (SD3, RMS), (LARGE, DUAL)),
    Base("SD 3", "SD 3", (SD3,), (LARGE, DUAL, RMS)),
    Base("Flux.2", "Flux.2 D", (flux_2(36864),)),
    Base("Flux.2", "Flux.2 Klein 9B", (flux_2(24576),)),
    Base("Flux.2", "Flux.2 Klein 4B", (flux_2(18432),)),
    Base("Chroma", "Chroma", (CHROMA,), (FLUX_2, HUNYUAN)),
    Base("Flux.1", "Flux.1 D", (FLUX, GUIDED), (*NOT_FLUX, CHROMA), SAME_FLUX),
    Base("Flux.1", "Flux.1 S", (FLUX,), (*NOT_FLUX, CHROMA, GUIDED)),
    Base("LongCat", "", (LONGCAT,), (HUNYUAN, FLUX_2, OVIS)),
    Base("Ovis", "", (OVIS,), (HUNYUAN, FLUX_2, LONGCAT)),
    Base("Hunyuan Image", "", (HUNYUAN, HUNYUAN_IMAGE), (HUNYUAN_15,)),
    Base("Hunyuan Video", "Hunyuan Video", (HUNYUAN, HUNYUAN_15), (HUNYUAN_IMAGE,), "Hunyuan Video 1.5."),
    Base("Hunyuan Video", "Hunyuan Video", (HUNYUAN,), (HUNYUAN_IMAGE, HUNYUAN_15)),
)
"""Of transformers with double and single streams: SD 3, Flux and what was built like them."""

WAN = either(
    has("unet.head.modulation"), both(has("unet.condition_embedder.text_embedder.linear_1.weight"), has("unet.patch_embedding.weight"))
)
PATCH = "unet.patch_embedding.weight"
IMAGE = either(starts("unet.img_emb."), starts("unet.condition_embedder.image_embedder."))
WAN_SIZES = either(size(PATCH, 0, 1536, 3072), both(size(PATCH, 0, 5120), size(PATCH, 1, 16, 36)))
Z_IMAGE = either(has("unet.layers.0.adaLN_modulation.0.weight"), has("unet.layers.0.adaLN_modulation.0.bias"))
LUMINA = either(has("unet.cap_embedder.1.weight"), has("unet.time_caption_embed.timestep_embedder.linear_1.weight"))
OMNIGEN_2 = either(has("unet.ref_image_patch_embedder.weight"), has("unet.image_index_embedding"))
LTX = either(has("unet.patchify_proj.weight"), both(has("unet.proj_in.weight"), starts("unet.time_embed.emb.timestep_embedder.")))
LTX_2 = either(has("unet.audio_patchify_proj.weight"), has("unet.audio_proj_in.weight"))
PIXART_SIZES = either(has("unet.ar_embedder.mlp.0.weight"), starts("unet.adaln_single.emb.aspect_ratio_embedder."))
PIXART = either(has("unet.t_block.1.weight"), both(starts("unet.adaln_single.emb."), has("unet.pos_embed.proj.weight")))
SANA = either(has("unet.attention_y_norm.weight"), has("unet.caption_norm.weight"))
HYDIT = either(has("unet.mlp_t5.0.weight"), has("unet.text_embedding_padding"))
CASCADE = either(has("unet.clf.1.weight"), has("clf.1.weight"))
MOCHI = either(has("unet.t5_yproj.weight"), has("unet.time_embed.caption_proj.weight"))
COSMOS = either(
    has("unet.blocks.block0.blocks.0.block.attn.to_q.0.weight"),
    has("unet.blocks.0.mlp.layer1.weight"),
    both(has("unet.time_embed.t_embedder.linear_1.weight"), has("unet.patch_embed.proj.weight")),
)
ANIMA = starts("unet.llm_adapter.")
TXT_NORM = "unet.txt_norm.weight"

OTHERS: tuple[Base, ...] = (
    Base("Wan Video", "Wan Video 1.3B t2v", (WAN, size(PATCH, 0, 1536))),
    Base("Wan Video", "Wan Video 2.2 TI2V-5B", (WAN, size(PATCH, 0, 3072))),
    Base(
        "Wan Video",
        "Wan Video 14B t2v",
        (WAN, size(PATCH, 0, 5120), size(PATCH, 1, 16)),
        (IMAGE,),
        "Wan 2.1 and 2.2 A14B have the same layout.",
    ),
    Base(
        "Wan Video",
        "Wan Video 14B i2v 720p",
        (WAN, size(PATCH, 0, 5120), size(PATCH, 1, 36), IMAGE),
        (),
        "The 480p and 720p models have the same layout.",
    ),
    Base("Wan Video", "Wan Video 2.2 I2V-A14B", (WAN, size(PATCH, 0, 5120), size(PATCH, 1, 36)), (IMAGE,)),
    Base("Wan Video", "Wan Video", (WAN, size(PATCH, 0, 5120), size(PATCH, 1, 16), IMAGE)),
    Base("Wan Video", "Wan Video", (WAN,), (WAN_SIZES,)),
    Base("Z-Image", "ZImageTurbo", (Z_IMAGE,), (), "Z-Image Turbo and Base have the same layout."),
    Base("Lumina", "Lumina", (LUMINA,), (Z_IMAGE, OMNIGEN_2)),
    Base("OmniGen", "", (OMNIGEN_2,), (Z_IMAGE,), "OmniGen 2."),
    Base("OmniGen", "", (has("unet.time_token.linear_1.weight"), starts("unet.layers.0.self_attn.")), (), "OmniGen 1."),
    Base("Qwen", "Qwen", (size(TXT_NORM, 0, 3584),), (), "Qwen-Image and Qwen-Image-Edit have the same layout."),
    Base("MageFlow", "MageFlow", (size(TXT_NORM, 0, 2560),)),
    Base("Qwen", "Qwen", (has(TXT_NORM),), (size(TXT_NORM, 0, 3584, 2560),), ODD_WIDTHS.format("Qwen-Image")),
    Base("HiDream", "HiDream", (has("unet.caption_projection.0.linear.weight"),)),
    Base("HiDream-O1", "HiDream-O1", (has("unet.t_embedder1.mlp.0.weight"),)),
    Base(
        "AuraFlow",
        "AuraFlow",
        (either(has("unet.double_layers.0.attn.w1q.weight"), starts("unet.joint_transformer_blocks.")),),
        (),
        "Pony V7 has AuraFlow's layout.",
    ),
    Base("PixArt", "PixArt a", (PIXART, PIXART_SIZES), (SANA,)),
    Base("PixArt", "PixArt E", (PIXART,), (PIXART_SIZES, SANA)),
    Base("Sana", "", (SANA,)),
    Base("Hunyuan-DiT", "Hunyuan 1", (HYDIT,)),
    Base("Stable Cascade", "Stable Cascade", (CASCADE, has("unet.clip_txt_mapper.weight")), (), "Stage C, which makes the small latents."),
    Base("Stable Cascade", "Stable Cascade", (CASCADE, has("unet.clip_mapper.weight")), (has("unet.clip_txt_mapper.weight"),), "Stage B."),
    Base("Stable Cascade", "Stable Cascade", (CASCADE,), (has("unet.clip_txt_mapper.weight"), has("unet.clip_mapper.weight"))),
    Base("Mochi", "Mochi", (MOCHI,)),
    Base("CogVideoX", "CogVideoX", (has("unet.patch_embed.text_proj.weight"),)),
    Base("LTX-Video", "LTXV2", (LTX, LTX_2), (SANA,)),
    Base("LTX-Video", "LTXV", (LTX,), (LTX_2, SANA)),
    Base("Anima", "Anima", (COSMOS, ANIMA)),
    Base("Cosmos", "", (COSMOS,), (ANIMA,)),
    Base("Kandinsky 5", "", (has("unet.pooled_text_embeddings.in_layer.weight"),)),
    Base("Krea 2", "Krea 2", (either(has("unet.txtfusion.projector.weight"), has("unet.text_fusion.projector.weight")),)),
    Base("Ernie", "Ernie", (has("unet.layers.0.adaLN_sa_ln.weight"),)),
    Base("Ideogram 4", "Ideogram 4.0", (has("unet.embed_image_indicator.weight"),)),
    Base("Boogu", "Boogu", (starts("unet.double_stream_layers.0.img_instruct_attn."),)),
    Base("MiniMax H3", "MiniMax H3", (has("unet.video_patch_proj.weight"), has("unet.audio_patch_proj.weight"))),
    Base("ACE Audio", "ACE Audio", (has("unet.genre_embedder.weight"),)),
    Base("Hunyuan3D", "Hunyuan3D", (has("unet.latent_in.weight"), has("unet.cond_in.weight"))),
    Base("Stable Audio", "", (has("unet.transformer.rotary_pos_emb.inv_freq"),)),
    Base("PixelDiT", "", (has("unet.pixel_embedder.proj.weight"),)),
)
"""Of the other transformers, each by names that no other has."""

MODELS: tuple[Base, ...] = (*UNETS, *FLOWS, *OTHERS)

FLUX_IN = ("unet.img_in.weight", "unet.x_embedder.weight")

VARIANTS: tuple[tuple[str, Condition], ...] = (
    ("inpainting", either(size(IN, 1, 9), *(size(name, 1, 384) for name in FLUX_IN))),
    ("pix2pix", both(size(IN, 1, 8), lacks(SVD, "time axis"))),
    ("depth", size(IN, 1, 5)),
    ("canny or depth", both(either(*(size(name, 1, 128) for name in FLUX_IN)), FLUX, lacks(FLUX_2, "shared modulation"))),
    ("upscaling", size(IN, 1, 7)),
    ("image to video", either(both(WAN, either(IMAGE, size(PATCH, 1, 36))), both(HUNYUAN, size("unet.img_in.proj.weight", 1, 32, 33)))),
    ("v-prediction", either(V_MARKS, V_CLAIMS)),
    ("zero terminal SNR", either(has("ztsnr"), has("unet.ztsnr"), claims("ss_zero_terminal_snr", "true"))),
)
"""What a model does differently, told by the number of its input channels or by marker tensors; several may hold."""
