"""An HTTPS proxy that ends TLS for a few names and hands what it reads to the hub on loopback, with a throw-away certificate authority.

For clients that hard-code `https://civitai.com`: they are told of it by `HTTPS_PROXY`, as somebody would who runs such a proxy
before a hub. Bytes pass as they are, but for two headers of the request; each connection carries one request.
"""

from __future__ import annotations

import re
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import trustme

HEAD_BYTES = 64 * 1024


class TlsProxy(socketserver.ThreadingTCPServer):
    """`requests` are the first lines of what came. `cut(n)` lets the next answer that is longer than `n` bytes end after them;
    `uncut` is that number until then.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, hosts: Iterable[str], port: int, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.hub_port, self.hosts, self.requests = port, tuple(hosts), list[str]()
        authority = trustme.CA()
        self.ca_file = folder / "authority.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*self.hosts).configure_cert(self.tls)
        self.uncut: int | None = None
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def cut(self, after: int) -> None:
        self.uncut = after

    def cuts(self, sent: int) -> bool:
        """Whether an answer of which `sent` bytes were passed on is to end now; once."""
        with self._lock:
            ends = self.uncut is not None and sent > self.uncut
            if ends:
                self.uncut = None
            return ends

    def environment(self) -> dict[str, str]:
        """Variables by which programs find the proxy and trust its authority."""
        trusted = dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"), str(self.ca_file))
        return {"HTTPS_PROXY": self.url, "https_proxy": self.url, **trusted}


class _Connection(socketserver.BaseRequestHandler):
    server: TlsProxy

    def handle(self) -> None:
        with suppress(OSError):  # clients hang up as they like
            self._handle()

    def _handle(self) -> None:
        head, _ = _read_head(self.request)
        wanted = re.match(rb"CONNECT ([^ :]+):443 ", head)
        if wanted is None or wanted[1].decode() not in self.server.hosts:
            self.request.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        client = self.server.tls.wrap_socket(self.request, server_side=True)
        with client, socket.create_connection(("127.0.0.1", self.server.hub_port), timeout=60) as hub:
            head, body = _read_head(client)
            self.server.requests.append(head.split(b"\r\n", 1)[0].decode("latin-1"))
            hub.sendall(_forwarded(head) + body)
            _pass_body_on(client, hub, _length(head) - len(body))
            self._answer(hub, client)

    def _answer(self, hub: socket.socket, client: ssl.SSLSocket) -> None:
        sent = 0
        while block := hub.recv(65536):
            sent += len(block)
            if self.server.cuts(sent):
                client.sendall(block[: len(block) // 2])
                client.shutdown(socket.SHUT_RDWR)
                return
            client.sendall(block)
        client.unwrap()


def _read_head(connection: Any) -> tuple[bytes, bytes]:
    """A request's head with its empty line, and what of the body came with it."""
    data = b""
    while b"\r\n\r\n" not in data and len(data) < HEAD_BYTES:
        block = connection.recv(65536)
        if not block:
            raise ConnectionError("the client hung up")
        data += block
    head, _, body = data.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", body


def _forwarded(head: bytes) -> bytes:
    """The head with the scheme that the client used, and without the wish to keep the connection."""
    lines = [line for line in head.split(b"\r\n")[:-2] if not line.lower().startswith((b"connection:", b"x-forwarded-proto:"))]
    return b"\r\n".join([*lines, b"X-Forwarded-Proto: https", b"Connection: close", b"", b""])


def _length(head: bytes) -> int:
    """Bytes of the request's body. Chunked ones are not for this proxy: none of its clients sends any."""
    found = re.search(rb"\r\ncontent-length: *(\d+)\r\n", head, re.IGNORECASE)
    return int(found[1]) if found else 0


def _pass_body_on(client: Any, hub: socket.socket, left: int) -> None:
    """The rest of the request, before anything is answered: one TLS connection must not be read and written by two threads."""
    while left > 0 and (block := client.recv(min(left, 65536))):
        left -= len(block)
        hub.sendall(block)


@contextmanager
def tls_proxy(hosts: Iterable[str], port: int, folder: Path) -> Iterator[TlsProxy]:
    """A running proxy for these names to the hub on `port`; its authority's certificate lies in `folder`."""
    with TlsProxy(hosts, port, folder) as server:
        thread = threading.Thread(target=server.serve_forever, name="tls-proxy", daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(10)
