"""Prompts through real text encoders: layers, weights, chunks and embeddings against plain arithmetic on what transformers gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from inference.diffusion.conditioning import MAX_CHUNKS, chunked, encode
from inference.diffusion.embedding import Embedding
from inference.diffusion.loading import Model
from inference.diffusion.prompts import parse
from inference.diffusion.tokenizer import COMMA, ROOM, ClipTokenizer
from registry.formats.errors import LimitExceeded
from tests.inference.diffusion.addon_files import tiny

TOKENIZER = ClipTokenizer()
TEXT = "a red circle on a blue ground"


@pytest.fixture(scope="module")
def sd1() -> Model:
    return tiny("sd1")


@pytest.fixture(scope="module")
def sdxl() -> Model:
    return tiny("sdxl")


def heard(model: Model, text: str, encoder: int = 0) -> Any:
    """What transformers says of a text without weights, all layers."""
    one = model.encoders[encoder]
    with torch.inference_mode():
        return one.transformer(input_ids=torch.tensor([one.tokenizer.framed(one.tokenizer.encode(text))]), output_hidden_states=True)


def context(model: Model, text: str, clip_skip: int = 1, embeddings: Sequence[Embedding] = ()) -> torch.Tensor:
    with torch.inference_mode():
        return encode(model, [text], clip_skip, embeddings)[text].context


def test_a_plain_prompt_is_the_encoders_last_state(sd1: Model) -> None:
    assert torch.allclose(context(sd1, TEXT), heard(sd1, TEXT).last_hidden_state[0], atol=1e-5)


@pytest.mark.parametrize("skip", [1, 2, 3])
def test_clip_skip_n_is_diffusers_n_less_one(sd1: Model, skip: int) -> None:
    """diffusers' encode_prompt(clip_skip=k) takes hidden_states[-(k + 1)] through the last norm; k None is the last state."""
    k = skip - 1
    wanted = sd1.encoders[0].transformer.final_layer_norm(heard(sd1, TEXT).hidden_states[-(k + 1)])[0]
    assert torch.allclose(context(sd1, TEXT, skip), wanted, atol=1e-5)
    assert skip == 1 or not torch.allclose(context(sd1, TEXT, skip), context(sd1, TEXT), atol=1e-2)


def test_clip_skip_stops_at_the_first_layer(sd1: Model) -> None:
    assert torch.equal(context(sd1, TEXT, 12), context(sd1, TEXT, 3))


def test_emphasis_multiplies_a_words_vectors_and_keeps_the_mean(sd1: Model) -> None:
    plain, loud = context(sd1, "a red circle"), context(sd1, "a (red:1.5) circle")
    factors = torch.ones(77)
    factors[2] = 1.5
    wanted = plain * factors[:, None]
    assert torch.allclose(loud, wanted * plain.mean() / wanted.mean(), atol=1e-4)
    assert loud.mean().item() == pytest.approx(plain.mean().item(), abs=1e-5)


def test_a_prompt_is_heard_alike_in_any_company(sd1: Model) -> None:
    texts = [TEXT, "", "(very loud:3) words " * 60]
    with torch.inference_mode():
        together = encode(sd1, texts)
    for text in texts:
        assert torch.allclose(together[text].context, context(sd1, text), atol=1e-5)


def test_seventy_five_tokens_are_one_chunk_and_one_more_makes_two(sd1: Model) -> None:
    assert context(sd1, "cat " * 75).shape == (77, 64)
    long = context(sd1, "cat " * 76)
    assert long.shape == (154, 64)
    assert torch.allclose(long[:77], context(sd1, "cat " * 75), atol=1e-5)
    assert torch.allclose(long[77:], context(sd1, "cat"), atol=1e-5)


def test_a_full_chunk_breaks_behind_its_last_comma() -> None:
    near = chunked(parse("cat " * 60 + ", " + "dog " * 30), TOKENIZER)
    assert [len(chunk.tokens) for chunk in near] == [61, 30]
    assert near[0].tokens[-1] == COMMA
    far = chunked(parse("cat " * 40 + ", " + "dog " * 50), TOKENIZER)
    assert [len(chunk.tokens) for chunk in far] == [75, 16]


