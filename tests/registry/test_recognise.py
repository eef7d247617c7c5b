"""What a file's name and header suggest before it is uploaded."""

from __future__ import annotations

import json
from typing import Any

import pytest

from registry.formats.errors import FormatError
from registry.recognise import names_of, recognise


def header(tensors: dict[str, list[int]], metadata: dict[str, str] | None = None) -> bytes:
    """The JSON of a safetensors header over half-precision tensors of these shapes."""
    entries: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    at = 0
    for name, shape in tensors.items():
        size = 2
        for extent in shape:
            size *= extent
        entries[name] = {"dtype": "F16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    return json.dumps(entries).encode()


LAYER = "lora_unet_input_blocks_1_1_transformer_blocks_0_attn2_to_k"
LORA = {f"{LAYER}.lora_down.weight": [4, 768], f"{LAYER}.lora_up.weight": [320, 4], f"{LAYER}.alpha": []}


def test_lora_is_recognised_with_base_words_and_its_trainers_name() -> None:
    words = json.dumps({"10_brass": {"old brass": 40, "a, b": 60, "lamp": 7}})
    found = recognise("last.safetensors", header(LORA, {"ss_tag_frequency": words, "ss_output_name": "old_brass_v2"}))
    assert (found.kind, found.base_model, found.precision) == ("lora", "SD 1.5", "fp16")
    assert (found.name, found.version) == ("old brass", "v2")
    assert found.trigger_words == ["old brass", "lamp"], "a word with a comma would become two in the form"
    assert found.evidence


@pytest.mark.parametrize(
    ("stem", "name", "version"),
    [
        ("old_brass-v2.1-pruned-fp16", "old brass", "v2.1"),
        ("Harbour Light", "Harbour Light", ""),
        ("v1-5-pruned-emaonly", "v1-5", ""),
        ("lampV3", "lamp", "v3"),
        ("fp16", "fp16", ""),
        ("x" * 300, "x" * 120, ""),
        ("a\u202eb", "a\ufffdb", ""),
    ],
)
def test_names_are_read_from_file_names(stem: str, name: str, version: str) -> None:
    assert names_of(stem) == (name, version)


def test_names_that_tell_of_folders_are_not_filled_in() -> None:
    found = recognise("lamp.safetensors", header(LORA, {"ss_output_name": "/home/ada/secret/lamp"}))
    assert found.name == "lamp"


def test_without_a_header_the_name_alone_speaks() -> None:
    found = recognise("lantern-pruned.ckpt")
    assert (found.name, found.kind, found.base_model, found.evidence) == ("lantern", "", "", [])


def test_broken_header_is_refused_as_the_scan_would() -> None:
    with pytest.raises(FormatError) as refusal:
        recognise("a.safetensors", b'{"a": [')
    assert refusal.value.code == "S-JSON"
