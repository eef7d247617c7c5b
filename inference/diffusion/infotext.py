"""Generation parameters in A1111's words: written of what was rendered, read back from anybody's, and as Civitai's object. Free of torch.

It opens no picture: `picturetext` puts the text into one and takes it out; its functions are at hand here as well.
Rules: webui 1.10 `modules/infotext_utils.py` (quoting, pairs, lines) and `modules/processing.py` (names and order of the pairs).
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from inference.diffusion.jobs import CHECKPOINT, EMBEDDING, HYPERNETWORK, LORA, REFINER, SWITCH_AT, VAE, AddOn, JobFile, Shot
from inference.diffusion.picturetext import embed, exif, read
from inference.diffusion.version import RENDERER_VERSION

__all__ = ["Facts", "embed", "exif", "facts", "meta", "parse", "read", "write"]

MAX_TEXT = 1 << 20
"""Characters of a text that are read at all: as many as Pillow takes in one chunk."""
MAX_PAIRS_LINE = 100_000
MAX_PAIRS = 500
MAX_JSON_VALUES = 20
NEGATIVE = "Negative prompt:"
TAGS = {LORA: "lora", HYPERNETWORK: "hypernet"}
OLD_SCHEDULES = ("Karras", "Exponential")
"""Schedules that stood behind the sampler's name before webui 1.9 ("DPM++ 2M Karras")."""

Value = str | int | float | None

_KEY = re.compile(r"(\w[\w \-/]{1,63}):\s*")
_VALUE = re.compile(r'("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
_SIZE = re.compile(r"([0-9]{1,6})x([0-9]{1,6})")
_TAG = re.compile(r"<(lora|lyco|hypernet):([^:>]{1,200})(?::([^>]{0,100}))?>")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Facts:
    """What a picture was made of. Hashes are whole (SHA-256; of LoRAs AutoV3) and are cut as A1111 cuts them when they are written.

    `loras`, `embeddings` and `hypernetworks` map names to hashes; `extra` holds pairs of the hub's own ("Hub model": 42).
    """

    prompt: str
    negative_prompt: str = ""
    steps: int = 20
    sampler: str = "DPM++ 2M"
    schedule: str = ""
    cfg_scale: float = 7.0
    seed: int = 0
    width: int = 512
    height: int = 512
    clip_skip: int = 1
    model: str = ""
    model_sha256: str = ""
    vae: str = ""
    vae_sha256: str = ""
    refiner: str = ""
    refiner_sha256: str = ""
    loras: Mapping[str, str] = field(default_factory=dict)
    embeddings: Mapping[str, str] = field(default_factory=dict)
    hypernetworks: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Value] = field(default_factory=dict)


def facts(files: Sequence[JobFile], shot: Shot, extra: Mapping[str, Value] | None = None) -> Facts:
    """What one shot of a job is made of; `files` are `Job.files`.

    The prompt calls each network that acted, and at its strength, as A1111 needs it to do the same again. Embeddings count where their
    word stands in a prompt.
    """
    used = [(files[one.file], one) for one in shot.addons]
    words = f"{shot.prompt}\n{shot.negative_prompt}".casefold()
    vae, refiner = (next((file for file, _ in used if file.role == role), None) for role in (VAE, REFINER))
    model = next((file for file in files if file.role == CHECKPOINT), None)
    return Facts(
        prompt=_with_tags(shot.prompt, used),
        negative_prompt=shot.negative_prompt,
        steps=shot.steps,
        sampler=shot.sampler,
        schedule=shot.schedule,
        cfg_scale=shot.cfg_scale,
        seed=shot.seed,
        width=shot.width,
        height=shot.height,
        clip_skip=shot.clip_skip,
        model=model.name if model else "",
        model_sha256=model.sha256 if model else "",
        vae=vae.name if vae else "",
        vae_sha256=vae.sha256 if vae else "",
        refiner=refiner.name if refiner else "",
        refiner_sha256=refiner.sha256 if refiner else "",
        loras={file.name: file.autov3 for file, _ in used if file.role == LORA},
        embeddings={file.name: file.sha256 for file, _ in used if file.role == EMBEDDING and file.name.casefold() in words},
        hypernetworks={file.name: file.sha256 for file, _ in used if file.role == HYPERNETWORK},
        extra=dict(extra or {}),
    )


def _with_tags(prompt: str, used: Iterable[tuple[JobFile, AddOn]]) -> str:
    """The prompt with a tag for every network that acted, and no other: what is called otherwise, or at another strength, goes."""
    tags = {_tag(file, one) for file, one in used if file.role in TAGS}
    kept = _TAG.sub(lambda tag: tag[0] if tag[0] in tags else "", prompt)
    missing = [tag for tag in sorted(tags) if tag not in kept]
    return " ".join([kept.strip(), *missing]) if kept.strip() else " ".join(missing)


