"""Uploads against a server process: its memory while gigabytes pass, and what is left when it is killed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from registry import staging, storage, uploads
from registry.models import Upload
from tests.factories import EntryFactory, VersionFactory
from tests.processes import environment, kill_group, wait_until
from tests.servers import SlowBody, free_port, hub_process, put, resident_bytes

MIB = 2**20
BIG = 600 * MIB


def begin(owner: Any, size: int) -> Upload:
    begun = uploads.begin(VersionFactory(entry=EntryFactory(owner=owner)), owner, "big.ckpt", size)
    assert isinstance(begun, Upload)
    return begun


@pytest.fixture
def here(stores: Path, settings: Any) -> dict[str, str]:
    """The environment of a server over this test's stores, which trusts the addresses that this test signs."""
    return environment(stores.parent, WEIGH_SECRET_KEY=settings.SECRET_KEY)


class Zeros:
    """A readable body of zeros that remembers the server's largest memory while it was read."""

    def __init__(self, size: int, pid: int) -> None:
        self.left, self.pid, self.peak = size, pid, 0

    def read(self, size: int = -1) -> bytes:
        block = bytes(min(self.left, 256 * 1024))
        self.left -= len(block)
        if self.left % (4 * MIB) < len(block):
            self.peak = max(self.peak, resident_bytes(self.pid))
        return block


def test_memory_stays_flat_while_600_mib_pass(creator: Any, here: dict[str, str], settings: Any) -> None:
    settings.PART_SIZE_BYTES = BIG
    with hub_process(here) as (server, url):
        warm = begin(creator, 8 * MIB)
        assert put(str(uploads.part_urls(warm, [1], url)[0]["url"]), bytes(8 * MIB))[0] == 200
        before = resident_bytes(server.pid)
        upload = begin(creator, BIG)
        body = Zeros(BIG, server.pid)
        address = str(uploads.part_urls(upload, [1], url)[0]["url"])
        assert put(address, body, {"Content-Length": str(BIG)})[0] == 200
    growth = body.peak - before
    assert storage.staged_path(upload.staging_name).stat().st_size == BIG
    assert growth < 30 * MIB, f"the server grew by {growth / MIB:.1f} MiB"


def test_a_killed_server_costs_the_part_in_flight_and_no_other(creator: Any, here: dict[str, str], settings: Any) -> None:
    settings.PART_SIZE_BYTES = 5 * MIB
    upload, port = begin(creator, 18 * MIB), free_port()
    data = {number: bytes([number]) * upload.part_bytes(number) for number in range(1, upload.part_count + 1)}
    with hub_process(here, port) as (server, url):
        addresses = {int(row["number"]): str(row["url"]) for row in uploads.part_urls(upload, list(data), url)}  # type: ignore[call-overload]
        for number in (1, 2):
            assert put(addresses[number], data[number])[0] == 200
        body = SlowBody(data[3], 256 * 1024, 0.1)
        sender = threading.Thread(target=_send_and_lose, args=(addresses[3], body))
        sender.start()
        wait_until(lambda: body.at > 2 * MIB, 10, 0.01)
        kill_group(server)
        sender.join(20)
    assert list(staging.received(upload)) == [1, 2]
    with hub_process(here, port):
        missing = [number for number in data if number not in staging.received(upload)]
        assert missing == [3, 4]
        for number in missing:
            assert put(addresses[number], data[number])[0] == 200
    assert uploads.complete(upload).state == "queued"
    assert storage.staged_path(upload.staging_name).read_bytes() == b"".join(data.values())


def _send_and_lose(url: str, body: SlowBody) -> None:
    with pytest.raises(OSError, match=r"."):
        put(url, body, {"Content-Length": str(len(body.data))})
