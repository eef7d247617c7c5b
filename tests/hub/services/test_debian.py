"""How programs that only tests need are had: nothing is asked of apt while they are there, or by somebody who may not install."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hub.services import debian

APT = """#!/bin/sh
echo "$@" >> {folder}/asked
case "$1 $WORKS" in
    "install yes") for name in curl wget aria2c; do printf '#!/bin/sh\\n' > {folder}/$name; /bin/chmod +x {folder}/$name; done ;;
    "install ") echo "E: no route to the mirror" >&2; exit 100 ;;
esac
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on the path: it holds an apt-get that keeps what it was asked for, and curl."""
    for name, text in (("apt-get", APT.format(folder=tmp_path)), ("curl", "#!/bin/sh\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return tmp_path


def test_what_is_missing_is_installed_once(machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("WORKS", "yes")
    debian.provide_downloaders()
    debian.provide_downloaders()
    assert (machine / "asked").read_text().splitlines() == ["update -q", "install -qy --no-install-recommends wget aria2"]
    assert "skipped" not in "".join(capsys.readouterr())


def test_what_cannot_be_had_is_said(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    debian.provide_downloaders()
    said = "".join(capsys.readouterr())
    assert "E: no route to the mirror" in said
    assert "its tests are skipped" in said


def test_an_ordinary_user_is_told_what_to_ask_for(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    debian.provide_downloaders()
    assert "As root: apt-get install wget aria2" in "".join(capsys.readouterr())
    assert not (machine / "asked").exists()
