"""SDXL's refiner over a base: the pictures are those of diffusers' two pipelines, and base and refiner need not be in memory together."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLImg2ImgPipeline, StableDiffusionXLPipeline

from inference.diffusion import infotext, residence
from inference.diffusion.conditioning import encode
from inference.diffusion.jobs import AddOn, Shot
from inference.diffusion.loading import Model, load_model
from inference.diffusion.render import Renderer
from inference.diffusion.sampling import PictureNoise
from inference.diffusion.schedulers import build
from registry.formats.errors import FormatError
from tests import diffusion_models as models
from tests.inference.diffusion.test_render import job, notes, pictures, pixels, told
from tests.opened_weights import opened

REFINED = (AddOn(1),)
SHOT = Shot("a red circle", "blurred", 64, 64, "Euler", "Normal", 6, 5.0, 7, addons=REFINED)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("refining")


@pytest.fixture(scope="module")
def base(folder: Path) -> Path:
    return models.tiny_sdxl(folder / "base.safetensors")


@pytest.fixture(scope="module")
def refiner(folder: Path) -> tuple[str, Path]:
    return "refiner", models.tiny_refiner(folder / "finisher.safetensors", seed=3)


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer("cpu")


def loaded(path: Path) -> Model:
    with opened(path) as weights:
        return load_model(weights, device="cpu")


def texts(model: Model, shot: Shot) -> dict[str, torch.Tensor]:
    """What diffusers' pipelines are given in place of prompts."""
    heard = encode(model, [shot.prompt, shot.negative_prompt])
    wanted, unwanted = heard[shot.prompt], heard[shot.negative_prompt]
    assert wanted.pooled is not None
    assert unwanted.pooled is not None
    return {
        "prompt_embeds": wanted.context[None], "negative_prompt_embeds": unwanted.context[None],
        "pooled_prompt_embeds": wanted.pooled[None], "negative_pooled_prompt_embeds": unwanted.pooled[None],
    }  # fmt: skip


def scheduler(model: Model, shot: Shot) -> Any:
    """Ours with its levels laid out already: pipelines are to lay out no others."""
    config = {**model.scheduler_config, "prediction_type": model.prediction}
    made = build(shot.sampler, shot.schedule, shot.steps, config, sdxl=True).scheduler
    made.set_timesteps = lambda *given, **more: None
    return made


