"""Whole jobs on tiny models: what is said, what is drawn, and what happens when memory, weights or patience give out."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from inference.diffusion import render
from inference.diffusion.jobs import AddOn, Event, Job, JobFile, Shot
from inference.diffusion.render import Renderer
from registry.formats.errors import FormatError
from tests import diffusion_models as models

SHOT = Shot("a red circle", "blurred", 64, 64, "Euler a", "Normal", 2, 7.0, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def sd1(folder: Path) -> Path:
    return models.tiny_checkpoint(folder / "sd1.safetensors")


@pytest.fixture(scope="module")
def resident() -> Renderer:
    """One renderer for the module: whoever leaves something behind in it breaks the others."""
    return Renderer("cpu")


def job(*paths: tuple[str, Path] | Path, shots: list[Shot], **more: Any) -> tuple[Job, list[Path]]:
    """A job and its files; a digest of the name stands for that of the bytes, which no test changes."""
    named = [one if isinstance(one, tuple) else ("checkpoint", one) for one in paths]
    files = [JobFile(role, path.stem, hashlib.sha256(str(path).encode()).hexdigest(), path.stat().st_size) for role, path in named]
    return Job(tuple(files), tuple(shots), **more), [path for _, path in named]


def told(renderer: Renderer, wanted: tuple[Job, list[Path]], cancelled: Callable[[], bool] = lambda: False) -> list[Event]:
    events: list[Event] = []
    with ExitStack() as after:
        fds = [os.open(path, os.O_RDONLY) for path in wanted[1]]
        for fd in fds:
            after.callback(os.close, fd)
        renderer.render(wanted[0], fds, events.append, cancelled)
    return events


def pictures(events: list[Event]) -> dict[int, bytes]:
    return {event.shots[0]: event.png for event in events if event.kind == "picture"}


def notes(events: list[Event]) -> str:
    return " ".join(event.note for event in events if event.kind == "note")


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png))).astype(int)


def calls(renderer: Renderer, module: str, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows of every call of the resident model's UNet or first text encoder, from now on."""
    model: Any = renderer._residence._model
    target = model.unet if module == "unet" else model.encoders[0].transformer
    forward, rows = target.forward, []

    def counting(*given: Any, **more: Any) -> Any:
        rows.append(len(more["input_ids"]) if "input_ids" in more else len(given[0]))
        return forward(*given, **more)

    monkeypatch.setattr(target, "forward", counting)
    return rows


def test_every_shot_gets_its_picture_and_the_end_says_what_made_it(resident: Renderer, sd1: Path) -> None:
    shots = [SHOT, replace(SHOT, seed=2), replace(SHOT, width=96, steps=1), replace(SHOT, prompt="cat, " * 60, cfg_scale=1.0)]
    events = told(resident, job(sd1, shots=shots))
    assert [event.kind for event in events[:1] + events[-1:]] == ["loading", "done"]
    drawn = pictures(events)
    assert sorted(drawn) == [0, 1, 2, 3]
    assert [pixels(drawn[place]).shape for place in range(4)] == [(64, 64, 3), (64, 64, 3), (64, 96, 3), (64, 64, 3)]
    assert all(Image.open(io.BytesIO(png)).info == {} for png in drawn.values())
    facts = events[-1].data
    assert facts["family"] == "sd1"
    assert facts["prediction"] == "epsilon"
    assert [(batch["pictures"], batch["width"]) for batch in facts["batches"]] == [(2, 64), (1, 96), (1, 64)]
    assert set(facts["versions"]) == {"torch", "diffusers", "transformers"}
    assert facts["seconds"]["total"] > 0


def test_the_same_job_gives_the_same_bytes_and_loads_nothing_twice(resident: Renderer, sd1: Path) -> None:
    wanted = job(sd1, shots=[SHOT, replace(SHOT, sampler="DPM++ SDE", schedule="Karras")])
    first, second = told(resident, wanted), told(resident, wanted)
    assert pictures(first) == pictures(second)
    assert not [event for event in second if event.kind == "loading"]