def _tag(file: JobFile, one: AddOn) -> str:
    """`<lora:name:strength>`, or `<lora:name:text:unet>` where the strengths differ."""
    differs = one.text_strength is not None and one.text_strength != one.strength
    text = f"{_number(one.text_strength or 0)}:" if differs else ""
    return f"<{TAGS[file.role]}:{file.name}:{text}{_number(one.strength)}>"


def write(said: Facts) -> str:
    """The text, without control characters: prompt, negative prompt where there is one, and the line of pairs."""
    lines = [_lines(said.prompt)]
    negative = _lines(said.negative_prompt)
    if negative:
        lines.append(f"{NEGATIVE} {negative}")
    pairs = (f"{key}: {quoted(text)}" for key, value in _pairs(said) if (text := _clean(_number(value))).strip())
    lines.append(", ".join(pairs))
    return "\n".join(lines).strip()


def _pairs(said: Facts) -> Iterator[tuple[str, Value]]:
    yield "Steps", said.steps
    yield "Sampler", said.sampler
    yield "Schedule type", said.schedule
    yield "CFG scale", said.cfg_scale
    yield "Seed", said.seed
    yield "Size", f"{said.width}x{said.height}"
    yield "Model hash", said.model_sha256[:10]
    yield "Model", said.model
    yield "VAE hash", said.vae_sha256[:10]
    yield "VAE", said.vae
    yield "Clip skip", said.clip_skip if said.clip_skip > 1 else None
    if said.refiner:
        yield "Refiner", f"{said.refiner} [{said.refiner_sha256[:10]}]"
        yield "Refiner switch at", SWITCH_AT
    yield "RNG", "CPU"
    yield "Lora hashes", _hashes(said.loras)
    yield "TI hashes", _hashes(said.embeddings)
    yield "Hypernet hashes", _hashes(said.hypernetworks)
    yield from said.extra.items()
    yield "Version", f"weighhouse-{RENDERER_VERSION}"


def _hashes(named: Mapping[str, str]) -> str:
    """Names lose what separates them here, as webui's extra_networks_lora.py has it; 12 digits of each hash."""
    return ", ".join(f"{re.sub('[:,]', '', name)}: {digest[:12]}" for name, digest in named.items() if digest)


def _number(value: Value) -> str:
    """Numbers as people write them: 7.0 is 7."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return "" if value is None else str(value)


def _lines(prompt: str) -> str:
    """A prompt as it can stand in the text. A line of it that would be taken for the negative prompt gets a second space, which is
    the same to a tokenizer."""
    lines = _clean(prompt.replace("\r\n", "\n").replace("\r", "\n")).strip().split("\n")
    return "\n".join(line.replace("Negative ", "Negative  ", 1) if line.strip().startswith(NEGATIVE) else line for line in lines)


def _clean(text: str) -> str:
    """Without control characters; halves of characters become U+FFFD, since they cannot be stored."""
    if text.isascii() and text.isprintable():
        return text
    kept = (c for c in text if c in "\n\t" or unicodedata.category(c) != "Cc")
    return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in kept)


def quoted(value: str) -> str:
    """A value as it stands in the line of pairs: in JSON's quotes where it holds what would end it."""
    plain = not any(mark in value for mark in ",:\n") and value == value.strip() and not value.startswith(('"', "{", "["))
    return value if plain else json.dumps(value, ensure_ascii=False)


def parse(text: str) -> dict[str, str]:
    """What an A1111 text says: "Prompt", "Negative prompt" and every pair; "Size" also as "Size-1" and "Size-2" (pixels).

    The last line counts as pairs where at least three are found in it. A schedule that stands in the sampler's name is said
    as "Schedule type". Never raises; a text of another kind gives its whole as "Prompt".
    """
    lines = text[:MAX_TEXT].strip().split("\n")
    pairs = dict(_read_pairs(lines[-1]))
    if len(pairs) < 3:
        pairs = {}
    else:
        lines.pop()
    prompt, negative = _prompts(lines)
    found = {"Prompt": prompt, "Negative prompt": negative}
    for key, value in pairs.items():
        found.setdefault(key, value)
        if size := _SIZE.fullmatch(value):
            found[f"{key}-1"], found[f"{key}-2"] = size.groups()
    return _with_schedule(found)


def _prompts(lines: list[str]) -> tuple[str, str]:
    prompt: list[str] = []
    negative: list[str] = []
    into = prompt
    for line in lines:
        if line.lstrip().startswith(NEGATIVE):
            into = negative
            line = line.lstrip()[len(NEGATIVE) :].strip()
        into.append(line)
    return "\n".join(prompt).strip(), "\n".join(negative).strip()