def of_diffusers(base: Model, refiner: Model, shot: Shot) -> np.ndarray:
    """As its documentation has base and refiner work together: `denoising_end` and `denoising_start`."""
    none = {"text_encoder": None, "text_encoder_2": None, "tokenizer": None, "tokenizer_2": None, "add_watermarker": False}
    first: Any = StableDiffusionXLPipeline(vae=base.vae, unet=base.unet, scheduler=scheduler(base, shot), **none)
    second: Any = StableDiffusionXLImg2ImgPipeline(
        vae=refiner.vae, unet=refiner.unet, scheduler=scheduler(refiner, shot), requires_aesthetics_score=True, **none
    )
    usual = {"num_inference_steps": shot.steps, "guidance_scale": shot.cfg_scale}
    with torch.inference_mode():
        noise = PictureNoise([shot.seed], (4, shot.height // 8, shot.width // 8), "cpu").first()
        begun = first(
            **texts(base, shot), **usual, latents=noise, height=shot.height, width=shot.width, denoising_end=0.8, output_type="latent"
        ).images
        made = second(
            **texts(refiner, shot), **usual, image=begun, denoising_start=0.8, aesthetic_score=6.0, negative_aesthetic_score=2.5,
            output_type="np",
        )  # fmt: skip
    return np.asarray(np.round(made.images[0] * 255))


@pytest.mark.parametrize("schedule", ["Normal", "Karras"])
def test_a_refined_picture_is_the_one_of_diffusers_two_pipelines(
    renderer: Renderer, base: Path, refiner: tuple[str, Path], schedule: str
) -> None:
    shot = replace(SHOT, schedule=schedule, width=96)
    drawn = pixels(pictures(told(renderer, job(base, refiner, shots=[shot])))[0])
    theirs = of_diffusers(loaded(base), loaded(refiner[1]), shot)
    assert drawn.shape == theirs.shape == (64, 96, 3)
    assert np.abs(drawn - theirs).max() <= 1


def test_the_picture_is_made_by_the_refiners_weights_and_by_those_of_its_base(
    renderer: Renderer, folder: Path, base: Path, refiner: tuple[str, Path]
) -> None:
    other = ("refiner", models.tiny_refiner(folder / "other.safetensors", seed=4))
    plain, refined = (pixels(one) for one in pictures(told(renderer, job(base, refiner, shots=[replace(SHOT, addons=()), SHOT]))).values())
    second = pixels(pictures(told(renderer, job(base, other, shots=[SHOT])))[0])
    assert np.abs(plain - refined).mean() > 1
    assert np.abs(refined - second).mean() > 1


def test_the_refiner_takes_the_calls_below_training_step_200_and_no_others(
    renderer: Renderer, base: Path, refiner: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = job(base, refiner, shots=[replace(SHOT, steps=12, seed=seed, cfg_scale=1.0) for seed in (1, 2)])
    told(renderer, wanted)
    held = renderer._residence
    assert held._model is not None
    assert held._refiner is not None
    times: dict[str, list[float]] = {"base": [], "refiner": []}
    for name, unet in (("base", held._model.unet), ("refiner", held._refiner[1].unet)):

        def heard(latents: Any, time: Any, name: str = name, forward: Any = unet.forward, **more: Any) -> Any:
            times[name].append(float(time))
            return forward(latents, time, **more)

        monkeypatch.setattr(unet, "forward", heard)
    events = told(renderer, wanted)
    assert len(times["base"]) + len(times["refiner"]) == 12, "both pictures go together in both stages"
    assert min(times["base"]) >= 200 > max(times["refiner"])
    assert not [event for event in events if event.kind == "loading"], "both were small enough to stay"
    assert len(pictures(events)) == 2


def test_base_and_refiner_need_not_be_in_memory_together(
    base: Path, refiner: tuple[str, Path], renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = pictures(told(renderer, job(base, refiner, shots=[SHOT])))
    monkeypatch.setattr(residence, "CPU_BESIDE", 0)
    small, seen = Renderer("cpu"), []
    load, held = residence.load_model, small._residence

    def watched(*given: Any, **more: Any) -> Model:
        gc.collect()
        seen.append([one() for one in known if one() is not None])
        made: Model = load(*given, **more)
        known.append(weakref.ref(made.unet))
        return made

    known: list[weakref.ref[Any]] = []
    monkeypatch.setattr(residence, "load_model", watched)
    events = told(small, job(base, refiner, shots=[SHOT]))
    assert pictures(events) == whole
    assert held._model is None
    assert pictures(told(small, job(base, refiner, shots=[SHOT]))) == whole
    assert seen == [[], [], [], []], "nothing was in memory when another was loaded"
    assert [event.note for event in events if event.kind == "loading"] == ["base", "finisher"]


@pytest.mark.parametrize("sampler", ["Heun", "DPM2 a", "DPM++ SDE", "DPM++ 2M", "LCM"])
def test_every_way_of_stepping_goes_over_to_the_refiner_between_two_steps(
    renderer: Renderer, base: Path, refiner: tuple[str, Path], sampler: str
) -> None:
    shots = [replace(SHOT, sampler=sampler, schedule="Automatic", steps=4, addons=addons) for addons in ((), REFINED)]
    events = told(renderer, job(base, refiner, shots=shots))
    plain, refined = (pixels(pictures(events)[place]) for place in (0, 1))
    assert np.abs(plain - refined).max() > 2


def test_what_does_not_fit_into_memory_beside_the_refiner_is_refined_in_pieces(
    renderer: Renderer, base: Path, refiner: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = job(base, refiner, shots=[replace(SHOT, seed=seed) for seed in (1, 2, 3)])
    whole = pictures(told(renderer, wanted))
    held: Any = renderer._residence._refiner
    forward = held[1].unet.forward

    def small(latents: torch.Tensor, *given: Any, **more: Any) -> Any:
        if len(latents) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(latents, *given, **more)

    monkeypatch.setattr(held[1].unet, "forward", small)
    events = told(renderer, wanted)
    assert notes(events) == "3 pictures at once do not fit into memory beside the refiner: 1 are refined at once."
    assert all(np.abs(pixels(whole[place]) - pixels(pictures(events)[place])).max() <= 2 for place in range(3))


def test_what_no_refiner_can_finish_is_refused_in_words(renderer: Renderer, folder: Path, base: Path, refiner: tuple[str, Path]) -> None:
    sd1 = models.tiny_checkpoint(folder / "sd1.safetensors")
    velocity = models.written(folder / "v.safetensors", models.sdxl_state(), {"modelspec.prediction_type": "v"})
    for wanted, code in (
        (job(sd1, refiner, shots=[SHOT]), "refiner-base"),
        (job(velocity, refiner, shots=[SHOT]), "refiner-base"),
        (job(base, refiner, shots=[replace(SHOT, steps=1)]), "steps"),
        (job(base, ("refiner", sd1), shots=[SHOT]), "refiner"),
        (job(refiner[1], shots=[replace(SHOT, addons=())]), "refiner"),
    ):
        with pytest.raises(FormatError, match=f"render:{code}"):
            told(renderer, wanted)


def test_the_picture_tells_its_refiner_as_webui_does(base: Path, refiner: tuple[str, Path]) -> None:
    files = job(base, refiner, shots=[SHOT])[0].files
    said = infotext.parse(infotext.write(infotext.facts(files, SHOT)))
    assert (said["Model"], said["Refiner"], said["Refiner switch at"]) == ("base", f"finisher [{files[1].sha256[:10]}]", "0.8")
    assert "Refiner" not in infotext.write(infotext.facts(files, replace(SHOT, addons=())))
