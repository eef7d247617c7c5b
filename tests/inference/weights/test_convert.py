"""Conversion against torch and safetensors as the oracle: the same bytes where nothing is cast, and nothing half-written ever."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from inference.weights.convert import convert, derived_metadata
from inference.weights.outcome import CONVERTER_VERSION
from inference.weights.recipe import Recipe
from registry.formats.directory import Storage, TensorDirectory, TensorEntry
from registry.formats.errors import FormatError, LimitExceeded
from registry.formats.hashes import hash_file
from tests import tiny

PLAIN = {"format": "pt"}


def odd_tensors() -> tiny.State:
    """One tensor of every type, and every way in which a tensor can view its storage."""
    base = torch.arange(24.0).reshape(4, 6)
    torch.manual_seed(0)
    conv = torch.randn(8, 4, 3, 3)
    large = torch.randn(1500, 2100)
    state = {
        "transposed": base.t(),
        "every other column": base[:, ::2],
        "row": base[2],
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 5),
        "expanded": torch.tensor([1.0, 2.0]).reshape(2, 1).expand(2, 7),
        "channels last": conv.to(memory_format=torch.channels_last),
        "parameter": torch.nn.Parameter(torch.ones(3)),
        "large transposed": large.t(),
        "large strided": large[::3, 1::2],
        "bool": torch.tensor([True, False]),
        'ünïcode "quoted" \\ name': torch.ones(2),
    }
    for dtype in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.bfloat16, torch.float64):
        state[str(dtype)] = torch.tensor([1, 2, 3]).to(dtype)
    state["f8"] = torch.tensor([1.0, 0.5]).to(torch.float8_e4m3fn)
    state["shared one"] = state["shared two"] = torch.full((5,), 7.0)
    return state


def oracle(state: tiny.State, path: Path) -> bytes:
    save_file({name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}, path, PLAIN)
    return path.read_bytes()


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("build", [odd_tensors, tiny.state_dict, lambda: tiny.with_ema(tiny.state_dict())], ids=["odd", "sd1", "ema"])
def test_twin_is_byte_identical_to_save_file(tmp_path: Path, build: Callable[[], tiny.State], legacy: bool) -> None:
    state = build()
    torch.save({"state_dict": state, "epoch": 1}, tmp_path / "a.ckpt", _use_new_zipfile_serialization=not legacy)
    outcome = convert(tmp_path / "a.ckpt", tiny.read_directory(tmp_path / "a.ckpt"), tmp_path / "a.safetensors", Recipe(), metadata=PLAIN)
    assert (tmp_path / "a.safetensors").read_bytes() == oracle(state, tmp_path / "oracle.safetensors")
    assert outcome.comparison.equal == len(state)
    assert outcome.comparison.rounded == 0
    assert outcome.hashes == hash_file(tmp_path / "a.safetensors")
    assert outcome.crc_checked > 0 or legacy


def test_safetensors_source_converts_to_itself(tmp_path: Path) -> None:
    source = tiny.plain_checkpoint(tmp_path / "a.safetensors")
    convert(source, tiny.read_directory(source), tmp_path / "b.safetensors", Recipe(), metadata=PLAIN)
    assert (tmp_path / "b.safetensors").read_bytes() == source.read_bytes()


@pytest.mark.parametrize(("precision", "dtype"), [("fp16", torch.float16), ("bf16", torch.bfloat16), ("fp32", torch.float32)])
def test_pruned_variant_is_what_torch_makes(tmp_path: Path, precision: str, dtype: torch.dtype) -> None:
    source = tiny.lightning_checkpoint(tmp_path / "a.ckpt", dtype=torch.float16 if precision == "fp32" else torch.float32)
    recipe = Recipe("weights", precision)  # type: ignore[arg-type]
    outcome = convert(source, tiny.read_directory(source), tmp_path / "b.safetensors", recipe, metadata=PLAIN)
    state = torch.load(source, weights_only=True)["state_dict"]
    kept = {name: tensor for name, tensor in state.items() if not name.startswith("model_ema.")}
    want = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in kept.items()}
    assert (tmp_path / "b.safetensors").read_bytes() == oracle(want, tmp_path / "oracle.safetensors")
    assert {reason: dropped.count for reason, dropped in outcome.dropped.items()} == {"training state": 120, "EMA": 686, "EMA counters": 2}


def test_ema_variant_has_the_averages_under_the_weights_names(tmp_path: Path) -> None:
    source = tiny.lightning_checkpoint(tmp_path / "a.ckpt")
    outcome = convert(source, tiny.read_directory(source), tmp_path / "b.safetensors", Recipe("ema"))
    before, after = torch.load(source, weights_only=True)["state_dict"], load_file(tmp_path / "b.safetensors")
    assert not any(name.startswith("model_ema.") for name in after)
    assert len(after) == 1131
    for name, tensor in after.items():
        average = "model_ema." + name.removeprefix("model.").replace(".", "")
        assert torch.equal(tensor, before[average if name.startswith("model.diffusion_model.") else name]), name
    assert outcome.dropped["replaced by EMA"].count == 686
    assert "686 tensors" in outcome.notes[0]


def test_ema_variant_of_a_file_without_averages_is_refused(tmp_path: Path) -> None:
    source = tiny.plain_checkpoint(tmp_path / "a.ckpt")
    with pytest.raises(FormatError, match="weights:no-ema"):
        convert(source, tiny.read_directory(source), tmp_path / "b.safetensors", Recipe("ema"))
    assert os.listdir(tmp_path) == ["a.ckpt"]


def test_a_tensor_with_two_names_is_written_once_and_the_other_name_recorded(tmp_path: Path) -> None:
    state = {
        "b": (shared := torch.full((5,), 7.0)),
        "a": shared,
        "whole": (base := torch.arange(10.0)),
        "half": base[:5],
        "row": base[None],
    }
    torch.save(state, tmp_path / "a.pt")
    directory = tiny.read_directory(tmp_path / "a.pt")
    outcome = convert(tmp_path / "a.pt", directory, tmp_path / "b.safetensors", Recipe())
    with safe_open(tmp_path / "b.safetensors", "pt") as file:
        assert (outcome.aliases, file.metadata()["b"]) == ({"b": "a"}, "a")
    found = load_file(tmp_path / "b.safetensors")
    assert set(found) == {"a", "half", "row", "whole"}
    assert all(torch.equal(tensor, state[name]) for name, tensor in found.items())
    assert outcome.shared == [["half", "row", "whole"]]
    assert outcome.to_json()["aliases"] == {"b": "a"}


def test_a_name_that_metadata_has_already_is_written_out(tmp_path: Path) -> None:
    shared = torch.full((5,), 7.0)
    torch.save({"a": shared, "title": shared, "z": shared}, tmp_path / "a.pt")
    outcome = convert(tmp_path / "a.pt", tiny.read_directory(tmp_path / "a.pt"), tmp_path / "b", Recipe(), metadata={"title": "Lantern"})
    with safe_open(tmp_path / "b", "pt") as file:
        assert file.metadata() == {"title": "Lantern", "z": "a"}
        assert set(file.keys()) == {"a", "title"}
    assert outcome.aliases == {"z": "a"}


def test_other_roots_become_plain_names(tmp_path: Path) -> None:
    embedding, network = tiny.embedding_pt(tmp_path / "e.pt"), tiny.hypernetwork_pt(tmp_path / "h.pt", widths=(320,))
    convert(embedding, tiny.read_directory(embedding), tmp_path / "e.safetensors", Recipe())
    convert(network, tiny.read_directory(network), tmp_path / "h.safetensors", Recipe())
    with safe_open(tmp_path / "e.safetensors", "pt") as file:
        assert file.metadata()["weighhouse.value.name"] == "lantern-style"
    with safe_open(tmp_path / "h.safetensors", "pt") as file:
        assert (file.metadata()["weighhouse.value.activation_func"], file.metadata()["weighhouse.value.layer_structure.1"]) == ("relu", "2")
    want = torch.load(embedding, weights_only=True)["string_to_param"]["*"]
    assert torch.equal(load_file(tmp_path / "e.safetensors")["emb_params"], want)
    assert "320.1.linear.0.weight" in load_file(tmp_path / "h.safetensors")


def test_upscaler_keeps_the_averaged_weights(tmp_path: Path) -> None:
    torch.save({"params": {"conv_first.weight": torch.zeros(3)}, "params_ema": {"conv_first.weight": torch.ones(3)}}, tmp_path / "u.pth")
    outcome = convert(tmp_path / "u.pth", tiny.read_directory(tmp_path / "u.pth"), tmp_path / "u.safetensors", Recipe())
    assert torch.equal(load_file(tmp_path / "u.safetensors")["conv_first.weight"], torch.ones(3))
    assert outcome.dropped["outside of params_ema"].examples == ["params.conv_first.weight"]


def test_metadata_keeps_the_source_s_own_but_not_its_hashes(tmp_path: Path) -> None:
    stale = {"sshs_model_hash": "aa", "sshs_legacy_hash": "bb", "modelspec.hash_sha256": "0xcc", "weighhouse.source_sha256": "old"}
    source = tiny.lora_safetensors(tmp_path / "a.safetensors", metadata={**tiny.KOHYA, **stale})
    directory, recipe = tiny.read_directory(source), Recipe("all", "bf16")
    metadata = derived_metadata(directory, recipe, source_sha256="AB" * 32)
    convert(source, directory, tmp_path / "b.safetensors", recipe, metadata=metadata)
    with safe_open(tmp_path / "b.safetensors", "pt") as file:
        got = file.metadata()
    assert got == metadata
    assert got["weighhouse.source_sha256"] == "ab" * 32
    assert got["weighhouse.converter"] == CONVERTER_VERSION
    assert set(tiny.KOHYA) < set(got)
    assert not {"sshs_model_hash", "sshs_legacy_hash", "modelspec.hash_sha256"} & set(got)


def test_same_source_and_recipe_give_the_same_bytes(tmp_path: Path) -> None:
    source = tiny.lora_safetensors(tmp_path / "a.safetensors")
    digests = set()
    for name in ("b", "c"):
        convert(source, tiny.read_directory(source), tmp_path / name, Recipe("all", "fp32"))
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(digests) == 1


def test_open_file_is_as_good_as_a_path(tmp_path: Path) -> None:
    source = tiny.plain_checkpoint(tmp_path / "a.safetensors")
    convert(io.BytesIO(source.read_bytes()), tiny.read_directory(source), tmp_path / "b", Recipe(), metadata=PLAIN)
    assert (tmp_path / "b").read_bytes() == source.read_bytes()


def test_values_too_large_for_half_become_infinite_and_are_warned_about(tmp_path: Path) -> None:
    save_file({"fine": torch.ones(3), "huge": torch.tensor([1.0, 65519.0, 65520.0, -1e6])}, tmp_path / "a.safetensors")
    directory = tiny.read_directory(tmp_path / "a.safetensors")
    outcome = convert(tmp_path / "a.safetensors", directory, tmp_path / "b", Recipe("all", "fp16"))
    assert load_file(tmp_path / "b")["huge"].tolist() == [1.0, 65504.0, float("inf"), float("-inf")]
    assert (outcome.losses.overflow, list(outcome.lossy)) == (2, ["huge"])
    assert (outcome.comparison.rounded, outcome.comparison.max_abs_error, outcome.comparison.worst) == (1, 15.0, "huge")
    assert outcome.warnings == outcome.to_json()["warnings"]
    assert "2 values in 1 tensor became infinite (huge): too large for fp16." in outcome.warnings[0]
    assert convert(tmp_path / "a.safetensors", directory, tmp_path / "c", Recipe("all", "bf16")).warnings == []


def test_infinities_and_underflow_are_counted_by_tensor(tmp_path: Path) -> None:
    save_file({"a": torch.tensor([float("nan"), float("inf"), 1.0]), "b": torch.tensor([1e-20, 0.0])}, tmp_path / "a.safetensors")
    outcome = convert(tmp_path / "a.safetensors", tiny.read_directory(tmp_path / "a.safetensors"), tmp_path / "b", Recipe("all", "fp16"))
    assert (outcome.lossy["a"].nonfinite, outcome.lossy["b"].underflow) == (2, 1)
    assert outcome.to_json()["losses"] == {"overflow": 0, "underflow": 1, "nonfinite": 2}
    assert outcome.to_json()["comparison"]["nan_kept"] == 1


def test_position_ids_that_became_floats_are_written_as_integers_and_said(tmp_path: Path) -> None:
    name = "cond_stage_model.transformer.text_model.embeddings.position_ids"
    drifted = torch.arange(77.0)[None] + 0.01
    save_file({name: drifted, "w": torch.ones(2)}, tmp_path / "a.safetensors")
    directory = tiny.read_directory(tmp_path / "a.safetensors")
    variant = convert(tmp_path / "a.safetensors", directory, tmp_path / "b", Recipe("weights", "fp16"))
    assert torch.equal(load_file(tmp_path / "b")[name], torch.arange(77)[None])
    assert "written as I64" in variant.notes[0]
    twin = convert(tmp_path / "a.safetensors", directory, tmp_path / "c", Recipe())
    assert torch.equal(load_file(tmp_path / "c")[name], drifted)
    assert "left as it is" in twin.notes[0] or "was left" in twin.notes[0]


def test_damaged_bytes_are_found_by_the_container_s_checksum(tmp_path: Path) -> None:
    source = tiny.plain_checkpoint(tmp_path / "a.ckpt")
    directory = tiny.read_directory(source)
    storage = max(directory.storages, key=lambda candidate: candidate.size)
    blob = bytearray(source.read_bytes())
    blob[storage.start + storage.size // 2] ^= 1
    source.write_bytes(blob)
    torch.load(source, weights_only=True)  # torch does not notice
    with pytest.raises(FormatError, match="weights:crc-mismatch"):
        convert(source, directory, tmp_path / "b.safetensors", Recipe())
    assert os.listdir(tmp_path) == ["a.ckpt"]


def test_damage_is_found_in_bytes_that_no_tensor_shows(tmp_path: Path) -> None:
    torch.save({"part": torch.arange(100.0)[:10]}, tmp_path / "a.pt")
    directory = tiny.read_directory(tmp_path / "a.pt")
    blob = bytearray((tmp_path / "a.pt").read_bytes())
    blob[directory.storages[0].start + 300] ^= 1
    (tmp_path / "a.pt").write_bytes(blob)
    with pytest.raises(FormatError, match="weights:crc-mismatch"):
        convert(tmp_path / "a.pt", directory, tmp_path / "b", Recipe())


def test_file_without_checksums_is_converted_unchecked(tmp_path: Path) -> None:
    source = tiny.plain_checkpoint(tmp_path / "a.ckpt")
    directory = tiny.read_directory(source)
    silent = replace(directory, storages=tuple(replace(storage, crc32=0) for storage in directory.storages))
    assert convert(source, silent, tmp_path / "b", Recipe()).crc_checked == 0


def test_truncated_source_is_refused(tmp_path: Path) -> None:
    source = tiny.plain_checkpoint(tmp_path / "a.safetensors")
    directory = tiny.read_directory(source)
    os.truncate(source, source.stat().st_size - 1)
    with pytest.raises(FormatError, match="weights:truncated"):
        convert(source, directory, tmp_path / "b", Recipe())


def one_tensor(entry: TensorEntry, size: int = 64) -> TensorDirectory:
    return TensorDirectory("torch-zip", (Storage("0", 0, size),), (entry,))


@pytest.mark.parametrize(
    "entry",
    [
        TensorEntry(("a",), "F32", (17,), 0, 0, (1,)),
        TensorEntry(("a",), "F32", (16,), 0, 1, (1,)),
        TensorEntry(("a",), "F32", (4, 4), 0, 0, (5, 1)),
        TensorEntry(("a",), "F32", (4,), 0, 0, (-1,)),
        TensorEntry(("a",), "F32", (4,), 0, -1, (1,)),
        TensorEntry(("a",), "F32", (4, 4), 0, 0, (1,)),
    ],
    ids=["too long", "offset", "stride", "negative stride", "negative offset", "stride missing"],
)
def test_views_outside_of_their_storage_are_refused(tmp_path: Path, entry: TensorEntry) -> None:
    (tmp_path / "a").write_bytes(bytes(64))
    with pytest.raises(FormatError, match="weights:view-outside"):
        convert(tmp_path / "a", one_tensor(entry), tmp_path / "b", Recipe())


def test_expanded_bomb_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(64))
    with pytest.raises(LimitExceeded, match="weights:too-large"):
        convert(tmp_path / "a", one_tensor(TensorEntry(("a",), "F32", (1 << 40,), 0, 0, (0,))), tmp_path / "b", Recipe())
    many = tuple(TensorEntry((f"t{n}",), "F32", (1 << 20,), 0, 0, (0,)) for n in range(20))
    with pytest.raises(LimitExceeded, match="weights:too-large"):
        convert(tmp_path / "a", replace(one_tensor(many[0]), tensors=many), tmp_path / "b", Recipe())


def test_sparse_views_are_gathered_without_reading_all_between(tmp_path: Path) -> None:
    numbers = np.arange(6_000_000, dtype="<f4")
    (tmp_path / "a").write_bytes(numbers.tobytes())
    sparse = TensorEntry(("a",), "F32", (3, 2, 5), 0, 7, (1_900_000, 1, 400_000))
    convert(tmp_path / "a", one_tensor(sparse, numbers.nbytes), tmp_path / "b", Recipe())
    strides = tuple(4 * step for step in sparse.stride)
    want = np.lib.stride_tricks.as_strided(numbers[7:], sparse.shape, strides)
    assert np.array_equal(load_file(tmp_path / "b")["a"].numpy(), want)


def test_the_step_of_an_axis_of_one_element_may_be_any_number(tmp_path: Path) -> None:
    numbers = np.arange(16, dtype="<f4")
    (tmp_path / "a").write_bytes(numbers.tobytes())
    convert(tmp_path / "a", one_tensor(TensorEntry(("a",), "F32", (1, 4), 0, 1, (1 << 62, 3))), tmp_path / "b", Recipe())
    assert load_file(tmp_path / "b")["a"].tolist() == [[1.0, 4.0, 7.0, 10.0]]


def test_file_made_to_be_gathered_for_days_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inference.weights.source.GATHER_FREE", 0)
    (tmp_path / "a").write_bytes(bytes(1 << 20))
    views = tuple(TensorEntry((f"t{n}",), "F32", (2,), 0, n, (200_000,)) for n in range(3000))
    with pytest.raises(LimitExceeded, match="weights:too-scattered"):
        convert(tmp_path / "a", replace(one_tensor(views[0], 1 << 20), tensors=views), tmp_path / "b", Recipe())


def test_file_without_tensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    with pytest.raises(FormatError, match="weights:no-tensors"):
        convert(tmp_path / "a", TensorDirectory("torch-zip", (), ()), tmp_path / "b", Recipe())


@pytest.mark.parametrize("name", ["__metadata__", "\ud800", "", "a\0b", "x" * 1025], ids=["reserved", "surrogate", "empty", "NUL", "long"])
def test_names_that_safetensors_cannot_hold_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "a").write_bytes(bytes(64))
    with pytest.raises(FormatError, match="weights:name"):
        convert(tmp_path / "a", one_tensor(TensorEntry((name,), "F32", (4,), 0, 0, (1,))), tmp_path / "b", Recipe())


def test_progress_is_told_in_bytes_and_ends_complete(tmp_path: Path) -> None:
    source = tiny.plain_checkpoint(tmp_path / "a.safetensors")
    seen: list[tuple[int, int]] = []
    convert(source, tiny.read_directory(source), tmp_path / "b", Recipe(), progress=lambda *step: seen.append(step))
    done = [step for step, _ in seen]
    assert done == sorted(done)
    assert seen[-1][0] == seen[-1][1] == 2 * sum(tensor.nbytes for tensor in load_file(tmp_path / "b").values())


def test_existing_target_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    source = tiny.plain_checkpoint(tmp_path / "a.ckpt")
    directory = tiny.read_directory(source)
    target = tmp_path / "b.safetensors"
    target.write_bytes(b"old")
    during: list[bytes] = []
    convert(source, directory, target, Recipe(), metadata=PLAIN, progress=lambda *_: during.append(target.read_bytes()))
    assert set(during) == {b"old"}
    assert target.stat().st_size > 2_000_000


def test_outcome_is_plain_json(tmp_path: Path) -> None:
    source = tiny.lightning_checkpoint(tmp_path / "a.ckpt")
    outcome = convert(source, tiny.read_directory(source), tmp_path / "b", Recipe("weights", "fp16"))
    data = json.loads(json.dumps(outcome.to_json()))
    assert data["recipe"] == {"keep": "weights", "precision": "fp16"}
    assert data["hashes"]["SHA256"] == hashlib.sha256((tmp_path / "b").read_bytes()).hexdigest().upper()
    assert data["values"] == ["callbacks", "epoch", "global_step", "lr_schedulers", "optimizer_states", "pytorch-lightning_version"]
    assert data["comparison"]["rounded"] + data["comparison"]["equal"] == data["tensors"] == 1131
    assert 0 < data["comparison"]["max_abs_error"] < np.finfo(np.float16).eps
