"""`python -m inference.diffusion`: one run of the whole way, hub or no hub, and a sentence for everything that cannot be."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from inference.diffusion import infotext
from inference.diffusion.command import main
from tests.diffusion_models import tiny_checkpoint, tiny_lora
from tests.registry.sandbox.machine import on_linux


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("models") / "tiny.safetensors")


@on_linux
def test_pictures_are_rendered_in_the_locked_child_and_tell_what_they_were_made_of(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lora = tiny_lora(tmp_path / "style.safetensors")
    out = tmp_path / "out.png"
    words = [str(model), "--prompt", "a (red:1.2) circle <lora:style:0.5>", "--negative", "blue", "--size", "64x72", "--steps", "2"]
    words += ["--sampler", "Euler a", "--seed", "5", "--count", "2", "--lora", str(lora), "--device", "cpu", "--threads", "1"]
    assert main([*words, "-o", str(out)]) == 0, capsys.readouterr().err
    made = [tmp_path / "out-1.png", tmp_path / "out-2.png"]
    assert capsys.readouterr().out.split() == [str(path) for path in made]
    assert not out.exists()
    for number, path in enumerate(made):
        with Image.open(io.BytesIO(path.read_bytes())) as picture:
            assert picture.size == (64, 72)
            picture.load()
        told = infotext.parse(infotext.read(path.read_bytes()) or "")
        assert (str(told["Seed"]), told["Sampler"], str(told["Steps"])) == (str(5 + number), "Euler a", "2")
        assert "<lora:style:0.5>" in str(told)
    assert made[0].read_bytes() != made[1].read_bytes()


class TestRefusals:
    @pytest.mark.parametrize(
        ("more", "code", "words"),
        [
            (["--size", "wide"], 2, "512x768"),
            (["--count", "0"], 2, "--count"),
            (["--steps", "0"], 1, "render:steps"),
            (["--seed", str(2**64)], 1, "render:seed"),
            (["--size", "9999x64"], 1, "render:size"),
            (["--sampler", "Magic"], 1, "render:sampler"),
            (["--prompt", "x" * 20_000], 1, "render:prompt-too-long"),
            (["--lora", "nowhere.safetensors:0.5"], 1, "nowhere.safetensors"),
        ],
    )
    def test_what_cannot_be_is_said_before_anything_starts(
        self, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], code: int, words: str
    ) -> None:
        assert main([str(model), "--prompt", "a", "-o", str(tmp_path / "out.png"), *more]) == code
        assert words in capsys.readouterr().err
        assert list(tmp_path.iterdir()) == []

    def test_a_file_that_is_there_is_not_replaced_unasked(self, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        target = tmp_path / "out.png"
        target.write_bytes(b"kept")
        assert main([str(model), "--prompt", "a", "-o", str(target)]) == 2
        assert "--force" in capsys.readouterr().err
        assert target.read_bytes() == b"kept"

    def test_what_is_no_safetensors_file_is_refused(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        other = tmp_path / "model.ckpt"
        other.write_bytes(b"PK\x03\x04" + bytes(100))
        assert main([str(other), "--prompt", "a", "-o", str(tmp_path / "out.png")]) == 1
        assert "S-" in capsys.readouterr().err
