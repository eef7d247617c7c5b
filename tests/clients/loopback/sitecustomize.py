"""Loaded by Python itself where this folder is on its path: no client reaches anything but this machine, whatever it tries."""

import socket

LOCAL = {"127.0.0.1", "::1", "localhost"}
_connect, _resolve = socket.socket.connect, socket.getaddrinfo


def _connect_here(self, address):  # type: ignore[no-untyped-def]
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOCAL:
        raise OSError(f"the tests let no client reach {address[0]}")
    return _connect(self, address)


def _resolve_here(host, *arguments, **options):  # type: ignore[no-untyped-def]
    if host is not None and host not in LOCAL:
        raise socket.gaierror(f"the tests let no client look up {host}")
    return _resolve(host, *arguments, **options)


socket.socket.connect = _connect_here  # type: ignore[method-assign]
socket.getaddrinfo = _resolve_here  # type: ignore[assignment]
