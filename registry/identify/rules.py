"""What kind of file this is: one table of rules that exclude each other, so that their order says nothing. Bases are in `bases`.

Every rule says what must be there (`when`) and what must not (`unless`); a file that fits two rules fits none, and is said to. Sources:
ComfyUI (model_detection.py, sd.py, controlnet.py, weight_adapter/), A1111 (Lora/network.py, textual_inversion.py, hypernetwork.py),
kohya's and LyCORIS' key names, InvokeAI's probes, diffusers' single_file_utils.py, spandrel's architecture registry, ultralytics' heads.
"""

from __future__ import annotations

from dataclasses import dataclass

from registry.identify.conditions import (
    Condition,
    adapts,
    adapts_with,
    any_name,
    both,
    either,
    ends,
    few_tensors,
    has,
    ndim,
    size,
    starts,
)


@dataclass(frozen=True, slots=True)
class Rule:
    """`kind` and `flavour` of a file for which every condition in `when` holds and none in `unless`."""

    kind: str
    flavour: str
    when: tuple[Condition, ...]
    unless: tuple[Condition, ...] = ()


def _is_hypernetwork_layer(name: str, _shape: tuple[int, ...]) -> bool:
    parts = name.split(".")
    return len(parts) >= 3 and parts[0].isdigit() and parts[1] in {"0", "1"} and parts[2].startswith("linear")


HYPERNETWORK = any_name(_is_hypernetwork_layer)
MODEL, VAE, TEXT = starts("unet."), starts("vae."), starts("te.")
REST = either(VAE, TEXT)
IP = starts("image_proj.", "ip_adapter_proj_model.")
MOTION = starts("down_blocks.0.motion_modules.")
ADAPTER = starts("lora.")

CONTROL_LORA, LLLITE = has("control.lora_controlnet"), starts("lllite_")
UNION = either(has("control.control_add_embedding.linear_1.bias"), has("control.controlnet_mode_embedder.weight"))
SPARSE = starts("control.down_blocks.0.motion_modules.")
DIFFERENCE = either(has("difference"), has("control.difference"))
DIFFUSERS_CONTROL = either(has("control.controlnet_cond_embedding.conv_in.weight"), has("control.controlnet_cond_embedding.weight"))
TRANSFORMER_CONTROL = either(
    starts("control.controlnet_blocks.0."),
    has("control.after_proj_list.18.bias"),
    has("control.control_layers.0.adaLN_modulation.0.weight"),
)
PLAIN_CONTROL = either(has("control.zero_convs.0.0.weight"), has("control.input_hint_block.0.weight"))
CONTROL = either(CONTROL_LORA, LLLITE, UNION, SPARSE, DIFFUSERS_CONTROL, TRANSFORMER_CONTROL, PLAIN_CONTROL)

DORA, LOHA = adapts("dora"), adapts("hada_w1_a")
LOKR = either(adapts("lokr_w1"), adapts("lokr_w1_a"))
OFT, BOFT = adapts_with("oft_blocks", 3, "one layer of blocks"), adapts_with("oft_blocks", 4, "several layers of blocks")
GLORA = both(adapts("a1"), adapts("a2"), adapts("b1"), adapts("b2"))
IA3 = adapts("on_input")
FACTORED = both(adapts("down"), adapts("up"))
DIFF = either(adapts("diff"), adapts("diff_b"), adapts("set_weight"), adapts("w_norm"))
CONV = either(adapts("mid"), any_name(lambda name, shape: name.startswith("lora.") and len(shape) == 4 and shape[2] > 1))
"""A 3x3 convolution is factored: LoCon, where a plain LoRA stops at linear layers and 1x1 convolutions."""
SPECIAL = (DORA, LOHA, LOKR, OFT, BOFT, GLORA)

T2I = either(
    has("body.0.in_conv.weight"),
    has("adapter.body.0.in_conv.weight"),
    both(ndim("conv_in.weight", 4), has("body.0.block2.weight")),
    both(ndim("adapter.conv_in.weight", 4), has("adapter.body.0.resnets.0.block1.weight")),
)
PARTS = (MODEL, CONTROL, IP, MOTION, ADAPTER, VAE, TEXT)
"""What belongs to a model of diffusion or to an add-on of one; the rules below these are for files that have nothing of it."""

WORDS = any_name(
    lambda _name, shape: shape[-1:] in ((768,), (1024,), (1280,), (4096,)) and (len(shape) == 1 or (len(shape) == 2 and shape[0] <= 256))
)
"""A few vectors as wide as the text encoders of SD 1.x, SD 2.x, SDXL (its second) or T5-XXL."""
TWO_WORDS = both(has("clip_l"), has("clip_g"))

