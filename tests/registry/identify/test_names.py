"""One layer under all its names: every spelling of an add-on leads to the weight that a checkpoint has for it."""

from __future__ import annotations

import pytest

from registry.identify.adapternames import adapters, split
from registry.identify.names import Targets
from registry.identify.unetnames import DiffusersUnet, LdmUnet
from samples.layout import STANDARD, sd1

SD1 = sd1(STANDARD)
U = "model.diffusion_model."
UNET = {name.removeprefix(U): shape for name, shape in SD1.items() if name.startswith(U)}
SDXL = {
    f"{U}input_blocks.3.0.op.weight": (320, 320, 3, 3),
    f"{U}input_blocks.4.1.transformer_blocks.1.attn2.to_k.weight": (640, 2048),
    f"{U}output_blocks.0.1.transformer_blocks.9.ff.net.2.weight": (1280, 5120),
    f"{U}output_blocks.2.2.conv.weight": (1280, 1280, 3, 3),
    f"{U}output_blocks.5.2.conv.weight": (640, 640, 3, 3),
    f"{U}output_blocks.8.0.skip_connection.weight": (320, 640, 1, 1),
    "conditioner.embedders.0.transformer.text_model.encoder.layers.3.mlp.fc1.weight": (3072, 768),
    "conditioner.embedders.1.model.transformer.resblocks.3.attn.in_proj_weight": (3840, 1280),
    "conditioner.embedders.1.model.transformer.resblocks.3.mlp.c_fc.weight": (5120, 1280),
}


@pytest.mark.parametrize(
    ("module", "weight"),
    [
        ("lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k", "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"),
        ("lora_unet_up_blocks_3_attentions_2_transformer_blocks_0_ff_net_2", "output_blocks.11.1.transformer_blocks.0.ff.net.2.weight"),
        ("lora_unet_up_blocks_0_upsamplers_0_conv", "output_blocks.2.1.conv.weight"),
        ("lora_unet_up_blocks_1_upsamplers_0_conv", "output_blocks.5.2.conv.weight"),
        ("lora_unet_down_blocks_2_downsamplers_0_conv", "input_blocks.9.0.op.weight"),
        ("lora_unet_mid_block_resnets_1_conv2", "middle_block.2.out_layers.3.weight"),
        ("lora_unet_mid_block_attentions_0_proj_out", "middle_block.1.proj_out.weight"),
        ("lora_unet_down_blocks_1_resnets_0_conv_shortcut", "input_blocks.4.0.skip_connection.weight"),
        ("lora_unet_time_embedding_linear_1", "time_embed.0.weight"),
        ("lora_unet_conv_in", "input_blocks.0.0.weight"),
        ("lora_unet_input_blocks_1_1_proj_in", "input_blocks.1.1.proj_in.weight"),
        (
            "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0",
            "input_blocks.1.1.transformer_blocks.0.attn1.to_out.0.weight",
        ),
        (
            "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_out",
            "input_blocks.1.1.transformer_blocks.0.attn1.to_out.0.weight",
        ),
        ("lycoris_down_blocks_0_resnets_0_conv1", "input_blocks.1.0.in_layers.2.weight"),
        ("diffusion_model.input_blocks.1.0.in_layers.2", "input_blocks.1.0.in_layers.2.weight"),
        ("base_model.model.down_blocks.0.resnets.0.conv1", "input_blocks.1.0.in_layers.2.weight"),
    ],
)
def test_every_spelling_of_a_unet_layer_leads_to_its_weight(module: str, weight: str) -> None:
    target = Targets(SD1).find(module)
    assert target is not None
    assert (target.name, target.part_shape) == (U + weight, SD1[U + weight])


@pytest.mark.parametrize("prefix", ["lora_te_", "lora_te1_", "text_encoder."])
def test_text_encoder_of_sd1_is_found_by_kohya_and_diffusers_names(prefix: str) -> None:
    module = "text_model.encoder.layers.11.self_attn.q_proj"
    spelled = prefix + (module if prefix.endswith(".") else module.replace(".", "_"))
    target = Targets(SD1).find(spelled)
    assert target is not None
    assert target.name == f"cond_stage_model.transformer.{module}.weight"


def test_open_clip_keeps_q_k_and_v_in_one_weight_and_the_rows_are_named() -> None:
    targets = Targets(SDXL)
    found = [targets.find(f"lora_te2_text_model_encoder_layers_3_self_attn_{part}_proj") for part in "qkv"]
    assert [(target.start, target.rows) for target in found if target] == [(0, 1280), (1280, 1280), (2560, 1280)]
    fc1 = targets.find("lora_te2_text_model_encoder_layers_3_mlp_fc1")
    assert fc1 is not None
    assert (fc1.name.rsplit(".", 2)[1], fc1.rows) == ("c_fc", None)


@pytest.mark.parametrize(
    ("module", "weight"),
    [
        ("lora_unet_down_blocks_1_attentions_0_transformer_blocks_1_attn2_to_k", "input_blocks.4.1.transformer_blocks.1.attn2.to_k.weight"),
        ("lora_unet_input_blocks_4_1_transformer_blocks_1_attn2_to_k", "input_blocks.4.1.transformer_blocks.1.attn2.to_k.weight"),
        ("lora_unet_up_blocks_0_attentions_0_transformer_blocks_9_ff_net_2", "output_blocks.0.1.transformer_blocks.9.ff.net.2.weight"),
        ("lora_unet_up_blocks_0_upsamplers_0_conv", "output_blocks.2.2.conv.weight"),
        ("lora_unet_up_blocks_2_resnets_2_conv_shortcut", "output_blocks.8.0.skip_connection.weight"),
    ],
)
def test_sdxl_is_found_by_diffusers_and_by_sgm_names(module: str, weight: str) -> None:
    target = Targets(SDXL).find(module)
    assert target is not None
    assert target.name == U + weight


