"""What lies beside a file of weights: texts that other programs wrote about it, read within limits. Hearsay, and never markup of ours."""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.utils.html import strip_tags

from registry.formats.plaintext import HIDDEN, printable
from registry.models import Kind
from registry.places import names_place

MAX_BYTES = 2 << 20
"""Of one text beside a file; Civitai Helper's hold whole answers of an API and are some tens of kilobytes."""
MAX_TEXT = 40_000
MAX_WORDS = 50
KINDS = {
    "checkpoint": Kind.CHECKPOINT,
    "lora": Kind.LORA,
    "locon": Kind.LORA,
    "dora": Kind.LORA,
    "textualinversion": Kind.EMBEDDING,
    "hypernetwork": Kind.HYPERNETWORK,
    "vae": Kind.VAE,
    "controlnet": Kind.CONTROLNET,
    "upscaler": Kind.UPSCALER,
}
"""Civitai's types, in lower case."""


@dataclass
class Told:
    """What was said of a file; empty where nothing was. `version_of` names the model elsewhere that it is a version of."""

    name: str = ""
    version: str = ""
    kind: str = ""
    base_model: str = ""
    description: str = ""
    about_version: str = ""
    words: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    version_of: str = ""
    explicit: bool = False
    problems: list[str] = field(default_factory=list)

    def text(self) -> str:
        """The description with the notes below it."""
        notes = [f"Notes kept beside the file:\n\n{note}" for note in self.notes]
        return "\n\n".join(part for part in (self.description, *notes) if part)[:MAX_TEXT]


def read(paths: Iterable[Path]) -> Told:
    """All of them together: the first that says a thing is believed. What cannot be read is named in `problems`."""
    told = Told()
    for path in paths:
        try:
            text = _text(path)
            if path.name.lower().endswith(".txt"):
                _note(told, text)
            else:
                _structured(told, json.loads(text))
        except (OSError, ValueError, RecursionError) as error:
            told.problems.append(f"{printable(path.name, 80)} was not understood ({type(error).__name__})")
    return told


def _text(path: Path) -> str:
    with path.open("rb") as source:
        data = source.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError("too large")
    return data.decode("utf-8-sig")


def _structured(told: Told, data: Any) -> None:
    if not isinstance(data, dict):
        raise ValueError("no object")
    inner = data.get("civitai")
    for one in (data, inner if isinstance(inner, dict) else {}):  # LoRA-Manager keeps Civitai's answer inside of its own
        _civitai(told, one)
    _own_words(told, data)


def _civitai(told: Told, data: dict[str, Any]) -> None:
    """Civitai's model version, as `.civitai.info` is one."""
    model = data["model"] if isinstance(data.get("model"), dict) else {}
    told.name = told.name or _line(model.get("name"), 120)
    told.kind = told.kind or KINDS.get(_line(model.get("type"), 40).lower().replace(" ", ""), "")
    told.explicit = told.explicit or model.get("nsfw") is True
    told.description = told.description or _prose(model.get("description"))
    if model or "modelId" in data:
        told.version = told.version or _line(data.get("name"), 80)
        told.version_of = told.version_of or _line(data.get("modelId"), 20)
        told.about_version = told.about_version or _prose(data.get("description"))
    told.base_model = told.base_model or _line(data.get("baseModel"), 60)
    _add(told.words, data.get("trainedWords"), 200)
    _add(told.tags, model.get("tags"), 60)


def _own_words(told: Told, data: dict[str, Any]) -> None:
    """A1111's card of a file, and LoRA-Manager's own fields beside Civitai's."""
    told.name = told.name or _line(data.get("model_name") or data.get("ModelName"), 120)
    told.base_model = told.base_model or _line(data.get("base_model") or data.get("sd version"), 60).replace("Unknown", "")
    if "modelId" not in data and not isinstance(data.get("model"), dict):
        told.description = told.description or _prose(data.get("modelDescription") or data.get("description"))
    _add(told.words, data.get("activation text"), 200)
    _add(told.tags, data.get("tags"), 60)
    for name in ("notes", "usage_tips"):
        text = data.get(name)
        if isinstance(text, str) and text.strip() not in ("", "{}"):
            _note(told, text)


def _note(told: Told, text: str) -> None:
    clean = _prose(text)[:4_000]
    if clean and clean not in told.notes:
        told.notes.append(clean)


def _add(words: list[str], given: Any, longest: int) -> None:
    """Words of a list, or of a text with commas, each once."""
    for word in given if isinstance(given, list) else given.split(",") if isinstance(given, str) else []:
        for part in _line(word, 4 * longest).split(","):
            clean = part.strip()
            if clean and len(clean) <= longest and clean not in words and len(words) < MAX_WORDS:
                words.append(clean)


def _line(value: Any, longest: int) -> str:
    """One line of text, or of a number; "" for anything else and for what tells of somebody's folders."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)[:longest]
    if not isinstance(value, str) or names_place("", value[: 4 * longest]):
        return ""
    return " ".join(printable(" ".join(value[: 4 * longest].split()), longest).split())


def _prose(value: Any) -> str:
    """Text of several lines; of HTML, as Civitai's descriptions are, the text between the tags."""
    if not isinstance(value, str):
        return ""
    text = value[: 4 * MAX_TEXT].replace("\r\n", "\n")
    if "<" in text:
        text = html.unescape(strip_tags(re.sub(r"(?i)<(?:br|/p|/li|/h\d)[^>]{0,100}>", "\n", text)))
    plain = "".join("\ufffd" if char not in "\n\t" and unicodedata.category(char) in HIDDEN else char for char in text)
    return re.sub(r"\n{3,}", "\n\n", plain).strip()[:MAX_TEXT]
