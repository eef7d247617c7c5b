"""Finding out whether TCP ports are free before anything is started.
It reserves nothing: a port may be taken between the check and its use, and the process that wanted it then says so."""

from __future__ import annotations

import errno
import random
import socket

from hub.services.console import Refusal


def bind_error(host: str, port: int) -> OSError | None:
    """Try to bind `host:port` as a server would; None when that works, else the error."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        return error
    return None


def require_free(host: str, port: int, option: str, purpose: str) -> None:
    """Raise Refusal naming the port and the option that chooses another, unless `host:port` can be bound."""
    error = bind_error(host, port)
    if error is None:
        return
    if isinstance(error, socket.gaierror):
        raise Refusal(f"The host name {host} means nothing on this machine; give an address of it with --host.")
    if error.errno == errno.EADDRINUSE:
        raise Refusal(f"Port {port} on {host} is taken, and {purpose} needs it. Stop what uses it or choose another with {option}.")
    if error.errno in (errno.EACCES, errno.EPERM):
        raise Refusal(f"This user may not open port {port}; choose one above 1023 with {option}.")
    if error.errno == errno.EADDRNOTAVAIL:
        raise Refusal(f"{host} is not an address of this machine; choose another with --host.")
    raise Refusal(f"Port {port} on {host} cannot be opened ({error.strerror}); choose another with {option}.")


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_base(offsets: tuple[int, ...], low: int, high: int, host: str = "127.0.0.1") -> int:
    """A random port in [low, high) for which it and every `port + offset` are free on `host`. Raises Refusal after 200 tries."""
    for _ in range(200):
        base = random.randrange(low, high)  # noqa: S311 (no secret)
        if all(bind_error(host, base + offset) is None for offset in offsets):
            return base
    raise Refusal(f"No free group of ports was found between {low} and {high}; too many servers run on this machine.")
