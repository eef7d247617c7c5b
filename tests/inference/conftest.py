"""A checkpoint and a LoRA for it, as rows: what previews are planned of. Tests that need others of these names define their own."""

from __future__ import annotations

from typing import Any

import pytest

from inference import previews
from registry.models import File
from tests.renderable import checkpoint_shapes, file_of, lora_shapes


@pytest.fixture
def base(creator: Any) -> File:
    return file_of(creator, checkpoint_shapes(), name="lantern.safetensors", version={"trigger_words": ["lanternlight"]})


@pytest.fixture
def lora(creator: Any, base: File) -> File:
    file = file_of(creator, lora_shapes(), name="ink.safetensors", version={"trigger_words": ["inkwash", "ink wash painting"]})
    previews.configure(file.version, base=base.version)
    return file