LTX_VAE = has("vae.decoder.up_blocks.0.res_blocks.0.conv1.conv.weight")
OOBLECK = has("vae.decoder.layers.1.layers.0.beta")
TINY_VAE = either(has("vae.taesd_decoder.1.weight"), both(has("vae.decoder.layers.0.weight"), has("vae.encoder.layers.0.weight")))
DIFFUSERS_VAE = either(
    has("vae.decoder.up_blocks.0.resnets.0.norm1.weight"), starts("vae.decoder.up_blocks.0.resnets.0.spatial_res_block.")
)
WAN_VAE = either(has("vae.decoder.middle.0.residual.0.gamma"), has("vae.decoder.mid_block.resnets.0.norm1.gamma"))
CAUSAL_VAE = has("vae.decoder.conv_in.conv.weight")
ENCODER, DECODER = has("vae.encoder.conv_in.weight"), has("vae.decoder.conv_in.weight")
DC_VAE = either(
    has("vae.decoder.project_in.main.conv.weight"),
    has("vae.decoder.project_in.conv.weight"),
    has("vae.encoder.down_blocks.0.0.conv1.weight"),
    starts("vae.decoder.stages."),
    starts("vae.encoder.stages."),
    has("vae.decoder.up_blocks.0.0.conv.weight"),
)
OTHER_VAES = (DC_VAE, LTX_VAE, OOBLECK, TINY_VAE, DIFFUSERS_VAE, WAN_VAE, CAUSAL_VAE)

CLIP_TEXT = "text_model.encoder.layers.{}.self_attn.k_proj.weight"
CLIP_LAST = [has(CLIP_TEXT.format(layer)) for layer in (0, 22, 30)]
T5_OLD, T5_NEW = "encoder.block.23.layer.1.DenseReluDense.wi.weight", "encoder.block.23.layer.1.DenseReluDense.wi_1.weight"
T5_FIRST = either(has("encoder.block.0.layer.0.SelfAttention.k.weight"), has("encoder.block.0.layer.0.SelfAttention.q.weight"))
T5_BIG = either(size(T5_NEW, -1, 4096), has(T5_OLD))
GEMMA = has("model.layers.0.post_feedforward_layernorm.weight")
QWEN = has("model.layers.0.self_attn.k_proj.bias")
DECODER_LLM = has("model.layers.0.post_attention_layernorm.weight")
OPEN_CLIP = has("transformer.resblocks.0.attn.in_proj_weight")
VISION = either(has("vision_model.encoder.layers.0.self_attn.k_proj.weight"), has("visual.transformer.resblocks.0.attn.in_proj_weight"))
TEXTS = (CLIP_LAST[0], T5_FIRST, T5_BIG, DECODER_LLM, OPEN_CLIP)


def _lora(flavour: str, when: Condition, *unless: Condition) -> Rule:
    return Rule("lora", flavour, (when,), (MODEL, CONTROL, IP, *unless))


def _control(flavour: str, when: Condition, *unless: Condition) -> Rule:
    return Rule("controlnet", flavour, (when,), unless)


def _vae(flavour: str, when: Condition, *unless: Condition) -> Rule:
    return Rule("vae", flavour, (when,), (MODEL, CONTROL, ADAPTER, *unless))


def _text(flavour: str, when: Condition, *unless: Condition) -> Rule:
    return Rule("text_encoder", flavour, (when,), (*PARTS, *unless))


def _alone(kind: str, flavour: str, *when: Condition, unless: tuple[Condition, ...] = ()) -> Rule:
    return Rule(kind, flavour, when, (*PARTS, *unless))


MODELS: tuple[Rule, ...] = (
    Rule("checkpoint", "", (MODEL, REST), (CONTROL,)),
    Rule("unet", "", (MODEL,), (CONTROL, REST)),
)
ADAPTERS: tuple[Rule, ...] = (
    _lora("DoRA", DORA),
    _lora("LoHa", LOHA, DORA),
    _lora("LoKr", LOKR, DORA, LOHA),
    _lora("OFT", OFT, DORA, LOHA, LOKR),
    _lora("BOFT", BOFT, DORA, LOHA, LOKR),
    _lora("GLoRA", GLORA, DORA, LOHA, LOKR, OFT, BOFT),
    _lora("LoCon", both(FACTORED, CONV), *SPECIAL),
    _lora("LoRA", FACTORED, CONV, *SPECIAL),
    _lora("IA3", IA3, FACTORED, *SPECIAL),
    _lora("Full difference", DIFF, IA3, FACTORED, *SPECIAL),
)
"""The most particular factors name the file: trainers mix them with plain ones for layers that they cannot treat otherwise."""

