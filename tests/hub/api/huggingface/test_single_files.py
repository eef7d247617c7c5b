"""diffusers loads whole checkpoints of every family by the hub's configurations, with nothing else at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hub.api.huggingface import configs
from inference.diffusion.families import describe
from registry.formats.safetensors import read_safetensors
from registry.formats.window import Window
from tests.diffusion_models import tiny_inpainting, tiny_refiner, tiny_sd2, tiny_sdxl

MAKERS = {
    "StableDiffusionInpaintPipeline": (tiny_inpainting, 9),
    "StableDiffusionPipeline": (tiny_sd2, 4),
    "StableDiffusionXLPipeline": (tiny_sdxl, 4),
    "StableDiffusionXLImg2ImgPipeline": (tiny_refiner, 4),
}


@pytest.mark.parametrize("pipeline", MAKERS)
def test_a_checkpoint_is_loaded_whole(pipeline: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every parameter comes from the file: none is left empty, and none is of a shape that diffusers guessed."""
    import diffusers
    import torch

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    make, channels = MAKERS[pipeline]
    checkpoint = make(tmp_path / "x.safetensors")
    with checkpoint.open("rb") as file:
        shapes = {str(row.path[0]): row.shape for row in read_safetensors(Window(file)).tensors}
    for path, content in configs.layout(describe(shapes)).items():
        (tmp_path / "config" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "config" / path).write_bytes(content)
    diffusers.utils.logging.disable_progress_bar()
    pipe: Any = getattr(diffusers, pipeline).from_single_file(str(checkpoint), config=str(tmp_path / "config"))
    modules = {name: part for name, part in pipe.components.items() if isinstance(part, torch.nn.Module)}
    assert {"unet", "vae"} < set(modules)
    assert not [name for part in modules.values() for name, one in part.named_parameters() if one.is_meta]
    assert pipe.unet.config.in_channels == channels
    held = sum(one.numel() for part in modules.values() for one in part.parameters())
    stored = sum(_size(shape) for name, shape in shapes.items() if not name.endswith(UNUSED))
    assert held == pytest.approx(stored, rel=0.06)  # OpenCLIP's last layer is in the file, and SD 2 does not use it


UNUSED = ("position_ids", "logit_scale")


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for side in shape:
        size *= side
    return size
