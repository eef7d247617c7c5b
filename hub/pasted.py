"""What people paste to find a model: a hash, an address of Civitai, Hugging Face or this hub, an AIR. Text only, no look-ups."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

MAX_TEXT = 2000
"""Characters of what is pasted: addresses are shorter."""
CIVITAI = frozenset({"civitai.com", "civitai.green", "civitai.red"})
HUGGING_FACE = frozenset({"huggingface.co", "hf.co"})
NO_OWNERS = frozenset(
    {"api", "blog", "collections", "datasets", "docs", "join", "learn", "login", "models", "papers", "settings", "spaces", "tasks"}
)
"""First segments of Hugging Face's addresses that are nobody's name."""

_HASH = re.compile(
    r"(?:(?:sha-?256|blake3|auto\s?v[123]|crc32|hash)\s*[:=]?\s*)?\[?(?:0x)?([0-9a-f]{8,64})\]?(?:[ \t]+\*?[^\n]{1,260})?", re.IGNORECASE
)
"""A hash with the word that says which, in A1111's brackets, or as `sha256sum` prints it, with a file's name behind."""
_AIR = re.compile(
    r"(?:urn:)?air:(?P<ecosystem>[\w.-]{1,40}):(?P<type>[\w-]{1,40}):(?P<source>[\w-]{1,40}):"
    r"(?P<id>[\w./-]{1,200}?)(?:@(?P<version>[\w.-]{1,100}))?(?:[:+][\w.:+-]{0,200})?",
    re.IGNORECASE | re.ASCII,
)
"""https://github.com/civitai/civitai/wiki/AIR-%E2%80%90-Uniform-Resource-Names-for-AI"""
_SHORT_AIR = re.compile(r"civitai:(?P<id>\d{1,18})(?:@(?P<version>\d{1,18}))?", re.IGNORECASE | re.ASCII)
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Pasted:
    """What was understood. `site`: "civitai", "huggingface", "here" (an address of this hub), "" for a bare hash.

    `model` and `version` are numbers of that site, 0 where none was named; `repository` is `name/name`, `path` an address of this hub.
    """

    what: str
    site: str = ""
    hash: str = ""
    model: int = 0
    version: int = 0
    repository: str = ""
    path: str = ""
    kind: str = ""


def read(text: str, host: str) -> Pasted | None:
    """`text` as one of the things above; None for words. `host`: by which this hub was called, perhaps with a port."""
    text = text.strip().strip("<>\"'`").strip()
    if not text or len(text) > MAX_TEXT:
        return None
    if found := _AIR.fullmatch(text):
        return _of_air(found)
    if found := _SHORT_AIR.fullmatch(text):
        return Pasted("air", "civitai", model=int(found["id"]), version=int(found["version"] or 0))
    if (found := _HASH.fullmatch(text)) and (found[1] == text or re.search(r"\d", found[1])):
        return Pasted("hash", hash=found[1].upper())
    return _of_address(text, host)


def _of_air(found: re.Match[str]) -> Pasted | None:
    source, name, version = found["source"].lower(), found["id"], found["version"] or ""
    if source == "civitai" and _NUMBER.fullmatch(name):
        return Pasted("air", "civitai", model=int(name), version=_whole(version), kind=found["type"].lower())
    if source == "huggingface" and name.count("/") == 1:
        return Pasted("air", "huggingface", repository=name, kind=found["type"].lower())
    return None


def _of_address(text: str, host: str) -> Pasted | None:
    address = _split(text, host)
    if address is None:
        return None
    name, path = address.hostname or "", [unquote(part) for part in address.path.split("/") if part]
    name = name.removeprefix("www.")
    if address.netloc.lower() == host.lower() or name == host.rpartition(":")[0].lower() != "":
        return _of_civitai(address, path, "here") or Pasted("address", "here", path=address.path)
    if name in CIVITAI:
        return _of_civitai(address, path, "civitai")
    if name in HUGGING_FACE:
        return _of_hugging_face(path)
    return None


def _split(text: str, host: str) -> SplitResult | None:
    """The parts of an address, with or without its scheme; None for what is none, or of a site that nobody here knows."""
    if re.search(r"\s", text):
        return None
    if not re.match(r"https?://", text, re.IGNORECASE):
        first = text.partition("/")[0].lower().removeprefix("www.")
        if first not in CIVITAI | HUGGING_FACE | {host.lower()}:
            return None
        text = "https://" + text
    try:
        address = urlsplit(text)
        _ = address.hostname, address.port
    except ValueError:
        return None
    return address


def _of_civitai(address: SplitResult, path: list[str], site: str) -> Pasted | None:
    """Pages, downloads and API addresses as Civitai writes them; this hub answers to the same ones."""
    if path[:2] == ["api", "v1"]:
        path = path[2:]
    if path[:2] == ["api", "download"]:
        path = ["model-versions", *path[3:]]
    if path[:2] == ["model-versions", "by-hash"] and len(path) > 2 and re.fullmatch(r"(?i)(?:0x)?[0-9a-f]{8,64}", path[2]):
        return Pasted("hash", hash=path[2].upper().removeprefix("0X"))
    number = _whole(path[1]) if len(path) > 1 else 0
    if number and path[0] == "models":
        given = parse_qs(address.query[:MAX_TEXT], max_num_fields=50).get("modelVersionId", [""]) if address.query.count("&") < 50 else [""]
        return Pasted("address", site, model=number, version=_whole(given[0]))
    return Pasted("address", site, version=number) if number and path[0] == "model-versions" else None


def _of_hugging_face(path: list[str]) -> Pasted | None:
    if path[:2] == ["api", "models"]:
        path = path[2:]
    if len(path) < 2 or path[0].lower() in NO_OWNERS or not all(re.fullmatch(r"[\w.-]{1,100}", part, re.ASCII) for part in path[:2]):
        return None
    return Pasted("address", "huggingface", repository="/".join(path[:2]))


def _whole(text: str) -> int:
    return int(text) if _NUMBER.fullmatch(text) else 0
