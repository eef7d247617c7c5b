"""The samples go through the pipeline, are published, and publishing them again changes nothing; merges among them are made by the hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from hub import samples
from inference.models import Merge, PreviewSettings
from registry.models import Blob, Entry, File, User, Version
from samples.build import lora
from scanner.models import ScanReport
from tests.intake import drain
from tests.tiny import plain_checkpoint

pytestmark = pytest.mark.django_db(transaction=True)
LICENCE = {"spdx": "CC0-1.0", "allow_derivatives": True, "allow_commercial_use": ["Image"]}


@pytest.fixture(autouse=True)
def workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples.time, "sleep", lambda _: drain())  # the workers' part, in this process


def sample(name: str, kind: str, **version: Any) -> dict[str, Any]:
    about = {"name": "v1", "base_model": "SD 1.5", "description": "", "trigger_words": [], "settings": {"steps": 12}}
    plain = {"creator": "mill", "name": name, "kind": kind, "description": "", "tags": ["tiny"], "rating": 1, "licence": LICENCE}
    return {**plain, "version": {**about, **version}}


def merge_of(first: str, second: str, **recipe: Any) -> dict[str, Any]:
    recipe = {"method": "weighted_sum", "multiplier": 0.5, **recipe}
    inputs = {"a": ["Grain", first], "b": ["Flour", second]}
    return sample("Dough", "checkpoint", merge={"recipe": recipe, "inputs": inputs}, prompts=["a loaf"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two half-precision checkpoints and a LoRA of random numbers, with the merge of the first two described before them all."""
    for seed, name in enumerate(("grain", "flour")):
        plain_checkpoint(tmp_path / f"{name}.safetensors", dtype=torch.float16, seed=seed)
    lora(tmp_path / "salt.safetensors")
    parts = [
        merge_of("grain.safetensors", "flour.safetensors"),
        sample("Salt", "lora", file="salt.safetensors", base="Grain", prompts=["a bun", "a roll"], negative_prompt="crumbs"),
        sample("Grain", "checkpoint", file="grain.safetensors"),
        sample("Flour", "checkpoint", file="flour.safetensors"),
    ]
    (tmp_path / "samples.json").write_text(json.dumps(parts))
    return tmp_path


def test_the_shipped_samples_are_published_through_the_pipeline() -> None:
    lines: list[str] = []
    assert samples.publish(lines.append) == len(samples._read(samples.FOLDER)), lines
    assert ScanReport.objects.values("blob").distinct().count() == Blob.objects.count()
    assert not File.objects.exclude(state="ready").exists()
    for entry in Entry.objects.all():
        detected = entry.versions.get().files.filter(role="uploaded").get().blob.detected
        assert detected["kind"] == entry.kind


def test_a_merge_is_made_of_published_samples_and_published_with_its_own_words(folder: Path) -> None:
    lines: list[str] = []
    assert samples.publish(lines.append, folder) == 4, lines
    merge = Merge.objects.get()
    assert merge.owner == User.objects.get(username="mill")
    assert {row.name for row in merge.inputs.all()} == {"grain.safetensors", "flour.safetensors"}
    version = Version.objects.get(entry__name="Dough")
    assert version == merge.result.version
    assert (version.name, version.status, version.steps) == ("v1", "published", 12)
    assert PreviewSettings.objects.get(version=version).prompts == ["a loaf"]


def test_previews_are_set_up_and_publishing_again_changes_nothing(folder: Path) -> None:
    samples.publish(print, folder)
    told = PreviewSettings.objects.get(version__entry__name="Salt")
    assert told.base == Version.objects.get(entry__name="Grain")
    assert (told.prompts, told.negative_prompt) == (["a bun", "a roll"], "crumbs")

    before = set(Entry.objects.values_list("pk", "updated_at"))
    samples.publish(print, folder)
    assert set(Entry.objects.values_list("pk", "updated_at")) == before
    assert Merge.objects.count() == 1


def test_a_merge_that_is_refused_is_said_and_the_rest_is_published(folder: Path) -> None:
    parts = json.loads((folder / "samples.json").read_text())
    parts[0] = merge_of("grain.safetensors", "flour.safetensors", multiplier=99)
    (folder / "samples.json").write_text(json.dumps(parts))
    lines: list[str] = []
    assert samples.publish(lines.append, folder) == 3
    assert any(line.startswith("Dough: ") and "number" in line for line in lines), lines
    assert not Merge.objects.exists()


def test_what_previews_show_is_told_before_there_is_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deposit, told = samples.deposit, {}

    def watched(version: Version, *more: Any) -> Any:
        row = PreviewSettings.objects.filter(version=version).first()
        told[version.entry.name] = (row.prompts, row.negative_prompt) if row else None
        return deposit(version, *more)

    monkeypatch.setattr(samples, "deposit", watched)
    samples.publish(print, folder)
    assert told == {"Salt": (["a bun", "a roll"], "crumbs"), "Grain": None, "Flour": None}
    assert PreviewSettings.objects.get(version__entry__name="Salt").base.entry.name == "Grain"
