"""What each tool writes is told: prompt, settings, models with their hashes, workflow, and what was not understood."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from hub.imagemeta import ImageMeta, of_bytes
from hub.imagemeta.meta import Resource
from tests import toolimages
from tests.toolimages import A1111, CHECKPOINT, LORA

IMAGES = toolimages.images()


def told(name: str) -> ImageMeta:
    return of_bytes(IMAGES[name])


def resources(meta: ImageMeta) -> set[tuple[str, str, str, float | None]]:
    return {(one.kind, one.name, one.hash, one.weight) for one in meta.resources}


@pytest.mark.parametrize(
    ("start", "tool"),
    [
        ("a1111", "A1111"), ("forge", "Forge"), ("civitai", "Civitai"), ("comfyui", "ComfyUI"), ("invokeai", "InvokeAI"),
        ("swarmui", "SwarmUI"), ("fooocus", "Fooocus"), ("novelai", "NovelAI"),
    ],
)  # fmt: skip
def test_the_tool_is_recognised_in_every_form(start: str, tool: str) -> None:
    found = {name: of_bytes(data).tool for name, data in IMAGES.items() if name.startswith(start)}
    assert found
    assert set(found.values()) == {tool}


@pytest.mark.parametrize("name", ["a1111.png", "a1111-ztxt.png", "a1111.jpg", "a1111.webp"])
def test_a1111_is_told_whole(name: str) -> None:
    meta = told(name)
    assert meta.prompt == "a lighthouse at dusk, (oil painting:1.2), <lora:harbour:0.7>"
    assert meta.negative_prompt == "blurry, low quality"
    assert meta.parameters == A1111
    shown = {"Steps": "28", "Sampler": "DPM++ 2M", "Schedule type": "Karras", "CFG scale": "6.5", "Seed": "1234567890"}
    assert meta.settings.items() >= {**shown, "Size": "512x768", "Clip skip": "2", "Denoising strength": "0.45"}.items()
    assert resources(meta) == {
        ("model", "seaside_v2", "31e35c80fc", None),
        ("vae", "soft.vae", "c6a580b13a", None),
        ("lora", "harbour", "0123456789ab", 0.7),
        ("embedding", "salty", "fedcba987654", None),
    }
    assert meta.not_understood == []
    assert meta.workflow is None


def test_characters_of_every_language_survive() -> None:
    assert told("a1111-itxt.png").settings["Hub"] == "灯"


def test_civitais_resources_are_told_with_their_weights() -> None:
    meta = told("civitai.jpg")
    assert resources(meta) == {("model", "Boat XL", "", None), ("lora", "Paper", "", 0.8)}
    assert meta.settings["Size"] == "832x1216"


@pytest.mark.parametrize("name", ["comfyui.png", "comfyui.webp"])
def test_a_graph_is_followed(name: str) -> None:
    meta = told(name)
    assert (meta.prompt, meta.negative_prompt) == ("a lighthouse at dusk", "text, watermark, embedding:salty")
    assert meta.settings == {
        "Clip skip": "2", "Steps": "20", "Sampler": "euler", "Schedule type": "normal", "CFG scale": "8", "Seed": "156680208700286",
        "Size": "512x640",
    }  # fmt: skip
    assert resources(meta) == {("model", "seaside_v2", "", None), ("lora", "harbour", "", 0.6), ("embedding", "salty", "", None)}
    assert meta.workflow == json.dumps(toolimages.WORKFLOW)
    assert meta.not_understood == ["FaceDetailerMystery"]


def test_a_graph_that_is_plugged_together_is_followed() -> None:
    meta = told("comfyui-custom.png")
    assert (meta.prompt, meta.negative_prompt) == ("a tin robot", "")
    assert meta.settings == {"Steps": "24", "Sampler": "euler", "Schedule type": "simple", "Seed": "42", "Size": "1024x768"}
    assert {(one.kind, one.name) for one in meta.resources} == {
        ("model", "flux1-dev"), ("text encoder", "clip_l"), ("text encoder", "t5xxl_fp16"),
    }  # fmt: skip
    assert meta.workflow == json.dumps(toolimages.CUSTOM_GRAPH)


def test_a_second_pass_is_not_told_for_the_first() -> None:
    graph: dict[str, Any] = json.loads(json.dumps(toolimages.GRAPH))
    graph["2"] = {"class_type": "KSampler", "inputs": {**graph["3"]["inputs"], "denoise": 0.4, "seed": 1, "latent_image": ["3", 0]}}
    meta = of_bytes(toolimages.png({"prompt": json.dumps(dict(sorted(graph.items(), key=lambda row: int(row[0]))))}))
    assert meta.settings["Seed"] == "156680208700286"
    assert "KSampler 2" in meta.not_understood


def test_a_workflow_without_its_graph_is_kept_and_said_so() -> None:
    meta = of_bytes(toolimages.png({"workflow": json.dumps(toolimages.WORKFLOW)}))
    assert (meta.tool, meta.prompt, meta.not_understood) == ("ComfyUI", "", ["workflow"])
    assert meta.workflow == json.dumps(toolimages.WORKFLOW)


def test_a_workflow_beside_a1111s_text_is_kept() -> None:
    text = A1111.replace("Version: v1.10.1", "Version: ComfyUI")
    meta = of_bytes(
        toolimages.png({"parameters": text, "prompt": json.dumps(toolimages.GRAPH), "workflow": json.dumps(toolimages.WORKFLOW)})
    )
    assert (meta.tool, meta.parameters, meta.workflow) == ("ComfyUI", text, json.dumps(toolimages.WORKFLOW))
    assert meta.not_understood == []


def test_invokeai_since_version_4() -> None:
    meta = told("invokeai-5.png")
    assert (meta.prompt, meta.negative_prompt) == ("a lighthouse at dusk", "blurry")
    assert meta.settings.items() >= {"Steps": "30", "Sampler": "dpmpp_2m_k", "CFG scale": "5.5", "Seed": "77", "Size": "1024x768"}.items()
    assert resources(meta) == {("model", "Seaside", CHECKPOINT, None), ("lora", "Harbour", LORA, 0.75)}
    assert meta.not_understood == ["regions"]


def test_invokeai_3() -> None:
    assert resources(told("invokeai-3.png")) == {("model", "stable-diffusion-v1-5", "", None), ("lora", "harbour", "", 0.5)}


@pytest.mark.parametrize("name", ["invokeai-1.png", "invokeai-2.png"])
def test_invokeai_before(name: str) -> None:
    meta = told(name)
    assert (meta.prompt, meta.negative_prompt) == ("a lighthouse", "blurry")
    assert meta.settings.items() >= {"Steps": "50", "Sampler": "k_lms", "CFG scale": "7.5", "Seed": "11", "Size": "640x512"}.items()
    assert resources(meta) == ({("model", "stable-diffusion-1.5", CHECKPOINT, None)} if name == "invokeai-2.png" else set())


@pytest.mark.parametrize("name", ["swarmui.png", "swarmui.jpg"])
def test_swarmui(name: str) -> None:
    meta = told(name)
    assert (meta.prompt, meta.negative_prompt) == ("a lighthouse at dusk<lora:harbour:0.5>", "blurry")
    assert meta.settings.items() >= {"Steps": "20", "CFG scale": "7.0", "Seed": "99", "Size": "1024x1024", "Clip skip": "2"}.items()
    assert resources(meta) == {("model", "seaside_v2", CHECKPOINT, None), ("lora", "harbour", LORA, 0.5)}
    assert meta.not_understood == []


@pytest.mark.parametrize("name", ["fooocus.png", "fooocus.jpg"])
def test_fooocus(name: str) -> None:
    meta = told(name)
    assert meta.prompt == "a lighthouse at dusk"
    shown = {"Steps": "30", "Sampler": "dpmpp_2m_sde_gpu", "Schedule type": "karras", "CFG scale": "4", "Seed": "127589946317439009"}
    assert meta.settings.items() >= {**shown, "Size": "896x1152", "performance": "Speed"}.items()
    assert resources(meta) == {("model", "juggernautXL_v8", "aeb7e9e689", None), ("lora", "offset", "4852686128", 0.1)}


@pytest.mark.parametrize("name", ["novelai.png", "novelai.webp"])
def test_novelai(name: str) -> None:
    meta = told(name)
    assert (meta.prompt, meta.negative_prompt) == ("a lighthouse at dusk", "blurry")
    assert meta.settings.items() >= {"Steps": "28", "Sampler": "k_euler_ancestral", "CFG scale": "6.0", "Size": "832x1216"}.items()
    assert meta.not_understood == ["v4_prompt"]


def test_draw_things_words_in_xmp_are_named_as_not_understood() -> None:
    said = "<rdf:Alt><rdf:li xml:lang='x-default'>{&quot;c&quot;:&quot;a cat&quot;}</rdf:li></rdf:Alt>"
    xmp = f"<x><exif:UserComment>{said}</exif:UserComment></x>"
    out = io.BytesIO()
    toolimages.picture().save(out, "JPEG", xmp=xmp.encode())
    meta = of_bytes(out.getvalue())
    assert (meta.tool, meta.not_understood) == ("", ["parameters"])


def test_what_nobody_knows_is_named() -> None:
    meta = of_bytes(toolimages.png({"dream_weaver": "{}", "Title": "harbour"}))
    assert (meta.tool, meta.not_understood) == ("", ["dream_weaver"])


def test_an_image_without_words_says_nothing() -> None:
    assert of_bytes(toolimages.png({})) == ImageMeta()


@pytest.mark.parametrize("name", sorted(IMAGES))
def test_all_of_it_can_be_pasted_into_a1111(name: str) -> None:
    """What is written of another tool's words is read back as the same prompt, settings and models."""
    meta = told(name)
    again = of_bytes(toolimages.png({"parameters": meta.parameters}))
    assert again.negative_prompt == meta.negative_prompt
    assert again.prompt.startswith(meta.prompt)
    for key in ("Steps", "Sampler", "CFG scale", "Seed", "Size"):
        assert again.settings.get(key) == meta.settings.get(key)
    assert {one.name for one in again.resources if one.kind == "lora"} == {one.name for one in meta.resources if one.kind == "lora"}


@pytest.mark.parametrize("name", sorted(IMAGES))
def test_the_answer_can_be_stored_and_read_again(name: str) -> None:
    meta = told(name)
    assert ImageMeta.from_json(json.loads(json.dumps(meta.to_json()))) == meta


@pytest.mark.parametrize("said", [{"resources": []}, {**ImageMeta().to_json(), "prompt": 3}, {**ImageMeta().to_json(), "odd": 1}])
def test_only_metadata_is_read_as_metadata(said: dict[str, Any]) -> None:
    if said == {"resources": []}:
        assert ImageMeta.from_json(said) == ImageMeta()
        return
    with pytest.raises((TypeError, ValueError)):
        ImageMeta.from_json(said)


def test_hashes_lose_what_tools_put_before_them() -> None:
    assert {one.hash for one in told("swarmui.png").resources} == {CHECKPOINT, LORA}
    assert Resource("model", "x").hash == ""
