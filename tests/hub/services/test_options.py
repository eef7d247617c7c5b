"""The command line of `./weigh up` and where its defaults come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.services.console import Refusal
from hub.services.folders import ROOT
from hub.services.options import split_data, up_options

VARIABLES = ("WEIGH_PORT", "WEIGH_HOST", "WEIGH_DATA", "WEIGH_STORAGE", "WEIGH_NO_RENDER", "WEIGH_NO_SAMPLES", "WEIGH_CALLED_FROM")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_defaults_are_the_promised_ones() -> None:
    options = up_options([])
    assert (options.data, options.port, options.host, options.storage) == (ROOT / "var", 8000, "127.0.0.1", "local")
    assert options.render
    assert options.samples
    assert options.origin == "http://127.0.0.1:8000"


def test_environment_chooses_and_options_win(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {"WEIGH_PORT": "9001", "WEIGH_STORAGE": "s3", "WEIGH_DATA": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    options = up_options([])
    assert (options.data, options.port, options.storage) == (tmp_path, 9001, "s3")
    assert up_options(["--port", "9002", "--storage=local"]).port == 9002


def test_data_folder_is_relative_to_where_the_command_was_typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WEIGH_CALLED_FROM", str(tmp_path))
    assert up_options(["--data", "mine"]).data == tmp_path / "mine"


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", ""])
def test_wrong_port_is_refused(port: str) -> None:
    with pytest.raises(Refusal, match="is not a port"):
        up_options([f"--port={port}"])


def test_wrong_storage_is_refused() -> None:
    with pytest.raises(Refusal, match="choose local or s3"):
        up_options(["--storage", "ftp"])


def test_unknown_option_is_refused_with_a_sentence() -> None:
    with pytest.raises(Refusal, match="--prot"):
        up_options(["--prot", "1"])


def test_address_to_type_is_a_real_one() -> None:
    assert up_options(["--host", "::"]).origin == "http://127.0.0.1:8000"
    assert up_options(["--host", "::1"]).origin == "http://[::1]:8000"


def test_manage_takes_only_a_leading_data_option(tmp_path: Path) -> None:
    assert split_data(["--data", str(tmp_path), "loaddata", "--data", "x"]) == (tmp_path, ["loaddata", "--data", "x"])
    assert split_data([f"--data={tmp_path}", "check"]) == (tmp_path, ["check"])
    assert split_data(["check", "--data", "x"]) == (ROOT / "var", ["check", "--data", "x"])
    with pytest.raises(Refusal, match="needs a folder"):
        split_data(["--data"])