CONTROLS: tuple[Rule, ...] = (
    _control("Control-LoRA", CONTROL_LORA),
    _control("ControlNet-LLLite", LLLITE, CONTROL_LORA),
    _control("ControlNet Union", UNION, CONTROL_LORA, LLLITE),
    _control("SparseCtrl", SPARSE, CONTROL_LORA, LLLITE, UNION),
    _control("ControlNet (diffusers)", DIFFUSERS_CONTROL, CONTROL_LORA, LLLITE, UNION, SPARSE),
    _control("ControlNet (transformer)", TRANSFORMER_CONTROL, CONTROL_LORA, LLLITE, UNION, SPARSE, DIFFUSERS_CONTROL),
    _control(
        "ControlNet (difference)",
        both(PLAIN_CONTROL, DIFFERENCE),
        CONTROL_LORA,
        LLLITE,
        UNION,
        SPARSE,
        DIFFUSERS_CONTROL,
        TRANSFORMER_CONTROL,
    ),
    _control("ControlNet", PLAIN_CONTROL, DIFFERENCE, CONTROL_LORA, LLLITE, UNION, SPARSE, DIFFUSERS_CONTROL, TRANSFORMER_CONTROL),
)
ADD_ONS: tuple[Rule, ...] = (
    Rule("ip_adapter", "IP-Adapter FaceID", (starts("image_proj."), adapts("down")), (MODEL, CONTROL)),
    Rule("ip_adapter", "IP-Adapter Plus", (has("image_proj.latents"),), (MODEL, CONTROL, adapts("down"))),
    Rule("ip_adapter", "IP-Adapter", (starts("image_proj."),), (MODEL, CONTROL, adapts("down"), has("image_proj.latents"))),
    Rule("ip_adapter", "IP-Adapter (Flux)", (starts("ip_adapter_proj_model."),), (MODEL, CONTROL, starts("image_proj."))),
    Rule("motion_module", "AnimateDiff", (MOTION,), (MODEL, CONTROL, IP, ADAPTER)),
    _alone("t2i_adapter", "T2I-Adapter", T2I),
    _alone("hypernetwork", "", HYPERNETWORK),
    Rule("embedding", "Textual inversion", (has("emb_params"),), (*PARTS, TWO_WORDS)),
    Rule("embedding", "Textual inversion (SDXL)", (TWO_WORDS,), PARTS),
    _alone("embedding", "Textual inversion", few_tensors(2), WORDS, unless=(has("emb_params"), TWO_WORDS, HYPERNETWORK, T2I)),
)
VAES: tuple[Rule, ...] = (
    _vae("", both(ENCODER, DECODER), *OTHER_VAES),
    _vae("Decoder only", DECODER, ENCODER, *OTHER_VAES),
    _vae("Encoder only", ENCODER, DECODER, *OTHER_VAES),
    _vae("Diffusers", DIFFUSERS_VAE),
    _vae("TAESD", TINY_VAE, OOBLECK),
    _vae("LTX-Video", LTX_VAE),
    _vae("Wan", WAN_VAE),
    _vae("Video (causal)", CAUSAL_VAE, LTX_VAE, WAN_VAE, DIFFUSERS_VAE),
    _vae("Stable Audio", OOBLECK),
    _vae("Stable Cascade stage A", has("vae.vquantizer.codebook.weight")),
    _vae(
        "Stable Cascade stage C",
        either(has("vae.backbone.1.0.block.0.1.num_batches_tracked"), has("vae.encoder.backbone.1.0.block.0.1.num_batches_tracked")),
    ),
    _vae("Mochi", has("vae.decoder.blocks.2.blocks.3.stack.5.weight")),
    _vae("Cosmos", either(has("vae.decoder.unpatcher3d.wavelets"), has("vae.decoder.unpatcher3d._arange")), CAUSAL_VAE),
    _vae("DC-AE", DC_VAE),
    _vae("Hunyuan3D", has("vae.geo_decoder.cross_attn_decoder.ln_1.bias")),
)
ENCODERS: tuple[Rule, ...] = (
    Rule("text_encoder", "", (TEXT,), (MODEL, CONTROL, ADAPTER, VAE)),
    _text("CLIP-G", CLIP_LAST[2]),
    _text("CLIP-H", CLIP_LAST[1], CLIP_LAST[2]),
    _text("CLIP-L", CLIP_LAST[0], CLIP_LAST[1]),
    _text("OpenCLIP", OPEN_CLIP, VISION),
    _text("T5-XXL", T5_BIG),
    _text("T5", T5_FIRST, T5_BIG),
    _text("Gemma", GEMMA),
    _text("Qwen2.5", QWEN, GEMMA),
    _text("Llama", DECODER_LLM, QWEN, GEMMA),
    _alone("clip_vision", "ViT-bigG", has("vision_model.encoder.layers.47.layer_norm1.weight"), unless=TEXTS),
    _alone(
        "clip_vision",
        "ViT-H",
        has("vision_model.encoder.layers.30.layer_norm1.weight"),
        unless=(*TEXTS, has("vision_model.encoder.layers.47.layer_norm1.weight")),
    ),
    _alone("clip_vision", "ViT-L", VISION, unless=(*TEXTS, has("vision_model.encoder.layers.30.layer_norm1.weight"))),
)