def _read_pairs(line: str) -> Iterator[tuple[str, str]]:
    """Pairs of a line; a value may be bare, in quotes, or JSON (as the Civitai extension writes "Hashes")."""
    if len(line) > MAX_PAIRS_LINE:
        return
    at, tried = 0, 0
    for _ in range(MAX_PAIRS):
        key = _KEY.search(line, at)
        if key is None:
            return
        at = key.end()
        if line.startswith(("{", "["), at) and tried < MAX_JSON_VALUES:
            tried += 1
            end = _json_end(line, at)
            if end:
                yield key[1].strip(), line[at:end]
                at = end
                continue
        value = _VALUE.match(line, at)
        if value is None:
            return
        yield key[1].strip(), _unquoted(value[1])
        at = value.end()


def _json_end(line: str, at: int) -> int:
    """Where the JSON value from `at` on ends, or 0 where there is none."""
    try:
        return _DECODER.raw_decode(line, at)[1]
    except (ValueError, RecursionError):
        return 0


def _unquoted(value: str) -> str:
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value.strip()
    try:
        said: Any = json.loads(value)
    except ValueError:
        return value
    return _clean(said) if isinstance(said, str) else value


def _with_schedule(found: dict[str, str]) -> dict[str, str]:
    name, _, last = found.get("Sampler", "").rpartition(" ")
    if name and last in OLD_SCHEDULES and "Schedule type" not in found:
        found |= {"Sampler": name, "Schedule type": last}
    return found


NUMBERS: tuple[tuple[str, str, type[int] | type[float]], ...] = (
    ("Steps", "steps", int),
    ("CFG scale", "cfgScale", float),
    ("Seed", "seed", int),
    ("Clip skip", "clipSkip", int),
)
HASHES: tuple[tuple[str, str], ...] = (("Lora hashes", "lora"), ("TI hashes", "embed"), ("Hypernet hashes", "hypernet"))
MAX_RESOURCES = 200


def meta(text: str) -> dict[str, Any]:
    """The same as Civitai's API has it in an image's `meta`: its own names for what it knows, A1111's for everything else.

    `hashes` are by "model", "vae", "lora:name", "embed:name", "hypernet:name"; `resources` lists model, networks (with the
    `weight` that their tags give) and embeddings.
    """
    said = parse(text)
    made: dict[str, Any] = {"prompt": said.pop("Prompt"), "negativePrompt": said.pop("Negative prompt")}
    for key, name, kind in NUMBERS:
        number = _as(kind, said.pop(key, ""))
        if number is not None:
            made[name] = number
    made.setdefault("clipSkip", 1)
    made["sampler"] = said.pop("Sampler", "")
    hashes = _all_hashes(said)
    made |= {key: value for key, value in said.items() if not re.search("-[12]$", key)}
    return {**made, "hashes": hashes, "resources": _resources(made, hashes)}


def _as(kind: type[int] | type[float], text: str) -> int | float | None:
    if len(text) > 40 or not text.isascii():
        return None
    try:
        number = kind(text)
    except ValueError:
        return None
    return number if abs(number) < 1 << 70 else None


def _all_hashes(said: dict[str, str]) -> dict[str, str]:
    """Takes every list of hashes out of what was said."""
    found = {name: said[key] for key, name in (("Model hash", "model"), ("VAE hash", "vae")) if key in said}
    for key, kind in HASHES:
        for item in said.pop(key, "").split(",")[:MAX_RESOURCES]:
            name, colon, digest = item.rpartition(":")
            if colon:
                found[f"{kind}:{name.strip()}"] = digest.strip()
    try:
        more = json.loads(said.pop("Hashes", "{}"))
    except (ValueError, RecursionError):
        return found
    if isinstance(more, dict):
        found = {**{key: value for key, value in list(more.items())[:MAX_RESOURCES] if isinstance(value, str)}, **found}
    return found


def _resources(made: Mapping[str, Any], hashes: Mapping[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if "model" in hashes or "Model" in made:
        found.append({"type": "model", "name": made.get("Model", ""), "hash": hashes.get("model", "")})
    tagged = {}
    for kind, name, strengths in _TAG.findall(made["prompt"])[:MAX_RESOURCES]:
        kind = "hypernet" if kind == "hypernet" else "lora"
        key = f"{kind}:{re.sub('[:,]', '', name)}"
        weight = _as(float, strengths.rpartition(":")[2].rpartition("=")[2] or "1")
        tagged[key] = {"type": kind, "name": name, "weight": weight, "hash": hashes.get(key, "")}
    found += tagged.values()
    for key, digest in hashes.items():
        kind, colon, name = key.partition(":")
        if colon and key not in tagged:
            found.append({"type": kind, "name": name, "hash": digest})
    return found
