"""One spelling for the tensors of all layouts: which part of a model a tensor belongs to, whoever wrote the file. Tables and prefixes only.

Parts are `unet.` (any diffusion model), `vae.`, `te.` and `control.`; what belongs to none keeps its name. UNets in diffusers' spelling
are given ldm's, so that one rule reads both. Prefixes: CompVis ldm, Stability sgm, ComfyUI `supported_models.py`, diffusers folders.
"""

from __future__ import annotations

from collections.abc import Collection

from registry.identify.unetnames import DiffusersUnet

PREFIXES: tuple[tuple[str, str], ...] = (
    ("model.diffusion_model.", "unet."),
    ("diffusion_model.", "unet."),
    ("first_stage_model.", "vae."),
    ("cond_stage_model.", "te.0."),
    ("conditioner.embedders.", "te."),
    ("text_encoders.", "te."),
    ("text_encoder.", "te.0."),
    ("text_encoder_2.", "te.1."),
    ("text_encoder_3.", "te.2."),
    ("control_model.", "control."),
)
"""Prefixes that mean the same part in every file, and the name that rules know the part by."""

LEADS: tuple[str, ...] = ("model.model.", "transformer.", "model.", "unet.", "net.", "core.", "prior.", "")
"""What else stands before a diffusion model's own names; each is believed only where `MODEL_MARKS` are found behind it. None, too."""

WRAPPERS: tuple[str, ...] = ("module.", "_orig_mod.", "netG.", "generator_ema.")
"""Prefixes of training wrappers, taken off where every tensor has one."""

MODEL_MARKS: tuple[tuple[str, ...], ...] = (
    ("input_blocks.0.0.weight", "middle_block.0.in_layers.0.weight"),
    ("down_blocks.0.resnets.0.norm1.weight", "up_blocks.0.resnets.0.norm1.weight", "conv_in.weight"),
    ("joint_blocks.0.context_block.attn.qkv.weight",),
    ("transformer_blocks.0.norm1_context.linear.weight", "context_embedder.weight"),
    ("transformer_blocks.0.attn.add_k_proj.weight", "context_embedder.weight"),
    ("double_blocks.0.img_attn.qkv.weight",),
    ("double_blocks.0.img_attn.norm.key_norm.scale",),
    ("double_blocks.0.img_attn_qkv.weight",),
    ("double_blocks.0.img_attn_q.weight",),
    ("context_embedder.proj_in.weight", "transformer_blocks.0.attn.add_k_proj.weight"),
    ("single_transformer_blocks.0.norm.linear.qweight",),
    ("double_stream_modulation_img.lin.weight",),
    ("double_stream_modulation_img.linear.weight",),
    ("txt_in.individual_token_refiner.blocks.0.norm1.weight",),
    ("head.modulation",),
    ("condition_embedder.text_embedder.linear_1.weight", "patch_embedding.weight"),
    ("mlp_t5.0.weight",),
    ("text_embedding_padding", "text_embedder.linear_1.weight"),
    ("t_block.1.weight",),
    ("adaln_single.emb.timestep_embedder.linear_1.weight",),
    ("time_embed.emb.timestep_embedder.linear_1.weight", "caption_projection.linear_1.weight"),
    ("cap_embedder.1.weight",),
    ("all_x_embedder.2-1.weight",),
    ("time_caption_embed.timestep_embedder.linear_1.weight",),
    ("txt_norm.weight", "img_in.weight"),
    ("caption_projection.0.linear.weight",),
    ("double_layers.0.attn.w1q.weight",),
    ("joint_transformer_blocks.0.attn.add_k_proj.weight",),
    ("clf.1.weight",),
    ("t5_yproj.weight",),
    ("patch_embed.proj.weight", "time_embed.caption_proj.weight"),
    ("patch_embed.text_proj.weight",),
    ("blocks.block0.blocks.0.block.attn.to_q.0.weight",),
    ("blocks.0.mlp.layer1.weight", "x_embedder.proj.1.weight"),
    ("learnable_pos_embed.pos_emb_t", "time_embed.t_embedder.linear_1.weight"),
    ("attention_y_norm.weight",),
    ("pooled_text_embeddings.in_layer.weight",),
    ("genre_embedder.weight",),
    ("latent_in.weight", "cond_in.weight"),
    ("layers.0.self_attn.to_q.weight", "time_token.linear_1.weight"),
    ("layers.0.adaLN_sa_ln.weight",),
    ("txtfusion.projector.weight",),
    ("text_fusion.projector.weight",),
    ("embed_image_indicator.weight", "llm_cond_proj.weight"),
    ("video_patch_proj.weight",),
    ("pixel_embedder.proj.weight", "pixel_blocks.0.attn.q_norm.weight"),
    ("t_embedder1.mlp.0.weight",),
    ("transformer.rotary_pos_emb.inv_freq",),
    ("double_stream_layers.0.img_instruct_attn.processor.img_to_q.weight",),
)
"""Names by which a diffusion model without a prefix gives itself away; every name of one row must be there."""

