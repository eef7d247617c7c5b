"""LoRAs baked into checkpoints, against W + strength * alpha / rank * difference computed by torch in float64."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from inference.weights.merging.deltas import product
from inference.weights.merging.plan import MergePlan, plan_merge
from inference.weights.merging.recipe import MergeRecipe
from registry.formats.errors import FormatError
from samples.layout import TINY
from tests import tiny
from tests.inference.weights.merging import a1111
from tests.inference.weights.merging.models import FIRST, State, given, merged, model
from tests.registry.identify.cases import LORAS, MODELS

U = "model.diffusion_model."
LINEAR = (
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q",
    f"{U}input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight",
)
POINT = ("lora_unet_down_blocks_1_attentions_1_proj_in", f"{U}input_blocks.5.1.proj_in.weight")
CONV = ("lora_unet_mid_block_resnets_0_conv1", f"{U}middle_block.0.in_layers.2.weight")
TEXT = ("lora_te_text_model_encoder_layers_3_mlp_fc1", "cond_stage_model.transformer.text_model.encoder.layers.3.mlp.fc1.weight")
PLACES = {"linear": LINEAR, "1x1": POINT, "3x3": CONV, "text": TEXT}
TOLERANCE = {"rtol": 1e-5, "atol": 1e-6}
"""Sums run in float32, one rank after the other: a rank of 8 is off by a few units in the last place."""


def numbers(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 0.3


def baked(
    folder: Path, loras: list[State], strengths: tuple[float, ...], a: State | None = None, **recipe: Any
) -> tuple[State, State, Any]:
    """(A, the result, the report) of baking into A."""
    model_a = model(1) if a is None else a
    states = {"a": model_a, **{f"lora{number}": lora for number, lora in enumerate(loras)}}
    _, outcome = merged(folder, states, **{"method": "no_interpolation", "loras": strengths, **recipe})
    return model_a, a1111.read(folder / "out.safetensors"), outcome


def only(before: State, after: State, *changed: str) -> None:
    """No tensor but these differs."""
    assert {name for name in before if not torch.equal(before[name], after[name])} == set(changed)


def lora_of(module: str, shape: torch.Size, rank: int = 4, alpha: float | None = 2.0) -> tuple[State, torch.Tensor]:
    """A kohya LoRA of one layer, and what it adds at strength 1, in float64."""
    down, up = numbers(1, rank, *shape[1:]), numbers(2, shape[0], rank, *([1, 1] if len(shape) == 4 else []))
    state = {f"{module}.lora_down.weight": down, f"{module}.lora_up.weight": up}
    if alpha is not None:
        state[f"{module}.alpha"] = torch.tensor(alpha)
    scale = 1.0 if alpha is None else alpha / rank
    return state, (up.double().reshape(shape[0], rank) @ down.double().reshape(rank, -1)).reshape(shape) * scale


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("alpha", [2.0, None], ids=["alpha", "no alpha"])
def test_a_lora_is_added_at_its_strength(tmp_path: Path, place: str, alpha: float | None) -> None:
    module, target = PLACES[place]
    lora, difference = lora_of(module, model(1)[target].shape, alpha=alpha)
    before, after, outcome = baked(tmp_path, [lora], (0.7,))
    only(before, after, target)
    torch.testing.assert_close(after[target].double(), before[target].double() + 0.7 * difference, **TOLERANCE)
    assert (outcome.loras[0].baked, outcome.loras[0].unmatched) == (1, 0)


@pytest.mark.parametrize(
    "names",
    [
        ("unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q", "lora_A.weight", "lora_B.weight"),
        ("unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor", "to_q_lora.down.weight", "to_q_lora.up.weight"),
        ("lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q", "lora_down.weight", "lora_up.weight"),
        ("diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q", "lora_A.weight", "lora_B.weight"),
    ],
    ids=["peft", "processor", "kohya with sgm names", "comfy"],
)
def test_every_trainer_s_names_mean_the_same_layer(tmp_path: Path, names: tuple[str, str, str]) -> None:
    kohya, difference = lora_of("x", model(1)[LINEAR[1]].shape, alpha=None)
    lora = {f"{names[0]}.{names[1]}": kohya["x.lora_down.weight"], f"{names[0]}.{names[2]}": kohya["x.lora_up.weight"]}
    before, after, _ = baked(tmp_path, [lora], (1.0,))
    only(before, after, LINEAR[1])
    torch.testing.assert_close(after[LINEAR[1]].double(), before[LINEAR[1]].double() + difference, **TOLERANCE)


def test_alpha_that_peft_keeps_in_the_metadata_counts(tmp_path: Path) -> None:
    from inference.weights.merging.merge import merge
    from inference.weights.merging.recipe import MergeRecipe

    state, difference = lora_of("x", model(1)[LINEAR[1]].shape, alpha=None)
    module = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
    lora = {f"{module}.lora_A.weight": state["x.lora_down.weight"], f"{module}.lora_B.weight": state["x.lora_up.weight"]}
    said = {"lora_adapter_metadata": json.dumps({"unet.lora_alpha": 8, "unet.r": 4})}
    inputs = {"a": given(tmp_path / "a", model(1)), "lora0": given(tmp_path / "lora", lora, metadata=said)}
    merge(inputs, tmp_path / "out", MergeRecipe(method="no_interpolation", loras=(1.0,)))
    torch.testing.assert_close(a1111.read(tmp_path / "out")[LINEAR[1]].double(), model(1)[LINEAR[1]].double() + 2 * difference, **TOLERANCE)


def test_open_clip_s_fused_projection_takes_each_third(tmp_path: Path) -> None:
    block = "cond_stage_model.model.transformer.resblocks.1"
    a = {name: tensor for name, tensor in model(1).items() if not name.startswith("cond_stage_model.")}
    for name in [name for name in a if name.endswith(("proj_in.weight", "proj_out.weight"))]:
        a[name] = a[name].reshape(a[name].shape[:2])
    a |= {f"{block}.attn.in_proj_weight": numbers(5, 48, 16), f"{block}.mlp.c_fc.weight": numbers(6, 64, 16)}
    query, first = lora_of("lora_te_text_model_encoder_layers_1_self_attn_k_proj", torch.Size([16, 16]))
    layer, second = lora_of("lora_te_text_model_encoder_layers_1_mlp_fc1", torch.Size([64, 16]))
    before, after, _ = baked(tmp_path, [{**query, **layer}], (1.0,), a)
    only(before, after, f"{block}.attn.in_proj_weight", f"{block}.mlp.c_fc.weight")
    wanted = before[f"{block}.attn.in_proj_weight"].double()
    wanted[16:32] += first
    torch.testing.assert_close(after[f"{block}.attn.in_proj_weight"].double(), wanted, **TOLERANCE)
    torch.testing.assert_close(
        after[f"{block}.mlp.c_fc.weight"].double(), before[f"{block}.mlp.c_fc.weight"].double() + second, **TOLERANCE
    )


def _check(tmp_path: Path, target: str, lora: State, difference: torch.Tensor) -> None:
    before, after, _ = baked(tmp_path, [lora], (0.5,))
    only(before, after, target)
    wanted = before[target].double() + 0.5 * difference.reshape(before[target].shape)
    torch.testing.assert_close(after[target].double(), wanted, **TOLERANCE)


def test_a_locon_with_a_tucker_core(tmp_path: Path) -> None:
    module, target = CONV
    out, inp = model(1)[target].shape[:2]
    up, mid, down = numbers(1, out, 3, 1, 1), numbers(2, 3, 2, 3, 3), numbers(3, 2, inp, 1, 1)
    lora = {f"{module}.lora_up.weight": up, f"{module}.lora_mid.weight": mid, f"{module}.lora_down.weight": down}
    difference = torch.einsum("nmkl,in,mj->ijkl", mid.double(), up.double()[:, :, 0, 0], down.double()[:, :, 0, 0])
    _check(tmp_path, target, {**lora, f"{module}.alpha": torch.tensor(1.0)}, difference * 1.0 / 2)


@pytest.mark.parametrize("place", ["linear", "3x3"])
def test_a_loha(tmp_path: Path, place: str) -> None:
    module, target = PLACES[place]
    out, width = model(1)[target].shape[0], model(1)[target][0].numel()
    w1_a, w1_b, w2_a, w2_b = numbers(1, out, 4), numbers(2, 4, width), numbers(3, out, 4), numbers(4, 4, width)
    lora = {f"{module}.hada_{name}": t for name, t in (("w1_a", w1_a), ("w1_b", w1_b), ("w2_a", w2_a), ("w2_b", w2_b))}
    difference = (w1_a.double() @ w1_b.double()) * (w2_a.double() @ w2_b.double())
    _check(tmp_path, target, {**lora, f"{module}.alpha": torch.tensor(2.0)}, difference * 2 / 4)


def test_a_loha_with_tucker_cores(tmp_path: Path) -> None:
    module, target = CONV
    out, inp = model(1)[target].shape[:2]
    parts = {}
    halves = []
    for number in (1, 2):
        core, left, right = numbers(number, 4, 4, 3, 3), numbers(number + 2, 4, out), numbers(number + 4, 4, inp)
        parts |= {f"{module}.hada_t{number}": core, f"{module}.hada_w{number}_a": left, f"{module}.hada_w{number}_b": right}
        halves.append(torch.einsum("ijkl,jr,ip->prkl", core.double(), right.double(), left.double()))
    _check(tmp_path, target, {**parts, f"{module}.alpha": torch.tensor(2.0)}, halves[0] * halves[1] * 2 / 4)


@pytest.mark.parametrize("form", ["whole", "factored", "tucker"])
def test_a_lokr(tmp_path: Path, form: str) -> None:
    module, target = CONV
    out, inp = model(1)[target].shape[:2]
    first, second = (4, 2), (out // 4, inp // 2)
    if form == "whole":
        w1, w2 = numbers(1, *first), numbers(2, *second, 3, 3)
        lora, scale = {f"{module}.lokr_w1": w1, f"{module}.lokr_w2": w2, f"{module}.alpha": torch.tensor(3.0)}, 1.0
    elif form == "factored":
        a, b = numbers(3, second[0], 2), numbers(4, 2, second[1] * 9)
        w1, w2 = numbers(1, *first), (a.double() @ b.double()).reshape(*second, 3, 3)
        lora = {f"{module}.lokr_w1": w1, f"{module}.lokr_w2_a": a, f"{module}.lokr_w2_b": b, f"{module}.alpha": torch.tensor(3.0)}
        scale = 3 / 2
    else:
        core, a, b = numbers(5, 2, 2, 3, 3), numbers(3, 2, second[0]), numbers(4, 2, second[1])
        w1, w2 = numbers(1, *first), torch.einsum("ijkl,jr,ip->prkl", core.double(), b.double(), a.double()).contiguous()
        lora = {f"{module}.lokr_w1": w1, f"{module}.lokr_t2": core, f"{module}.lokr_w2_a": a, f"{module}.lokr_w2_b": b}
        scale = 1.0
    difference = torch.kron(w1.double().reshape(*first, 1, 1), w2.double())
    _check(tmp_path, target, lora, difference * scale)


def test_a_full_difference_of_weight_and_bias(tmp_path: Path) -> None:
    module, target = TEXT
    bias = target.replace(".weight", ".bias")
    weight, extra = numbers(1, *model(1)[target].shape), numbers(2, *model(1)[bias].shape)
    before, after, _ = baked(tmp_path, [{f"{module}.diff": weight, f"{module}.diff_b": extra}], (0.5,))
    only(before, after, target, bias)
    torch.testing.assert_close(after[target], before[target] + 0.5 * weight, **TOLERANCE)
    torch.testing.assert_close(after[bias], before[bias] + 0.5 * extra, **TOLERANCE)


@pytest.mark.parametrize("channels", [9, 8])
@pytest.mark.parametrize("form", ["lora", "diff", "loha"])
def test_a_lora_of_a_normal_model_changes_the_latents_channels_alone(tmp_path: Path, channels: int, form: str) -> None:
    module, normal = "lora_unet_conv_in", model(1)[FIRST].shape
    lora, difference = lora_of(module, normal)
    if form == "diff":
        lora = {f"{module}.diff": difference.float()}
    if form == "loha":
        shapes = {"w1_a": (8, 2), "w1_b": (2, 36), "w2_a": (8, 2), "w2_b": (2, 36)}
        parts = {name: numbers(seed, *shape) for seed, (name, shape) in enumerate(shapes.items())}
        lora = {f"{module}.hada_{name}": part for name, part in parts.items()}
        w1, w2 = (parts[f"w{n}_a"].double() @ parts[f"w{n}_b"].double() for n in (1, 2))
        difference = (w1 * w2).reshape(normal)
    before, after, outcome = baked(tmp_path, [lora], (0.5,), model(1, channels=channels))
    only(before, after, FIRST)
    assert outcome.loras[0].baked == 1
    wanted = before[FIRST].double()
    wanted[:, :4] += 0.5 * difference
    torch.testing.assert_close(after[FIRST].double(), wanted, **TOLERANCE)
    assert torch.equal(after[FIRST][:, 4:], before[FIRST][:, 4:])


def test_the_magnitudes_of_a_normal_model_do_not_fit_one_with_more_channels(tmp_path: Path) -> None:
    lora = {**lora_of("lora_unet_conv_in", model(1)[FIRST].shape)[0], "lora_unet_conv_in.dora_scale": torch.ones(8, 1, 1, 1)}
    with pytest.raises(FormatError, match="do not give a weight of"):
        baked(tmp_path, [lora], (0.5,), model(1, channels=9))


@pytest.mark.parametrize("along", ["rows", "channels"])
@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_a_dora_rescales_to_its_magnitudes(tmp_path: Path, along: str, strength: float) -> None:
    module, target = CONV
    weight = model(1)[target].double()
    lora, difference = lora_of(module, weight.shape)
    changed = weight + difference
    if along == "rows":
        magnitude = numbers(7, weight.shape[0], 1, 1, 1).abs() + 0.1
        norms = changed.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)
    else:
        magnitude = numbers(7, 1, weight.shape[1], 1, 1).abs() + 0.1
        norms = changed.transpose(0, 1).flatten(1).norm(dim=1).reshape(1, -1, 1, 1)
    before, after, _ = baked(tmp_path, [{**lora, f"{module}.dora_scale": magnitude}], (strength,))
    only(before, after, target)
    wanted = weight + strength * (magnitude.double() * changed / norms - weight)
    torch.testing.assert_close(after[target].double(), wanted, rtol=1e-4, atol=1e-5)


def test_several_loras_are_added_to_what_was_merged(tmp_path: Path) -> None:
    a, b = model(1, torch.float16), model(2, torch.float16)
    one, first = lora_of(LINEAR[0], a[LINEAR[1]].shape)
    two, second = lora_of(LINEAR[0], a[LINEAR[1]].shape, rank=2, alpha=1.0)
    merged(tmp_path, {"a": a, "b": b, "lora0": one, "lora1": two}, multiplier=0.3, loras=(0.5, -1.5))
    found = a1111.read(tmp_path / "out.safetensors")
    wanted = a1111.merge(a, b, m=0.3)
    only(wanted, found, LINEAR[1])
    exact = wanted[LINEAR[1]].double() + 0.5 * first - 1.5 * second
    torch.testing.assert_close(found[LINEAR[1]].double(), exact, rtol=2**-11, atol=1e-6)
    assert found[LINEAR[1]].dtype == torch.float16


def test_a_large_layer_is_the_same_whatever_its_pieces(tmp_path: Path) -> None:
    module, target = LINEAR
    a = {**model(1), target: numbers(3, 1500, 700)}
    lora, difference = lora_of(module, a[target].shape)
    before, after, _ = baked(tmp_path, [lora], (1.0,), a)
    torch.testing.assert_close(after[target].double(), before[target].double() + difference, **TOLERANCE)
    scale = np.float32(0.5)
    exact = before[target].numpy() + scale * product(lora[f"{module}.lora_up.weight"].numpy(), lora[f"{module}.lora_down.weight"].numpy())
    assert np.array_equal(after[target].numpy(), exact)


def test_layers_that_are_missing_are_counted_and_named(tmp_path: Path) -> None:
    lora, _ = lora_of(LINEAR[0], model(1)[LINEAR[1]].shape)
    other, _ = lora_of("lora_unet_nowhere", torch.Size([4, 4]))
    odd = {"lora_unet_mid_block_attentions_0_proj_in.oft_blocks": numbers(1, 2, 2, 2), "who.knows": numbers(2, 2)}
    _, _, outcome = baked(tmp_path, [{**lora, **other, **odd}], (1.0,))
    report = outcome.loras[0]
    assert (report.baked, report.unmatched, report.not_understood) == (1, 1, 2)
    assert set(report.examples) == {"lora_unet_nowhere", "lora_unet_mid_block_attentions_0_proj_in", "who.knows"}


@pytest.mark.parametrize(
    ("lora", "words"),
    [
        (lora_of("lora_unet_nowhere", torch.Size([4, 4]))[0], "changes nothing in this model: 1 layers"),
        ({f"{LINEAR[0]}.oft_blocks": numbers(1, 2, 2, 2)}, "1 tensors are of a form that cannot be baked"),
        (lora_of(LINEAR[0], torch.Size([8, 9]))[0], "do not give a weight of"),
        (lora_of(LINEAR[0], torch.Size([9, 8]))[0], "do not give a weight of"),
        ({f"{LINEAR[0]}.lora_down.weight": torch.ones(2, 8), f"{LINEAR[0]}.lora_up.weight": torch.ones(8, 3)}, "do not give a weight of"),
        ({f"{LINEAR[0]}.lora_down.weight": torch.ones(2), f"{LINEAR[0]}.lora_up.weight": torch.ones(8)}, "do not give a weight of"),
        ({f"{CONV[0]}.lokr_w1": torch.ones(4), f"{CONV[0]}.lokr_w2": torch.ones(6, 9)}, "do not give a weight of"),
        ({**lora_of(LINEAR[0], torch.Size([8, 8]))[0], f"{LINEAR[0]}.dora_scale": torch.ones(3)}, "do not give a weight of"),
        ({**lora_of(LINEAR[0], torch.Size([8, 8]))[0], f"{LINEAR[0]}.alpha": torch.ones(3)}, "do not give a weight of"),
        ({**lora_of(LINEAR[0], torch.Size([8, 8]))[0], f"{LINEAR[0]}.alpha": torch.tensor(torch.nan)}, "alpha is not a number"),
        ({**lora_of(LINEAR[0], torch.Size([8, 8]))[0], f"{LINEAR[0]}.scale": torch.tensor(torch.inf)}, "alpha is not a number"),
        ({name: t.to(torch.float8_e4m3fn) for name, t in lora_of(LINEAR[0], torch.Size([8, 8]))[0].items()}, "quantised"),
    ],
    ids=["no layer", "OFT", "input", "output", "ranks", "vectors", "kron", "magnitude", "alphas", "alpha", "scale", "float8"],
)
def test_a_lora_that_does_not_fit_is_refused(tmp_path: Path, lora: State, words: str) -> None:
    with pytest.raises(FormatError, match=words) as caught:
        baked(tmp_path, [lora], (1.0,))
    assert caught.value.code in {"merge:lora", "merge:quantised"}
    assert not (tmp_path / "out.safetensors").exists()


def test_a_lora_of_another_family_is_refused(tmp_path: Path) -> None:
    sdxl = tiny.lora_state(context=2048)
    with pytest.raises(FormatError, match=r"LoRA 1 is SDXL and model A is SD 1\.x"):
        baked(tmp_path, [sdxl], (1.0,))


def test_a_real_sized_lora_of_sd1_finds_every_layer(tmp_path: Path) -> None:
    shapes = {name: tensor.shape for name, tensor in model(1).items()}
    assert TINY.unet[0] == shapes[LINEAR[1]][0]
    places = [f"down_blocks_{b}_attentions_{n}" for b in range(3) for n in range(2)] + ["mid_block_attentions_0"]
    places += [f"up_blocks_{b}_attentions_{n}" for b in (1, 2, 3) for n in range(3)]
    widths = [TINY.unet[b] for b in range(3) for _ in range(2)] + [TINY.unet[3]] + [TINY.unet[3 - b] for b in (1, 2, 3) for _ in range(3)]
    lora: State = {}
    for place, width in zip(places, widths, strict=True):
        for part, inp in (("attn2_to_k", TINY.clip), ("attn1_to_out_0", width)):
            lora |= lora_of(f"lora_unet_{place}_transformer_blocks_0_{part}", torch.Size([width, inp]))[0]
    _, _, outcome = baked(tmp_path, [lora], (1.0,))
    assert (outcome.loras[0].baked, outcome.loras[0].unmatched, outcome.loras[0].not_understood) == (32, 0, 0)


HUGE = "model.diffusion_model.double_blocks.0.img_mlp.0.weight"
HUGE_NAME = "lora_unet_double_blocks_0_img_mlp_0"


def planned(shape: tuple[int, ...], parts: dict[str, tuple[int, ...]], count: int = 1) -> MergePlan:
    """The plan of baking LoRAs of these tensors, of which there is but the header, into a weight."""
    lora = tiny.directory_of({f"{HUGE_NAME}.{part}": ("F16", size) for part, size in parts.items()})
    model_a = tiny.directory_of({HUGE: ("F16", shape)})
    recipe = MergeRecipe(method="no_interpolation", loras=(1.0,) * count)
    return plan_merge({"a": model_a, **{f"lora{n}": lora for n in range(count)}}, recipe)


def test_what_needs_too_much_memory_is_refused_before_anything_is_read() -> None:
    factors = {"lora_down.weight": (512, 3072), "lora_up.weight": (21504, 512)}
    assert planned((21504, 3072), factors, 5).tensors[0].bakings[4].rank == 512
    with pytest.raises(FormatError, match="Bake fewer of them at once"):
        planned((21504, 3072), factors, 6)
    assert planned((3072, 3072), {"lora_down.weight": (4, 3072), "lora_up.weight": (3072, 4), "dora_scale": (3072, 1)}).tensors[0].bakings
    with pytest.raises(FormatError, match="too large to be rescaled"):
        planned((21504, 3072), {"lora_down.weight": (4, 3072), "lora_up.weight": (21504, 4), "dora_scale": (21504, 1)})
    with pytest.raises(FormatError, match="larger than a LoRA can be"):
        planned((2, 2 << 20), {"lora_down.weight": (1, 2 << 20), "lora_up.weight": (2, 1)})


def test_whole_differences_of_any_size_are_read_in_pieces(tmp_path: Path) -> None:
    a, lora = {HUGE: numbers(1, 3000, 1000).half()}, {f"{HUGE_NAME}.diff": numbers(2, 3000, 1000).half()}
    assert planned((21504, 3072), {"diff": (21504, 3072)}, 16).tensors[0].bakings
    tracemalloc.start()
    baked(tmp_path, [lora, lora], (0.5, -0.25), a)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    wanted = a[HUGE].float() + 0.5 * lora[f"{HUGE_NAME}.diff"].float() - 0.25 * lora[f"{HUGE_NAME}.diff"].float()
    assert torch.equal(a1111.read(tmp_path / "out.safetensors")[HUGE], wanted.half())
    assert peak < 40 << 20, "each difference alone is 12 MB as float32, beside 6 MB of its own"


@pytest.mark.parametrize(
    ("lora", "checkpoint", "layers"),
    [
        ("LoRA SD 3", "SD 3.5 Medium", 95),
        ("LoRA SD 2", "SD 2 unCLIP H", 330),
        ("LoRA SD 3", "SD 3.5 Large", 0),
        ("LoRA SD 1, text only", "SDXL", 0),
    ],
)
def test_a_lora_of_a_sister_family_is_taken_where_all_of_it_has_a_place(lora: str, checkpoint: str, layers: int) -> None:
    inputs = {"a": tiny.directory_of(MODELS[checkpoint].build()), "lora0": tiny.directory_of(LORAS[lora].build())}
    recipe = MergeRecipe(method="no_interpolation", loras=(1.0,))
    if layers:
        assert plan_merge(inputs, recipe).loras[0].baked == layers
    else:
        with pytest.raises(FormatError, match="Only files of one family fit together"):
            plan_merge(inputs, recipe)
