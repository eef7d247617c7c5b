"""Key tables of diffusion transformers, whole or by their telling half, in their own spelling and in diffusers'. Names and shapes are true.

Sources: the modules under diffusers' models/transformers with their published configurations, ComfyUI's model_detection.py, SwarmUI.
"""

from __future__ import annotations

from tests.registry.identify.tables import Keys, table


def _flux(width: int = 3072, channels: int = 64, *, guided: bool = True) -> Keys:
    mlp = width * 4
    guidance = f"guidance_in.in_layer {width}x256 b\nguidance_in.out_layer {width}x{width} b" if guided else ""
    return table(
        f"""
        img_in {width}x{channels} b
        txt_in {width}x4096 b
        time_in.in_layer {width}x256 b
        time_in.out_layer {width}x{width} b
        vector_in.in_layer {width}x768 b
        {guidance}
        double_blocks.{{19}}.img_mod.lin {width * 6}x{width} b
        double_blocks.{{19}}.txt_mod.lin {width * 6}x{width} b
        double_blocks.{{19}}.img_attn.qkv {width * 3}x{width} b
        double_blocks.{{19}}.txt_attn.qkv {width * 3}x{width} b
        =double_blocks.{{19}}.img_attn.norm.key_norm.scale 128
        =double_blocks.{{19}}.img_attn.norm.query_norm.scale 128
        double_blocks.{{19}}.img_attn.proj {width}x{width} b
        double_blocks.{{19}}.txt_attn.proj {width}x{width} b
        double_blocks.{{19}}.img_mlp.0 {mlp}x{width} b
        double_blocks.{{19}}.img_mlp.2 {width}x{mlp} b
        double_blocks.{{19}}.txt_mlp.0 {mlp}x{width} b
        double_blocks.{{19}}.txt_mlp.2 {width}x{mlp} b
        single_blocks.{{38}}.linear1 {width * 7}x{width} b
        single_blocks.{{38}}.linear2 {width}x{width * 5} b
        single_blocks.{{38}}.modulation.lin {width * 3}x{width} b
        =single_blocks.{{38}}.norm.key_norm.scale 128
        final_layer.linear 64x{width} b
        final_layer.adaLN_modulation.1 {width * 2}x{width} b
        """,
        "BF16",
    )


FLUX_DEV, FLUX_SCHNELL = _flux(), _flux(guided=False)
FLUX_FILL, FLUX_CANNY = _flux(channels=384), _flux(channels=128)

_DOUBLE = """
        transformer_blocks.{19}.norm1.linear 18432x3072 b
        transformer_blocks.{19}.norm1_context.linear 18432x3072 b
        transformer_blocks.{19}.attn.norm_q 128
        transformer_blocks.{19}.attn.to_q 3072x3072 b
        transformer_blocks.{19}.attn.to_k 3072x3072 b
        transformer_blocks.{19}.attn.to_v 3072x3072 b
        transformer_blocks.{19}.attn.add_k_proj 3072x3072 b
        transformer_blocks.{19}.attn.add_q_proj 3072x3072 b
        transformer_blocks.{19}.attn.norm_added_q 128
        transformer_blocks.{19}.ff.net.0.proj 12288x3072 b
        transformer_blocks.{19}.ff_context.net.0.proj 12288x3072 b
        single_transformer_blocks.{38}.proj_mlp 12288x3072 b
        single_transformer_blocks.{38}.proj_out 3072x15360 b
        single_transformer_blocks.{38}.attn.norm_k 128
        single_transformer_blocks.{38}.attn.to_q 3072x3072 b
        context_embedder 3072x4096 b
        proj_out 64x3072 b
"""
FLUX_DIFFUSERS = table(
    _DOUBLE
    + "x_embedder 3072x64 b\ntime_text_embed.timestep_embedder.linear_1 3072x256 b\ntime_text_embed.guidance_embedder.linear_1 3072x256 b"
)
SCHNELL_DIFFUSERS = table(_DOUBLE + "x_embedder 3072x64 b\ntime_text_embed.timestep_embedder.linear_1 3072x256 b")
CHROMA_DIFFUSERS = {name: info for name, info in FLUX_DIFFUSERS.items() if "norm1" not in name and "time_text" not in name} | table(
    "distilled_guidance_layer.in_proj 5120x64 b\ndistilled_guidance_layer.layers.{5}.linear_1 5120x5120 b"
)
CHROMA = {name: info for name, info in FLUX_SCHNELL.items() if "_mod." not in name and "time_in" not in name} | table(
    "distilled_guidance_layer.in_proj 5120x64 b\n"
    "=distilled_guidance_layer.norms.{5}.scale 5120\n"
    "distilled_guidance_layer.out_proj 3072x5120 b"
)


