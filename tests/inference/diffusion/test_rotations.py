"""OFT, Diag-OFT and BOFT on a loaded model, against the papers' matrices: dense, in float64, one for the whole weight."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from inference.diffusion.lora import load_lora
from inference.diffusion.patching import applied
from inference.diffusion.rotations import cayley
from tests.inference.diffusion.addon_files import PLACES, State, differences, given, layer, numbers, originals, tiny, weight_of

TOLERANCE = {"rtol": 1e-5, "atol": 2e-6}


def rotation(blocks: torch.Tensor, constraint: float = 0.0) -> torch.Tensor:
    """Block-diagonal [rows, rows], in float64: Cayley's transform of the skew parts, cut to a norm."""
    skew = [one.double() - one.double().T for one in blocks]
    norm = sum(float((one**2).sum()) for one in skew) ** 0.5
    share = constraint / norm if 0 < constraint < norm else 1.0
    size = blocks.shape[-1]
    return torch.block_diag(*((torch.eye(size) + one * share) @ torch.linalg.inv(torch.eye(size) - one * share) for one in skew))


def butterfly(blocks: torch.Tensor, strength: float = 1.0) -> torch.Tensor:
    """BOFT's product: in stage i a block turns `size` rows, of which every second lies size/2 * 2^i below the first."""
    size = blocks.shape[-1]
    whole = torch.eye(blocks.shape[1] * size, dtype=torch.float64)
    for stage, one in enumerate(blocks):
        apart = size // 2 * 2**stage
        order = [start + half * apart + place for start in range(0, len(whole), 2 * apart) for place in range(apart) for half in (0, 1)]
        swap = torch.eye(len(whole), dtype=torch.float64)[order]
        turn = strength * rotation(one) + (1 - strength) * torch.eye(len(whole), dtype=torch.float64)
        whole = swap.T @ turn @ swap @ whole
    return whole


def changed(folder: Path, state: State, place: str, strength: float) -> torch.Tensor:
    """The layer's weight with the add-on on, [rows, numbers of a row]; everything must be as it was afterwards."""
    model = tiny()
    originals()
    with applied(model, [(load_lora(given(folder, state), model), strength, None)]):
        found = weight_of(model, place).detach().clone()
    assert differences() == set()
    return found.double().flatten(1)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_oft_turns_blocks_of_rows_by_its_share(tmp_path: Path, place: str, strength: float) -> None:
    name, weight = PLACES[place][0], weight_of(tiny(), place).double().flatten(1)
    blocks = numbers(5, len(weight) // 16, 16, 16)
    turned = rotation(blocks).T @ weight
    assert (turned - weight).abs().max() > 0.1
    found = changed(tmp_path, {f"{name}.oft_blocks": blocks, f"{name}.alpha": torch.tensor(0.0)}, place, strength)
    torch.testing.assert_close(found, weight + strength * (turned - weight), **TOLERANCE)
    if strength == 1:
        torch.testing.assert_close(found.norm(dim=0), weight.norm(dim=0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_boft_turns_by_a_product_of_butterflies_each_by_its_share(tmp_path: Path, place: str, strength: float) -> None:
    name, weight = PLACES[place][0], weight_of(tiny(), place).double().flatten(1)
    blocks = numbers(6, 3, len(weight) // 8, 8, 8)
    found = changed(tmp_path, {f"{name}.oft_blocks": blocks}, place, strength)
    torch.testing.assert_close(found, butterfly(blocks, strength) @ weight, **TOLERANCE)
    if strength == 1:
        torch.testing.assert_close(found.norm(dim=0), weight.norm(dim=0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("boft", [False, True])
def test_rows_are_rescaled_by_the_share_too(tmp_path: Path, boft: bool) -> None:
    name, weight = PLACES["3x3"][0], weight_of(tiny(), "3x3").double().flatten(1)
    scale = 1 + numbers(8, len(weight), 1, 1, 1)
    blocks = numbers(7, 2, 8, 8, 8) if boft else numbers(7, 4, 16, 16)
    turn = butterfly(blocks) if boft else rotation(blocks).T
    state = {f"{name}.oft_blocks": blocks, f"{name}.rescale": scale}
    torch.testing.assert_close(changed(tmp_path, state, "3x3", 1.0), (turn @ weight) * scale.double().flatten(1), **TOLERANCE)
    half = butterfly(blocks, 0.5) if boft else (rotation(blocks).T * scale.double().flatten(1) + torch.eye(64)) / 2
    after = (1 + (scale.double().flatten(1) - 1) / 2) if boft else 1.0
    torch.testing.assert_close(changed(tmp_path, state, "3x3", 0.5), (half @ weight) * after, **TOLERANCE)


def test_a_constraint_bounds_how_far_all_blocks_go_together(tmp_path: Path) -> None:
    name, weight = PLACES["linear"][0], weight_of(tiny(), "linear").double()
    blocks = numbers(9, 4, 16, 16)
    bound = {f"{name}.oft_blocks": blocks, f"{name}.alpha": torch.tensor(0.01)}
    torch.testing.assert_close(changed(tmp_path, bound, "linear", 1.0), rotation(blocks, 0.01 * 64).T @ weight, **TOLERANCE)
    wide = {**bound, f"{name}.alpha": torch.tensor(100.0)}
    torch.testing.assert_close(changed(tmp_path, wide, "linear", 1.0), rotation(blocks).T @ weight, **TOLERANCE)


def test_lycoris_first_form_holds_the_rotations_themselves(tmp_path: Path) -> None:
    name, weight = PLACES["linear"][0], weight_of(tiny(), "linear").double()
    turns = cayley(numbers(4, 8, 8, 8), 0.0)
    found = changed(tmp_path, {f"{name}.oft_diag": turns}, "linear", 1.0)
    torch.testing.assert_close(found, torch.block_diag(*turns.double()).T @ weight, **TOLERANCE)


def test_sdxl_s_layers_are_turned_by_their_names_in_ldm(tmp_path: Path) -> None:
    model, module = tiny("sdxl"), "down_blocks.2.attentions.0.transformer_blocks.1.attn2.to_k"
    weight, blocks = layer(model, "unet", module).weight.double(), numbers(3, 8, 16, 16)
    state = {"lora_unet_input_blocks_7_1_transformer_blocks_1_attn2_to_k.oft_blocks": blocks}
    with applied(model, [(load_lora(given(tmp_path, state), model), 1.0, None)]):
        torch.testing.assert_close(layer(model, "unet", module).weight.double(), rotation(blocks).T @ weight, **TOLERANCE)
