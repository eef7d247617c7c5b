"""What an SD 2 model predicts: asked of the model itself where nobody and nothing says it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from inference.diffusion.loading import Model, load_model
from inference.diffusion.weightfile import open_weights
from tests import diffusion_models as M

U = "model.diffusion_model."


def answers_its_input(state: M.State) -> M.State:
    """The same SD 2 model, made to give back its input as a model of noise does at the last step.

    The first convolution copies each latent into a pair of channels, once with its sign turned; the last residual block passes them on;
    for the activation s, s(a) - s(-a) = a, so that the last convolution finds the input again, up to the norm's scale.
    """
    first, last = torch.zeros(64, 4, 3, 3), torch.zeros(4, 64, 3, 3)
    for channel in range(4):
        for pair in range(8):
            at = channel * 16 + pair * 2
            first[at, channel, 1, 1], first[at + 1, channel, 1, 1] = 1.0, -1.0
            last[channel, at, 1, 1], last[channel, at + 1, 1, 1] = 0.125, -0.125
    passing = torch.zeros(64, 128, 1, 1)
    passing[:, 64:, 0, 0] = torch.eye(64)
    block = f"{U}output_blocks.11"
    silent = [f"{block}.0.out_layers.3.weight", f"{block}.1.proj_out.weight"]
    return {
        **state,
        **{name: torch.zeros_like(state[name]) for name in silent},
        f"{U}input_blocks.0.0.weight": first,
        f"{U}out.2.weight": last,
        f"{block}.0.skip_connection.weight": passing,
    }


def loaded(path: Path, state: M.State, **options: str) -> Model:
    fd = os.open(M.written(path, state), os.O_RDONLY)
    try:
        return load_model(open_weights(fd), device="cpu", prediction=options.get("prediction"))
    finally:
        os.close(fd)


@pytest.fixture(scope="module")
def state() -> M.State:
    return M.sd2_state()


def test_a_model_that_gives_its_input_back_predicts_noise(tmp_path: Path, state: M.State) -> None:
    model = loaded(tmp_path / "m.safetensors", answers_its_input(state))
    assert (model.prediction, model.architecture.family) == ("epsilon", "sd2-base")
    assert model.scheduler_config["prediction_type"] == "epsilon"


def test_one_that_does_not_predicts_velocity(tmp_path: Path, state: M.State) -> None:
    model = loaded(tmp_path / "m.safetensors", state)
    assert (model.prediction, model.architecture.family) == ("v_prediction", "sd2-v")
    assert model.scheduler_config["prediction_type"] == "v_prediction"


def test_a_persons_word_is_not_put_to_the_test(tmp_path: Path, state: M.State) -> None:
    assert loaded(tmp_path / "m.safetensors", state, prediction="epsilon").architecture.family == "sd2-base"