def flux_2(width: int, double: int, single: int) -> Keys:
    """Flux.2 in its own spelling: modulation shared by all blocks, gated MLPs."""
    return table(
        f"""
        img_in {width}x128
        double_stream_modulation_img.lin {width * 6}x{width}
        double_stream_modulation_txt.lin {width * 6}x{width}
        single_stream_modulation.lin {width * 3}x{width}
        =double_blocks.{{{double}}}.img_attn.norm.key_norm.scale 128
        double_blocks.{{{double}}}.img_attn.qkv {width * 3}x{width}
        double_blocks.{{{double}}}.img_attn.proj {width}x{width}
        double_blocks.{{{double}}}.img_mlp.0 {width * 6}x{width}
        double_blocks.{{{double}}}.img_mlp.2 {width}x{width * 3}
        double_blocks.{{{double}}}.txt_attn.qkv {width * 3}x{width}
        double_blocks.{{{double}}}.txt_attn.proj {width}x{width}
        double_blocks.{{{double}}}.txt_mlp.0 {width * 6}x{width}
        double_blocks.{{{double}}}.txt_mlp.2 {width}x{width * 3}
        single_blocks.{{{single}}}.linear1 {width * 9}x{width}
        single_blocks.{{{single}}}.linear2 {width}x{width * 4}
        """,
        "BF16",
    )


FLUX_2_DEV, KLEIN_9B, KLEIN_4B = flux_2(6144, 8, 48), flux_2(4096, 8, 24), flux_2(3072, 5, 20)
FLUX_2_DIFFUSERS = table(
    """
    double_stream_modulation_img.linear 36864x6144
    single_stream_modulation.linear 18432x6144
    x_embedder 6144x128
    context_embedder 6144x15360
    transformer_blocks.{8}.attn.to_q 6144x6144
    transformer_blocks.{8}.attn.add_k_proj 6144x6144
    transformer_blocks.{8}.ff.linear_in 36864x6144
    single_transformer_blocks.{48}.attn.to_qkv_mlp_proj 55296x6144
    """
)


def sd3(width: int, blocks: int, *, rms: bool = False, dual: int = 0) -> Keys:
    """SD 3's joint blocks in their own spelling."""
    norms = f"joint_blocks.{{{blocks}}}.context_block.attn.ln_q 64\njoint_blocks.{{{blocks}}}.x_block.attn.ln_q 64" if rms else ""
    second = f"joint_blocks.{{{dual}}}.x_block.attn2.qkv {width * 3}x{width} b" if dual else ""
    return table(
        f"""
        =pos_embed 1x36864x{width}
        x_embedder.proj {width}x16x2x2 b
        context_embedder {width}x4096 b
        y_embedder.mlp.0 {width}x2048 b
        t_embedder.mlp.0 {width}x256 b
        joint_blocks.{{{blocks}}}.context_block.attn.qkv {width * 3}x{width} b
        joint_blocks.{{{blocks}}}.context_block.adaLN_modulation.1 {width * 6}x{width} b
        joint_blocks.{{{blocks}}}.x_block.attn.qkv {width * 3}x{width} b
        joint_blocks.{{{blocks}}}.x_block.attn.proj {width}x{width} b
        joint_blocks.{{{blocks}}}.x_block.mlp.fc1 {width * 4}x{width} b
        joint_blocks.{{{blocks - 1}}}.context_block.mlp.fc1 {width * 4}x{width} b
        {norms}
        {second}
        final_layer.linear 64x{width} b
        """
    )


