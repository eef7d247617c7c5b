"""The training networks: names and shapes of the layout, starts that do nothing, and additions that can be taken off again."""

from __future__ import annotations

import pytest
import torch

from samples.drawing import Scene, Thing, draw
from samples.layout import Widths, sd1
from samples.training.adapters import Hypernetwork, Lora, NewWord
from samples.training.autoencoder import SCALE, Autoencoder
from samples.training.first_stage import WIDTHS, begin_linear, normalise, pictures, to_unit
from samples.training.muon import orthogonal
from samples.training.second_stage import CONTEXT, UNET, noise_loss
from samples.training.textencoder import TextEncoder, compact, expand
from samples.training.unet import UNet, heads_of
from samples.training.words import known, rows


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture
def unet() -> UNet:
    made = UNet(UNET, CONTEXT)
    torch.nn.init.normal_(made.out[2].weight, std=0.1)  # else it answers nothing, whatever it is told
    for name, parameter in made.named_parameters():
        if name.endswith("proj_out.weight"):
            torch.nn.init.normal_(parameter, std=0.1)
    return made


@pytest.fixture
def text() -> TextEncoder:
    return TextEncoder(len(known()) + 1)


def asked(text: TextEncoder, *prompts: str) -> torch.Tensor:
    return torch.tensor([rows(prompt) for prompt in prompts])


def test_networks_together_have_the_layout_of_a_single_file(unet: UNet, text: TextEncoder) -> None:
    parts = {
        "model.diffusion_model.": unet.state_dict(),
        "first_stage_model.": Autoencoder(WIDTHS).state_dict(),
        "cond_stage_model.transformer.": expand(text.state_dict(), list(known())),
    }
    made = {prefix + name: tuple(tensor.shape) for prefix, state in parts.items() for name, tensor in state.items()}
    assert made == sd1(Widths(unet=UNET, vae=WIDTHS, clip=CONTEXT, clip_layers=3))


def test_heads_are_those_of_the_published_width() -> None:
    assert (heads_of(320), heads_of(64)) == (8, 2)


def test_the_whole_vocabulary_and_back_is_the_same_table(text: TextEncoder) -> None:
    there = expand(text.state_dict(), list(known()))
    back = compact(there, list(known()))
    assert all(torch.equal(back[name], tensor) for name, tensor in text.state_dict().items())


def test_unknown_words_are_zero_and_known_words_are_not(text: TextEncoder) -> None:
    row = rows("a masterpiece")
    assert row[1] > 0
    assert row[2] == 0
    assert len(row) == 77
    assert not text.text_model.embeddings.token_embedding.weight[0].any()


def test_a_fresh_autoencoder_passes_plain_colours() -> None:
    model = Autoencoder(WIDTHS)
    begin_linear(model)
    plain = torch.from_numpy(draw(Scene((Thing("circle", "red", 64, 64, 40),), "blue"))).permute(2, 0, 1)[None]
    with torch.no_grad():
        made = model.decode(model.encode(to_unit(plain))[0])
    assert (made - to_unit(plain)).abs().mean() < 0.25, "an untrained network is about 0.7 off"


def test_sampled_latents_have_variance_one_once_normalised_and_decode_as_before() -> None:
    model = Autoencoder(WIDTHS)
    begin_linear(model)
    pool = pictures(24, seed=2)
    with torch.no_grad():
        before = model.decode(model.encode(to_unit(pool[:2]))[0])
        normalise(model, to_unit(pool))
        after = model.decode(model.encode(to_unit(pool[:2]))[0])
        means, logvar = model.encode(to_unit(pool))
    variance = (means.var(dim=(0, 2, 3)) + logvar.exp().mean(dim=(0, 2, 3))) * SCALE**2
    assert variance.tolist() == pytest.approx([1.0] * 4, abs=0.1)
    assert (before - after).abs().max() < 0.02


def test_a_lora_starts_as_nothing_then_changes_pictures_and_comes_off(unet: UNet, text: TextEncoder) -> None:
    x, step, words = torch.randn(1, 4, 16, 16), torch.tensor([500]), asked(text, "a red circle")
    with torch.no_grad():
        plain = unet(x, step, text(words))
        lora = Lora(unet, text, rank=2, alpha=2.0)
        assert torch.equal(unet(x, step, text(words)), plain)
        for layer in lora.up.values():
            torch.nn.init.normal_(layer.weight)
        assert not torch.allclose(unet(x, step, text(words)), plain)
        lora.remove()
        assert torch.equal(unet(x, step, text(words)), plain)


def test_a_hypernetwork_acts_on_every_attention_of_its_width(unet: UNet, text: TextEncoder) -> None:
    x, step, words = torch.randn(1, 4, 16, 16), torch.tensor([500]), asked(text, "a red circle")
    hypernetwork = Hypernetwork(CONTEXT)
    torch.nn.init.normal_(hypernetwork.values[2].weight)
    with torch.no_grad():
        plain = unet(x, step, text(words))
        hypernetwork.attach(unet)
        assert not torch.allclose(unet(x, step, text(words)), plain)
        hypernetwork.attach(unet, on=False)
        assert torch.equal(unet(x, step, text(words)), plain)


def test_a_new_word_starts_as_the_words_it_is_made_of(text: TextEncoder) -> None:
    like = rows("white")[1]
    word = NewWord(text, [like])
    told = asked(text, "a white star")
    swapped = torch.where(told == like, torch.tensor(word.rows()[0]), told)
    assert torch.equal(word.context(text, swapped), text(told))


def test_the_loss_of_an_untrained_unet_is_the_mean_weight(text: TextEncoder) -> None:
    """It predicts no noise at all, so the squared error is 1 at every step and only the weights are left, whose mean is 1."""
    clean = torch.randn(64, 4, 16, 16)
    found = noise_loss(UNet(UNET, CONTEXT), clean, text(asked(text, *["a star"] * 64))).item()
    assert found == pytest.approx(1.0, abs=0.08)


def test_orthogonal_updates_have_singular_values_near_one() -> None:
    for shape in ((3, 16, 40), (3, 40, 16)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
        assert values.min() > 0.5
        assert values.max() < 1.4
