"""Does an add-on fit a checkpoint? Asked through the API with the sample files, and of nothing that the caller may not read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from rest_framework.test import APIClient
from safetensors.numpy import save

from registry import panel
from registry.models import File
from tests.factories import FileFactory, VersionFactory
from tests.hub.addons import lora_for
from tests.hub.constructed import constructed_bytes
from tests.hub.published import published_file

TIDE = constructed_bytes("tide-pool-tiny-fp16.safetensors")
FOREIGN = {
    f"lora_unet_double_blocks_{n}_img_attn_qkv.lora_{end}.weight": np.zeros((4, 4), np.float16) for n in range(4) for end in ("up", "down")
}


@pytest.fixture(autouse=True)
def nothing_at_hand() -> None:
    panel.forget()


@pytest.fixture
def checkpoint(creator: Any) -> File:
    return published_file(creator, TIDE, "tide.safetensors")


@pytest.fixture
def lora(creator: Any) -> File:
    return published_file(creator, lora_for(TIDE), "ink.safetensors")


def test_a_lora_of_the_checkpoints_family_fits_whole(anonymous: APIClient, lora: File, checkpoint: File) -> None:
    seen = anonymous.get(f"/api/hub/files/{lora.pk}/fits?checkpoint={checkpoint.pk}").json()
    assert (seen["fits"], seen["share"], seen["unmatched"]) == (True, 1.0, [])
    assert seen["applied"] == seen["parts"] > 0
    assert (seen["file_id"], seen["checkpoint_id"]) == (lora.pk, checkpoint.pk)
    assert seen["sentence"]


def test_a_lora_of_another_family_does_not_fit_and_says_what_finds_no_place(anonymous: APIClient, creator: Any, checkpoint: File) -> None:
    foreign = published_file(creator, save(FOREIGN), "foreign.safetensors")
    seen = anonymous.get(f"/api/hub/files/{foreign.pk}/fits?checkpoint={checkpoint.pk}").json()
    assert (seen["fits"], seen["share"], seen["applied"], seen["parts"]) == (False, 0.0, 0, 4)
    assert len(seen["unmatched"]) == 4


def test_a_lora_for_other_widths_does_not_fit(anonymous: APIClient, creator: Any, checkpoint: File) -> None:
    full = published_file(creator, constructed_bytes("ink-wash-demo.safetensors"), "full.safetensors")
    seen = anonymous.get(f"/api/hub/files/{full.pk}/fits?checkpoint={checkpoint.pk}").json()
    assert (seen["fits"], seen["applied"]) == (False, 0)
    assert "it is made for" in seen["unmatched"][0]


def test_what_is_no_checkpoint_is_said_to_be_none(anonymous: APIClient, lora: File) -> None:
    seen = anonymous.get(f"/api/hub/files/{lora.pk}/fits?checkpoint={lora.pk}").json()
    assert (seen["fits"], seen["share"]) == (None, 0.0)
    assert "is no checkpoint" in seen["sentence"]


def test_both_files_must_be_readable(
    api: APIClient, other: APIClient, anonymous: APIClient, creator: Any, stranger: Any, lora: File
) -> None:
    data = TIDE
    draft = published_file(creator, data, version=VersionFactory(entry__owner=creator))
    for client in (other, anonymous):
        secret = client.get(f"/api/hub/files/{lora.pk}/fits?checkpoint={draft.pk}")
        missing = client.get(f"/api/hub/files/{lora.pk}/fits?checkpoint=999999999")
        assert (secret.status_code, secret.content) == (404, missing.content)
        assert client.get(f"/api/hub/files/{draft.pk}/fits?checkpoint={lora.pk}").status_code == 404
    assert api.get(f"/api/hub/files/{lora.pk}/fits?checkpoint={draft.pk}").status_code == 200


@pytest.mark.parametrize("wrong", ["", "?checkpoint=x", "?checkpoint=0", "?checkpoint=" + "9" * 30])
def test_a_checkpoint_must_be_named(anonymous: APIClient, lora: File, wrong: str) -> None:
    answer = anonymous.get(f"/api/hub/files/{lora.pk}/fits{wrong}")
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["checkpoint"])


def test_files_of_which_nothing_is_known_cannot_be_compared(api: APIClient, creator: Any, lora: File) -> None:
    unread = FileFactory(version__entry__owner=creator, state="queued", blob=None)
    answer = api.get(f"/api/hub/files/{lora.pk}/fits?checkpoint={unread.pk}")
    assert (answer.status_code, answer.json()["code"]) == (409, "fits:unknown")
