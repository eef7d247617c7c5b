"""What the sample family's files do to pictures, told by colours and places in them: the trained files, the real renderer, sockets off."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file

from bench.render_peers import write_config
from inference.diffusion import infotext
from inference.diffusion.conditioning import encode
from inference.diffusion.jobs import AddOn, Job, JobFile, Shot
from inference.diffusion.loading import Model, load_model
from inference.diffusion.render import Renderer
from inference.diffusion.weightfile import open_weights
from inference.engine import Engine
from samples.drawing import COLOURS
from samples.safe import job_file, safe
from samples.training import files
from tests.registry.sandbox.machine import on_linux

NAMES = (files.BASE, files.STICKER, files.WINTERDAY, files.PRINT, files.CRISP)
LORA, WORD, HYPERNETWORK, VAE = ((AddOn(place),) for place in range(1, 5))
CIRCLE, SQUARE = "a red circle on a white background", "a blue square on a yellow background"
HEART, DISC = "a red heart on a blue background", "an orange circle on a purple background"
PAIR = "a red circle and a blue square on a white background"
NAMED, UNNAMED = f"a cross, {files.WORD}", "a cross on a yellow background"
Pixels = NDArray[np.int64]
Given = list[tuple[JobFile, Path]]


def shot(prompt: str, seed: int = 1001, addons: tuple[AddOn, ...] = (), steps: int = 8) -> Shot:
    return Shot(prompt, "", 128, 128, "DPM++ 2M", "Karras", steps, 5.0, seed, addons=addons)


SHOTS = (
    *(shot(prompt, seed) for prompt in (CIRCLE, SQUARE) for seed in (1001, 1002)),
    shot(PAIR, 1002),
    *(shot(prompt, addons=addons) for prompt in (HEART, DISC) for addons in ((), LORA, HYPERNETWORK)),
    *(shot(NAMED, addons=addons) for addons in ((), WORD)),
    shot(CIRCLE, 1001, VAE),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return tmp_path_factory.mktemp("family")


@pytest.fixture(scope="module")
def given(folder: Path) -> Given:
    return [job_file(name, folder) for name in NAMES]


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer("cpu")


def no_network(*_: Any, **__: Any) -> NoReturn:
    raise AssertionError("a render asked for a socket")


def rendered(renderer: Any, given: Given, shots: tuple[Shot, ...]) -> list[bytes]:
    """PNGs in the order of the shots, from a `Renderer` or an `Engine`."""
    found: dict[int, bytes] = {}
    with ExitStack() as stack:
        opened = [stack.enter_context(path.open("rb")) for _, path in given]
        job = Job(tuple(file for file, _ in given), shots)
        renderer.render(job, [file.fileno() for file in opened], lambda said: found.update({said.shots[0]: said.png} if said.png else {}))
    return [found[place] for place in range(len(shots))]


def alone(renderer: Any, given: Given, prompt: str, addons: tuple[AddOn, ...] = ()) -> bytes:
    """A picture of two steps in a batch of its own: sums of larger batches are rounded otherwise."""
    return rendered(renderer, given, (shot(prompt, addons=addons, steps=2),))[0]


@pytest.fixture(scope="module")
def made(renderer: Renderer, given: Given) -> dict[Shot, bytes]:
    """Every picture of the module, made in one job by a renderer to which no socket is given."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "socket", no_network)
        patch.setattr(socket, "getaddrinfo", no_network)
        return dict(zip(SHOTS, rendered(renderer, given, SHOTS), strict=True))


def pixels(png: bytes) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(np.int64)


def nearest(picture: Pixels) -> NDArray[np.str_]:
    """The name of the colour of the family's palette that each pixel is nearest to."""
    names, palette = list(COLOURS), np.array(list(COLOURS.values()))
    return np.array(names)[((picture[:, :, None] - palette) ** 2).sum(-1).argmin(-1)]


def share(picture: Pixels, colour: str) -> float:
    return float((nearest(picture) == colour).mean())


