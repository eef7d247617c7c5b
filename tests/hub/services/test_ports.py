"""What is said of a port that cannot be had."""

from __future__ import annotations

import os
import socket

import pytest

from hub.services import ports
from hub.services.console import Refusal


def test_free_port_is_accepted() -> None:
    ports.require_free("127.0.0.1", ports.free_port(), "--port", "the web site")


def test_taken_port_is_refused_with_its_number_and_the_option() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(Refusal, match=rf"Port {port} on 127\.0\.0\.1 is taken, and the web site needs it\..* with --port"):
            ports.require_free("127.0.0.1", port, "--port", "the web site")


def test_port_taken_on_every_address_is_taken_on_one() -> None:
    with socket.create_server(("", 0)) as server, pytest.raises(Refusal, match="is taken"):
        ports.require_free("127.0.0.1", server.getsockname()[1], "--port", "the web site")


def test_address_of_another_machine_is_refused() -> None:
    with pytest.raises(Refusal, match=r"192\.0\.2\.1 is not an address of this machine"):
        ports.require_free("192.0.2.1", ports.free_port(), "--port", "the web site")


def test_unknown_host_name_is_refused() -> None:
    with pytest.raises(Refusal, match=r"no-such-host\.invalid means nothing"):
        ports.require_free("no-such-host.invalid", 8000, "--port", "the web site")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open every port")
def test_low_port_is_refused_to_an_ordinary_user() -> None:
    with pytest.raises(Refusal, match="above 1023"):
        ports.require_free("127.0.0.1", 81, "--port", "the web site")


def test_group_of_ports_has_every_offset_free() -> None:
    base = ports.free_base((0, 1, 100), 20000, 30000)
    assert [ports.bind_error("127.0.0.1", base + offset) for offset in (0, 1, 100)] == [None, None, None]


def test_group_of_ports_that_cannot_be_found_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(Refusal, match="No free group of ports"):
            ports.free_base((0,), port, port + 1)
