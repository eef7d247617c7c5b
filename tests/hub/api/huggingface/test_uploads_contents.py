"""What a push may bring: by name, by first bytes before it moves, and by all bytes of what is kept without a scan."""

from __future__ import annotations

import json
import pickle
import struct
import time
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from hub.api.huggingface.contents import LFS, MAX_BRACKETS, MAX_SMALL, MAX_TRIED, REGULAR, Judge, mode_of, read_sample
from registry.formats.errors import FormatError
from tests.hub.api.huggingface.conftest import weights
from tests.tiny import embedding_pt

PICKLE = pickle.dumps({"a": [1, 2, 3]}, protocol=2)
OLD_PICKLE = b"cos\nsystem\n(S'true'\ntR."
ZIP = b"PK\x03\x04" + bytes(508)


def picture(kind: str) -> bytes:
    target = BytesIO()
    Image.new("RGB", (8, 8)).save(target, kind)
    return target.getvalue()


def pieces() -> bytes:
    """A SentencePiece vocabulary of two pieces and a trainer's note."""
    return b"".join(bytes([tag]) + bytes([len(body)]) + body for tag, body in ((10, b"\n\x03<s>"), (10, b"\n\x01a"), (18, b"note")))


def test_weights_go_as_large_files_and_texts_inside() -> None:
    assert mode_of("unet/a.safetensors", weights()[:512], 1000) == LFS
    assert mode_of("a.ckpt", PICKLE, 1000) == LFS
    assert mode_of("a.pt", ZIP, 1000) == LFS
    assert mode_of("a.gguf", b"GGUF\x03\0\0\0" + bytes(100), 1000) == LFS
    for name in ("README.md", "config.json", "merges.txt", ".gitattributes", "LICENSE", "a.yaml"):
        assert mode_of(name, b"# plain\n", 8) == REGULAR
    assert mode_of("tokenizer/spiece.model", pieces(), 100) == REGULAR
    assert mode_of("preview.png", picture("PNG"), 100) == REGULAR
    assert mode_of("empty.txt", b"", 0) == REGULAR


@pytest.mark.parametrize(
    ("path", "head"),
    [
        ("a.safetensors", PICKLE),
        ("a.safetensors", OLD_PICKLE),
        ("a.safetensors", ZIP),
        ("a.safetensors", b"\x89PNG\r\n\x1a\n" + bytes(100)),
        ("a.safetensors", b"\x7fELF" + bytes(100)),
        ("a.sft", b"nothing of the kind"),
        ("a.gguf", PICKLE),
        ("a.ckpt", weights()),
        ("a.pt", b"MZ" + bytes(100)),
        ("a.onnx", ZIP),
        ("a.npy", PICKLE),
        ("notes.json", PICKLE),
        ("notes.txt", ZIP),
        ("notes.md", b"\x7fELF"),
        ("README.md", b"<script>alert(1)</script>"),
        ("a.png", b"<svg onload=alert(1)>"),
        ("a.png", PICKLE),
        ("a.model", PICKLE),
        ("a.model", ZIP),
        ("run.py", b"print(1)"),
        ("a.pkl", PICKLE),
        ("a.ipynb", b"{}"),
        ("a.svg", b"<svg/>"),
        ("a.html", b"hello"),
        ("noending", b"hello"),
        ("a.safetensors", b""),
    ],
)
def test_what_lies_or_is_not_kept_is_refused_by_its_first_bytes(path: str, head: bytes) -> None:
    with pytest.raises(FormatError) as refused:
        mode_of(path, head, 1000 if head else 0)
    assert path in refused.value.sentence


def test_a_text_that_is_too_large_is_refused() -> None:
    with pytest.raises(FormatError, match="262,144"):
        mode_of("a.yaml", b"a: b", 2**18 + 1)
    with pytest.raises(FormatError, match="too-large"):
        mode_of("tokenizer.json", b"{}", MAX_SMALL + 1)


@pytest.mark.parametrize("given", [None, 5, "no base64!", "A" * 3000])
def test_a_sample_must_be_one(given: object) -> None:
    with pytest.raises(FormatError, match="push:sample"):
        read_sample(given)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("README.md", b"---\nlicense: mit\n---\n# A model\n"),
        ("config.json", json.dumps({"a": [1, 2]}).encode()),
        ("a.yaml", b"model:\n  target: ldm.models.Thing\n"),
        ("merges.txt", "#version: 0.2\ni n\nt h\n\u0120 a\n".encode()),
        ("spiece.model", pieces()),
        ("a.png", picture("PNG")),
        ("a.jpg", picture("JPEG")),
        ("a.webp", picture("WEBP")),
        ("a.gif", picture("GIF")),
        ("empty.txt", b""),
    ],
)
def test_honest_texts_and_pictures_are_kept(path: str, content: bytes) -> None:
    Judge().check(path, content)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("notes.txt", OLD_PICKLE),
        ("README.md", OLD_PICKLE),
        ("a.yaml", OLD_PICKLE),
        ("a.yaml", b"a: !!python/object/apply:os.system [true]\n"),
        ("a.json", OLD_PICKLE),
        ("a.json", b"{not json"),
        ("notes.txt", b"fine\x00not"),
        ("notes.txt", b"\xff\xfe\x00"),
        ("notes.md", b"<!-- c --><html><script>"),
        ("a.png", picture("PNG") + b"PK\x03\x04 something behind it"),
        ("a.png", picture("PNG")[:-4]),
        ("a.png", picture("JPEG")),
        ("a.model", b"\n\0" * 300_001),
        ("a.model", b"\n\xff\xff\xff\xff\xff\x7f"),
        ("a.model", b"\n\x02ab" + struct.pack("<Q", 5)),
        ("a.safetensors", weights()),
    ],
)
def test_hostile_texts_and_pictures_are_refused(path: str, content: bytes) -> None:
    with pytest.raises(FormatError) as refused:
        Judge().check(path, content)
    assert path in refused.value.sentence or path.endswith(("png", "txt", "md", "yaml"))


def test_texts_that_read_like_pickles_share_one_budget() -> None:
    judge, prose = Judge(), b"(" * 900 + b"\n"
    judge.check("prose.txt", prose)  # one such text is nothing
    judge.report.opcodes = MAX_TRIED
    with pytest.raises(FormatError, match="P-LIMIT"):
        judge.check("prose.txt", prose)


def test_all_json_of_a_commit_shares_one_number_of_brackets() -> None:
    judge, lists = Judge(), b"[" + b"[]," * (MAX_BRACKETS // 2) + b"{}]"
    judge.check("merges.json", lists)
    started = time.process_time()
    with pytest.raises(FormatError, match="lists and objects"):
        judge.check("again.json", b"[" + b"[]," * (MAX_SMALL // 3 - 2) + b"{}]")
    assert time.process_time() - started < 0.2


def test_an_embedding_of_torch_is_taken_as_weights(tmp_path: Path) -> None:
    data = embedding_pt(tmp_path / "a.pt").read_bytes()
    assert mode_of("learned_embeds.bin", data[:512], len(data)) == LFS
