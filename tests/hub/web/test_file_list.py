"""Which file of a version its page recommends."""

from __future__ import annotations

from typing import Any

import pytest

from hub.web import filelist
from tests.factories import BlobFactory, FileFactory, VersionFactory


@pytest.mark.django_db
@pytest.mark.parametrize("other", ["gguf", "onnx", "bundle", "torch-zip"])
def test_safetensors_is_recommended_before_forms_that_few_programs_take(other: str) -> None:
    version: Any = VersionFactory()
    FileFactory(version=version, state="ready", size_bytes=10, blob=BlobFactory(container=other))
    wanted: Any = FileFactory(version=version, state="ready", size_bytes=1000)
    best = filelist.recommended(version.files.all())
    assert best == wanted
