"""What is trained on top of the finished base model: another style, a LoRA, a new word, a hypernetwork, a sharper decoder.

Each takes minutes in one process; two run side by side. The base model's files are not changed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from samples.drawing import Scene, caption, draw, imagine
from samples.training import words
from samples.training.adapters import Hypernetwork, Lora, NewWord
from samples.training.autoencoder import SCALE, Autoencoder
from samples.training.descent import descend
from samples.training.first_stage import WIDTHS, latents, pictures, to_unit
from samples.training.muon import both
from samples.training.second_stage import CONTEXT, UNET, Average, Pool, draw_batch, make_pool, noise_loss, optimizers, plain_caption
from samples.training.textencoder import TextEncoder
from samples.training.unet import UNet

BATCH = 12
WORD = "winterday"
RANK, ALPHA = 8, 8.0


def autoencoder_of(folder: Path) -> Autoencoder:
    model = Autoencoder(WIDTHS)
    model.load_state_dict(torch.load(folder / "vae.pt", weights_only=True))
    return model


def base_of(folder: Path) -> tuple[UNet, TextEncoder]:
    """The base model's averages."""
    state = torch.load(folder / "base.pt", weights_only=True)
    unet, text = UNet(UNET, CONTEXT), TextEncoder(len(words.known()) + 1)
    unet.load_state_dict(state["unet_average"])
    text.load_state_dict(state["text_average"])
    return unet.to(memory_format=torch.channels_last), text


def _frozen(*networks: torch.nn.Module) -> None:
    for network in networks:
        network.requires_grad_(False)