RRDB = both(has("conv_first.weight"), has("body.0.rdb1.conv1.weight"))
MM_REAL_SR = has("de_net.conv_first.0.weight")
SWIN = has("layers.0.residual_group.blocks.0.attn.relative_position_index")
SWIN_2 = both(has("patch_embed.proj.weight"), has("layers.0.residual_group.blocks.0.attn.logit_scale"))
GROUPS = has("before_RG.1.weight")

UPSCALERS: tuple[Rule, ...] = tuple(
    _alone("upscaler", flavour, *when, unless=unless)
    for flavour, when, unless in (
        ("ESRGAN (old names)", (has("model.0.weight"), has("model.1.sub.0.RDB1.conv1.0.weight")), ()),
        ("Real-ESRGAN", (RRDB,), (MM_REAL_SR,)),
        ("MM-RealSR", (RRDB, MM_REAL_SR), ()),
        ("BSRGAN", (has("RRDB_trunk.0.RDB1.conv1.weight"),), ()),
        ("Compact", (ndim("body.0.weight", 4), ndim("body.1.weight", 1), has("body.2.weight")), ()),
        ("SwinIR", (SWIN,), (SWIN_2, has("relative_position_index_SA"))),
        ("Swin2SR", (SWIN_2,), (has("relative_position_index_SA"),)),
        ("HAT", (has("relative_position_index_SA"),), (has("layers.0.residual_group.td"),)),
        ("ATD", (has("relative_position_index_SA"), has("layers.0.residual_group.td")), ()),
        ("DAT", (GROUPS,), (has("layers.0.blocks.0.gamma"),)),
        ("RGT", (GROUPS, has("layers.0.blocks.0.gamma")), ()),
        ("DRCT", (has("layers.0.swin1.attn.relative_position_bias_table"),), ()),
        ("OmniSR", (has("residual_layer.0.residual_layer.0.layer.0.fn.0.weight"),), ()),
        ("SPAN", (has("block_1.c1_r.eval_conv.weight"), has("conv_cat.weight")), ()),
        ("Real-CUGAN", (has("unet1.conv1.conv.0.weight"), has("unet2.conv1.conv.0.weight")), ()),
        ("PLKSR", (either(has("feats.1.lk.conv.weight"), has("feats.1.lk.convs.0.weight"), has("feats.1.lk.mn_conv.weight")),), ()),
        ("SCUNet", (has("m_head.0.weight"), has("m_tail.0.weight")), ()),
        ("SAFMN", (has("to_feat.weight"), has("feats.0.safm.aggr.weight")), ()),
        ("GFPGAN", (has("toRGB.0.weight"), has("stylegan_decoder.style_mlp.1.weight")), ()),
        ("LaMa", (either(has("model.model.1.bn_l.running_mean"), has("generator.model.1.bn_l.running_mean")),), ()),
    )
)
"""Upscalers and their kin, as spandrel tells them: names that only one architecture has."""

DETECTORS: tuple[Rule, ...] = (
    _alone("detection", "YOLO", ends(".dfl.conv.weight"), unless=(ends(".proto.cv1.conv.weight"),)),
    _alone("detection", "YOLO (segmentation)", ends(".dfl.conv.weight"), ends(".proto.cv1.conv.weight")),
    _alone("detection", "Segment Anything", has("image_encoder.patch_embed.proj.weight"), has("mask_decoder.iou_token.weight")),
)

KINDS: tuple[Rule, ...] = (*MODELS, *ADAPTERS, *CONTROLS, *ADD_ONS, *VAES, *ENCODERS, *UPSCALERS, *DETECTORS)
