"""Paths of pushes: what is refused, with which code, and the name that weights in a folder get."""

from __future__ import annotations

import pytest

from registry.formats.errors import FormatError
from registry.repopaths import check_tree, clean_folder, clean_path, flat_name

SHA = "a1b2c3d4" * 8


@pytest.mark.parametrize("path", ["model.safetensors", "unet/diffusion_pytorch_model.fp16.safetensors", "a/b/c/d/e.txt", "Лампа/свет.ckpt"])
def test_plain_paths_are_taken_as_they_are(path: str) -> None:
    assert clean_path(path) == path


def test_letters_with_loose_accents_are_joined() -> None:
    assert clean_path("cafe\u0301.txt") == "caf\u00e9.txt"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("", "path:length"),
        ("a" * 256, "path:length"),
        ("é" * 200, "path:length"),
        ("a\x00.txt", "path:control"),
        ("a\u202e.txt", "path:control"),
        ("a\u200b.txt", "path:control"),
        ("a\nb.txt", "path:control"),
        ("../a.txt", "path:part"),
        ("a/../b.txt", "path:part"),
        ("a/./b.txt", "path:part"),
        ("/a.txt", "path:part"),
        ("a//b.txt", "path:part"),
        ("a\\b.txt", "path:part"),
        ("C:/a.txt", "path:part"),
        (".git/config.txt", "path:part"),
        ("unet/.GIT/a.txt", "path:part"),
        ("con.txt", "path:part"),
        (" a.txt", "path:part"),
        ("a.txt ", "path:part"),
        ("a./b.txt", "path:part"),
        ("/".join("abcdefghi"), "path:depth"),
    ],
)
def test_other_paths_are_refused(path: str, code: str) -> None:
    with pytest.raises(FormatError) as refused:
        clean_path(path)
    assert refused.value.code == code


def test_a_folder_may_end_with_a_slash() -> None:
    assert clean_folder("sub/deep/") == "sub/deep"


def test_weights_in_a_folder_have_it_in_front_of_their_name() -> None:
    assert flat_name("unet/a.safetensors", [], SHA) == "unet.a.safetensors"
    assert flat_name("unet/a.safetensors", ["Unet.a.safetensors"], SHA) == "unet.a-a1b2c3d4.safetensors"
    assert len(flat_name("/".join(["f" * 30] * 6) + "/" + "m" * 40 + ".ckpt", [], SHA)) <= 180


def test_a_name_at_the_top_that_is_taken_is_refused() -> None:
    with pytest.raises(FormatError, match="path:taken"):
        flat_name("a.safetensors", ["A.safetensors"], SHA)


def test_trees_that_some_system_could_not_hold_are_refused() -> None:
    with pytest.raises(FormatError, match="path:twice"):
        check_tree(["a.txt", "A.txt"], {"A.txt"})
    with pytest.raises(FormatError, match="path:folder"):
        check_tree(["unet", "unet/a.txt"], {"unet/a.txt"})
    check_tree(["a.txt", "A.txt", "b.txt"], {"b.txt"})  # what was there before is no fault of this push
