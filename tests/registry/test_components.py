"""Parts of models told by digests: the same VAE, UNet or text encoder in other files, and who may hear of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from django.test import Client
from safetensors.torch import save

from registry import components
from registry.formats.hashes import hash_file
from registry.formats.safetensors import read_safetensors
from registry.formats.window import Window
from registry.models import File, TensorDigests, User
from tests import tiny
from tests.hub.published import published_entry, published_version
from tests.intake import drain, upload_bytes


def parts_of(data: bytes, folder: Path) -> dict[str, str]:
    path = folder / "parts.safetensors"
    path.write_bytes(data)
    with path.open("rb") as opened:
        return components.components(read_safetensors(Window(opened.fileno())), dict(hash_file(path).tensors))


def bit_flipped(state: tiny.State, prefix: str) -> tiny.State:
    """The state with one number of a part changed."""
    name = next(name for name, value in state.items() if name.startswith(prefix) and value.is_floating_point())
    changed = state[name].clone()
    changed.view(-1)[0] += 1
    return {**state, name: changed}


STATE = tiny.state_dict(dtype=torch.float16)
"""Of half precision: the pipeline makes no other variant of such a file."""
PREFIXES = {"unet": "model.diffusion_model.", "vae": "first_stage_model.", "te": "cond_stage_model."}


def test_a_checkpoint_has_three_parts(tmp_path: Path) -> None:
    found = parts_of(save(STATE), tmp_path)
    assert found.keys() == {"unet", "vae", "te"}
    assert all(len(digest) == 64 for digest in found.values())


@pytest.mark.parametrize("part", ["unet", "vae", "te"])
def test_a_changed_number_changes_its_part_alone(part: str, tmp_path: Path) -> None:
    one, other = parts_of(save(STATE), tmp_path), parts_of(save(bit_flipped(STATE, PREFIXES[part])), tmp_path)
    assert {name for name in one if one[name] != other[name]} == {part}


def test_a_vae_is_the_same_alone_and_inside_of_a_checkpoint(tmp_path: Path) -> None:
    inside = {name.removeprefix("first_stage_model."): value for name, value in STATE.items() if name.startswith("first_stage_model.")}
    left_by_training = {"loss.logvar": torch.zeros(1), "model_ema.decay": torch.tensor(0.99)}
    assert parts_of(save({**inside, **left_by_training}), tmp_path) == {"vae": parts_of(save(STATE), tmp_path)["vae"]}


def test_averages_and_position_ids_do_not_count(tmp_path: Path) -> None:
    without = {name: value for name, value in STATE.items() if not name.endswith("position_ids")}
    assert len(without) < len(STATE)
    assert parts_of(save(tiny.with_ema(without)), tmp_path) == parts_of(save(STATE), tmp_path)


def test_another_precision_is_another_part(tmp_path: Path) -> None:
    one, other = parts_of(save(STATE), tmp_path), parts_of(save(tiny.state_dict()), tmp_path)
    assert not {one[part] for part in one} & {other[part] for part in other}


def test_adapters_have_no_parts(tmp_path: Path) -> None:
    assert parts_of(save(tiny.lora_state()), tmp_path) == {}
    names = {f"diffusion_model.{end}": torch.ones(2, 2) for end in ("blocks.0.lora_A.weight", "blocks.0.lora_B.weight")}
    assert parts_of(save(names), tmp_path) == {}


def test_nothing_is_told_of_tensors_without_digests(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(save(STATE))
    with path.open("rb") as opened:
        directory = read_safetensors(Window(opened.fileno()))
    digests = dict(hash_file(path).tensors)
    digests.pop(next(iter(STATE)))
    assert components.components(directory, digests) == {}


def published(owner: User, name: str, state: tiny.State, **entry: Any) -> File:
    """A file that went the whole way: uploaded, scanned, ready, its version published."""
    version = published_version(published_entry(owner, **entry))
    file = upload_bytes(version, owner, name, save(state))
    drain()
    file.refresh_from_db()
    assert file.state == "ready"
    return file


def told(user: Any, file: File, cap: int = 2) -> dict[str, list[str]]:
    file = File.objects.get(pk=file.pk)
    return {shared.part: [other.name for other in shared.files] for shared in components.shared_parts(user, file, cap)}


def test_files_with_the_same_parts_are_found(creator: User, stranger: User) -> None:
    one = published(creator, "one.safetensors", STATE)
    published(stranger, "other.safetensors", bit_flipped(bit_flipped(STATE, PREFIXES["unet"]), PREFIXES["te"]))
    assert told(None, one) == {"unet": [], "vae": ["other.safetensors"], "te": []}


def test_the_same_tensors_with_other_metadata_are_the_whole(creator: User, stranger: User) -> None:
    one = published(creator, "one.safetensors", STATE)
    version = published_version(published_entry(stranger))
    upload_bytes(version, stranger, "again.safetensors", save(STATE, {"title": "another"}))
    drain()
    found = told(None, one)
    assert found[components.WHOLE] == found["vae"] == ["again.safetensors"]


@pytest.mark.parametrize("hidden", [{"visibility": "private"}, {"visibility": "unlisted"}, {"live": False}, {"rating": 8}])
def test_files_that_browsing_does_not_show_are_not_told_of(creator: User, stranger: User, hidden: dict[str, Any]) -> None:
    one = published(creator, "one.safetensors", STATE)
    published(stranger, "other.safetensors", bit_flipped(STATE, PREFIXES["unet"]), **hidden)
    assert told(creator, one)["vae"] == []
    assert told(None, one)["vae"] == []
    assert told(stranger, one)["vae"] == ["other.safetensors"]


def test_drafts_and_files_that_are_not_served_are_not_told_of(creator: User, stranger: User) -> None:
    one = published(creator, "one.safetensors", STATE)
    other = published(stranger, "other.safetensors", bit_flipped(STATE, PREFIXES["unet"]))
    assert told(None, one)["vae"] == ["other.safetensors"]
    type(other.version).objects.filter(pk=other.version_id).update(status="draft")
    assert told(None, one)["vae"] == []
    type(other.version).objects.filter(pk=other.version_id).update(status="published")
    type(other.blob).objects.filter(pk=other.blob_id).update(verdict="danger")
    assert told(None, one)["vae"] == []


def test_a_pickle_is_compared_by_its_twin_and_the_page_says_so(client: Client, creator: User, stranger: User, tmp_path: Path) -> None:
    data = tiny.plain_checkpoint(tmp_path / "a.ckpt", dtype=torch.float16).read_bytes()
    pickle = upload_bytes(published_version(published_entry(creator)), creator, "a.ckpt", data)
    drain()
    published(stranger, "other.safetensors", bit_flipped(STATE, PREFIXES["unet"]))
    twin = components.digested(pickle)
    assert twin is not None
    assert (twin.source, TensorDigests.objects.filter(blob=pickle.blob_id).exists()) == (pickle, False)
    text = client.get(f"/file/{pickle.pk}").content.decode()
    assert "its safetensors twin" in text
    assert "other.safetensors" in text


def test_page_of_a_file_names_the_others_and_what_the_hash_of_tensors_is(client: Client, creator: User, stranger: User) -> None:
    one = published(creator, "one.safetensors", STATE)
    other = published(stranger, "<b>other.safetensors", bit_flipped(STATE, PREFIXES["unet"]))
    text = client.get(f"/file/{one.pk}").content.decode()
    assert "Tensors (content)" in text
    assert "same for files that differ only in metadata or order" in text
    assert f'href="/file/{other.pk}"' in text
    assert "<b>other" not in text


def test_page_of_bytes_without_digests_shows_nothing_of_parts(client: Client, creator: User) -> None:
    one = published(creator, "one.safetensors", STATE)
    TensorDigests.objects.all().delete()
    assert "Its parts elsewhere" not in client.get(f"/file/{one.pk}").content.decode()
