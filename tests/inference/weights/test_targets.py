"""Sentences about paths, before work is done: pipes and devices stay what they are, and nothing is replaced unasked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from inference.weights.targets import check_sources, check_targets


def test_a_new_name_in_a_folder_is_fine(tmp_path: Path) -> None:
    check_targets([tmp_path / "new"], force=False)
    check_targets([tmp_path / "new"], force=True)


@pytest.mark.parametrize("force", [False, True])
def test_devices_and_pipes_are_never_replaced(tmp_path: Path, force: bool) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (Path(os.devnull), tmp_path / "pipe"):
        with pytest.raises(ValueError, match="pipe" if force else "exists"):
            check_targets([path], force)


def test_a_name_is_taken_by_a_link_that_leads_nowhere_too(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="--force"):
        check_targets([tmp_path / "link"], force=False)
    check_targets([tmp_path / "link"], force=True)


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        check_targets([tmp_path / "there" / "new"], force=False)
    assert caught.value.filename == str(tmp_path / "there")


def test_a_pipe_cannot_be_read_here_and_there(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    check_sources([tmp_path / "file"])
    with pytest.raises(ValueError, match="Save it as a file first"):
        check_sources([tmp_path / "file", tmp_path / "pipe"])
    with pytest.raises(FileNotFoundError):
        check_sources([tmp_path / "nothing"])