def test_break_fills_a_chunk_up() -> None:
    assert [len(chunk.tokens) for chunk in chunked(parse("a cat BREAK a big dog"), TOKENIZER)] == [2, 3]
    assert [len(chunk.tokens) for chunk in chunked(parse("BREAK a"), TOKENIZER)] == [0, 1]
    assert [len(chunk.tokens) for chunk in chunked(parse("a BREAK"), TOKENIZER)] == [1]
    assert [len(chunk.tokens) for chunk in chunked(parse(""), TOKENIZER)] == [0]


def test_a_prompt_of_too_many_tokens_is_refused() -> None:
    assert len(chunked(parse("cat " * ROOM * MAX_CHUNKS), TOKENIZER)) == MAX_CHUNKS
    with pytest.raises(LimitExceeded, match="prompt-too-long"):
        chunked(parse("cat " * (ROOM * MAX_CHUNKS + 1)), TOKENIZER)


def word(name: str, vectors: int, value: float = 0.3) -> Embedding:
    return Embedding(name, {"clip-l": torch.full((vectors, 64), value)})


def test_an_embeddings_word_is_its_vectors_and_its_absence_changes_nothing(sd1: Model) -> None:
    moss = word("MossBall-v2", 3)
    with_it = context(sd1, "a mossball-V2 circle", embeddings=[moss])
    assert not torch.allclose(with_it, context(sd1, "a mossball-V2 circle"), atol=1e-2)
    assert torch.equal(context(sd1, TEXT, embeddings=[moss]), context(sd1, TEXT))
    (chunk,) = chunked(parse("a (mossball-v2:1.2), circle"), TOKENIZER, [moss])
    assert chunk.embedded == [(1, moss)]
    assert [round(weight, 3) for weight in chunk.weights] == [1.0, 1.2, 1.2, 1.2, 1.0, 1.0]


def test_vectors_equal_to_a_words_own_are_that_word(sd1: Model) -> None:
    table = sd1.encoders[0].token_embedding.weight
    (red,) = TOKENIZER.encode("red")
    same = Embedding("zzyx", {"clip-l": table[red : red + 1].clone()})
    assert torch.allclose(context(sd1, "a zzyx circle", embeddings=[same]), context(sd1, "a red circle"), atol=1e-5)


def test_of_two_embeddings_the_longer_name_wins_and_none_is_cut_in_two() -> None:
    short, long = word("moss", 1), word("moss ball", 2)
    (chunk,) = chunked(parse("moss ball, moss"), TOKENIZER, [short, long])
    assert [one.name for _, one in chunk.embedded] == ["moss ball", "moss"]
    first, second = chunked(parse("cat " * 73 + "moss ball"), TOKENIZER, [word("moss ball", 5)])
    assert (len(first.tokens), second.embedded[0][0]) == (73, 0)


def test_sdxl_joins_both_encoders_layer_before_the_last_and_ignores_clip_skip(sdxl: Model) -> None:
    with torch.inference_mode():
        found = encode(sdxl, [TEXT], 2)[TEXT]
    small, large = heard(sdxl, TEXT), heard(sdxl, TEXT, 1)
    wanted = torch.cat([small.hidden_states[-2][0], large.hidden_states[-2][0]], dim=-1)
    assert torch.allclose(found.context, wanted, atol=1e-5)
    assert torch.equal(found.context, context(sdxl, TEXT, 1))
    assert found.pooled is not None
    model: Any = sdxl.encoders[1].model
    assert torch.allclose(found.pooled, model.text_projection(large.pooler_output)[0], atol=1e-5)
    assert found.silent().context.abs().sum() == 0


def test_sd2_ignores_clip_skip() -> None:
    model = tiny("sd2")
    assert torch.allclose(context(model, TEXT, 2), heard(model, TEXT).last_hidden_state[0], atol=1e-5)
