"""Every architecture and flavour gets the right answer, and no other rule would have given one: the tables' order says nothing."""

from __future__ import annotations

import random
from functools import cache

import pytest

from registry.formats.directory import TensorDirectory
from registry.identify import detect
from registry.identify.bases import ALTERNATIVES, TABLES
from registry.identify.detect import holds, identify
from registry.identify.facts import Facts, facts_of
from registry.identify.keys import unwrap
from registry.identify.rules import KINDS
from tests import tiny
from tests.registry.identify.cases import ADD_ONS, CASES, MODELS
from tests.registry.identify.cases_loras import LORAS


@cache
def directory(name: str) -> TensorDirectory:
    found: TensorDirectory = tiny.directory_of(CASES[name].build())
    return found


def facts(name: str) -> Facts:
    return facts_of(unwrap(directory(name)), {})


@pytest.mark.parametrize("name", MODELS)
def test_model_is_told_with_its_base_and_variants(name: str) -> None:
    case, found = CASES[name], identify(directory(name))
    assert (found.kind, found.family, found.base, tuple(found.variants)) == (case.kind, case.family, case.base, case.variants)
    assert found.precision == case.precision
    assert found.evidence_kind
    assert found.evidence_base
    assert found.has_vae == (case.kind == "checkpoint")


@pytest.mark.parametrize("name", ADD_ONS)
def test_add_on_is_told_with_its_flavour_and_base(name: str) -> None:
    case, found = CASES[name], identify(directory(name))
    assert (found.kind, found.flavour, found.family, found.base) == (case.kind, case.flavour, case.family, case.base)
    assert found.evidence_kind
    assert bool(found.evidence_base) == bool(case.family)
    assert found.confidence in {detect.PROVED, detect.NAMED}


@pytest.mark.parametrize("name", CASES)
def test_exactly_one_rule_of_kinds_and_at_most_one_base_of_each_kind_fits(name: str) -> None:
    looked = facts(name)
    kinds = [rule for rule in KINDS if holds(rule.when, rule.unless, looked) is not None]
    assert [rule.kind for rule in kinds] == [CASES[name].kind]
    bases = [base for base in TABLES.get(CASES[name].kind, ()) if holds(base.when, base.unless, looked) is not None]
    assert [base.family for base in bases] == ([CASES[name].family] if CASES[name].family else [])


