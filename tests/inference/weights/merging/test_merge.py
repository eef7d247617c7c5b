"""Merges against the formulas written out in torch on whole state dicts: byte for byte, in every type and by both makers."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch

from inference.weights.merging import merge as merging
from inference.weights.merging.formulas import Maths, NumpyMaths
from inference.weights.merging.torchmaths import TorchMaths
from registry.formats.errors import FormatError
from registry.formats.hashes import hash_file
from tests import tiny
from tests.inference.weights.merging import a1111
from tests.inference.weights.merging.models import FIRST, State, merged, model

TYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "fp64": torch.float64}
MAKERS = {"numpy": NumpyMaths, "torch": TorchMaths}


@pytest.fixture(params=MAKERS)
def maker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both makers of the arithmetic, one after the other."""
    made: type[Maths] = MAKERS[request.param]
    monkeypatch.setattr(merging, "maths_for", lambda _plan: made())
    return str(request.param)


@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize("m", [0.3, 1.0, -0.7])
def test_weighted_sum_is_the_formula_byte_for_byte(tmp_path: Path, maker: str, dtype: str, m: float) -> None:
    a, b = model(1, TYPES[dtype]), model(2, TYPES[dtype])
    made, outcome = merged(tmp_path, {"a": a, "b": b}, multiplier=m)
    assert made == a1111.written(a1111.merge(a, b, m=m))
    assert outcome.maths == maker
    assert outcome.counts == {"merged": len(a) - 1, "copied: position ids": 1}
    assert outcome.hashes == hash_file(tmp_path / "out.safetensors")


@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16"])
def test_add_difference_is_the_formula_byte_for_byte(tmp_path: Path, maker: str, dtype: str) -> None:
    a, b, c = (model(seed, TYPES[dtype]) for seed in (1, 2, 3))
    made, _ = merged(tmp_path, {"a": a, "b": b, "c": c}, method="add_difference", multiplier=0.85)
    assert made == a1111.written(a1111.merge(a, b, c, method="add_difference", m=0.85))


@pytest.mark.parametrize("types", list(itertools.product(TYPES, repeat=2)), ids="-".join)
def test_two_types_meet_as_in_torch(tmp_path: Path, maker: str, types: tuple[str, str]) -> None:
    a, b = (_few(seed, TYPES[dtype]) for seed, dtype in enumerate(types))
    made, _ = merged(tmp_path, {"a": a, "b": b}, multiplier=0.3)
    assert made == a1111.written(a1111.merge(a, b, m=0.3))


@pytest.mark.parametrize("types", list(itertools.product(["fp32", "fp16", "bf16"], repeat=3)), ids="-".join)
def test_three_types_meet_as_in_torch(tmp_path: Path, maker: str, types: tuple[str, str, str]) -> None:
    a, b, c = (_few(seed, TYPES[dtype]) for seed, dtype in enumerate(types))
    del c["model.b"]
    made, _ = merged(tmp_path, {"a": a, "b": b, "c": c}, method="add_difference", multiplier=0.3)
    assert made == a1111.written(a1111.merge(a, b, c, method="add_difference", m=0.3))


def _few(seed: int, dtype: torch.dtype) -> State:
    """Two tensors of every magnitude, large enough for several pieces, with denormals and both zeros."""
    dice = torch.Generator().manual_seed(seed)
    values = torch.randn(300_001, generator=dice) * 10.0 ** torch.randint(-9, 5, (300_001,), generator=dice)
    values[:4] = torch.tensor([0.0, -0.0, 6e-8, -6e-8])
    return {"model.a": values.to(dtype), "model.b": -values[:77].to(dtype).clone()}


def test_save_as_half_touches_what_a1111_touches(tmp_path: Path) -> None:
    a, b = model(1), model(2)
    a["betas"], a["model.only"] = torch.rand(1000), torch.rand(3)
    made, outcome = merged(tmp_path, {"a": a, "b": b}, multiplier=0.4, precision="fp16", copied_too=False)
    assert made == a1111.written(a1111.merge(a, b, m=0.4, half=True))
    assert outcome.counts["copied: only in A"] == 2


@pytest.mark.parametrize("method", ["weighted_sum", "no_interpolation"])
def test_half_of_everything_but_the_noise_schedule_is_the_default(tmp_path: Path, method: str) -> None:
    a, b = {**model(1), "betas": torch.rand(1000), "model_ema.decay": torch.tensor(0.9999), "model.only": torch.rand(3)}, model(2)
    merged(tmp_path, {"a": a, "b": b} if method == "weighted_sum" else {"a": a}, method=method, multiplier=0.4, precision="fp16")
    found = a1111.read(tmp_path / "out.safetensors")
    assert {name for name, tensor in found.items() if tensor.dtype == torch.float32} == {"betas", "model_ema.decay"}
    assert found["betas"].equal(a["betas"])
    assert found["model.only"].dtype == torch.float16