SD3_MEDIUM, SD35_MEDIUM, SD35_LARGE = sd3(1536, 24), sd3(1536, 24, rms=True, dual=13), sd3(2432, 38, rms=True)
SD3_DIFFUSERS = table(
    """
    =pos_embed.pos_embed 1x36864x1536
    pos_embed.proj 1536x16x2x2 b
    context_embedder 1536x4096 b
    time_text_embed.text_embedder.linear_1 1536x2048 b
    transformer_blocks.{24}.norm1_context.linear 9216x1536 b
    transformer_blocks.{24}.attn.to_q 1536x1536 b
    transformer_blocks.{24}.attn.add_k_proj 1536x1536 b
    transformer_blocks.{23}.ff_context.net.0.proj 6144x1536 b
    proj_out 64x1536 b
    """
)
HUNYUAN_VIDEO = table(
    """
    img_in.proj 3072x16x1x2x2 b
    txt_in.individual_token_refiner.blocks.{2}.norm1 3072 b
    txt_in.individual_token_refiner.blocks.{2}.self_attn_qkv 9216x3072 b
    vector_in.in_layer 3072x768 b
    guidance_in.mlp.0 3072x256 b
    double_blocks.{20}.img_attn_qkv 9216x3072 b
    double_blocks.{20}.img_mod.linear 18432x3072 b
    double_blocks.{20}.img_mlp.fc1 12288x3072 b
    single_blocks.{40}.linear1 21504x3072 b
    final_layer.linear 64x3072 b
    """
)
HUNYUAN_VIDEO_I2V = HUNYUAN_VIDEO | table("img_in.proj 3072x33x1x2x2 b")
HUNYUAN_VIDEO_DIFFUSERS = table(
    """
    x_embedder.proj 3072x16x1x2x2 b
    context_embedder.proj_in 3072x4096 b
    context_embedder.token_refiner.refiner_blocks.{2}.attn.to_q 3072x3072 b
    transformer_blocks.{20}.attn.add_k_proj 3072x3072 b
    transformer_blocks.{20}.norm1_context.linear 18432x3072 b
    single_transformer_blocks.{40}.proj_mlp 12288x3072 b
    time_text_embed.guidance_embedder.linear_1 3072x256 b
    """
)
HUNYUAN_VIDEO_15 = table(
    """
    img_in.proj 2048x65x1x1x1 b
    txt_in.individual_token_refiner.blocks.{2}.norm1 2048 b
    vision_in.proj.0 1152 b
    byt5_in.fc1 2048x1472 b
    double_blocks.{54}.img_attn_q 2048x2048 b
    """
)
HUNYUAN_IMAGE = table(
    """
    img_in.proj 3584x64x1x1 b
    txt_in.individual_token_refiner.blocks.{2}.norm1 3584 b
    byt5_in.fc1 3584x1472 b
    double_blocks.{20}.img_attn_k_norm 128
    double_blocks.{20}.img_attn_q 3584x3584 b
    """
)


def wan(width: int, channels: int, blocks: int, *, image: bool = False) -> Keys:
    """Wan in its own spelling; `image`: reads CLIP's picture as Wan 2.1's image-to-video does."""
    extra = f"img_emb.proj.0 1280 b\nblocks.{{{blocks}}}.cross_attn.k_img {width}x{width} b" if image else ""
    return table(
        f"""
        patch_embedding {width}x{channels}x1x2x2 b
        text_embedding.0 {width}x4096 b
        =head.modulation 1x2x{width}
        head.head 64x{width} b
        =blocks.{{{blocks}}}.modulation 1x6x{width}
        blocks.{{{blocks}}}.self_attn.q {width}x{width} b
        blocks.{{{blocks}}}.cross_attn.k {width}x{width} b
        blocks.{{{blocks}}}.ffn.0 {width * 8 // 3}x{width} b
        {extra}
        """
    )


