"""The list of checkpoints that an add-on fits: of its family, listed, within the visitor's limit; fetched after the page."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.test import Client

from registry import panel
from registry.models import File
from tests.hub.addons import lora_for
from tests.hub.constructed import constructed_bytes
from tests.hub.published import published_entry, published_file, published_version

pytestmark = pytest.mark.django_db
TIDE = constructed_bytes("tide-pool-tiny-fp16.safetensors")
LORA = {"kind": "lora", "family": "SD 1.x", "base_model": "SD 1.5", "tensors": 40}
CHECKPOINT = {"kind": "checkpoint", "family": "SD 1.x", "base_model": "SD 1.5", "tensors": 400}


@pytest.fixture(autouse=True)
def nothing_at_hand() -> None:
    panel.forget()


@pytest.fixture
def lora(creator: Any) -> File:
    return published_file(creator, lora_for(TIDE), "ink.safetensors", blob_detected=LORA)


def checkpoint(
    owner: Any, name: str, *, detected: dict[str, Any] = CHECKPOINT, version: dict[str, Any] | None = None, **entry: Any
) -> File:
    """A published checkpoint of its own bytes: as many spaces at the end of the header make another file of the same tensors."""
    data = TIDE
    length = int.from_bytes(data[:8], "little")
    padded = length + 8 * (1 + sum(name.encode()))
    data = padded.to_bytes(8, "little") + data[8 : 8 + length].ljust(padded) + data[8 + length :]
    made = published_version(published_entry(owner, name=name, slug=name.lower().replace(" ", "-"), **entry), **(version or {}))
    return published_file(owner, data, f"{name}.safetensors", version=made, blob_detected=detected)


def words(client: Client, path: str, **headers: str) -> str:
    response = client.get(path, headers=headers)
    assert response.status_code == 200
    return html.unescape(" ".join(re.sub(r"<[^>]*>", " ", response.content.decode()).split()))


def test_the_file_page_of_an_add_on_fetches_the_list_later(client: Client, lora: File, creator: Any) -> None:
    text = client.get(f"/file/{lora.pk}").content.decode()
    assert f'hx-get="/file/{lora.pk}/fits"' in text
    assert f'href="/file/{lora.pk}/fits"' in text
    assert "/fits" not in client.get(f"/file/{checkpoint(creator, 'Tide').pk}").content.decode()


def test_listed_checkpoints_of_the_family_are_shown_with_their_share(client: Client, lora: File, creator: Any, stranger: Any) -> None:
    checkpoint(creator, "Tide Pool")
    checkpoint(stranger, "Other Sea", detected=CHECKPOINT | {"family": "SDXL"})
    checkpoint(stranger, "Hidden Bay", visibility="unlisted")
    checkpoint(stranger, "Private Bay", visibility="private")
    checkpoint(stranger, "Draft Bay", version={"status": "draft"})
    checkpoint(stranger, "Red Bay", rating=16)
    part = words(client, f"/file/{lora.pk}/fits", HX_Request="true")
    assert part.startswith("Fits Tide Pool v1 100 %")
    assert "Bay" not in part
    assert "Other Sea" not in part
    assert "Tide Pool v1 100 %" in words(client, f"/file/{lora.pk}/fits")
    client.force_login(stranger)
    assert "Private Bay v1 100 %" in words(client, f"/file/{lora.pk}/fits")


def test_no_more_than_a_few_are_compared(client: Client, lora: File, creator: Any) -> None:
    for number in range(7):
        checkpoint(creator, f"Tide {number}", download_count=number)
    text = words(client, f"/file/{lora.pk}/fits")
    assert [f"Tide {number} v1" in text for number in range(7)] == [False, False, True, True, True, True, True]


def test_without_any_the_list_says_so(client: Client, lora: File, creator: Any) -> None:
    assert "No checkpoint of its family" in words(client, f"/file/{lora.pk}/fits")
    assert "Only LoRAs" in words(client, f"/file/{checkpoint(creator, 'Tide').pk}/fits")