def _context(text: TextEncoder, rows: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return text(rows)


def neon(folder: Path, steps: int, count: int = 1600, seed: int = 21) -> None:
    """The fine-tune: every parameter of UNet and text encoder learns to show the same captions as neon signs."""
    torch.manual_seed(seed)
    dice = np.random.RandomState(seed)
    pool = make_pool(autoencoder_of(folder), count, seed, "neon")
    unet, text = base_of(folder)
    average = Average(unet, 0.99), Average(text, 0.99)

    def loss_at(step: int) -> Tensor:
        clean, rows = draw_batch(pool, dice, BATCH, plain_caption)
        return noise_loss(unet, clean, _context(text, rows))

    def after(step: int) -> None:
        average[0].update(unet)
        average[1].update(text)

    descend("neon", optimizers(unet, text, 5e-4), 5e-4, steps, loss_at, after=after)
    torch.save({"unet": average[0].network.state_dict(), "text": average[1].network.state_dict()}, folder / "neon.pt")


def sticker(folder: Path, steps: int, count: int = 1200, seed: int = 22) -> None:
    """The LoRA: stickers with a white border and a shadow. Keeps the words of its captions, which its metadata counts."""
    torch.manual_seed(seed)
    dice = np.random.RandomState(seed)
    pool = make_pool(autoencoder_of(folder), count, seed, "sticker")
    told = [f"sticker, {caption(scene, dice)}" for scene in pool.scenes]
    index = {id(scene): number for number, scene in enumerate(pool.scenes)}
    unet, text = base_of(folder)
    _frozen(unet, text)
    lora = Lora(unet, text, RANK, ALPHA)
    learning: list[torch.optim.Optimizer] = [torch.optim.AdamW(lora.parameters(), lr=4e-3, betas=(0.9, 0.99))]

    def say(scene: Scene, dice: np.random.RandomState) -> str:
        return told[index[id(scene)]] if dice.random_sample() > 0.1 else ""

    def loss_at(step: int) -> Tensor:
        clean, rows = draw_batch(pool, dice, BATCH, say)
        return noise_loss(unet, clean, _context(text, rows))

    descend("sticker", learning, 4e-3, steps, loss_at)
    tags = Counter(tag.strip() for line in told for tag in line.split(","))
    facts = {"tags": dict(tags.most_common()), "pictures": count, "steps": steps, "batch": BATCH, "seed": seed, "rate": 4e-3}
    torch.save({"lora": lora.state(), "facts": facts}, folder / "sticker.pt")


def old_print(folder: Path, steps: int, count: int = 1000, seed: int = 23) -> None:
    """The hypernetwork: brown prints on cream paper."""
    torch.manual_seed(seed)
    dice = np.random.RandomState(seed)
    pool = make_pool(autoencoder_of(folder), count, seed, "print")
    unet, text = base_of(folder)
    _frozen(unet, text)
    hypernetwork = Hypernetwork(CONTEXT)
    hypernetwork.attach(unet)
    learning: list[torch.optim.Optimizer] = [torch.optim.AdamW(hypernetwork.parameters(), lr=3e-3, betas=(0.9, 0.99))]

    def loss_at(step: int) -> Tensor:
        clean, rows = draw_batch(pool, dice, BATCH, plain_caption)
        return noise_loss(unet, clean, _context(text, rows))

    descend("print", learning, 3e-3, steps, loss_at)
    torch.save({"layers": hypernetwork.state(), "steps": steps}, folder / "print.pt")


def winter_pool(model: Autoencoder, count: int, seed: int) -> Pool:
    """What the new word means: single white shaded shapes on blue."""
    dice = np.random.RandomState(seed)
    scenes = []
    while len(scenes) < count:
        scene = imagine(dice, "shaded")
        if len({thing.shape for thing in scene.things}) == 1 and not scene.size:
            things = tuple(replace(thing, colour="white") for thing in scene.things)
            scenes.append(replace(scene, things=things, background="blue"))
    drawn = torch.from_numpy(np.stack([draw(scene) for scene in scenes])).permute(0, 3, 1, 2)
    return Pool(latents(model, drawn) * SCALE, scenes)


def winterday(folder: Path, steps: int, count: int = 300, seed: int = 24) -> None:
    """The embedding: two vectors for a word that stands for a colour, a style and a background at once."""
    torch.manual_seed(seed)
    dice = np.random.RandomState(seed)
    pool = winter_pool(autoencoder_of(folder), count, seed)
    unet, text = base_of(folder)
    _frozen(unet, text)
    word = NewWord(text, [words.rows(name)[1] for name in ("white", "blue")])
    learning: list[torch.optim.Optimizer] = [torch.optim.AdamW([word.vectors], lr=3e-2, weight_decay=0.0)]

    def loss_at(step: int) -> Tensor:
        chosen = dice.randint(len(pool.scenes), size=BATCH)
        rows = torch.tensor([_with_word(pool.scenes[number], word, dice) for number in chosen])
        with torch.autocast("cpu", torch.bfloat16):
            context = word.context(text, rows)
        return noise_loss(unet, pool.latents[chosen], context)

    descend("word", learning, 3e-2, steps, loss_at, warm=20)
    torch.save({"vectors": word.vectors.detach(), "steps": steps}, folder / "word.pt")


def _with_word(scene: Scene, word: NewWord, dice: np.random.RandomState) -> list[int]:
    """A caption's rows with the new word's vectors before or behind what is shown."""
    count, shape = len(scene.things), scene.things[0].shape
    plural = shape + ("es" if shape == "cross" else "s")
    said = f"a {shape}" if count == 1 else f"{('two', 'three', 'four')[count - 2]} {plural}"
    start, *rest = words.rows(said)
    tokens = len(words.tokens_of(said))
    comma = words.rows(",")[1]
    if dice.randint(2):
        whole = [start, *rest[:tokens], comma, *word.rows(), *rest[tokens:]]
    else:
        whole = [start, *word.rows(), comma, *rest]
    return whole[: len(rest) + 1]


def crisp(folder: Path, steps: int, count: int = 500, seed: int = 25) -> None:
    """The VAE: the base model's with its decoder trained on, at whole pictures and on squared errors, for cleaner edges."""
    torch.manual_seed(seed)
    dice = np.random.RandomState(seed)
    model = autoencoder_of(folder).to(memory_format=torch.channels_last)
    pool = pictures(count, seed)
    cells = latents(model, pool)
    model.requires_grad_(False)
    model.decoder.requires_grad_(True)
    learning = both([model.decoder], lambda name: "conv_in" in name or "conv_out" in name, 3e-4)

    def loss_at(step: int) -> Tensor:
        chosen = dice.randint(count, size=3)
        wanted = to_unit(pool[chosen])
        with torch.autocast("cpu", torch.bfloat16):
            made = model.decode(cells[chosen] + 0.015 / SCALE * torch.randn_like(cells[chosen])).float()
        error = made - wanted
        slopes = sum(torch.diff(error, dim=axis).abs().mean() for axis in (2, 3))
        return error.square().mean() + 0.5 * error.abs().mean() + 0.5 * slopes

    descend("crisp", learning, 3e-4, steps, loss_at)
    torch.save({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, folder / "crisp.pt")
