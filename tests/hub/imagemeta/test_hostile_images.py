"""Whatever the bytes: an answer or a `FormatError`, in little time and memory."""

from __future__ import annotations

import io
import json
import resource
import struct
import subprocess
import sys
import time
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hub.imagemeta import ImageMeta, layout_of, of_bytes, of_file
from hub.imagemeta.texts import MAX_TEXT
from registry.formats.errors import FormatError, LimitExceeded
from tests import toolimages

PLAIN = toolimages.png({})
SEEDS = list(toolimages.images().values())


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_with(*chunks: bytes) -> bytes:
    return PLAIN[:33] + b"".join(chunks) + PLAIN[33:]


def quickly(data: bytes) -> ImageMeta:
    started = time.process_time()
    meta = of_bytes(data)
    assert time.process_time() - started < 3
    return meta


def test_a_bomb_in_a_text_is_not_unpacked() -> None:
    bomb = zlib.compress(b"a" * (200 << 20), 9)
    for made in (chunk(b"zTXt", b"parameters\0\0" + bomb), chunk(b"iTXt", b"parameters\0\1\0\0\0" + bomb)):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert quickly(png_with(made)).not_understood == ["parameters"]
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000  # kB


def test_many_bombs_stay_within_the_memory_of_one() -> None:
    bomb = zlib.compress(b"a" * MAX_TEXT, 9)
    meta = quickly(png_with(*(chunk(b"zTXt", b"k%d\0\0" % number + bomb) for number in range(2000))))
    assert meta.tool == ""


@pytest.mark.parametrize("text", ["[" * 900_000, '{"a":' * 300_000, "[" + "{}," * 300_000 + "{}]", '{"1":' + "9" * 1_000_000 + "}"])
@pytest.mark.parametrize("name", ["prompt", "parameters", "invokeai_metadata", "sd-metadata", "workflow", "Comment"])
def test_deep_wide_and_huge_json(name: str, text: str) -> None:
    if name == "parameters":
        text = text[:1] + '"sui_image_params","base_model"' + text[1:]
    assert quickly(toolimages.png({name: text, "Software": "NovelAI", "Description": "", "Source": ""})).tool == ""


def test_a_text_of_a_hundred_megabytes_is_not_taken() -> None:
    with pytest.raises(LimitExceeded, match="image:size"):
        of_bytes(png_with(chunk(b"tEXt", b"parameters\0" + b"a" * (100 << 20))))


def test_a_file_is_read_no_further_than_the_limit() -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1) -> bytes:
            assert 0 <= size <= 1001
            return b"\x89PNG\r\n\x1a\n" + b"\0" * (size - 8)

    with pytest.raises(LimitExceeded):
        of_file(Endless(), limit=1000)  # type: ignore[arg-type]


def test_a_graph_in_circles_ends() -> None:
    circle = {
        str(n): {"class_type": "A", "inputs": {"text": f"w{n}", "a": [str(n + 1), 0], "b": [str(n), 0], "c": ["0", 0]}} for n in range(4000)
    }
    circle["0"] = {
        "class_type": "KSampler",
        "inputs": {"steps": ["1", 0], "positive": ["1", 0], "negative": ["2", 0], "latent_image": ["0", 0]},
    }
    assert quickly(toolimages.png({"prompt": json.dumps(circle)})).prompt.startswith("w1, w2")


def test_a_graph_of_samplers_and_loaders_is_bounded() -> None:
    node = {
        "class_type": "K",
        "inputs": {"steps": 1, "positive": ["0", 0], "negative": ["1", 0], **{f"lora{i}": {"lora": f"x{i}"} for i in range(12)}},
    }
    meta = quickly(toolimages.png({"prompt": json.dumps({str(n): node for n in range(2000)})}))
    assert meta.tool == "ComfyUI"
    assert len(meta.resources) <= 200