@pytest.mark.parametrize("half", [False, True])
def test_no_interpolation_copies_a(tmp_path: Path, half: bool) -> None:
    a = {**model(1), "betas": torch.rand(1000)}
    made, _ = merged(tmp_path, {"a": a}, method="no_interpolation", precision="fp16" if half else "keep", copied_too=False)
    assert made == a1111.written(a1111.merge(a, half=half))


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_more_precise_results_are_computed_in_float32_and_rounded_once(
    tmp_path: Path, maker: str, precision: str, dtype: torch.dtype
) -> None:
    a, b = model(1, torch.float16), model(2, torch.float16)
    merged(tmp_path, {"a": a, "b": b}, multiplier=0.3, precision=precision)
    wide_a, wide_b = ({name: t.float() if t.is_floating_point() else t for name, t in state.items()} for state in (a, b))
    wanted = {name: t.to(dtype) if t.is_floating_point() else t for name, t in a1111.merge(wide_a, wide_b, m=0.3).items()}
    assert (tmp_path / "out.safetensors").read_bytes() == a1111.written(wanted)


@pytest.mark.parametrize(("channels", "method"), itertools.product([9, 8], ["weighted_sum", "add_difference"]))
@pytest.mark.parametrize("dtype", ["fp32", "fp16"])
def test_models_with_more_input_channels_take_a_normal_one(tmp_path: Path, maker: str, channels: int, method: str, dtype: str) -> None:
    a = model(1, TYPES[dtype], channels=channels)
    b, c = model(2, TYPES[dtype]), model(3, TYPES[dtype])
    states = {"a": a, "b": b} | ({"c": c} if method == "add_difference" else {})
    made, _ = merged(tmp_path, states, method=method, multiplier=0.6)
    assert made == a1111.written(a1111.merge(a, b, c, method=method, m=0.6))
    assert torch.equal(a1111.read(tmp_path / "out.safetensors")[FIRST][:, 4:], a[FIRST][:, 4:])


def test_more_channels_keep_a_s_type_beside_a_wider_b(tmp_path: Path, maker: str) -> None:
    a, b = model(1, torch.float16, channels=9), model(2)
    made, _ = merged(tmp_path, {"a": a, "b": b}, multiplier=0.6)
    assert made == a1111.written(a1111.merge(a, b, m=0.6))
    assert a1111.read(tmp_path / "out.safetensors")[FIRST].dtype == torch.float16


def test_keys_that_one_model_lacks_are_as_in_a1111(tmp_path: Path) -> None:
    a, b, c = model(1), model(2), model(3)
    a["model.only_in_a"], b["model.only_in_b"] = torch.ones(3), torch.ones(5)
    a["schedule"], b["schedule"] = torch.ones(2), torch.zeros(2)
    missing = "model.diffusion_model.out.2.weight"
    del c[missing]
    made, outcome = merged(tmp_path, {"a": a, "b": b, "c": c}, method="add_difference", multiplier=0.5)
    assert made == a1111.written(a1111.merge(a, b, c, method="add_difference", m=0.5))
    assert outcome.dropped["only in B"].examples == ["model.only_in_b"]
    assert any("missing in C" in note and missing in note for note in outcome.notes)
    assert outcome.counts["copied: not part of the model"] == 1


def test_position_ids_and_whole_numbers_stay_a_s_even_as_fractions(tmp_path: Path) -> None:
    ids = "cond_stage_model.transformer.text_model.embeddings.position_ids"
    a, b = tiny.with_ema(model(1)), tiny.with_ema(model(2))
    a[ids], b["model_ema.num_updates"] = a[ids].float() + 0.01, torch.tensor(7, dtype=torch.int32)
    merged(tmp_path, {"a": a, "b": b})
    found = a1111.read(tmp_path / "out.safetensors")
    assert torch.equal(found[ids], a[ids])
    assert torch.equal(found["model_ema.num_updates"], a["model_ema.num_updates"])
    assert torch.equal(found["model_ema.decay"], 0.5 * a["model_ema.decay"] + 0.5 * b["model_ema.decay"])


def test_old_names_of_the_text_encoder_are_renamed_before_merging(tmp_path: Path) -> None:
    a, b = model(1), model(2)
    old = {name.replace("transformer.text_model.", "transformer."): tensor for name, tensor in b.items()}
    made, outcome = merged(tmp_path, {"a": a, "b": old})
    assert made == a1111.written(a1111.merge(a, b))
    assert not outcome.dropped