def test_unet_names_go_there_and_back() -> None:
    modules = {name.rsplit(".", 1)[0] for name in UNET}
    there = LdmUnet(UNET)
    spelled = {module: there.diffusers(module) for module in modules}
    assert len(set(spelled.values())) == len(modules)
    back = DiffusersUnet(f"{name}.weight" for name in spelled.values())
    assert {module: back.ldm(str(name)) for module, name in spelled.items()} == {module: module for module in modules}


def test_a_checkpoint_in_diffusers_names_is_found_by_ldm_names() -> None:
    there = LdmUnet(UNET)
    shapes = {f"unet.{there.diffusers(name.rsplit('.', 1)[0])}.{name.rsplit('.', 1)[1]}": shape for name, shape in UNET.items()}
    target = Targets(shapes).find("lora_unet_output_blocks_2_1_conv")
    assert target is not None
    assert target.name == "unet.up_blocks.0.upsamplers.0.conv.weight"


@pytest.mark.parametrize(
    ("module", "name", "rows"),
    [
        ("lora_unet_double_blocks_0_img_attn_qkv", "double_blocks.0.img_attn.qkv.weight", (0, None)),
        ("transformer.transformer_blocks.0.attn.to_k", "double_blocks.0.img_attn.qkv.weight", (3072, 3072)),
        ("lora_transformer_transformer_blocks_0_attn_to_v", "double_blocks.0.img_attn.qkv.weight", (6144, 3072)),
        ("transformer.single_transformer_blocks.0.attn.to_q", "single_blocks.0.linear1.weight", (0, 3072)),
        ("transformer.single_transformer_blocks.0.proj_mlp", "single_blocks.0.linear1.weight", (9216, 12288)),
        ("transformer.single_transformer_blocks.0.proj_out", "single_blocks.0.linear2.weight", (0, None)),
    ],
)
def test_flux_is_found_by_diffusers_names_with_the_rows_that_they_mean(module: str, name: str, rows: tuple[int, int | None]) -> None:
    flux = {
        "double_blocks.0.img_attn.qkv.weight": (9216, 3072),
        "single_blocks.0.linear1.weight": (21504, 3072),
        "single_blocks.0.linear2.weight": (3072, 15360),
    }
    for prefix in ("", U):
        target = Targets({prefix + key: shape for key, shape in flux.items()}).find(module)
        assert target is not None
        assert (target.name, target.start, target.rows) == (prefix + name, *rows)


def test_sd3_is_found_by_diffusers_names() -> None:
    target = Targets({f"{U}joint_blocks.4.context_block.attn.qkv.weight": (4608, 1536)}).find(
        "transformer.transformer_blocks.4.attn.add_k_proj"
    )
    assert target is not None
    assert (target.start, target.rows) == (1536, 1536)


@pytest.mark.parametrize(
    "module", ["lora_unet_no_such_layer", "lora_te2_text_model_encoder_layers_0_mlp_fc1", "x", "", "first_stage_model.x"]
)
def test_what_the_checkpoint_does_not_have_is_not_found(module: str) -> None:
    assert Targets(SD1).find(module) is None


def test_autoencoder_and_averages_are_nobodys_target() -> None:
    targets = Targets(
        {"first_stage_model.decoder.conv_in.weight": (512, 4, 3, 3), "model_ema.diffusion_modelxweight": (4,), f"{U}a.weight": (4, 4)}
    )
    assert len(targets) == 1
    assert targets.parts() == {"unet"}


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("lora_unet_x.lora_down.weight", ("lora_unet_x", "down")),
        ("unet.a.b.lora_A.weight", ("unet.a.b", "down")),
        ("unet.a.b.lora_B.default.weight", ("unet.a.b", "up")),
        ("unet.a.attn1.processor.to_q_lora.up.weight", ("unet.a.attn1.to_q", "up")),
        ("unet.a.attn1.processor.to_out_lora.down.weight", ("unet.a.attn1.to_out.0", "down")),
        ("text_encoder.a.q_proj.lora_linear_layer.down.weight", ("text_encoder.a.q_proj", "down")),
        ("a.lokr_w2_b", ("a", "lokr_w2_b")),
        ("a.oft_diag", ("a", "oft_blocks")),
        ("a.lora_magnitude_vector", ("a", "dora")),
        ("alpha", None),
        ("model.diffusion_model.out.0.weight", None),
    ],
)
def test_a_tensor_of_an_adapter_is_its_module_and_its_role(name: str, parts: tuple[str, str] | None) -> None:
    assert split(name) == parts


def test_factors_of_a_module_are_gathered_and_the_rest_is_left_out() -> None:
    found = adapters(["m.lora_down.weight", "m.lora_up.weight", "m.alpha", "n.weight", "n.on_input", "other.weight"])
    assert found == {
        "m": {"down": "m.lora_down.weight", "up": "m.lora_up.weight", "alpha": "m.alpha"},
        "n": {"on_input": "n.on_input", "ia3": "n.weight"},
    }