WAN_1B, WAN_14B, WAN_I2V = wan(1536, 16, 30), wan(5120, 16, 40), wan(5120, 36, 40, image=True)
WAN_22_I2V, WAN_22_5B = wan(5120, 36, 40), wan(3072, 48, 30)
WAN_DIFFUSERS = table(
    """
    =scale_shift_table 1x2x5120
    patch_embedding 5120x16x1x2x2 b
    condition_embedder.text_embedder.linear_1 5120x4096 b
    blocks.{40}.attn1.to_q 5120x5120 b
    blocks.{40}.attn2.to_k 5120x5120 b
    blocks.{40}.ffn.net.0.proj 13824x5120 b
    """
)
LUMINA = table(
    """
    x_embedder 2304x64 b
    cap_embedder.0 2304
    cap_embedder.1 2304x2304 b
    layers.{26}.adaLN_modulation.1 9216x1024 b
    layers.{26}.attention.qkv 3840x2304
    context_refiner.{2}.attention.qkv 3840x2304
    """
)
LUMINA_DIFFUSERS = table(
    """
    x_embedder 2304x64 b
    time_caption_embed.timestep_embedder.linear_1 1024x256 b
    layers.{26}.attn.to_q 2304x2304
    layers.{26}.norm1.linear 9216x1024 b
    """
)
Z_IMAGE = table(
    """
    x_embedder 3840x64 b
    cap_embedder.0 2560
    cap_embedder.1 3840x2560 b
    layers.{30}.adaLN_modulation.0 15360x256 b
    layers.{30}.attention.qkv 11520x3840
    context_refiner.{2}.attention.k_norm 128
    """
)
Z_IMAGE_DIFFUSERS = table("all_x_embedder.2-1 3840x64 b\nlayers.{30}.adaLN_modulation.0 15360x256 b\nlayers.{30}.attention.to_q 3840x3840")
OMNIGEN_2 = table(
    """
    x_embedder 2520x64 b
    ref_image_patch_embedder 2520x64 b
    time_caption_embed.timestep_embedder.linear_1 1024x256 b
    context_refiner.{2}.attn.norm_k 120
    layers.{32}.attn.to_q 2520x2520
    """
)
OMNIGEN_1 = table("time_token.linear_1 3072x256 b\nlayers.{32}.self_attn.to_q 3072x3072\nembed_tokens 32064x3072")
QWEN = table(
    """
    img_in 3072x64 b
    txt_norm 3584
    txt_in 3072x3584 b
    time_text_embed.timestep_embedder.linear_1 3072x256 b
    transformer_blocks.{60}.attn.add_k_proj 3072x3072 b
    transformer_blocks.{60}.img_mod.1 18432x3072 b
    transformer_blocks.{60}.img_mlp.net.0.proj 12288x3072 b
    """
)
HIDREAM = table(
    """
    caption_projection.{49}.linear 2560x4096
    double_stream_blocks.{16}.block.adaLN_modulation.1 30720x2560 b
    single_stream_blocks.{32}.block.attn1.to_q 2560x2560 b
    """
)
AURAFLOW = table(
    """
    =positional_encoding 1x1024x3072
    cond_seq_linear 3072x2048
    init_x_linear 3072x16 b
    double_layers.{4}.attn.w1q 3072x3072
    double_layers.{4}.attn.w2q 3072x3072
    single_layers.{32}.attn.w1q 3072x3072
    """
)
AURAFLOW_DIFFUSERS = table(
    """
    =pos_embed.pos_embed 1x1024x3072
    context_embedder 3072x2048
    joint_transformer_blocks.{4}.attn.add_k_proj 3072x3072
    single_transformer_blocks.{32}.attn.to_q 3072x3072
    """
)
PIXART_SIGMA = table(
    """
    x_embedder.proj 1152x4x2x2 b
    t_block.1 6912x1152 b
    y_embedder.y_proj.fc1 1152x4096 b
    blocks.{28}.attn.qkv 3456x1152 b
    blocks.{28}.cross_attn.q_linear 1152x1152 b
    """
)
PIXART_ALPHA = PIXART_SIGMA | table("csize_embedder.mlp.0 384x256 b\nar_embedder.mlp.0 384x256 b")
PIXART_DIFFUSERS = table(
    """
    pos_embed.proj 1152x4x2x2 b
    adaln_single.emb.timestep_embedder.linear_1 1152x256 b
    adaln_single.linear 6912x1152 b
    caption_projection.linear_1 1152x4096 b
    transformer_blocks.{28}.attn1.to_q 1152x1152 b
    transformer_blocks.{28}.attn2.to_k 1152x1152 b
    """
)
SANA = table("attention_y_norm 2240\nx_embedder.proj 2240x32x1x1 b\nblocks.{20}.cross_attn.q_linear 2240x2240 b\nt_block.1 13440x2240 b")
HUNYUAN_DIT = table(
    """
    mlp_t5.0 8192x2048 b
    x_embedder.proj 1408x4x2x2 b
    extra_embedder.0 5632x1024 b
    blocks.{40}.attn1.Wqkv 4224x1408 b
    """
)
HUNYUAN_DIT_DIFFUSERS = table("=text_embedding_padding 333x1024\ntext_embedder.linear_1 8192x2048 b\nblocks.{40}.attn1.to_q 1408x1408 b")
CASCADE_C = table(
    """
    clip_txt_mapper 2048x1280 b
    clip_txt_pooled_mapper 8192x1280 b
    embedding.1 2048x16x1x1 b
    down_blocks.0.{24}.channelwise.0 8192x2048 b
    clf.1 16x2048x1x1 b
    """
)
CASCADE_B = table("clip_mapper 5120x1280 b\ndown_blocks.1.0.channelwise.0 2560x640 b\nclf.1 16x320x1x1 b")
MOCHI = table("t5_yproj 1536x4096 b\nblocks.{48}.attn.qkv_x 9216x3072\nx_embedder.proj 3072x12x2x2 b")
COGVIDEOX_2B = table("patch_embed.proj 1920x16x2x2 b\npatch_embed.text_proj 1920x4096 b\ntransformer_blocks.{30}.attn1.to_q 1920x1920 b")
LTXV = table(
    """
    patchify_proj 2048x128 b
    adaln_single.emb.timestep_embedder.linear_1 2048x256 b
    caption_projection.linear_1 2048x4096 b
    transformer_blocks.{28}.attn2.to_k 2048x2048 b
    =transformer_blocks.{28}.scale_shift_table 6x2048
    """
)
LTXV_DIFFUSERS = table(
    """
    proj_in 2048x128 b
    time_embed.emb.timestep_embedder.linear_1 2048x256 b
    caption_projection.linear_1 2048x4096 b
    transformer_blocks.{28}.attn2.to_k 2048x2048 b
    """
)
LTXV_2 = LTXV | table("audio_patchify_proj 2048x128 b\ntransformer_blocks.{48}.audio_attn1.to_k 2048x2048 b")
COSMOS = table("x_embedder.proj.1 4096x72\nblocks.block0.blocks.0.block.attn.to_q.0 4096x4096")
ANIMA = table(
    """
    x_embedder.proj.1 2048x68
    blocks.{28}.mlp.layer1 8192x2048
    blocks.{28}.self_attn.q_proj 2048x2048
    llm_adapter.blocks.{6}.self_attn.v_proj 1024x1024
    """
)
KANDINSKY_5 = table("pooled_text_embeddings.in_layer 512x768 b\ntext_transformer_blocks.{2}.feed_forward.in_layer 7168x1792")
KREA_2 = table("txtfusion.projector 1x12\nblocks.{28}.attn.gate 6144x6144\n=blocks.{28}.mod.lin 36864")
ERNIE = table("x_embedder.proj 3072x128x1x1 b\nlayers.{36}.adaLN_sa_ln 3072\nlayers.{36}.mlp.linear_fc2 3072x8192")
IDEOGRAM_4 = table("embed_image_indicator 2x4608\nllm_cond_proj 4608x4096\nlayers.{34}.attention.qkv 13824x4608")
ACE_AUDIO = table("genre_embedder 2560x768 b\ntransformer_blocks.{24}.attn.to_q 2560x2560 b")
STABLE_AUDIO = table("=transformer.rotary_pos_emb.inv_freq 16\ntransformer.layers.{24}.self_attn.to_qkv 4608x1536")
