"""Names from clients: refused with a sentence where they are not names, never silently changed into others."""

from __future__ import annotations

import pytest

from registry.formats.errors import FormatError
from registry.names import MAX_NAME, attachment, clean_file_name, extension, with_suffix


@pytest.mark.parametrize("name", ["dream.ckpt", "夢 v1.safetensors", "🦄.pt", "a.b.c.safetensors", "-x.bin", "UPPER.CKPT"])
def test_honest_names_are_kept_as_they_are(name: str) -> None:
    assert clean_file_name(name) == name


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("../../etc/passwd.ckpt", "name:path"),
        ("..\\evil.ckpt", "name:path"),
        ("a\x00.ckpt", "name:control"),
        ("a\r\nSet-Cookie: x.ckpt", "name:control"),
        ("a\u202egpj.ckpt", "name:control"),
        ("\ud800.ckpt", "name:control"),
        ("x" * 4096 + ".ckpt", "name:too-long"),
        ("灯" * 100 + ".ckpt", "name:too-long"),
        ("CON.ckpt", "name:reserved"),
        ("", "name:empty"),
        ("   ", "name:empty"),
        ("...", "name:empty"),
        ("picture.png", "name:extension"),
        ("noending", "name:extension"),
        (".ckpt", "name:extension"),
    ],
)
def test_what_is_no_name_is_refused_with_code_and_sentence(name: str, code: str) -> None:
    with pytest.raises(FormatError) as refused:
        clean_file_name(name)
    assert refused.value.code == code
    assert refused.value.sentence.endswith(".")
    assert all(ord(char) >= 32 for char in refused.value.sentence)


def test_variants_take_the_stem_and_a_new_ending() -> None:
    assert with_suffix("dream.v2.ckpt", "-pruned-fp16") == "dream.v2-pruned-fp16.safetensors"
    assert len(with_suffix("x" * (MAX_NAME - 5) + ".ckpt", "-pruned-fp16-12345678")) <= 255
    assert extension("a.CKPT") == ".ckpt"


@pytest.mark.parametrize("name", ['a"b.pt', "a\\b.pt", "a\r\nb.pt", "a\x7fb.pt"])
def test_a_download_header_cannot_be_broken_out_of(name: str) -> None:
    assert attachment(name) == 'attachment; filename="ab.pt"'
