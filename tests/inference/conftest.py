"""A checkpoint and a LoRA for it, as rows: what previews are planned of. Tests that need others of these names define their own.

And one locked render child for the whole session: importing torch takes it five seconds of a processor each time that it starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inference import previews
from inference.diffusion.t5folder import for_child
from inference.engine import Engine
from registry.models import File
from tests.renderable import checkpoint_shapes, file_of, lora_shapes


@pytest.fixture
def base(creator: Any) -> File:
    return file_of(creator, checkpoint_shapes(), name="lantern.safetensors", version={"trigger_words": ["lanternlight"]})


@pytest.fixture
def lora(creator: Any, base: File) -> File:
    file = file_of(creator, lora_shapes(), name="ink.safetensors", version={"trigger_words": ["inkwash", "ink wash painting"]})
    previews.configure(file.version, base=base.version)
    return file


@pytest.fixture(scope="session")
def t5_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny T5 as an admin keeps it."""
    from tests.flow_models import t5_dir

    return t5_dir(tmp_path_factory.mktemp("hub") / "t5")


@pytest.fixture(scope="session")
def render_child(t5_folder: Path) -> Iterator[Engine]:
    """The real one, locked in, lent the folder of T5. It starts when it is first asked, and again where a test has killed it."""
    readable, environment = for_child(t5_folder)
    found = Engine("cpu", threads=1, readable=readable, environment=environment)
    yield found
    found.stop()
