"""What the hub's processes are told, and what of the caller's environment does not reach them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.services.environment import hub_environment
from hub.services.folders import DataFolder
from hub.services.options import UpOptions
from hub.services.postgres import Postgres
from hub.services.seaweed import Seaweed
from hub.services.valkey import Valkey

NAMES = ("DATABASE_URL", "WEIGH_BROKER_URL", "WEIGH_CACHE_URL", "WEIGH_S3_ENDPOINT", "WEIGH_S3_PUBLIC_ENDPOINT")


@pytest.fixture(autouse=True)
def no_stores_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMES, "WEIGH_ALLOWED_HOSTS", "WEIGH_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)


def options(data: Path, host: str = "127.0.0.1") -> UpOptions:
    return UpOptions(data, 8123, host, "s3", render=True, samples=False)


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    made = DataFolder(tmp_path)
    made.prepare()
    return made


def test_embedded_stores_are_named(folder: DataFolder) -> None:
    found = hub_environment(folder, options(folder.path), Postgres(folder), Valkey(folder), Seaweed(folder))
    assert found["DATABASE_URL"].startswith("postgresql://hub@/hub?host=%2F")
    assert found["WEIGH_BROKER_URL"].startswith("redis+socket:///")
    assert found["WEIGH_CACHE_URL"].startswith("unix:///")
    assert found["WEIGH_S3_ENDPOINT"].startswith("http://127.0.0.1:")
    assert found["WEIGH_S3_PUBLIC_ENDPOINT"] == ""  # under whatever name the hub was called
    assert found["WEIGH_S3_BUCKET"] != found["WEIGH_S3_QUARANTINE_BUCKET"]


def test_stores_of_somebody_else_keep_their_addresses(folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://db.example.org/hub")
    found = hub_environment(folder, options(folder.path), None, None, None)
    assert found["DATABASE_URL"] == "postgresql://db.example.org/hub"


def test_caller_python_does_not_reach_the_hub(folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")
    for name in names:
        monkeypatch.setenv(name, "1")
    found = hub_environment(folder, options(folder.path), None, None, None)
    assert not set(names) & set(found)


def test_hub_answers_under_the_address_it_listens_on(folder: DataFolder) -> None:
    found = hub_environment(folder, options(folder.path, "192.0.2.7"), None, None, None)
    assert found["WEIGH_ALLOWED_HOSTS"] == "192.0.2.7"
    everywhere = hub_environment(folder, options(folder.path, "::"), None, None, None)
    assert "::" not in everywhere["WEIGH_ALLOWED_HOSTS"].split(",")
    assert everywhere["WEIGH_ALLOWED_HOSTS"]


def test_secret_key_is_made_once(folder: DataFolder) -> None:
    first, second = (hub_environment(folder, options(folder.path), None, None, None)["WEIGH_SECRET_KEY"] for _ in range(2))
    assert first == second
    assert len(first) >= 43
