"""Generation parameters as text: what is written, what is read back, and what foreign texts give."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.diffusion.infotext import Facts, facts, meta, parse, write
from inference.diffusion.jobs import AddOn, JobFile, Shot
from inference.diffusion.version import RENDERER_VERSION

FULL = Facts(
    prompt="a red circle\non blue",
    negative_prompt="blurry",
    steps=20,
    sampler="DPM++ 2M",
    schedule="Karras",
    cfg_scale=6.5,
    seed=123,
    width=64,
    height=96,
    clip_skip=2,
    model="tiny, v1",
    model_sha256="abcdef0123456789",
    vae="soft",
    vae_sha256="1122334455667788",
    loras={"pixel": "0123456789abcdef"},
    embeddings={"glow": "fedcba9876543210"},
    extra={"Hub model": 42, "Hub version": 7},
)
OLD = """portrait, (best:1.2)
Negative prompt: bad hands,
second line
Steps: 28, Sampler: DPM++ SDE Karras, CFG scale: 7, Seed: 5, Size: 512x768, Model hash: e6415c4892, Model: realistic_v20"""


def test_the_text_is_what_webui_writes() -> None:
    assert write(FULL) == (
        "a red circle\non blue\nNegative prompt: blurry\n"
        "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 123, Size: 64x96, Model hash: abcdef0123, "
        'Model: "tiny, v1", VAE hash: 1122334455, VAE: soft, Clip skip: 2, RNG: CPU, Lora hashes: "pixel: 0123456789ab", '
        f'TI hashes: "glow: fedcba987654", Hub model: 42, Hub version: 7, Version: weighhouse-{RENDERER_VERSION}'
    )


def test_what_is_not_there_is_left_out() -> None:
    text = write(Facts("x", cfg_scale=7.0))
    assert text.startswith("x\nSteps: 20, Sampler: DPM++ 2M, CFG scale: 7, Seed: 0")
    for word in ("Negative", "Clip skip", "Schedule", "VAE", "hashes", "Model"):
        assert word not in text


def test_everything_is_read_back() -> None:
    said = parse(write(FULL))
    assert said["Prompt"] == "a red circle\non blue"
    assert said["Negative prompt"] == "blurry"
    assert (said["Model"], said["Size-1"], said["Size-2"], said["Clip skip"]) == ("tiny, v1", "64", "96", "2")
    assert (said["Lora hashes"], said["Hub model"]) == ("pixel: 0123456789ab", "42")


PROMPTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from('\n,:"\\<>(){}🎈é漢'), max_size=200) | st.sampled_from(
    ["Steps: 1, Sampler: x, Seed: 3", "a\nNegative prompt: not one", "Negative prompt: x", "🎈\n\n\nb", '"quoted, twice"', 'a: "b']
)
WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from(',:"\\ {}[]\n'), min_size=1, max_size=30)


def same_tokens(text: str) -> list[str]:
    return text.split()


@given(prompt=PROMPTS, negative=PROMPTS, model=WORDS, extra=WORDS, seed=st.integers(0, 2**64 - 1), cfg=st.floats(0, 30))
def test_any_words_come_back_as_they_were(prompt: str, negative: str, model: str, extra: str, seed: int, cfg: float) -> None:
    said = parse(write(Facts(prompt, negative, seed=seed, cfg_scale=cfg, model=model, extra={"Hub note": extra}, schedule="Beta")))
    assert same_tokens(said["Prompt"]) == same_tokens(prompt)
    assert same_tokens(said["Negative prompt"]) == same_tokens(negative)
    if "Negative" not in prompt + negative:
        assert said["Prompt"] == prompt.strip()
        assert [line.strip() for line in said["Negative prompt"].split("\n")] == [line.strip() for line in negative.strip().split("\n")]
    assert said.get("Model", "").strip() == model.strip()
    assert said.get("Hub note", "").strip() == extra.strip()
    assert (int(said["Seed"]), float(said["CFG scale"])) == (seed, cfg)


def test_control_characters_and_broken_characters_are_not_written() -> None:
    text = write(Facts("a\0b\x1b[31m\ud800c\r\nd", model="m\0\x07"))
    assert text.startswith("ab[31m\ufffdc\nd\nSteps")
    assert parse(text)["Model"] == "m"
    assert text.encode()


def test_the_old_form_of_samplers_is_split() -> None:
    said = parse(OLD)
    assert (said["Sampler"], said["Schedule type"]) == ("DPM++ SDE", "Karras")
    assert said["Negative prompt"] == "bad hands,\nsecond line"
    assert (said["Size-1"], said["Size-2"]) == ("512", "768")


def test_a_last_line_with_fewer_than_three_pairs_is_prompt() -> None:
    assert parse("a cat\nstyle: photo, mood: calm") == {"Prompt": "a cat\nstyle: photo, mood: calm", "Negative prompt": ""}


def test_json_values_are_one_value() -> None:
    hashes = json.dumps({"model": "aaaaaaaaaa", "lora:x": "bbbbbbbbbb"})
    text = f"<lora:x:0.7> a\nSteps: 4, Sampler: Euler a, Seed: 1, Hashes: {hashes}, Version: v1.9"
    assert parse(text)["Version"] == "v1.9"
    said = meta(text)
    assert said["hashes"] == {"model": "aaaaaaaaaa", "lora:x": "bbbbbbbbbb"}
    assert {"type": "lora", "name": "x", "weight": 0.7, "hash": "bbbbbbbbbb"} in said["resources"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        '"' * 50_000,
        "a" * 2_000_000,
        "a:" * 40_000,
        'a1:"' * 20_000,
        "a1: [" * 20_000,
        "a1: " + "[" * 90_000,
        " \\" * 49_999,
        'a1: "' + "\\" * 60_000,
        "Steps: " + "9" * 5000 + ", Seed: nan, CFG scale: inf, Size: 1x1",
        "Negative prompt:\n" * 50_000,
    ],
    ids=range(12),
)
def test_hostile_texts_are_read_soon_and_raise_nothing(text: str) -> None:
    begun = time.process_time()
    assert isinstance(parse(text), dict)
    assert "prompt" in meta(text)
    assert time.process_time() - begun < 2


def test_civitai_s_object() -> None:
    said = meta(write(replace(FULL, prompt="a <lora:pixel:0.5:0.8> b")))
    assert (said["steps"], said["cfgScale"], said["seed"], said["clipSkip"], said["sampler"]) == (20, 6.5, 123, 2, "DPM++ 2M")
    assert (said["Size"], said["Model"], said["Model hash"], said["Schedule type"]) == ("64x96", "tiny, v1", "abcdef0123", "Karras")
    assert said["hashes"] == {"model": "abcdef0123", "vae": "1122334455", "lora:pixel": "0123456789ab", "embed:glow": "fedcba987654"}
    assert said["resources"] == [
        {"type": "model", "name": "tiny, v1", "hash": "abcdef0123"},
        {"type": "lora", "name": "pixel", "weight": 0.8, "hash": "0123456789ab"},
        {"type": "embed", "name": "glow", "hash": "fedcba987654"},
    ]
    assert (said["prompt"], said["negativePrompt"]) == ("a <lora:pixel:0.5:0.8> b", "blurry")
    assert "Size-1" not in said
    json.dumps(said, allow_nan=False)


def test_clip_skip_is_one_where_nothing_is_said() -> None:
    assert meta(OLD)["clipSkip"] == 1


FILES = (
    JobFile("checkpoint", "base", "a" * 64, 1),
    JobFile("lora", "pix:el,s", "b" * 64, 1, "c" * 64),
    JobFile("lora", "two", "d" * 64, 1, "e" * 64),
    JobFile("embedding", "Glow", "f" * 64, 1),
    JobFile("embedding", "unused", "1" * 64, 1),
    JobFile("vae", "soft", "2" * 64, 1),
    JobFile("hypernetwork", "hyper", "3" * 64, 1),
)


def test_the_facts_of_a_shot() -> None:
    addons = (AddOn(1, 0.5, 0.25), AddOn(2, 1.0), AddOn(3), AddOn(4), AddOn(5), AddOn(6, 0.7))
    shot = Shot("a <lora:two:1>cat <lora:other:0.9><lora:two:0.2>", "glow", width=128, height=64, addons=addons)
    made = facts(FILES, shot, {"Hub model": 3})
    assert made.prompt == "a <lora:two:1>cat <hypernet:hyper:0.7> <lora:pix:el,s:0.25:0.5>"
    assert (made.model, made.vae, made.embeddings) == ("base", "soft", {"Glow": "f" * 64})
    said = parse(write(made))
    assert said["Lora hashes"] == f"pixels: {'c' * 12}, two: {'e' * 12}"
    assert said["Hypernet hashes"] == f"hyper: {'3' * 12}"
    assert said["Size"] == "128x64"


def test_a_shot_without_prompt_and_addons() -> None:
    text = write(facts(FILES, Shot("")))
    assert text.startswith("Steps: 20")
    assert parse(text)["Prompt"] == ""
