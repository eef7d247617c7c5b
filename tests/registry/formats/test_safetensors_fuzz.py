"""Headers made by hypothesis, held against the reference reader: what is taken means the same there, what is refused has a rule."""

from __future__ import annotations

import io
import json
import struct
from typing import Any

import safetensors
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from registry.formats.dtypes import SIZES
from registry.formats.errors import FormatError
from registry.formats.safetensors import read_safetensors
from registry.formats.window import Window
from tests.attacks.headers import entry, written

STRICTER = {
    "S-DUP": "a key twice: the reference keeps the last",
    "S-NAME": "a tensor without a name, or with characters that no text holds",
    "S-METADATA": "metadata with characters that no text holds",
    "S-DTYPE": "types under a byte, which no Stable Diffusion file uses",
    "S-ENTRY": "fields of an entry that the reference ignores",
    "S-JSON": "fractions, and what Rust's JSON reader takes and Python's does not",
}
"""Rules by which we refuse what the reference takes; every other refusal must be one of the reference as well."""

NAMES = st.one_of(st.sampled_from(["a", "b", "weight", "", "__metadata__", "\x1b[2J", "\u202e", "\u732b"]), st.text(max_size=6))
DTYPES = st.sampled_from([*SIZES, "F4", "F6_E2M3", "Q8", "f32", ""])
WHOLE = st.one_of(st.integers(0, 4), st.sampled_from([-1, 1 << 40, 1 << 63, 1 << 64, 2.0, None, True, "1"]))


@st.composite
def entries(draw: st.DrawFn) -> dict[str, Any]:
    """Tensors that lie one behind the other, as they should; then perhaps one thing about them changes."""
    header: dict[str, Any] = {}
    at = 0
    for name in draw(st.lists(NAMES, max_size=4, unique=True)):
        dtype = draw(st.sampled_from(list(SIZES)))
        shape = draw(st.lists(st.integers(0, 3), max_size=3))
        size = SIZES[dtype]
        for extent in shape:
            size *= extent
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    if header and draw(st.booleans()):
        victim = header[draw(st.sampled_from(sorted(header)))]
        match draw(st.sampled_from(["dtype", "shape", "data_offsets", "drop", "extra"])):
            case "dtype":
                victim["dtype"] = draw(DTYPES)
            case "shape":
                victim["shape"] = draw(st.lists(WHOLE, max_size=3))
            case "data_offsets":
                victim["data_offsets"] = draw(st.lists(st.one_of(WHOLE, st.integers(0, at + 8)), max_size=3))
            case "drop":
                del victim[draw(st.sampled_from(sorted(victim)))]
            case _:
                victim["note"] = "x"
    return header


@st.composite
def files(draw: st.DrawFn) -> bytes:
    header = draw(entries())
    if draw(st.booleans()):
        values = st.one_of(st.text(max_size=5), st.sampled_from([1, None, []])) if draw(st.booleans()) else st.text(max_size=5)
        header["__metadata__"] = draw(st.dictionaries(st.text(max_size=5), values, max_size=2))
    text = json.dumps(header, ensure_ascii=draw(st.booleans()))
    if draw(st.integers(0, 19)) == 7 and len(header) > 1:
        first, second = list(header)[:2]
        text = text.replace(json.dumps(second, ensure_ascii=False), json.dumps(first, ensure_ascii=False), 1)
    raw = text.encode("utf-8", "surrogatepass") + draw(st.sampled_from([b"", b" ", b"", b"    ", b"", b"\0", b"", b"\n", b"", b"x"]))
    end = max((entry["data_offsets"][1] for entry in header.values() if _placed(entry)), default=0)
    body = bytes(number % 251 for number in range(min(max(end + draw(st.sampled_from([0, 0, 0, 1, -1])), 0), 4096)))
    return struct.pack("<Q", len(raw) + draw(st.sampled_from([0] * 18 + [1, -1]))) + raw + body


def _placed(entry: Any) -> bool:
    places = entry.get("data_offsets") if isinstance(entry, dict) else None
    return isinstance(places, list) and len(places) == 2 and type(places[1]) is int


def reference(data: bytes) -> dict[str, tuple[str, tuple[int, ...], bytes]] | None:
    """What the reference library reads, or None where it refuses."""
    try:
        found = safetensors.deserialize(data)
    except Exception:
        return None
    return {name: (row["dtype"], tuple(row["shape"]), bytes(row["data"])) for name, row in found}


def read(data: bytes) -> dict[str, tuple[str, tuple[int, ...], bytes]] | str:
    """What we read, or the code of the rule by which we refuse."""
    try:
        directory = read_safetensors(Window(io.BytesIO(data)))
    except FormatError as error:
        return error.code
    places = {str(row.path[0]): (row, directory.byte_range(row)) for row in directory}
    return {name: (row.dtype, row.shape, data[start : start + size]) for name, (row, (start, size)) in places.items()}


SEEN: dict[str, int] = {}


@settings(
    max_examples=1500,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(files())
@example(struct.pack("<Q", 2) + b"{}")
@example(struct.pack("<Q", 10) + b'{"a":null}')
@example(written({"a": entry(0, 16, 4, dtype="F4")}))
@example(written({"a": entry(0, 8, 2), "b": entry(4, 16, 3)}))
def judge(data: bytes) -> None:
    theirs, ours = reference(data), read(data)
    rule = ours if isinstance(ours, str) else "taken"
    SEEN[rule] = SEEN.get(rule, 0) + 1
    if rule == "taken" or theirs is None:
        assert rule != "taken" or ours == theirs, data
    else:
        assert rule in STRICTER, (rule, data)


def test_what_is_taken_means_the_same_to_the_reference_and_what_is_refused_has_a_rule() -> None:
    SEEN.clear()
    judge()
    assert SEEN["taken"] > 200
    assert {"S-ENTRY", "S-SIZE", "S-JSON", "S-DTYPE", "S-OVERLAP", "F-TRUNCATED"} <= SEEN.keys(), SEEN