@pytest.mark.parametrize("seed", range(3))
def test_shuffled_tables_give_the_same_answers(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    names = sorted(CASES)[seed::3]
    before = [identify(directory(name)).to_json() for name in names]
    dice = random.Random(seed)
    monkeypatch.setattr(detect, "KINDS", tuple(dice.sample(KINDS, len(KINDS))))
    monkeypatch.setattr(detect, "TABLES", {kind: tuple(dice.sample(rows, len(rows))) for kind, rows in TABLES.items()})
    assert [identify(directory(name)).to_json() for name in names] == before


def test_tensors_in_another_order_are_the_same_file() -> None:
    dice = random.Random(4)
    for name in dice.sample(sorted(CASES), 40):
        given = CASES[name].build()
        mixed = dict(dice.sample(list(given.items()), len(given)))
        assert identify(tiny.directory_of(mixed)).to_json() == identify(directory(name)).to_json()


def test_every_rule_is_tried_by_a_case_of_its_own() -> None:
    told = {(case.kind, case.flavour) for case in CASES.values()}
    unseen = {(rule.kind, rule.flavour) for rule in KINDS} - told
    assert unseen == RARE


RARE = {
    ("vae", "Encoder only"), ("vae", "Stable Audio"), ("vae", "Stable Cascade stage C"), ("vae", "Mochi"), ("vae", "Cosmos"),
    ("vae", "DC-AE"), ("vae", "Hunyuan3D"), ("clip_vision", "ViT-bigG"), ("clip_vision", "ViT-L"), ("upscaler", "MM-RealSR"),
    ("upscaler", "ATD"), ("upscaler", "DRCT"), ("upscaler", "Real-CUGAN"), ("upscaler", "PLKSR"), ("upscaler", "SCUNet"),
    ("upscaler", "SAFMN"), ("upscaler", "LaMa"), ("detection", "Segment Anything"),
}  # fmt: skip
"""Rules of one or two marker names, tried by those names alone below."""

MARKERS = {
    ("vae", "Encoder only"): ["encoder.conv_in.weight"],
    ("vae", "Stable Audio"): ["decoder.layers.0.weight", "encoder.layers.0.weight", "decoder.layers.1.layers.0.beta"],
    ("vae", "Stable Cascade stage C"): ["backbone.1.0.block.0.1.num_batches_tracked"],
    ("vae", "Mochi"): ["decoder.blocks.2.blocks.3.stack.5.weight"],
    ("vae", "Cosmos"): ["decoder.unpatcher3d.wavelets"],
    ("vae", "DC-AE"): ["decoder.conv_in.weight", "encoder.conv_in.weight", "decoder.up_blocks.0.0.conv.weight"],
    ("vae", "Hunyuan3D"): ["geo_decoder.cross_attn_decoder.ln_1.bias"],
    ("clip_vision", "ViT-bigG"): [f"vision_model.encoder.layers.{n}.layer_norm1.weight" for n in range(48)],
    ("clip_vision", "ViT-L"): ["vision_model.encoder.layers.0.self_attn.k_proj.weight"],
    ("upscaler", "MM-RealSR"): ["conv_first.weight", "body.0.rdb1.conv1.weight", "de_net.conv_first.0.weight"],
    ("upscaler", "ATD"): ["relative_position_index_SA", "conv_first.weight", "layers.0.residual_group.td"],
    ("upscaler", "DRCT"): ["conv_first.weight", "layers.0.swin1.attn.relative_position_bias_table", "layers.0.swin1.norm1.weight"],
    ("upscaler", "Real-CUGAN"): ["unet1.conv1.conv.0.weight", "unet2.conv1.conv.0.weight", "unet1.conv_bottom.weight"],
    ("upscaler", "PLKSR"): ["feats.0.weight", "feats.1.lk.conv.weight", "feats.1.refine.weight"],
    ("upscaler", "SCUNet"): ["m_head.0.weight", "m_tail.0.weight", "m_body.0.weight"],
    ("upscaler", "SAFMN"): ["to_feat.weight", "feats.0.safm.aggr.weight", "to_img.0.weight"],
    ("upscaler", "LaMa"): ["model.model.1.bn_l.running_mean", "model.model.1.ffc.weight", "model.model.2.ffc.weight"],
    ("detection", "Segment Anything"): [
        "image_encoder.patch_embed.proj.weight",
        "mask_decoder.iou_token.weight",
        "prompt_encoder.x.weight",
    ],
}


@pytest.mark.parametrize("answer", sorted(RARE))
def test_rare_part_is_told_by_its_marker_names(answer: tuple[str, str]) -> None:
    found = identify(tiny.directory_of(dict.fromkeys(MARKERS[answer], ("F32", (3, 3, 3, 3)))))
    assert (found.kind, found.flavour) == answer


def test_alternatives_hold_the_suggestion_and_belong_to_a_row() -> None:
    rows = {(base.family, base.base) for table in TABLES.values() for base in table}
    assert ALTERNATIVES.keys() <= rows
    for (_, base), names in ALTERNATIVES.items():
        assert base in names


def test_a_file_of_two_kinds_is_called_neither() -> None:
    both = CASES["Real-ESRGAN"].build() | CASES["Embedding SD 1"].build()
    found = identify(tiny.directory_of({**both, **CASES["T5-base"].build()}))
    assert found.kind == "other"
    assert "several descriptions" in found.notes[0]


@pytest.mark.parametrize("junk", ["LoRA SD 1", "ControlNet SD 1"])
def test_remains_of_another_kind_do_not_hide_a_checkpoint(junk: str) -> None:
    remains = [(name, info) for name, info in CASES[junk].build().items() if "zero_convs" not in name and "input_hint" not in name][:30]
    found = identify(tiny.directory_of({**CASES["SD 1"].build(), **dict(remains)}))
    assert (found.kind, found.base) == ("checkpoint", "SD 1.5")


def test_one_block_of_a_lora_is_enough_where_its_width_tells() -> None:
    given = {
        name: info
        for name, info in LORAS["LoRA SDXL"].build().items()
        if "down_blocks_2_attentions_1_transformer_blocks_7_attn2_to_v" in name
    }
    found = identify(tiny.directory_of(given))
    assert (len(given), found.base, found.confidence) == (3, "SDXL 1.0", detect.PROVED)