CONTROL_MARKS: tuple[str, ...] = (
    "zero_convs.0.0.weight",
    "input_hint_block.0.weight",
    "lora_controlnet",
    "controlnet_cond_embedding.conv_in.weight",
    "controlnet_cond_embedding.weight",
    "controlnet_blocks.0.weight",
    "controlnet_blocks.0.linear.weight",
    "controlnet_blocks.0.input_proj.weight",
    "controlnet_x_embedder.weight",
    "after_proj_list.18.bias",
    "control_layers.0.adaLN_modulation.0.weight",
    "control_all_x_embedder.2-1.weight",
)
"""Names of which one says that the model without a prefix is a ControlNet: it has half of the model's own names besides."""

VAE_MARKS: tuple[str, ...] = (
    "decoder.conv_in.weight",
    "encoder.conv_in.weight",
    "decoder.conv_in.conv.weight",
    "encoder.conv_in.conv.weight",
    "decoder.middle.0.residual.0.gamma",
    "decoder.mid_block.resnets.0.norm1.gamma",
    "decoder.up_blocks.0.res_blocks.0.conv1.conv.weight",
    "taesd_decoder.1.weight",
    "decoder.layers.0.weight",
    "vquantizer.codebook.weight",
    "backbone.1.0.block.0.1.num_batches_tracked",
    "encoder.backbone.1.0.block.0.1.num_batches_tracked",
    "decoder.blocks.2.blocks.3.stack.5.weight",
    "decoder.unpatcher3d.wavelets",
    "decoder.unpatcher3d._arange",
    "decoder.project_in.main.conv.weight",
    "decoder.project_in.conv.weight",
    "decoder.layers.1.layers.0.beta",
    "geo_decoder.cross_attn_decoder.ln_1.bias",
)
"""Names of which one says that a file without prefixes is an autoencoder."""


def spelled(names: Collection[str]) -> dict[str, str]:
    """Canonical name -> the file's own name. Where two would become one, the alphabetically last in the file keeps it."""
    wrapper = next((wrapper for wrapper in WRAPPERS if names and all(name.startswith(wrapper) for name in names)), "")
    cut = len(wrapper)
    own = {name[cut:]: name for name in sorted(names)} if wrapper else dict.fromkeys(sorted(names))
    lead, part = _lead(own)
    found = {_canonical(name, lead, part): name if original is None else original for name, original in own.items()}
    return _in_ldm(found, part) if any(name.startswith(f"{part}down_blocks.") for name in found) else found


def _lead(own: Collection[str]) -> tuple[str, str]:
    """(prefix that the model's own names have beside the fixed ones, the part that they are); ("", "") for a file of other things."""
    if any(mark in own for mark in CONTROL_MARKS):
        return "", "control."
    for lead in LEADS:
        if any(all(lead + name in own for name in marks) for marks in MODEL_MARKS):
            return lead, "unet."
    return ("", "vae.") if any(mark in own for mark in VAE_MARKS) else ("", "")


_FIXED = tuple(prefix for prefix, _ in PREFIXES)


def _canonical(name: str, lead: str, part: str) -> str:
    if name.startswith(_FIXED):
        prefix, short = next(row for row in PREFIXES if name.startswith(row[0]))
        return short + name[len(prefix) :]
    if lead:
        return part + name[len(lead) :] if name.startswith(lead) else name
    return name if name.startswith("vae.") else part + name


def _in_ldm(found: dict[str, str], part: str) -> dict[str, str]:
    """The same with UNet layers that have diffusers' names renamed to ldm's; names that ldm does not have stay."""
    part = part or "unet."
    cut = len(part)
    names = DiffusersUnet(name[cut:] for name in found if name.startswith(part))
    return {_renamed(name, part, names): original for name, original in found.items()}


def _renamed(name: str, part: str, names: DiffusersUnet) -> str:
    module, _, ending = name[len(part) :].rpartition(".")
    other = names.ldm(module) if name.startswith(part) and module else None
    return name if other is None else f"{part}{other}.{ending}"
