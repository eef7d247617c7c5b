"""Downloads are appended at once and folded later, each exactly once."""

from __future__ import annotations

import pytest

from registry import counters
from tests.factories import FileFactory

pytestmark = pytest.mark.django_db


def test_folding_adds_each_download_once_to_file_version_and_entry() -> None:
    files = [FileFactory(), FileFactory()]
    for file in (files[0], files[0], files[1]):
        counters.count_download(file)
    assert counters.fold() == 3
    assert counters.fold() == 0
    for file, count in zip(files, (2, 1), strict=True):
        file.refresh_from_db()
        assert (file.download_count, file.version.download_count, file.version.entry.download_count) == (count, count, count)
