"""The data folder: its lock, its secrets, its socket folder, its logs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hub.services import folders
from hub.services.console import Refusal
from hub.services.folders import DataFolder


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    made = DataFolder(tmp_path / "data")
    made.prepare()
    return made


def test_second_lock_is_refused_with_the_holder(folder: DataFolder) -> None:
    with folder.lock(), pytest.raises(Refusal, match=rf"already running on .* \(process {os.getpid()}\)"), DataFolder(folder.path).lock():
        pass


def test_holder_is_known_while_the_lock_is_held_and_not_after(folder: DataFolder) -> None:
    with folder.lock():
        assert DataFolder(folder.path).holder() == os.getpid()
    assert DataFolder(folder.path).holder() is None


def test_secret_is_made_once_and_private(folder: DataFolder) -> None:
    first = folder.secret("key")
    assert len(first) == 43
    assert folder.secret("key") == first
    assert folder.secret("other") != first
    assert (folder.secrets / "key").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder of somebody else")
def test_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    with pytest.raises(Refusal, match=r"belongs to nobody; run \./weigh as that user or choose another with --data"):
        DataFolder(tmp_path).prepare()


def test_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Refusal, match=r"cannot be used .*--data"):
        DataFolder(tmp_path / "file" / "data").prepare()


def test_sockets_lie_in_the_data_folder_when_its_path_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    assert DataFolder(Path("/srv/weighhouse")).sockets() == Path("/srv/weighhouse/run")


def test_long_path_gets_a_short_private_socket_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    if len(str(tmp_path)) >= 60:
        monkeypatch.delenv("XDG_RUNTIME_DIR")
    long = DataFolder(tmp_path / ("d" * 120))
    short = long.sockets()
    try:
        assert len(f"{short}/.s.PGSQL.5432.lock") <= 100
        assert short.stat().st_mode & 0o777 == 0o700
        assert long.sockets() == short
    finally:
        short.rmdir()


def test_socket_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    with pytest.raises(Refusal, match="not a private folder"):
        folders.own_folder(open_to_all)


def test_socket_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(Refusal, match="not a private folder"):
        folders.own_folder(tmp_path / "link")


def test_only_long_logs_are_moved_aside_and_three_are_kept(folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "LOG_BYTES", 10)
    folder.log("short").write_text("short")
    for round_ in range(5):
        folder.log("web").write_text(f"a long log, round {round_}")
        folder.rotate_logs()
    kept = sorted(path.name for path in folder.logs.iterdir())
    assert kept == ["short.log", "web.log.1", "web.log.2", "web.log.3"]
    assert (folder.logs / "web.log.1").read_text().endswith("round 4")
    assert (folder.logs / "web.log.3").read_text().endswith("round 2")


def test_environment_is_kept_private_and_read_back(folder: DataFolder) -> None:
    folder.write_environment({"WEIGH_SECRET_KEY": "s"})
    assert folder.read_environment() == {"WEIGH_SECRET_KEY": "s"}
    assert (folder.run / "env.json").stat().st_mode & 0o777 == 0o600
