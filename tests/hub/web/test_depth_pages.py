"""Behind a model page: its trigger words with their sources, what its files say of their training, and the way to its tensors."""

from __future__ import annotations

import html
import re
from typing import Any

import numpy as np
import pytest
from django.test import Client
from safetensors.numpy import save

from registry import panel
from registry.models import Blob, Entry, File, TensorIndex, User
from tests.factories import FileFactory
from tests.hub.published import published_entry, published_file, published_version

pytestmark = pytest.mark.django_db
EVIL = "<img src=x onerror=alert(1)>\u202e"
TAGS = [{"word": "paper lantern", "count": 0}, {"word": "night", "count": 40}, {"word": EVIL, "count": 9}]
STATED = {
    "base_file": "paper.ckpt", "module": "networks.lora", "network_dim": 16, "network_alpha": 8, "steps": 12_000, "epochs": 3,
    "resolution": "768x768", "unet_learning_rate": 0.0001, "text_encoder_learning_rate": 5e-05, "optimizer": "AdamW8bit", "images": 1200,
    "comment": EVIL, "author": "/home/ada/secret.txt", "merged_from": {"odd": 1}, "dora": True, "v2": False,
}  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_at_hand() -> None:
    panel.forget()


@pytest.fixture
def lora(creator: User) -> File:
    entry = published_entry(creator, kind="lora", description="Say `soft glow` for more. Trigger words: NIGHT, lantern light")
    version = published_version(entry, trigger_words=["papr lntrn", "Night"])
    detected = {"kind": "lora", "family": "SD 1.x", "trigger_words": TAGS, "training": STATED}
    metadata = {"ss_dataset_dirs": '{"12_my_sister": 1}', "ss_steps": "12000"}
    return published_file(creator, save({"a": np.zeros(2, np.float16)}, metadata), version=version, blob_detected=detected)


def words(text: str) -> str:
    return html.unescape(" ".join(re.sub(r"<[^>]*>", " ", text).split()))


def page(client: Client, file: File) -> str:
    response = client.get(f"/model-versions/{file.version_id}", follow=True)
    assert response.status_code == 200
    return response.content.decode()


def section(text: str, heading: str) -> str:
    found = re.search(rf'<section[^>]*aria-labelledby="{heading}".*?</section>', text, re.DOTALL)
    return found.group(0) if found else ""


def test_every_word_once_under_the_source_that_is_believed_most(client: Client, lora: File) -> None:
    shown = section(page(client, lora), "triggers")
    assert re.findall(r'class="chip word" data-copy="([^"]*)"', shown) == [
        "papr lntrn", "Night", "paper lantern", "lantern light", "soft glow", "&lt;img src=x onerror=alert(1)&gt;\ufffd",
    ]  # fmt: skip
    text = words(shown)
    order = ["Listed by the creator papr lntrn", "Night 40", "Stated in the file paper", "In the description", "In the training captions"]
    assert [text.find(said) for said in order] == sorted(text.find(said) for said in order)
    assert all(said in text for said in order)


def test_copy_all_takes_what_the_creator_lists_and_else_what_is_stated(client: Client, lora: File) -> None:
    assert 'class="btn btn-small" data-copy="papr lntrn, Night"' in section(page(client, lora), "triggers")
    lora.version.trigger_words = []
    lora.version.save()
    assert 'btn-small" data-copy="paper lantern, night, lantern light, soft glow"' in section(page(client, lora), "triggers").replace(
        "NIGHT", "night"
    )


def test_many_captions_unfold(client: Client, lora: File) -> None:
    many = [{"word": f"tag {number}", "count": 100 - number} for number in range(30)]
    Blob.objects.filter(pk=lora.blob_id).update(detected={"trigger_words": many})
    shown = section(page(client, lora), "triggers")
    assert "Show all 18 more" in words(shown)
    assert shown.index("tag 11") < shown.index("<details") < shown.index("tag 12")


def test_a_model_without_words_has_no_section(client: Client, creator: User) -> None:
    assert section(page(client, published_file(creator, b"x")), "triggers") == ""


@pytest.mark.parametrize("odd", ["x", [1], [{"word": 3, "count": 1}], [{"word": "a", "count": -1}], [{"word": "a", "count": True}]])
def test_odd_words_of_a_file_are_left_out(client: Client, creator: User, odd: Any) -> None:
    file = published_file(creator, b"x", blob_detected={"trigger_words": odd, "training": odd})
    text = page(client, file)
    assert section(text, "triggers") == section(text, "training-heading") == ""


def test_the_training_of_a_lora_is_said_in_groups_with_its_tags_as_bars(client: Client, lora: File) -> None:
    shown = section(page(client, lora), "training-heading")
    text = words(shown)
    for said in (
        "Trained on Model file paper.ckpt",
        "Network Module networks.lora Dimension (rank) 16 Alpha 8 Weight decomposition (DoRA) yes",
        "Run Steps 12,000 Epochs 3 Resolution 768x768 Optimiser AdamW8bit",
        "Learning rate of the UNet 0.0001 Learning rate of the text encoder 5e-05",
        "Pictures trained on 1,200",
        "Author kept private: it names folders of the trainer's machine",
    ):
        assert said in text, said
    assert "secret" not in shown
    assert "<img src=x" not in shown
    assert re.findall(r"inline-size:(\d+)%", shown) == ["100", "22"]


def test_the_training_page_names_what_is_kept_private(client: Client, lora: File) -> None:
    text = client.get(f"/file/{lora.pk}/training").content.decode()
    assert "Kept private" in text
    assert "ss_dataset_dirs" in text
    assert "my_sister" not in text
    assert f'href="/file/{lora.pk}/tensors#metadata"' in text


def test_an_embedding_says_its_steps_and_a_hypernetwork_its_layers(client: Client, creator: User) -> None:
    for kind, others, said in (
        ("embedding", {"step": "1200", "sd_checkpoint_name": "paper-shapes"}, ["Model file paper-shapes", "Steps 1200"]),
        ("hypernetwork", {"layer_structure.0": "1", "layer_structure.1": "2", "layer_structure.2": "1"}, ["Layers 1, 2, 1"]),
    ):
        entry = published_entry(creator, kind=kind)
        file = FileFactory(version=published_version(entry), name=f"{kind}.pt")
        metadata = {f"weighhouse.value.{key}": value for key, value in others.items()}
        directory = {"container": "safetensors", "storages": [], "tensors": [], "metadata": metadata, "others": []}
        TensorIndex.keep(file.blob, directory)
        text = words(section(page(client, file), "training-heading"))
        for one in said:
            assert one in text


def test_hidden_files_have_no_training_page(client: Client, lora: File) -> None:
    Entry.objects.filter(pk=lora.version.entry_id).update(visibility="private")
    assert client.get(f"/file/{lora.pk}/training").status_code == 404


def test_sections_cost_no_query_a_file(client: Client, lora: File, django_assert_max_num_queries: Any) -> None:
    page(client, lora)
    address = f"/{lora.version.entry.owner.username}/{lora.version.entry.slug}"
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as one:
        client.get(address)
    for number in range(6):
        published_file(lora.version.entry.owner, bytes([number]) * 9, f"more{number}.safetensors", version=lora.version)
    with django_assert_max_num_queries(len(one)):
        client.get(address)
