"""Prompts in AUTOMATIC1111's language: emphasis, BREAK and extra networks, told apart and weighed. Reads text, encodes none; free of torch.

Prompt editing `[a:b:0.5]` and alternation `[a|b]` would need other words at each step: their first alternative is rendered, and said.
`AND` stands for the word. All of it is linear in the length of the text, whatever the brackets.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, groupby
from typing import NamedTuple

from registry.formats.errors import FormatError, LimitExceeded

MAX_PROMPT_BYTES = 10_240
"""UTF-8 bytes of one prompt: about 2,000 words, far beyond what a text encoder tells apart."""
MAX_NETWORKS = 32
"""Extra networks one prompt may name: each is a file that is opened."""
MAX_STRENGTH = 100.0
"""Bound of a network's strength: beyond it half precision overflows in every model."""
MAX_WEIGHT = 100.0
"""Bound to which emphasis is cut: `((((...` overflows, and a token a hundred times as loud drowns all others anyway."""
MAX_FACTOR = 1e6
"""Bound of one factor, so that sums of logarithms stay finite; one below its inverse counts as zero."""
EMPHASIS = 1.1
"""What one pair of brackets multiplies by (modules/prompt_parser.py of webui); square ones divide by it."""
DIGITS = 9
"""Places after the point that a weight keeps: equal brackets give equal weights, whatever was multiplied on the way."""

LORA, HYPERNET = "lora", "hypernet"
_KINDS = {"lora": LORA, "lyco": LORA, "hypernet": HYPERNET}

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_NETWORK = re.compile(r"<(\w+):([^<>]+)>")
_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)"
_TOKEN = re.compile(rf"\\[()\[\]\\]|:\s*(?P<weight>{_NUMBER})\s*\)|[^\\()\[\]:|]+|.", re.DOTALL)
_WHEN = re.compile(rf"\s*{_NUMBER}\s*")
_BREAK = re.compile(r"\bBREAK\b")
_AND = re.compile(r"\bAND\b")

FIRST_ALTERNATIVE = "Prompt editing and alternation are not rendered step by step: the first alternative stands for all."
PLAIN_AND = "AND does not combine prompts here: it is read as a word."
UNKNOWN_NETWORK = "<{kind}:...> is no kind of extra network that is known here: it was left out."


class Piece(NamedTuple):
    """Text of one weight: 1.0 unless brackets say otherwise."""

    text: str
    weight: float


class Network(NamedTuple):
    """`<lora:name:text:unet>`: `kind` is "lora" (every flavour) or "hypernet"; `strength` acts on the UNet, `text_strength` on the text."""

    kind: str
    name: str
    strength: float
    text_strength: float


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a prompt says. `text`: as written, without networks and control characters; `sections`: weighed, one for each BREAK and one.

    `notes`: sentences about what is not rendered as A1111 would.
    """

    text: str
    sections: tuple[tuple[Piece, ...], ...]
    networks: tuple[Network, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Bracket:
    """An open bracket: where it stands in the tokens, and where the separators inside it stand."""

    sign: str
    start: int
    colons: list[int]
    bar: int = 0


def parse(text: str) -> Prompt:
    """Raises LimitExceeded("render:prompt-too-long", "render:too-many-networks") and FormatError("render:network")."""
    if len(text) > MAX_PROMPT_BYTES or len(cleaned := _clean(text).encode()) > MAX_PROMPT_BYTES:
        raise LimitExceeded("render:prompt-too-long", f"A prompt has at most {MAX_PROMPT_BYTES:,} bytes; this one is longer.")
    networks, notes = [], []
    for match in _NETWORK.finditer(cleaned.decode()):
        if match[1].lower() in _KINDS:
            networks.append(_network(_KINDS[match[1].lower()], match[2]))
        else:
            notes.append(UNKNOWN_NETWORK.format(kind=match[1][:20]))
        if len(networks) > MAX_NETWORKS:
            raise LimitExceeded("render:too-many-networks", f"A prompt names at most {MAX_NETWORKS} extra networks.")
    plain = _NETWORK.sub("", cleaned.decode()).strip()
    settled, changed = _settle(plain)
    notes += [note for note, holds in ((FIRST_ALTERNATIVE, changed), (PLAIN_AND, _AND.search(plain))) if holds]
    return Prompt(plain, _weigh(settled), tuple(networks), tuple(dict.fromkeys(notes)))


def _clean(text: str) -> str:
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def _network(kind: str, arguments: str) -> Network:
    """A1111's rules: the second place is the strength of both, the third that of the UNet; `te=` and `unet=` name them."""
    name, *places = (part.strip() for part in arguments.split(":"))
    named = dict(part.split("=", 1) for part in places if "=" in part)
    unnamed = [part for part in places if "=" not in part]
    text = _strength(name, named.get("te", unnamed[0] if unnamed else "1"))
    unet = named.get("unet", unnamed[1] if len(unnamed) > 1 else "")
    return Network(kind, name, _strength(name, unet) if unet else text, text)


