"""The embedded S3: ports kept and checked, keys required, the object really read back."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from hub.services import buckets
from hub.services.console import Refusal
from hub.services.folders import DataFolder
from hub.services.processes import Fleet
from hub.services.seaweed import OFFSETS, Seaweed


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    made = DataFolder(tmp_path)
    made.prepare()
    return made


def test_ports_and_keys_stay_the_same_over_restarts(folder: DataFolder) -> None:
    first, second = Seaweed(folder), Seaweed(folder)
    assert (first.port, first.key, first.secret) == (second.port, second.key, second.secret)
    assert max(first.port + offset for offset in OFFSETS) < 32768


@pytest.mark.parametrize("offset", [0, 3, 10002])
def test_any_of_its_ports_taken_is_refused_by_number(folder: DataFolder, offset: int) -> None:
    server = Seaweed(folder)
    with (
        socket.create_server(("127.0.0.1", server.port + offset)),
        pytest.raises(Refusal, match=f"Port {server.port + offset} on 127.0.0.1 is taken, and the embedded S3 needs it"),
    ):
        server.check_ports()


def test_ready_server_has_the_buckets_and_refuses_strangers(folder: DataFolder) -> None:
    server, fleet = Seaweed(folder), Fleet()
    try:
        child = server.launch(fleet, "http://127.0.0.1:8000")
        fleet.wait_for(child, server.answers, 90)
        names = [bucket["Name"] for bucket in server.client.list_buckets()["Buckets"]]
        assert sorted(names) == sorted(buckets.NAMES.values())
        assert buckets.make_missing(server.client, names) == []
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"{server.endpoint()}/{names[0]}/.ready", timeout=10)
        with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
            buckets.client(server.endpoint(), server.key, "wrong").list_buckets()
    finally:
        fleet.hurry = True
        fleet.stop()


def test_its_configuration_with_the_keys_is_private(folder: DataFolder) -> None:
    server = Seaweed(folder)
    server.child("http://127.0.0.1:8000")
    assert (server.path / "s3.json").stat().st_mode & 0o777 == 0o600
