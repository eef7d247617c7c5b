"""Which file of a version its page recommends."""

from __future__ import annotations

from typing import Any

import pytest

from hub.web import filelist, reasons
from hub.wishes import Wish
from registry.models import BlobHash
from tests.factories import BlobFactory, FileFactory, VersionFactory


@pytest.mark.django_db
@pytest.mark.parametrize("other", ["gguf", "onnx", "bundle", "torch-zip"])
def test_safetensors_is_recommended_before_forms_that_few_programs_take(other: str) -> None:
    version: Any = VersionFactory()
    FileFactory(version=version, state="ready", size_bytes=10, blob=BlobFactory(container=other))
    wanted: Any = FileFactory(version=version, state="ready", size_bytes=1000)
    best = filelist.recommended(version.files.all())
    assert best == wanted


GB = 1_000_000_000
KINDS_OF_FILE = {
    "ckpt": ({}, "torch-zip", 7.7, "fp32"),
    "twin": ({"keep": "all", "precision": "keep"}, "safetensors", 7.5, "fp32"),
    "fp16": ({"keep": "weights", "precision": "fp16"}, "safetensors", 2, "fp16"),
    "bf16": ({"keep": "weights", "precision": "bf16"}, "safetensors", 2, "bf16"),
    "pruned": ({"keep": "weights", "precision": "keep"}, "safetensors", 4, "fp32"),
    "ema": ({"keep": "ema", "precision": "fp16"}, "safetensors", 2, "fp16"),
}


def family(*names: str) -> dict[int, str]:
    """File id -> name, of a version with one file of each sort; none is stored."""
    return dict(enumerate(names or KINDS_OF_FILE, start=1))


def files(names: dict[int, str]) -> list[Any]:
    made = []
    for pk, name in names.items():
        recipe, container, size, precision = KINDS_OF_FILE[name]
        detected = {"kind": "checkpoint", "parameters": GB, "precision": precision}
        blob = BlobFactory.build(pk=pk, container=container, detected=detected)
        blob._prefetched_objects_cache = {"hashes": BlobHash.objects.none()}
        role = "derived" if recipe else "uploaded"
        made.append(FileFactory.build(pk=pk, version=None, recipe=recipe, size_bytes=int(size * GB), blob=blob, role=role))
    return made


@pytest.mark.parametrize(
    ("wish", "best"),
    [
        (Wish(), "fp16"),
        (Wish(purpose="pictures"), "fp16"),
        (Wish(memory_gb=8, purpose="pictures"), "fp16"),
        (Wish(purpose="train"), "twin"),
        (Wish(purpose="train", form="ckpt"), "ckpt"),
        (Wish(form="ckpt"), "ckpt"),
        (Wish(precision="bf16"), "bf16"),
        (Wish(precision="fp32"), "pruned"),
        (Wish(precision="fp32", purpose="train"), "twin"),
        (Wish(memory_gb=4, form="safetensors", precision="fp16"), "fp16"),
    ],
)
def test_the_file_suits_the_wish(wish: Wish, best: str) -> None:
    names = family()
    found = filelist.recommended(files(names), wish)
    assert found is not None
    assert names[found.pk] == best


@pytest.mark.parametrize("wish", [Wish(precision="bf16"), Wish(memory_gb=4, purpose="train"), Wish(form="ckpt", precision="fp32")])
def test_a_wish_that_nothing_meets_still_finds_a_file(wish: Wish) -> None:
    names = family("fp16", "ema")
    found = filelist.recommended(files(names), wish)
    assert found is not None
    assert names[found.pk] == "fp16"


def test_what_does_not_fit_the_gpu_comes_after_what_does() -> None:
    names = family("fp16", "twin")
    large, small = files(names)
    large.blob.detected = {"kind": "checkpoint", "parameters": 6 * GB, "precision": "fp16"}
    large.size_bytes = 12 * GB
    small.size_bytes = 6 * GB
    assert filelist.recommended([large, small], Wish(memory_gb=8)) is small
    assert filelist.recommended([large, small]) is large


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (Wish(), ["For most people"]),
        (Wish(memory_gb=8, purpose="pictures"), ["Because you make pictures", "2.00 GB of the 8 GB"]),
        (Wish(purpose="train"), ["Because you train or merge"]),
        (Wish(precision="bf16"), ["In bf16, as you wish"]),
        (Wish(form="ckpt"), [".ckpt, as you wish"]),
    ],
)
def test_the_reason_names_what_was_wished(wish: Wish, said: list[str]) -> None:
    rows = [filelist.row(file, None) for file in files(family())]
    best = filelist.recommended([row.file for row in rows], wish)
    told = reasons.of(next(row for row in rows if row.file is best), rows, wish)
    assert len(told) == len(said)
    assert all(part in sentence for part, sentence in zip(said, told, strict=True))


def test_reasons_own_up_to_what_could_not_be_met() -> None:
    rows = [filelist.row(file, None) for file in files(family("fp16", "ema"))]
    told = reasons.of(rows[0], rows, Wish(precision="fp32", form="ckpt"))
    assert told == ["Not in fp32: no such file suits you here.", "There is no .ckpt of this version."]
    alone = filelist.row(files(family("fp16"))[0], None)
    assert reasons.of(alone, [alone], Wish())[0] == "The only file of this version."


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("fp16", "Half precision (fp16)"),
        ("pruned", "Pruned"),
        ("ema", "Averages only (EMA), half precision (fp16)"),
        ("twin", "The original as safetensors"),
        ("ckpt", "The original pickle (.ckpt, .pt)"),
    ],
)
def test_every_file_is_called_by_what_it_is(name: str, title: str) -> None:
    (file,) = files(family(name))
    assert filelist.row(file, None).title == title
