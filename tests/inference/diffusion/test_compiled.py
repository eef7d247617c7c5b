"""Compiled code in the UNet's place: made outside from numbers alone, mapped behind the locks, and never in the way of a picture."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from inference.diffusion import compiledfolder, compiling
from inference.diffusion.compiled import CODE, FACTS, Compiled, Fast, digest, fast_unet
from inference.diffusion.render import Renderer
from registry.sandbox.computing import lock_computing
from tests import diffusion_models as models
from tests.inference.diffusion.addon_files import tiny
from tests.inference.diffusion.test_render import SHOT, job, notes, pictures, told
from tests.registry.sandbox.machine import on_linux

UNET = {
    "in_channels": 4, "out_channels": 4, "block_out_channels": [16], "layers_per_block": 1, "down_block_types": ["DownBlock2D"],
    "up_block_types": ["UpBlock2D"], "mid_block_type": None, "norm_num_groups": 2, "cross_attention_dim": 16,
}  # fmt: skip
"""The smallest that is a UNet: what is proved of it is how code is made and mapped, not what it computes."""
SIZE, TOKENS = (8, 8), 77


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of its code, as the compiler leaves it."""
    if not os.environ.get("WEIGH_TEST_COMPILE"):
        pytest.skip("a compiler takes half a minute of a processor: set WEIGH_TEST_COMPILE=1 to have it run")
    if shutil.which(os.environ.get("CXX", "g++")) is None:
        pytest.skip("no C++ compiler: g++ is not installed, and AOTInductor needs one")
    folder = tmp_path_factory.mktemp("compiled")
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own about its tree specifications
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("inductor")))
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("scratch")))
        compiling.make(folder, UNET, torch.float32, "cpu", SIZE, TOKENS)
    return folder / digest(UNET, torch.float32, "cpu", SIZE, TOKENS)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(compiledfolder.VARIABLE, str(tmp_path))
    return tmp_path


def worst(code: Path, seed: int) -> float:
    """The largest difference between the code with the weights of a UNet that it has never seen, and that UNet."""
    torch.manual_seed(seed)
    unet, found = UNet2DConditionModel(**UNET).eval(), []
    fast = Compiled(code / CODE, unet, "cpu")
    with torch.inference_mode():
        for rows in (2, 3, 8):
            given = torch.randn(rows, 4, *SIZE), torch.tensor(17.0 * rows)
            more: dict[str, Any] = {"encoder_hidden_states": torch.randn(rows, TOKENS, 16), "return_dict": False}
            found.append(float((fast(*given, **more)[0] - unet(*given, **more)[0]).abs().max()))
    return max(found)


@on_linux
def test_code_is_mapped_behind_the_locks_and_computes_with_the_weights_it_is_given(made: Path) -> None:
    facts = json.loads((made / FACTS).read_text())
    assert facts["seconds"]["compile"] > 0
    assert sorted(path.name for path in made.iterdir()) == [FACTS, CODE]
    child = os.fork()
    if not child:  # no compiler, no folder to write to, no other program: only what is mapped
        locked = lock_computing([str(made)])
        fine = "seccomp" in locked and max(worst(made, seed) for seed in (1, 2)) < 1e-5
        os._exit(0 if fine and not os.access(made / "new", os.W_OK) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_code_of_another_unet_is_refused(made: Path) -> None:
    with pytest.raises(ValueError, match="other parameters"):
        Compiled(made / CODE, UNet2DConditionModel(**{**UNET, "layers_per_block": 2}), "cpu")


def test_it_pays_from_the_work_on_that_was_measured() -> None:
    seconds = {"map": 0.5, "eager": 0.4, "compiled": 0.2}
    assert compiling.break_even(seconds) == 10
    assert compiling.break_even({**seconds, "compiled": 0.4}) is None


def kept(folder: Path, facts: Any, code: bytes = b"no code") -> None:
    """Code for the tiny model at the size of `SHOT`, as far as its name goes."""
    model = tiny()
    own = folder / digest(model.architecture.unet, model.dtype, "cpu", (8, 8), TOKENS)
    own.mkdir()
    (own / FACTS).write_text(facts if isinstance(facts, str) else json.dumps(facts))
    (own / CODE).write_bytes(code)


@pytest.mark.parametrize(
    ("facts", "said"),
    [({"break_even": 100}, 0), ({"break_even": None}, 0), ({"break_even": 99}, 1), ("{", 1), ({}, 1)],
    ids=["too little", "never pays", "no code", "damaged", "empty"],
)
def test_code_that_does_not_pay_or_does_not_work_is_left_alone(folder: Path, facts: Any, said: int) -> None:
    kept(folder, facts)
    heard: list[str] = []
    assert fast_unet(tiny(), (8, 8), TOKENS, 99, heard.append) is None
    assert len(heard) == said
    assert fast_unet(tiny(), (8, 16), TOKENS, 10**6, heard.append) is None, "of another size there is none"


def test_without_a_folder_nothing_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(compiledfolder.VARIABLE, raising=False)
    assert fast_unet(tiny(), (8, 8), TOKENS, 10**6, lambda sentence: None) is None
    assert compiledfolder.for_child(None) == ((), {})


def test_a_call_that_fails_is_made_by_the_unet_itself_and_said_once() -> None:
    def fails(*given: Any, **more: Any) -> Any:
        raise RuntimeError("Error in function run")

    heard: list[str] = []

    def eager(rows: list[int]) -> int:
        return sum(rows)

    fast = Fast(fails, eager, heard.append)  # type: ignore[arg-type]
    assert (fast([1]), heard) == (1, []), "one row is not what code is made for"
    assert [fast([1, 2]), fast([3, 4])] == [3, 7]
    assert heard == ["Compiled code for this model could not be used (RuntimeError): it was rendered without."]


def test_a_picture_is_made_without_code_that_is_broken_and_the_outcome_says_so(folder: Path, tmp_path: Path) -> None:
    path = models.tiny_checkpoint(tmp_path / "sd1.safetensors")
    plain = told(Renderer("cpu"), job(path, shots=[SHOT]))
    kept(folder, {"break_even": 1})
    events = told(Renderer("cpu"), job(path, shots=[SHOT]))
    assert pictures(events) == pictures(plain)
    assert "could not be used (RuntimeError)" in notes(events)
    assert "could not be used" not in notes(plain)