def test_turbo_s_names_of_the_text_encoder_are_those_of_sd_2(tmp_path: Path) -> None:
    def named(seed: int, prefix: str, width: int = 1024) -> State:
        dice = torch.Generator().manual_seed(seed)
        rows = {f"{prefix}model.ln_final.weight": (width,), f"{prefix}model.transformer.resblocks.0.ln_1.bias": (4,)}
        shapes = {**rows, "model.diffusion_model.input_blocks.0.0.weight": (8, 4, 3, 3)}
        return {name: torch.randn(shape, generator=dice) for name, shape in shapes.items()}

    old, new = "conditioner.embedders.0.", "cond_stage_model."
    made, outcome = merged(tmp_path, {"a": named(1, old), "b": named(2, new)})
    assert made == a1111.written(a1111.merge(named(1, new), named(2, new)))
    assert outcome.counts == {"merged": 3}
    _, outcome = merged(tmp_path, {"a": named(1, old, 1280), "b": named(2, new, 1280)})  # SDXL's own names stay
    assert outcome.counts == {"merged": 1, "copied: only in A": 2}


def test_a_vae_is_baked_where_a_has_its_tensors(tmp_path: Path) -> None:
    a, b = model(1), model(2)
    vae = {
        name.removeprefix("first_stage_model."): t for name, t in model(9, torch.float16).items() if name.startswith("first_stage_model.")
    }
    vae |= {"loss.logvar": torch.ones(()), "model_ema.decay": torch.ones(()), "unheard.of": torch.ones(2)}
    made, outcome = merged(tmp_path, {"a": a, "b": b, "vae": vae}, vae=True)
    assert made == a1111.written(a1111.merge(a, b, vae=vae))
    assert outcome.counts["baked"] == 248


def test_a_vae_with_its_prefix_is_the_same_vae(tmp_path: Path) -> None:
    a, whole = model(1), model(9)
    made, _ = merged(tmp_path, {"a": a, "vae": whole}, method="no_interpolation", vae=True)
    bare = {name.removeprefix("first_stage_model."): t for name, t in whole.items() if name.startswith("first_stage_model.")}
    assert made == a1111.written(a1111.merge(a, vae=bare))


def test_discarded_names_are_left_out_after_baking(tmp_path: Path) -> None:
    a, b = model(1), model(2)
    pattern = r"^first_stage_model\.encoder|\.norm\d\."
    made, outcome = merged(tmp_path, {"a": a, "b": b}, discard=pattern)
    wanted = a1111.merge(a, b, discard=pattern)
    assert made == a1111.written(wanted)
    assert outcome.dropped["discarded"].count == len(a) - len(wanted)


def test_the_same_merge_gives_the_same_bytes_again(tmp_path: Path) -> None:
    states = {"a": model(1), "b": model(2)}
    first, _ = merged(tmp_path, states, metadata="full", multiplier=0.2)
    again, _ = merged(tmp_path, states, metadata="full", multiplier=0.2)
    assert first == again


def test_progress_counts_every_byte_twice_and_ends_at_the_end(tmp_path: Path) -> None:
    from inference.weights.merging.recipe import MergeRecipe
    from tests.inference.weights.merging.models import given

    told: list[tuple[int, int]] = []
    inputs = {"a": given(tmp_path / "a", model(1)), "b": given(tmp_path / "b", model(2))}
    outcome = merging.merge(inputs, tmp_path / "out", MergeRecipe(), progress=lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]
    assert told[-1][1] // 2 < outcome.size_bytes


def test_a_file_shorter_than_its_header_says_leaves_nothing_behind(tmp_path: Path) -> None:
    from inference.weights.merging.recipe import MergeRecipe
    from tests.inference.weights.merging.models import given

    inputs = {"a": given(tmp_path / "a", model(1)), "b": given(tmp_path / "b", model(2))}
    whole = (tmp_path / "b").read_bytes()
    (tmp_path / "b").write_bytes(whole[:-1])
    with pytest.raises(FormatError) as caught:
        merging.merge(inputs, tmp_path / "out", MergeRecipe())
    assert caught.value.code == "weights:truncated"
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


def test_models_whose_names_have_no_prefix_are_merged_whole(tmp_path: Path) -> None:
    def flux(seed: int) -> State:
        named = {"img_in.weight": (8, 4), "double_blocks.0.img_mod.lin.bias": (12,), "single_blocks.0.linear1.weight": (28, 8)}
        dice = torch.Generator().manual_seed(seed)
        return {name: torch.randn(shape, generator=dice).to(torch.bfloat16) for name, shape in named.items()}

    a, b = flux(1), flux(2)
    _, outcome = merged(tmp_path, {"a": a, "b": {**b, "vae.x": torch.ones(2)}}, multiplier=0.25)
    found = a1111.read(tmp_path / "out.safetensors")
    assert outcome.counts == {"merged": 3}
    assert set(found) == set(a)
    for name in a:
        assert torch.equal(found[name], 0.75 * a[name] + 0.25 * b[name])


def test_beside_a_prefix_names_without_one_stay_a_s(tmp_path: Path) -> None:
    a, b = ({**model(seed), "betas": torch.full((5,), float(seed))} for seed in (1, 2))
    _, outcome = merged(tmp_path, {"a": a, "b": b})
    assert outcome.counts["copied: not part of the model"] == 1
    assert torch.equal(a1111.read(tmp_path / "out.safetensors")["betas"], a["betas"])
