"""Real files are accepted, and the directory says of each tensor exactly what torch loads."""

from __future__ import annotations

import io
import pathlib
import pickle
import sys
from typing import Any
from unittest.mock import patch

import pytest
import safetensors.torch
import torch

from registry.formats.directory import TensorDirectory, TensorEntry
from registry.formats.dtypes import SIZES, TORCH_DTYPES
from scanner.pickles import Report, scan
from tests.attacks.assemble import call, mapping, payload_zip
from tests.scanner.honest import HONEST, X, saved

DTYPES = {ours: getattr(torch, name) for name, ours in TORCH_DTYPES.items()}
pytestmark = pytest.mark.filterwarnings("ignore")  # torch calls its own quantised, sparse and legacy forms deprecated


def report_of(title: str) -> tuple[Report, bytes]:
    name, make = HONEST[title]
    data = make()
    return scan(io.BytesIO(data), name=name), data


def loaded(title: str, data: bytes) -> Any:
    if HONEST[title][0].endswith(".safetensors"):
        return safetensors.torch.load(data)
    if HONEST[title][0] == "options.pkl":
        return pickle.loads(data)
    with patch.dict(sys.modules, {"pathlib._local": pathlib}):  # what Python 3.13 calls it
        return torch.load(io.BytesIO(data), weights_only=False, map_location="cpu" if "cuda" in title else None)


def tensors_of(value: Any, path: tuple[Any, ...] = ()) -> dict[tuple[Any, ...], torch.Tensor]:
    """Every strided tensor that torch loaded, under the path the directory is expected to give it."""
    if isinstance(value, torch.Tensor):
        plain = value.layout == torch.strided and not value.is_quantized and not value.is_conj() and value.device.type == "cpu"
        return {path: value} if plain and value.dtype in DTYPES.values() else {}
    if isinstance(value, dict | torch.nn.ParameterDict):
        pairs = [(key if isinstance(key, int | str) else f"{key.__module__}.{key.__qualname__}", item) for key, item in keyed(value)]
    else:
        pairs = list(enumerate(value)) if isinstance(value, list | tuple) else []
    return {where: tensor for key, item in pairs for where, tensor in tensors_of(item, (*path, key)).items()}


def keyed(value: Any) -> list[tuple[Any, Any]]:
    return [(key, item) for key, item in value.items() if isinstance(key, int | str | type)]


def read(data: bytes, directory: TensorDirectory, entry: TensorEntry) -> torch.Tensor:
    storage = directory.storages[entry.storage]
    raw = bytearray(data[storage.start : storage.start + storage.size])
    if not raw:
        return torch.empty(entry.shape, dtype=DTYPES[entry.dtype])
    whole = torch.frombuffer(raw, dtype=DTYPES[entry.dtype])
    return whole.as_strided(entry.shape, entry.stride, entry.offset)


@pytest.mark.parametrize("title", HONEST)
def test_honest_file_is_a_success(title: str) -> None:
    report, _ = report_of(title)
    assert report.findings == []
    assert report.verdict == "success"
    assert {row.safety for row in report.imports} <= {"allowed", "name-only"}


@pytest.mark.parametrize("title", HONEST)
def test_directory_is_what_torch_loads(title: str) -> None:
    report, data = report_of(title)
    assert report.directory is not None
    expected = tensors_of(loaded(title, data))
    entries = {entry.path: entry for entry in report.directory if not title.startswith(("sparse", "conjugated"))}
    assert entries.keys() == expected.keys()
    for path, entry in entries.items():
        tensor = expected[path]
        assert (DTYPES[entry.dtype], entry.shape) == (tensor.dtype, tuple(tensor.shape))
        if not title.endswith("safetensors"):
            assert entry.stride == tensor.stride()
            assert entry.offset == tensor.storage_offset()
        assert torch.equal(as_bytes(read(data, report.directory, entry)), as_bytes(tensor))
    assert TensorDirectory.from_json(report.directory.to_json()) == report.directory


def as_bytes(tensor: torch.Tensor) -> torch.Tensor:
    """Bit patterns, since NaN is not itself and 8-bit floats know no equality; scalars stay as they are."""
    return tensor.detach().contiguous().view(torch.uint8) if tensor.shape else tensor.detach()


def test_there_are_many_honest_files() -> None:
    assert len(HONEST) >= 80


def test_shared_storage_is_one_storage() -> None:
    report, _ = report_of("shared storages")
    assert report.directory is not None
    assert len(report.directory.storages) == 1
    assert len(report.directory.tensors) == 5


def test_textual_inversion_paths() -> None:
    for title in ("textual inversion", "textual inversion, original"):
        report, _ = report_of(title)
        assert report.directory is not None
        assert ("string_to_param", "*") in {entry.path for entry in report.directory}


def test_lightning_callbacks_are_filed_under_their_name() -> None:
    report, _ = report_of("lightning")
    assert report.directory is not None
    callback = "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint"
    assert ("callbacks", callback, "monitor") in {other.path for other in report.directory.others}
    assert {"ModelCheckpoint"} == {row.name for row in report.imports if row.module.startswith("pytorch_lightning")}


def test_other_values_become_short_plain_text() -> None:
    report = scan(io.BytesIO(saved({"evil": "a\u202eb\x07" + "c" * 500, "x": X})), name="a.ckpt")
    assert report.directory is not None
    text = report.directory.others[0].text
    assert text.startswith("a\ufffdb\ufffdccc")
    assert len(text) == 200


def test_whole_module_is_suspicious_and_its_tensors_are_found() -> None:
    report = scan(io.BytesIO(saved(torch.nn.Linear(3, 4))), name="a.pt")
    assert report.verdict == "suspicious"
    assert report.directory is not None
    assert {entry.path for entry in report.directory} == {("_parameters", "weight"), ("_parameters", "bias")}
    assert "state dict" in report.findings[0].message


@pytest.mark.parametrize(
    ("module", "attribute", "verdict"),
    [
        ("omegaconf.dictconfig", "DictConfig", "suspicious"),
        ("omegaconf.listconfig", "ListConfig", "suspicious"),
        ("ultralytics.nn.tasks", "DetectionModel", "suspicious"),
        ("easydict", "EasyDict", "suspicious"),
        ("basicsr.archs.rrdbnet_arch", "RRDBNet", "suspicious"),
        ("transformers.training_args", "TrainingArguments", "suspicious"),
        ("pytorch_lightning.utilities.parsing", "AttributeDict", "suspicious"),
        ("torch.nn.modules.conv", "Conv2d", "suspicious"),
        ("ldm.models.diffusion.ddpm", "LatentDiffusion", "suspicious"),
        # Of Python, numpy and torch only what is listed: torch's own `weights_only` refuses these too.
        ("torch.torch_version", "TorchVersion", "danger"),
        ("datetime", "datetime", "danger"),
        ("numpy.random._pickle", "__randomstate_ctor", "danger"),
        ("collections", "deque", "danger"),
    ],
)
def test_classes_that_real_files_carry_and_that_need_a_person_or_another_file(module: str, attribute: str, verdict: str) -> None:
    report = scan(io.BytesIO(payload_zip(call(module, attribute) + mapping(a=b"N") + b"b")), name="a.pt")
    assert report.verdict == verdict
    assert report.imports[0].reason


def test_storage_checksums_come_from_the_archive() -> None:
    import zlib

    report, data = report_of("state dict")
    assert report.directory is not None
    for storage in report.directory.storages:
        assert zlib.crc32(data[storage.start : storage.start + storage.size]) == storage.crc32
        assert storage.size % SIZES["F32"] == 0