def _strength(name: str, told: str) -> float:
    if not re.fullmatch(_NUMBER, told) or abs(float(told)) > MAX_STRENGTH:
        sentence = f'"{_shown(told)}" is no strength for "{_shown(name)}": write a number from -{MAX_STRENGTH:.0f} to {MAX_STRENGTH:.0f}.'
        raise FormatError("render:network", sentence)
    return float(told)


def _shown(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:60])


def _settle(text: str) -> tuple[str, bool]:
    """The text with prompt editing and alternation replaced by the first alternative, and whether there was any."""
    tokens: list[str] = []
    brackets: list[_Bracket] = []
    changed = False
    for match in _TOKEN.finditer(text):
        word = match[0]
        top = brackets[-1] if brackets else None
        if word in ("(", "["):
            brackets.append(_Bracket(word, len(tokens), []))
        elif top and word == ":":
            top.colons.append(len(tokens))
        elif top and word == "|":
            top.bar = top.bar or len(tokens)
        tokens.append(word)
        if top and word[-1] == {"(": ")", "[": "]"}[top.sign] and word[0] != "\\":
            brackets.pop()
            changed |= top.sign == "[" and _first_alternative(tokens, top)
    return "".join(tokens), changed


def _first_alternative(tokens: list[str], bracket: _Bracket) -> bool:
    """Cuts `[a|b]` and `[a:b:5]` at the end of `tokens` down to a, `[:b:5]` and `[b:5]` to b. False where it is neither."""
    if bracket.bar:
        del tokens[bracket.bar :]
    elif len(bracket.colons) in (1, 2) and _WHEN.fullmatch("".join(tokens[bracket.colons[-1] + 1 : -1])):
        before = "".join(tokens[bracket.start + 1 : bracket.colons[0]])
        del tokens[bracket.colons[0] if before.strip() or len(bracket.colons) == 1 else bracket.colons[1] :]
        if not before.strip() and len(bracket.colons) == 2:
            tokens[bracket.colons[0]] = ""
    else:
        return False
    tokens[bracket.start] = ""
    return True


def _weigh(text: str) -> tuple[tuple[Piece, ...], ...]:
    texts: list[str | None] = []
    """None is a BREAK."""
    scaled: list[tuple[int, int, float]] = []
    """From which text to which, and by how much."""
    open_at: dict[str, list[int]] = {"(": [], "[": []}
    for match in _TOKEN.finditer(text):
        word, weight = match[0], match["weight"]
        if word in open_at:
            open_at[word].append(len(texts))
        elif word[-1] == ")" and word[0] != "\\" and open_at["("]:
            scaled.append((open_at["("].pop(), len(texts), float(weight) if weight else EMPHASIS))
        elif word == "]" and open_at["["]:
            scaled.append((open_at["["].pop(), len(texts), 1 / EMPHASIS))
        else:
            texts.extend(_literal(word))
    scaled += [(start, len(texts), EMPHASIS) for start in open_at["("]] + [(start, len(texts), 1 / EMPHASIS) for start in open_at["["]]
    return tuple(_sections(texts, _weights(len(texts), scaled)))


def _literal(word: str) -> Iterator[str | None]:
    if word[0] == "\\" and len(word) == 2:
        yield word[1]
        return
    for place, part in enumerate(_BREAK.split(word)):
        if place:
            yield None
        yield part


def _weights(count: int, scaled: list[tuple[int, int, float]]) -> list[float]:
    """The product over each text of what encloses it, as a running sum of logarithms: nested brackets cost no more than flat ones."""
    logs, zeros, signs = [0.0] * (count + 1), [0] * (count + 1), [0] * (count + 1)
    for start, end, told in scaled:
        factor = max(-MAX_FACTOR, min(told, MAX_FACTOR)) if abs(told) > 1 / MAX_FACTOR else 0.0
        for place, way in ((start, 1), (end, -1)):
            logs[place] += way * math.log(abs(factor)) if factor else 0.0
            zeros[place] += way * (factor == 0)
            signs[place] += way * (factor < 0)
    summed = zip(accumulate(logs), accumulate(zeros), accumulate(signs), strict=True)
    bound = math.log(MAX_WEIGHT)
    return [0.0 if zero else round(math.exp(min(log, bound)) * (-1) ** sign, DIGITS) for log, zero, sign in summed][:count]


def _sections(texts: list[str | None], weights: list[float]) -> Iterator[tuple[Piece, ...]]:
    """Texts between BREAKs, neighbours of equal weight joined; a section without text has one empty piece."""
    section: list[tuple[str, float]] = []
    for text, weight in [*zip(texts, weights, strict=True), (None, 1.0)]:
        if text is not None:
            section.append((text, weight))
            continue
        joined = (Piece("".join(part for part, _ in parts), value) for value, parts in groupby(section, key=lambda one: one[1]))
        yield tuple(piece for piece in joined if piece.text) or (Piece("", 1.0),)
        section = []