def test_exif_entries_that_point_to_the_same_place_cost_nothing() -> None:
    entries = b"".join(struct.pack("<HHII", 0x010F, 7, 60_000, 8) for _ in range(5_000))
    block = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 5_000) + entries
    data = b"\xff\xd8\xff\xe1" + struct.pack(">H", len(block) + 8) + b"Exif\0\0" + block
    jpeg = io.BytesIO()
    toolimages.picture().save(jpeg, "JPEG")
    assert quickly(data + jpeg.getvalue()[2:]).tool == ""


def test_infinite_numbers_and_halves_of_characters_can_be_stored() -> None:
    text = '{"sui_image_params":{"prompt":"\\ud800\\u0000x","seed":NaN,"cfgscale":1e999,"loras":["a"],"loraweights":["inf"]}}'
    meta = of_bytes(toolimages.png({"parameters": text}))
    assert meta.prompt == "\ufffdx"
    assert meta.resources[0].weight is None
    json.dumps(meta.to_json(), allow_nan=False).encode()


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a" + b"\0" * 50, b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7", b"PK\3\4" + b"\0" * 40]
)
def test_other_files_are_refused_in_words(data: bytes) -> None:
    with pytest.raises(FormatError, match="image:kind") as refused:
        of_bytes(data)
    assert "PNG, JPEG or WebP" in refused.value.sentence


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_size_and_frames_are_known_before_decoding(kind: str) -> None:
    out = io.BytesIO()
    toolimages.picture((70, 50)).save(out, kind)
    found = layout_of(out.getvalue())
    assert (found.kind, found.width, found.height, found.frames) == (kind.lower(), 70, 50, 1)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_moving_pictures_are_told(kind: str) -> None:
    out = io.BytesIO()
    frames = [Image.new("RGB", (20, 20), (shade, 0, 0)) for shade in (0, 120, 250)]
    frames[0].save(out, kind, save_all=True, append_images=frames[1:], duration=50)
    assert layout_of(out.getvalue()).frames == 3


def test_lossless_webp_has_its_size() -> None:
    out = io.BytesIO()
    toolimages.picture((301, 77)).save(out, "WEBP", lossless=True)
    found = layout_of(out.getvalue())
    assert (found.width, found.height) == (301, 77)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=6)), max_size=8), st.floats(0, 1))
def test_damaged_images_never_break_anything(seed: bytes, changes: list[tuple[float, bytes]], end: float) -> None:
    data = bytearray(seed)
    for place, new in changes:
        at = int(place * (len(data) - 1))
        data[at : at + len(new)] = new
    try:
        meta = of_bytes(bytes(data[: int(len(data) * (0.5 + end / 2)) + 1]))
    except FormatError:
        return
    assert ImageMeta.from_json(json.loads(json.dumps(meta.to_json(), allow_nan=False))) == meta


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["prompt", "inputs", "class_type", "model", "image", "sampler", "loras", "steps", "3"]), inner, max_size=5
        )
    ),
    max_leaves=20,
)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["prompt", "workflow", "parameters", "invokeai_metadata", "sd-metadata", "Comment"]), JSON)
def test_json_of_any_shape_is_taken(name: str, value: object) -> None:
    inner = {"sui_image_params": value, "base_model": value, "base_model_hash": value, "sampler": value, "prompt": value, "image": value}
    for text in (json.dumps(value), json.dumps({**inner, "loras": value, "negative_prompt": value, "scheduler": value})):
        meta = of_bytes(toolimages.png({name: text, "Software": "NovelAI", "Description": "", "Source": ""}))
        assert ImageMeta.from_json(json.loads(json.dumps(meta.to_json(), allow_nan=False))) == meta


def test_no_pixel_is_decoded_and_no_framework_loaded() -> None:
    code = "import hub.imagemeta, sys; print([m for m in ('django', 'celery', 'torch', 'numpy') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.stdout.strip() == "[]", result.stderr[-2000:]
