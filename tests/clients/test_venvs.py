"""How the environments of client programs come about: once, from what is pinned, and with a reason where they cannot."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.clients import venvs


@pytest.fixture
def listings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for requirements files whose environments lie beside it; no index answers."""
    monkeypatch.setattr(venvs, "LISTINGS", tmp_path)
    monkeypatch.setattr(venvs, "FOLDER", tmp_path / "made")
    monkeypatch.setattr(venvs, "_refused", {})
    for name in ("UV_FIND_LINKS", "PIP_FIND_LINKS", "UV_EXTRA_INDEX_URL", "UV_INDEX"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "UV_INDEX_URL": "http://127.0.0.1:9/simple",
        "UV_HTTP_RETRIES": "0",
        "UV_CACHE_DIR": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def test_an_index_that_cannot_be_reached_is_a_reason_to_skip(listings: Path) -> None:
    (listings / "program.txt").write_text("civitapy==0.1.3\n")
    for _ in range(2):
        with pytest.raises(pytest.skip.Exception, match=r"program cannot be installed here: .*127\.0\.0\.1:9"):
            venvs.client_python("program")


def test_a_python_that_nobody_has_is_a_reason_to_skip(listings: Path) -> None:
    (listings / "program.txt").write_text("# python 3.97\ncivitapy==0.1.3\n")
    with pytest.raises(pytest.skip.Exception, match=r"it needs Python 3\.97 or newer"):
        venvs.client_python("program")


def test_a_list_that_is_no_list_is_our_mistake_and_no_reason(listings: Path) -> None:
    (listings / "program.txt").write_text("civitapy==\n")
    with pytest.raises(AssertionError):
        venvs.client_python("program")


def test_an_environment_is_made_once_and_anew_when_its_list_changes(listings: Path) -> None:
    listing = listings / "program.txt"
    listing.write_text("# nothing\n")
    first = venvs.client_python("program")
    stamp = first.stat().st_ctime_ns
    assert (venvs.client_python("program"), first.stat().st_ctime_ns) == (first, stamp)
    assert subprocess.run([first, "-c", "import sys; sys.exit(sys.prefix == sys.base_prefix)"], check=False).returncode == 0
    listing.write_text("# nothing else\n")
    second = venvs.client_python("program")
    assert second != first
    assert not first.exists()