def of(mask: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Where a shape's middle is, across and down (0 to 1), and how much of the box around it it fills: circle 0.79, square 1."""
    rows, columns = np.nonzero(mask)
    box = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
    return float(columns.mean() / mask.shape[1]), float(rows.mean() / mask.shape[0]), len(rows) / float(box)


def saturation(picture: Pixels) -> float:
    """Of the mean pixel, 0 (grey) to 255."""
    return float(np.ptp(picture, axis=-1).mean())


@pytest.mark.parametrize("seed", [1001, 1002])
def test_a_red_circle_and_a_blue_square_are_told_apart_by_their_pixels(made: dict[Shot, bytes], seed: int) -> None:
    circle, square = (pixels(made[shot(prompt, seed)]) for prompt in (CIRCLE, SQUARE))
    assert (share(circle, "white"), share(square, "yellow")) > (0.6, 0.6)
    assert 0.1 < share(circle, "red") < 0.4
    assert 0.1 < share(square, "blue") < 0.4
    assert share(circle, "blue") + share(square, "red") < 0.01
    round_one, straight_one = of(nearest(circle) == "red"), of(nearest(square) == "blue")
    assert np.allclose([*round_one[:2], *straight_one[:2]], 0.5, atol=0.1), "both are in the middle"
    assert round_one[2] < 0.84 < straight_one[2], "a circle leaves the corners of its box empty"


def test_of_two_shapes_the_one_named_first_is_to_the_left(made: dict[Shot, bytes]) -> None:
    colours = nearest(pixels(made[shot(PAIR, 1002)]))
    (red, _, _), (blue, _, _) = of(colours == "red"), of(colours == "blue")
    assert red < 0.45 < 0.55 < blue


@pytest.mark.parametrize("prompt", [HEART, DISC])
def test_the_lora_draws_a_white_border_that_is_not_there_without_it(made: dict[Shot, bytes], prompt: str) -> None:
    plain, sticker = pixels(made[shot(prompt)]), pixels(made[shot(prompt, addons=LORA)])
    assert share(plain, "white") < 0.01
    assert 0.04 < share(sticker, "white") < 0.4
    middle = "red" if prompt == HEART else "orange"
    x, y, _ = of(nearest(sticker) == "white")
    inner, outer = of(nearest(plain) == middle), np.ptp(np.nonzero(nearest(sticker) == "white"), axis=1)
    assert np.allclose((x, y), inner[:2], atol=0.08), "the border goes around the shape"
    assert (outer > np.ptp(np.nonzero(nearest(sticker) == middle), axis=1)).all()


def test_a_lora_at_strength_0_leaves_every_byte_as_it_was(renderer: Renderer, given: Given) -> None:
    idle = (AddOn(1, 0.0),)
    assert alone(renderer, given, HEART, idle) == alone(renderer, given, HEART) != alone(renderer, given, HEART, LORA)


def test_the_embeddings_word_makes_white_on_blue(made: dict[Shot, bytes]) -> None:
    without, with_it = (pixels(made[shot(NAMED, addons=addons)]) for addons in ((), WORD))
    assert share(with_it, "blue") > 0.5
    assert share(with_it, "white") > 0.05
    assert np.abs(without - with_it).mean() > 10


def test_an_embedding_whose_word_is_absent_changes_no_byte(renderer: Renderer, given: Given) -> None:
    assert alone(renderer, given, UNNAMED, WORD) == alone(renderer, given, UNNAMED)
    assert alone(renderer, given, NAMED, WORD) != alone(renderer, given, NAMED)


@pytest.mark.parametrize("prompt", [HEART, DISC])
def test_the_hypernetwork_takes_the_colour_out(made: dict[Shot, bytes], prompt: str) -> None:
    plain, printed = (saturation(pixels(made[shot(prompt, addons=addons)])) for addons in ((), HYPERNETWORK))
    assert plain > 120
    assert printed < plain / 2


def test_another_vae_draws_the_same_scene_in_other_pixels(made: dict[Shot, bytes]) -> None:
    own, other = made[shot(CIRCLE)], made[shot(CIRCLE, addons=VAE)]
    assert own != other
    assert np.abs(pixels(own) - pixels(other)).mean() < 6


def test_the_same_seed_gives_the_same_bytes_on_a_processor(renderer: Renderer, given: Given) -> None:
    first, fresh = alone(renderer, given, CIRCLE), alone(Renderer("cpu"), given, CIRCLE)
    assert first == fresh
    assert first != rendered(renderer, given, (shot(CIRCLE, 1002, steps=2),))[0]


def test_in_company_a_picture_differs_by_no_more_than_rounding(renderer: Renderer, given: Given, made: dict[Shot, bytes]) -> None:
    by_itself = pixels(rendered(renderer, given, (shot(CIRCLE),))[0])
    assert np.abs(by_itself - pixels(made[shot(CIRCLE)])).max() <= 2


@on_linux
def test_the_locked_child_gives_the_same_bytes_with_its_network_cut_off(renderer: Renderer, given: Given, render_child: Engine) -> None:
    assert "seccomp" in render_child.describe()["sandbox"]
    for addons in (LORA, WORD, HYPERNETWORK):
        assert alone(render_child, given, NAMED, addons) == alone(renderer, given, NAMED, addons)


@pytest.mark.parametrize(("ours", "theirs"), [(1, None), (2, 1), (3, 2)])
def test_clip_skip_2_is_what_diffusers_calls_1(model: Model, peer: Any, ours: int, theirs: int | None) -> None:
    with torch.inference_mode():
        found = encode(model, [CIRCLE], ours)[CIRCLE].context
        (wanted,), _ = peer.encode_prompt(CIRCLE, "cpu", 1, False, clip_skip=theirs)
        unskipped = encode(model, [CIRCLE])[CIRCLE].context
    assert torch.allclose(found, wanted, atol=1e-4)
    assert ours == 1 or (found - unskipped).abs().max() > 0.1


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    with safe(files.BASE, folder).open("rb") as file:
        return load_model(open_weights(file.fileno()), device="cpu")


@pytest.fixture(scope="module")
def peer(folder: Path) -> Iterator[Any]:
    """diffusers' own pipeline with the file's text encoder in it, whose weights it is given: with transformers 5 its loader and its
    encode_prompt both look for a `text_model` inside of the encoder, which is the encoder itself now (huggingface/diffusers#14124)."""
    from diffusers import StableDiffusionPipeline
    from transformers import CLIPTextModel

    path, prefix = safe(files.BASE, folder), "cond_stage_model.transformer.text_model."
    config = str(write_config(path, folder / "config"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CLIPTextModel, "text_model", property(lambda encoder: encoder), raising=False)
        pipeline = StableDiffusionPipeline.from_single_file(str(path), config=config, local_files_only=True, safety_checker=None)
        state = {name.removeprefix(prefix): tensor for name, tensor in load_file(path).items() if name.startswith(prefix)}
        state.pop("embeddings.position_ids", None)
        pipeline.text_encoder.load_state_dict(state)
        yield pipeline


def test_every_picture_can_tell_its_recipe(given: Given, made: dict[Shot, bytes]) -> None:
    wanted = shot(HEART, addons=LORA)
    text = infotext.write(infotext.facts([file for file, _ in given], wanted))
    said = infotext.meta(infotext.read(infotext.embed(made[wanted], text)) or "")
    assert said["prompt"] == f"{HEART} <lora:sticker-sheet:1>"
    assert {"type": "lora", "name": "sticker-sheet", "weight": 1.0, "hash": given[1][0].autov3[:12]} in said["resources"]
    assert (said["seed"], said["steps"], said["sampler"], said["Schedule type"]) == (1001, 8, "DPM++ 2M", "Karras")
