"""A line to a server that breaks once: a proxy on this machine that closes the first long answer in its middle."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Line:
    """`requests` are the heads that went through; `cut` whether an answer was broken off."""

    port: int
    requests: list[str] = field(default_factory=list)
    cut: bool = False


@contextmanager
def cutting_line(server: int, after: int) -> Iterator[Line]:
    """A port of this machine that leads to the port `server`, and breaks the first answer that is longer than `after` bytes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        line = Line(listener.getsockname()[1])
        threading.Thread(target=_accept, args=(listener, server, after, line), daemon=True).start()
        yield line


def _accept(listener: socket.socket, server: int, after: int, line: Line) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        upstream = socket.create_connection(("127.0.0.1", server))
        threading.Thread(target=_up, args=(client, upstream, line), daemon=True).start()
        threading.Thread(target=_down, args=(upstream, client, after, line), daemon=True).start()


def _up(client: socket.socket, upstream: socket.socket, line: Line) -> None:
    with suppress(OSError):
        while data := client.recv(65536):
            line.requests.append(data.decode("latin-1"))
            upstream.sendall(data)
    _close(upstream)


def _down(upstream: socket.socket, client: socket.socket, after: int, line: Line) -> None:
    sent = 0
    with suppress(OSError):
        while data := upstream.recv(65536):
            client.sendall(data)
            sent += len(data)
            if sent > after and not line.cut:
                line.cut = True
                break
    _close(client)
    _close(upstream)


def _close(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
