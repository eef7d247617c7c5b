"""What people paste is understood, or taken for words; no text breaks the reading."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hub import pasted
from hub.pasted import Pasted

HOST = "hub.example:8000"
SHA = "AB12" * 16


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SHA.lower(), Pasted("hash", hash=SHA)),
        ("0x1234ABCD", Pasted("hash", hash="1234ABCD")),
        ("sha256: " + SHA, Pasted("hash", hash=SHA)),
        ("[6ce0161689]", Pasted("hash", hash="6CE0161689")),
        (f"{SHA.lower()}  my model.safetensors", Pasted("hash", hash=SHA)),
        ("urn:air:sd1:lora:civitai:123@456", Pasted("air", "civitai", model=123, version=456, kind="lora")),
        ("air:sdxl:checkpoint:civitai:9@8+7", Pasted("air", "civitai", model=9, version=8, kind="checkpoint")),
        ("urn:air:flux1:checkpoint:huggingface:org/Name.x@main", Pasted("air", "huggingface", repository="org/Name.x", kind="checkpoint")),
        ("civitai:123@456", Pasted("air", "civitai", model=123, version=456)),
        ("https://civitai.com/models/12/some-name?modelVersionId=34", Pasted("address", "civitai", model=12, version=34)),
        ("civitai.com/models/12", Pasted("address", "civitai", model=12)),
        ("https://www.civitai.com/api/download/models/34?type=Model", Pasted("address", "civitai", version=34)),
        ("https://civitai.com/api/v1/model-versions/34", Pasted("address", "civitai", version=34)),
        (f"https://civitai.com/api/v1/model-versions/by-hash/{SHA}", Pasted("hash", hash=SHA)),
        ("https://huggingface.co/org/name/resolve/main/a.safetensors", Pasted("address", "huggingface", repository="org/name")),
        ("<https://hf.co/org/name>", Pasted("address", "huggingface", repository="org/name")),
        ("http://hub.example:8000/models/3?modelVersionId=4", Pasted("address", "here", model=3, version=4)),
        ("http://hub.example/ada/lantern", Pasted("address", "here", path="/ada/lantern")),
    ],
)
def test_is_understood(text: str, expected: Pasted) -> None:
    assert pasted.read(text, HOST) == expected


@pytest.mark.parametrize(
    "text",
    ["lantern", "paper lantern", "", "facade", "decade of feeds", "1234567", "https://example.org/models/3", "https://civitai.com/articles/5",
     "https://huggingface.co/datasets/a/b", "http://[", "urn:air:sd1:lora:civitai:abc", "a" * 5000, "deadbeefs", "https://civitai.com/models/x"],
)  # fmt: skip
def test_is_taken_for_words(text: str) -> None:
    assert pasted.read(text, HOST) is None


PIECES = st.sampled_from(
    ["https://", "civitai.com", "/models/", "huggingface.co", "/api/download/models/", "urn:air:", "civitai:", "@", "?modelVersionId=", "&",
     "[", "]", "%00", "%FF", "hub.example:8000", "0x", "12", "9" * 40, "\ud800", "\x00", ":", "٣", "/"]
)  # fmt: skip


@given(
    st.one_of(st.text(st.characters(), max_size=80), st.lists(PIECES, max_size=10).map("".join)), st.sampled_from([HOST, "", "[::1]:80"])
)
@example("https://civitai.com/models/1?" + "&" * 200, HOST)
def test_any_text_is_read_without_an_error(text: str, host: str) -> None:
    found = pasted.read(text, host)
    if found is not None:
        assert 0 <= found.model < 10**18
        assert 0 <= found.version < 10**18
        assert found.hash == "" or (8 <= len(found.hash) <= 64 and found.hash.isascii())
