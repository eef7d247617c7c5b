"""The lines that a card offers: programs and shells read them as they are meant, whatever files are called."""

from __future__ import annotations

import ast
import re
import shlex
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.api.huggingface.usage import Usage, lines

NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cf", "Co", "Zl", "Zp"], exclude_characters="/"), min_size=1, max_size=40)


def blocks(text: str, language: str) -> list[str]:
    found = re.findall(r"^(`{3,})(\w+)\n(.*?)\n\1$", text, re.M | re.S)
    return [body for _, kind, body in found if kind == language]


def usage(kind: str, path: str, word: str = "x") -> Usage:
    return Usage("ada/lantern", "v1", kind, path, "https://hub.example.org", "StableDiffusionPipeline", (word,), 0.8)


@pytest.mark.parametrize("kind", ["checkpoint", "lora", "embedding", "vae"])
@given(name=NAMES, word=NAMES)
def test_no_name_changes_what_is_run(kind: str, name: str, word: str) -> None:
    path = f"{name}.safetensors"
    text = lines(usage(kind, path, word))
    (shell,) = blocks(text, "sh")
    assert shlex.split(shell.splitlines()[1]) == ["hf", "download", "ada/lantern", path, "--revision", "v1"]
    plain = {ast.dump(ast.parse(body)) for body in blocks(lines(usage(kind, "x.safetensors")), "python")}
    for body in blocks(text, "python"):
        tree = ast.parse(body)
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                node.value = node.value.replace(path, "x.safetensors")
                node.value = "x.safetensors" if node.value.endswith(".safetensors") and fnmatchcase(path, node.value) else node.value
                node.value = "x" if node.value == word else node.value
        assert ast.dump(tree) in plain


def test_a_version_without_safetensors_is_fetched_by_a_name_to_fill_in() -> None:
    text = lines(usage("lora", ""))
    assert "hf download ada/lantern FILE" in text
    assert len(blocks(text, "python")) == 1
