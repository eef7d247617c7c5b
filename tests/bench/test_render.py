"""The bench of rendering still asks diffusers in its own words and counts as it says; its figures are made by running it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench import render, render_peers


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("bench")
    path = render.checkpoint(folder, "tiny")
    config = render_peers.write_config(path, folder / "config")
    told = render._orders(path, "cpu", 1, tiny=True) | {"config": str(config), "dtype": "float32"}
    return {**told, "prompts": list(told["prompts"][:1])}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of its own scheduler
def test_diffusers_takes_our_configuration_and_renders_offline(orders: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    taken = render_peers.diffusers(orders)
    assert all(taken[name] > 0 for name in ("load", "first", "pictures", "cpu", "peak"))


def test_the_floor_brings_every_number_to_the_device(orders: dict[str, Any]) -> None:
    taken = render_peers.floor(orders)
    assert taken["read"] > 0
    assert taken["copy"] > 0


def test_a_file_is_made_once(orders: dict[str, Any]) -> None:
    path = Path(orders["checkpoint"])
    before = path.stat().st_mtime_ns
    assert render.checkpoint(path.parent, "tiny") == path
    assert path.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("device", "load", "pictures", "missed"),
    [
        ("cpu", 1.0, 10.0, []),
        ("cpu", 3.0, 20.0, ["images a second, ours / diffusers", "load, ours / diffusers"]),
        ("cuda", 1.0, 10.0, []),
        ("cuda", 1.5, 11.0, ["images a second, ours / diffusers", "load, ours / floor"]),
    ],
)
def test_ratios_and_missed_targets_are_named(
    device: str, load: float, pictures: float, missed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    done = {"versions": {"torch": "2"}, "dtype": "float16", "batches": [{"pictures": 12}], "sandbox": ["seccomp"], "notes": [], "unfit": []}
    facts = {"device": device, "device_name": "a card"}
    ours = {"start": 1, "load": load, "first": 1, "pictures": pictures, "cpu": 5, "peak": 1e9, "facts": facts, "done": done}
    theirs = {"start": 1, "load": 2, "first": 1, "pictures": 20, "cpu": 10, "peak": 2e9}
    told = {"prompts": [""] * 12, "size": 512, "steps": 20, "threads": 2}
    assert render.show(told, [ours], [theirs], [{"read": 0.6, "copy": 0.4}]) == missed
    printed = capsys.readouterr().out
    assert f"ours / diffusers: {20 / pictures:.2f}x" in printed
    assert "processor time of the pictures, diffusers / ours: 2.00x" in printed
    assert "floor of loading: 1.00 s" in printed
    assert printed.count("MISSED") == len(missed)
