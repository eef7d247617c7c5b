"""What `manage compile_renderer` refuses before any compiler starts; that one makes code which is used is told by `test_compiled`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.renderable import checkpoint_shapes, file_of, lora_shapes

pytestmark = pytest.mark.django_db


def test_without_a_folder_nothing_is_compiled(creator: Any) -> None:
    file = file_of(creator, checkpoint_shapes())
    with pytest.raises(CommandError, match="WEIGH_RENDER_COMPILE names no folder"):
        call_command("compile_renderer", file.version_id)


def test_what_is_no_checkpoint_or_no_size_is_refused_in_words(creator: Any, settings: Any, tmp_path: Path) -> None:
    settings.RENDER_COMPILE = str(tmp_path / "compiled")
    file, lora = file_of(creator, checkpoint_shapes()), file_of(creator, lora_shapes())
    for version, more, words in (
        (0, {}, "no version 0"),
        (lora.version_id, {}, "no Stable Diffusion UNet"),
        (file.version_id, {"size": "100x"}, "written 512x768"),
        (file.version_id, {"size": "100x64"}, "multiples of 8"),
    ):
        with pytest.raises(CommandError, match=words):
            call_command("compile_renderer", version, **more)
    assert not (tmp_path / "compiled").exists()