def test_a_picture_is_the_same_alone_and_in_company(resident: Renderer, sd1: Path) -> None:
    company = [replace(SHOT, seed=seed, prompt=f"a {colour} circle") for seed, colour in enumerate(["red", "blue", "green"])]
    together = pictures(told(resident, job(sd1, shots=company)))
    alone = pictures(told(resident, job(sd1, shots=company[1:2])))
    assert np.abs(pixels(alone[0]) - pixels(together[1])).max() <= 2
    assert np.abs(pixels(together[0]) - pixels(together[1])).mean() > 5


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("not enough memory: you tried"), MemoryError()]
)
def test_a_batch_that_does_not_fit_is_halved_and_said(
    resident: Renderer, sd1: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    shots = [replace(SHOT, seed=seed, steps=1) for seed in range(3)]
    whole = pictures(told(resident, job(sd1, shots=shots)))
    model: Any = resident._residence._model
    forward, tried = model.unet.forward, []

    def small(latents: torch.Tensor, *given: Any, **more: Any) -> Any:
        tried.append(len(latents) // 2)
        if tried[-1] > 1:
            raise error
        return forward(latents, *given, **more)

    monkeypatch.setattr(model.unet, "forward", small)
    events = told(resident, job(sd1, shots=shots))
    assert tried == [3, 1, 1, 1]
    assert notes(events) == "3 pictures of 64x64 at once do not fit into memory: 1 are made at once."
    assert all(np.abs(pixels(whole[place]) - pixels(pictures(events)[place])).max() <= 2 for place in range(3))
    assert [batch["pictures"] for batch in events[-1].data["batches"]] == [1, 1, 1]


def test_one_picture_that_does_not_fit_is_an_error_as_is_any_other(resident: Renderer, sd1: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told(resident, job(sd1, shots=[SHOT]))
    model: Any = resident._residence._model
    for error in (torch.OutOfMemoryError("out of memory"), RuntimeError("shapes cannot be multiplied")):
        tried: list[int] = []

        def fail(latents: torch.Tensor, *given: Any, error: Exception = error, tried: list[int] = tried, **more: Any) -> Any:
            tried.append(len(latents) // 2)
            raise error

        monkeypatch.setattr(model.unet, "forward", fail)
        with pytest.raises(RuntimeError, match=str(error)):
            told(resident, job(sd1, shots=[SHOT, replace(SHOT, seed=2)]))
        assert tried == ([2, 1] if isinstance(error, torch.OutOfMemoryError) else [2])


def test_guidance_doubles_the_batch_unless_there_is_none(resident: Renderer, sd1: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told(resident, job(sd1, shots=[SHOT]))
    rows = calls(resident, "unet", monkeypatch)
    two = [SHOT, replace(SHOT, seed=9)]
    told(resident, job(sd1, shots=two))
    assert rows == [4, 4]
    told(resident, job(sd1, shots=[replace(shot, cfg_scale=1.0) for shot in two]))
    assert rows[2:] == [2, 2]
    told(resident, job(sd1, shots=[replace(SHOT, prompt="cat " * 80)]))
    assert rows[4:] == [1, 1, 1, 1]


def test_a_text_is_encoded_once_whoever_asks(resident: Renderer, sd1: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told(resident, job(sd1, shots=[SHOT]))
    rows = calls(resident, "text", monkeypatch)
    shots = [replace(SHOT, prompt=f"a new {word}", seed=seed) for seed in range(2) for word in ("dog", "cat")]
    told(resident, job(sd1, shots=shots))
    told(resident, job(sd1, shots=shots))
    assert rows == [2]


@pytest.mark.parametrize("after", [0, 3])
def test_a_cancelled_job_ends_at_once_and_says_no_end(resident: Renderer, sd1: Path, after: int) -> None:
    asked: Iterator[int] = iter(range(100))
    events = told(resident, job(sd1, shots=[SHOT, replace(SHOT, steps=3)]), lambda: next(asked) >= after)
    assert not [event for event in events if event.kind == "done"]
    assert next(asked) <= after + 2
    assert len(pictures(told(resident, job(sd1, shots=[SHOT])))) == 1


def test_steps_are_told_ten_times_a_second_at_most(resident: Renderer, sd1: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told(resident, job(sd1, shots=[SHOT]))
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 0.02
        return now

    monkeypatch.setattr(render.time, "monotonic", clock)
    steps = [event.step for event in told(resident, job(sd1, shots=[replace(SHOT, steps=24, cfg_scale=1.0)])) if event.kind == "step"]
    assert 3 <= len(steps) <= now * 10
    assert steps == sorted(steps)


def test_weights_that_are_no_numbers_give_no_picture_but_a_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = models.sd1_state()
    state["model.diffusion_model.out.2.weight"].fill_(float("nan"))
    renderer, shots = Renderer("cpu"), [replace(SHOT, steps=9, seed=seed) for seed in (1, 2)]
    wanted = job(models.written(folder / "nan.safetensors", state), shots=shots)
    told(renderer, (replace(wanted[0], shots=(replace(SHOT, steps=1),)), wanted[1]))
    rows = calls(renderer, "unet", monkeypatch)
    events = told(renderer, wanted)
    assert rows == [4], "nothing comes of further steps"
    assert [(event.shots, event.code) for event in events if event.kind == "unfit"] == [((0,), "render:nan"), ((1,), "render:nan")]
    assert not pictures(events)
    assert events[-1].kind == "done"


def test_a_picture_of_one_colour_is_none(folder: Path) -> None:
    state = models.sd1_state()
    state["first_stage_model.decoder.conv_out.weight"].zero_()
    events = told(Renderer("cpu"), job(models.written(folder / "plain.safetensors", state), shots=[SHOT]))
    (unfit,) = [event for event in events if event.kind == "unfit"]
    assert unfit.code == "render:black"
    assert "one colour" in unfit.note


def test_what_is_rendered_otherwise_than_asked_is_noted_once(resident: Renderer, sd1: Path) -> None:
    odd = replace(SHOT, prompt="a [cow|horse] AND <style:x:1>", sampler="Restart", schedule="Karras")
    said = notes(told(resident, job(sd1, shots=[odd, replace(odd, seed=4)])))
    for words in ("Restart: ", "first alternative", "AND ", "<style:...>"):
        assert said.count(words) == 1


def test_hostile_prompts_are_rendered_or_refused(resident: Renderer, sd1: Path) -> None:
    kind = replace(SHOT, steps=1, cfg_scale=1.0)
    odd = ["", "🎨" * 20, "\x00\x1b[31m\ud800", "(" * 10_000, "((((a:1.5" * 10, "BREAK " * 3, "\n", "猫 кошка"]
    assert len(pictures(told(resident, job(sd1, shots=[replace(kind, prompt=prompt) for prompt in odd])))) == len(odd)
    for prompt, code in (("cat " * 2_000, "prompt-too-long"), ("a" * 20_000, "prompt-too-long"), ("<lora:a:b>", "network")):
        with pytest.raises(FormatError, match=f"render:{code}"):
            told(resident, job(sd1, shots=[replace(kind, prompt=prompt)]))


@pytest.mark.parametrize("asked", [{"width": 100_000}, {"steps": 0}, {"seed": 2**64}])
def test_what_is_out_of_bounds_is_refused_before_anything_is_read(asked: dict[str, Any]) -> None:
    wanted, _ = Job((JobFile("checkpoint", "x", "0" * 64, 1),), (replace(SHOT, **asked),)), []
    with pytest.raises(FormatError, match="render:"):
        Renderer("cpu").render(wanted, [-1], lambda event: None)


@pytest.mark.parametrize("prompt", ["cat " * 2_000, "BREAK " * 30])
def test_a_prompt_of_more_tokens_than_are_read_is_refused_before_anything_is_loaded(prompt: str) -> None:
    wanted = Job((JobFile("checkpoint", "x", "0" * 64, 1),), (replace(SHOT, negative_prompt=prompt),))
    with pytest.raises(FormatError, match="render:prompt-too-long"):
        Renderer("cpu").render(wanted, [-1], lambda event: None)


def test_every_family_is_rendered_and_a_refiner_is_not(folder: Path) -> None:
    renderer, sd2 = Renderer("cpu"), models.tiny_sd2(folder / "sd2.safetensors")
    made = {
        "sd2-base": (sd2, {"prediction": "epsilon"}),
        "sd2-v": (sd2, {"prediction": "v_prediction"}),
        "sdxl": (models.tiny_sdxl(folder / "sdxl.safetensors"), {}),
        "sd1-inpaint": (models.tiny_inpainting(folder / "inpaint.safetensors"), {}),
        "sd1-pix2pix": (models.written(folder / "pix2pix.safetensors", models.sd1_state(latent_in=8)), {}),
    }
    for family, (path, more) in made.items():
        shots = [replace(SHOT, steps=1), replace(SHOT, steps=1, negative_prompt="")]
        events = told(renderer, job(path, shots=shots, **more))
        assert events[-1].data["family"] == family
        assert len(pictures(events)) == 2
    with pytest.raises(FormatError, match="render:refiner"):
        told(renderer, job(models.tiny_refiner(folder / "refiner.safetensors"), shots=[SHOT]))


def test_a_lora_acts_at_its_strength_and_leaves_nothing_behind(resident: Renderer, folder: Path, sd1: Path) -> None:
    lora = ("lora", models.tiny_lora(folder / "lora.safetensors"))
    shots = [
        SHOT,
        *(replace(SHOT, addons=(AddOn(1, strength),)) for strength in (0.0, 0.5, 1.0)),
        replace(SHOT, addons=(AddOn(1, 0.0, 1.0),)),
    ]
    events = told(resident, job(sd1, lora, shots=[*shots, SHOT]))
    drawn = [pixels(pictures(events)[place]) for place in range(6)]
    assert [event.note for event in events if event.kind == "loading"] == ["lora"]
    plain, none, half, full, text, again = drawn
    assert np.abs(plain - none).max() <= 2  # the same numbers, in a batch of another size
    assert np.abs(plain - again).max() == 0
    assert 0.5 < np.abs(plain - half).mean() < np.abs(plain - full).mean()
    assert np.abs(plain - text).mean() > 0.05
    assert pictures(told(resident, job(sd1, shots=[SHOT, SHOT])))[0] == pictures(events)[0]


def test_an_embedding_acts_where_its_word_stands(resident: Renderer, folder: Path, sd1: Path) -> None:
    path = folder / "moss ball.safetensors"
    save_file({"emb_params": torch.randn(2, 64, generator=torch.Generator().manual_seed(3))}, path)
    with_it = (AddOn(1),)
    said, silent = replace(SHOT, prompt="a moss ball"), replace(SHOT, prompt="a red ball")
    shots = [said, replace(said, addons=with_it), silent, replace(silent, addons=with_it)]
    drawn = pictures(told(resident, job(sd1, ("embedding", path), shots=shots)))
    assert np.abs(pixels(drawn[0]) - pixels(drawn[1])).mean() > 0.05
    assert np.abs(pixels(drawn[2]) - pixels(drawn[3])).max() <= 2


def test_a_vae_decodes_the_shots_that_name_it(resident: Renderer, folder: Path, sd1: Path) -> None:
    vae = ("vae", models.tiny_vae(folder / "vae.safetensors"))
    drawn = pictures(told(resident, job(sd1, vae, shots=[SHOT, replace(SHOT, addons=(AddOn(1),)), SHOT])))
    assert drawn[0] == drawn[2]
    assert np.abs(pixels(drawn[0]) - pixels(drawn[1])).mean() > 5


def test_a_checkpoint_without_a_vae_takes_the_one_of_the_job(folder: Path) -> None:
    state = {name: tensor for name, tensor in models.sd1_state().items() if not name.startswith("first_stage_model.")}
    bare = models.written(folder / "bare.safetensors", state)
    vae = ("vae", models.tiny_vae(folder / "vae.safetensors"))
    assert len(pictures(told(Renderer("cpu"), job(bare, vae, shots=[replace(SHOT, addons=(AddOn(1),))])))) == 1
    with pytest.raises(FormatError, match="render:no-vae"):
        told(Renderer("cpu"), job(bare, shots=[SHOT]))


def test_a_vae_that_one_job_lent_does_not_stay_for_the_next(folder: Path) -> None:
    state = {name: tensor for name, tensor in models.sd1_state().items() if not name.startswith("first_stage_model.")}
    bare = models.written(folder / "bare.safetensors", state)
    one, other = (("vae", models.tiny_vae(folder / f"vae-{seed}.safetensors", seed=seed)) for seed in (1, 2))
    renderer = Renderer("cpu")
    drawn = [pictures(told(renderer, job(bare, vae, shots=[SHOT])))[0] for vae in (one, other, one)]
    assert drawn[0] == drawn[2] != drawn[1]
    with pytest.raises(FormatError, match="render:no-vae"):
        told(renderer, job(bare, shots=[SHOT]))


def test_another_checkpoint_takes_the_place_of_the_first(folder: Path, sd1: Path) -> None:
    renderer = Renderer("cpu")
    other = models.tiny_checkpoint(folder / "other.safetensors", seed=5)
    drawn = [pictures(told(renderer, job(path, shots=[SHOT])))[0] for path in (sd1, other, sd1)]
    assert drawn[0] == drawn[2] != drawn[1]


def test_a_vae_that_overflows_in_half_precision_is_used_in_float32(resident: Renderer, sd1: Path) -> None:
    told(resident, job(sd1, shots=[SHOT]))
    model: Any = resident._residence._model
    model.vae.to(torch.bfloat16)
    model.vae.decoder.conv_in.register_forward_hook(
        lambda module, given, found: found * (float("nan") if found.dtype == torch.bfloat16 else 1.0)
    )
    events = told(resident, job(sd1, shots=[SHOT]))
    model.vae.decoder.conv_in._forward_hooks.clear()
    assert "overflows in bfloat16" in notes(events)
    assert len(pictures(events)) == 1
    assert model.vae.dtype == torch.float32
    resident._residence._forget()  # its weights were rounded
