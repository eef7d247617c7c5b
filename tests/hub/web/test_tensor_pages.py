"""The tensor panel and what a file was found to be: as a page, as a part of a page, for visitors and for the owner."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import numpy as np
import pytest
from django.test import Client
from safetensors.numpy import save

from registry import panel
from registry.models import File
from tests.factories import BlobFactory, FileFactory, VersionFactory
from tests.hub.published import published_file

pytestmark = pytest.mark.django_db
EVIL = "<img src=x onerror=alert(1)>\u202e\u0007"
TAGS = {"12_lantern": {"paper lantern": 40, "night": 12, EVIL: 3}}
METADATA = {
    "ss_tag_frequency": json.dumps(TAGS),
    "ss_dataset_dirs": json.dumps({"12_my_sister": 1}),
    "ss_network_dim": "16",
    "ss_training_comment": EVIL,
    "modelspec.thumbnail": "data:image/png;base64," + "A" * 30_000,
}
TENSORS = {f"lora_unet_down_{n:03}.lora_up.weight": np.zeros((4, 2), np.float16) for n in range(150)} | {
    "lora_te_text_model_0.lora_up.weight": np.zeros((4, 2), np.float32)
}
DETECTED = {
    "kind": "lora", "flavour": "LoCon", "family": "SD 1.x", "base_model": "SD 1.5", "precision": "fp16", "variants": ["v-prediction"],
    "has_vae": False, "has_text_encoder": True, "has_ema": True, "parameters": 1208, "tensors": 151, "network_dim": 16,
    "network_alpha": 8.5, "notes": ["SD 1.4 and 1.5 have the same layout."], "evidence": ["lora_unet_down_000 [4, 2]", EVIL],
    "prediction": "v", "resolution": "768x768", "confidence": "proved by shapes", "alternatives": ["SD 1.4", "SD 1.5"], "quantization": "",
    "training": {"optimizer": "AdamW8bit", "unet_learning_rate": 0.0001, "steps": 1200, "base_file": "/home/ada/base.ckpt", "dora": True},
    "trigger_words": [{"word": "paper lantern", "count": 40}, {"word": "night", "count": 12}, {"word": EVIL, "count": 3}],
}  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_at_hand() -> None:
    panel.forget()


@pytest.fixture
def lora(creator: Any) -> File:
    return published_file(creator, save(TENSORS, METADATA), blob_detected=DETECTED)


def words(text: str) -> str:
    return html.unescape(" ".join(re.sub(r"<[^>]*>", " ", text).split()))


def page(client: Client, path: str, **headers: str) -> str:
    response = client.get(path, headers=headers)
    assert response.status_code == 200
    return response.content.decode()


def test_the_file_page_fetches_the_panel_later_and_links_it_for_those_without_scripts(client: Client, lora: File) -> None:
    text = page(client, f"/file/{lora.pk}")
    assert f'hx-get="/file/{lora.pk}/tensors"' in text
    assert f'href="/file/{lora.pk}/tensors"' in text
    assert "lora_unet_down_000.lora_up.weight" not in text


def test_the_panel_is_a_page_or_a_part_of_one(client: Client, lora: File) -> None:
    whole, part = page(client, f"/file/{lora.pk}/tensors"), page(client, f"/file/{lora.pk}/tensors", HX_Request="true")
    assert "<!doctype html>" in whole
    assert part.lstrip().startswith("<section")
    for text in (whole, part):
        assert "151 tensors, 1,208 numbers, 2.43 kB. Read from the header of the file." in words(text)
        assert "Diffusion model 150 1,200 2.40 kB" in words(text)
        assert "Text encoder 1 8 32 bytes" in words(text)
        assert "F16 150 1,200 2.40 kB" in words(text)
    assert "HX-Request" in client.get(f"/file/{lora.pk}/tensors").headers["Vary"]


def test_links_lead_through_all_tensors(client: Client, lora: File) -> None:
    path, seen = f"/file/{lora.pk}/tensors", []
    while path:
        text = page(client, path)
        seen += re.findall(r'<td class="hash whole">(lora_[^<]*)</td>', text)
        found = re.search(r'href="([^"]*)"[^>]*>Next ', text)
        path = f"/file/{lora.pk}/tensors" + html.unescape(found.group(1)).partition("/tensors")[2] if found else ""
    assert seen == sorted(TENSORS)


def test_the_search_and_the_parts_filter(client: Client, lora: File) -> None:
    text = words(page(client, f"/file/{lora.pk}/tensors?q=DOWN_14"))
    assert "10 of 151 tensors with “DOWN_14” in the name." in text
    assert "1 of 151 tensors, Text encoder only." in words(page(client, f"/file/{lora.pk}/tensors?part=text_encoder"))
    assert "No tensor has that in its name." in words(page(client, f"/file/{lora.pk}/tensors?q=%3Cscript%3E"))
    assert "All 151 tensors" in words(page(client, f"/file/{lora.pk}/tensors?part=wheel&after=&q=%00"))


def test_metadata_is_text_folded_and_counted(client: Client, lora: File) -> None:
    text = page(client, f"/file/{lora.pk}/tensors")
    assert "<img src=x" not in text
    assert "paper lantern 40 night 12" in words(text)
    assert "Cut here; the rest is in the JSON." in words(text)
    assert "\u202e" not in text
    assert "\u0007" not in text


def test_folders_of_the_trainers_machine_are_for_its_owner(client: Client, lora: File, creator: Any, moderator: Any) -> None:
    text = page(client, f"/file/{lora.pk}/tensors")
    assert "hidden: it holds folder names of the trainer's machine" in words(text)
    assert "my_sister" not in text
    for person in (creator, moderator):
        client.force_login(person)
        assert "my_sister" in page(client, f"/file/{lora.pk}/tensors")


def test_what_the_tensors_say_is_said_in_full(client: Client, lora: File) -> None:
    text = words(page(client, f"/file/{lora.pk}"))
    for said in (
        "Kind LoRA (LoCon)",
        "Base model SD 1.x , such as SD 1.5",
        "Variant v-prediction",
        "Prediction v Resolution 768x768",
        "Could also be SD 1.4 (tensors cannot tell these apart)",
        "How sure proved by shapes",
        "Base file hidden: it holds folder names of the trainer's machine Dora yes Optimizer AdamW8bit Steps 1200",
        "Parameters 1,208 in 151 tensors",
        "Inside text encoder, EMA averages",
        "Network dim 16, alpha 8.5",
        "SD 1.4 and 1.5 have the same layout.",
        "paper lantern 40",
    ):
        assert said.replace(" ,", ",") in text.replace(" ,", ","), said
    assert "creator says" not in text


@pytest.mark.parametrize(("base", "warned"), [("SD 1.4", False), ("Other", False), ("SDXL 1.0", True)])
def test_only_a_proved_contradiction_is_called_one(client: Client, creator: Any, base: str, warned: bool) -> None:
    file = published_file(creator, save(TENSORS), blob_detected=DETECTED)
    file.version.base_model = base
    file.version.save()
    assert ("creator says" in page(client, f"/file/{file.pk}")) is warned


def test_odd_detections_are_shown_as_little_as_possible(client: Client, creator: Any) -> None:
    odd = {"kind": "lora", "variants": "x", "parameters": -1, "network_dim": "16", "notes": {"a": 1}, "trigger_words": [1, {"word": 2}]}
    file = FileFactory(version=VersionFactory(entry__owner=creator), blob=BlobFactory(detected=odd))
    client.force_login(creator)
    assert "Parameters" not in words(page(client, f"/file/{file.pk}"))


def test_the_owner_adds_a_word_with_one_click(client: Client, lora: File, creator: Any) -> None:
    assert "Add paper lantern" not in page(client, f"/file/{lora.pk}")
    client.force_login(creator)
    assert "Add paper lantern to the trigger words" in page(client, f"/file/{lora.pk}")
    for word in ("paper lantern", "paper lantern", "not in the file", ""):
        client.post(f"/file/{lora.pk}/words", {"word": word})
    lora.version.refresh_from_db()
    assert lora.version.trigger_words == ["paper lantern"]
    assert "a trigger word of this version" in words(page(client, f"/file/{lora.pk}"))


def test_strangers_add_nothing_and_see_no_draft(client: Client, creator: Any, stranger: Any, lora: File) -> None:
    draft = published_file(creator, save(TENSORS), version=VersionFactory(entry__owner=creator))
    client.force_login(stranger)
    assert client.get(f"/file/{draft.pk}/tensors").status_code == 404
    assert client.post(f"/file/{lora.pk}/words", {"word": "night"}).status_code == 403
    lora.version.refresh_from_db()
    assert lora.version.trigger_words == []


def test_a_file_without_tensors_says_so(client: Client, creator: Any) -> None:
    file = FileFactory(version=VersionFactory(entry__owner=creator))
    client.force_login(creator)
    assert "No tensors are known of this file" in words(page(client, f"/file/{file.pk}/tensors"))


def test_what_a_checkpoint_has_and_has_not_is_said(client: Client, creator: Any) -> None:
    names = ("model.diffusion_model.a", "first_stage_model.b", "model_ema.c")
    file = published_file(creator, save({name: np.zeros(2, np.float16) for name in names}), blob_detected={"kind": "checkpoint"})
    text = words(page(client, f"/file/{file.pk}/tensors"))
    assert "Diffusion model no Text encoder VAE EMA averages no Training state By part of the model" in text
    assert "Diffusion model 1 2 4 bytes" in text
