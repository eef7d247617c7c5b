"""The environment that web, workers and `manage.py` of one hub run in: addresses and keys of its stores.
The settings read exactly these names; what each means is told in deploy/env.example."""

from __future__ import annotations

import contextlib
import os
import socket

from hub.services.folders import DataFolder
from hub.services.options import EVERYWHERE, UpOptions
from hub.services.postgres import Postgres
from hub.services.seaweed import Seaweed
from hub.services.valkey import Valkey

# A caller's virtual environment or bytecode ban must not reach the hub's own interpreter: without bytecode every start takes longer.
_UNWANTED = ("PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "PYTHONSTARTUP", "WEIGH_STARTED", "WEIGH_CALLED_FROM")


def clean() -> dict[str, str]:
    """The caller's environment without what would change how Python runs."""
    return {name: value for name, value in os.environ.items() if name not in _UNWANTED}


def own_addresses() -> list[str]:
    """Names and addresses under which other machines may call this one."""
    names = [socket.gethostname(), socket.getfqdn()]
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # a documentation address: chooses the outgoing interface, sends nothing
        names.append(probe.getsockname()[0])
    return [name for name in dict.fromkeys(names) if name]


def site(folder: DataFolder, options: UpOptions) -> dict[str, str]:
    """Where the site is, under which names it answers, and its secret key."""
    names = own_addresses() if options.host in EVERYWHERE else [options.host]
    return {
        "DJANGO_SETTINGS_MODULE": "hub.settings",
        "PYTHONUNBUFFERED": "1",
        "WEIGH_DATA": str(folder.path),
        "WEIGH_PORT": str(options.port),
        "WEIGH_HOST": options.host,
        "WEIGH_STORAGE": options.storage,
        "WEIGH_ALLOWED_HOSTS": os.environ.get("WEIGH_ALLOWED_HOSTS") or ",".join(names),
        "WEIGH_SECRET_KEY": os.environ.get("WEIGH_SECRET_KEY") or folder.secret("django.key"),
    }


def hub_environment(
    folder: DataFolder, options: UpOptions, postgres: Postgres | None, valkey: Valkey | None, seaweed: Seaweed | None
) -> dict[str, str]:
    """Everything together. A store that is None is somebody else's: its variables come from the caller's environment."""
    environment = {**clean(), **site(folder, options)}
    if postgres is not None:
        environment["DATABASE_URL"] = postgres.url()
    if valkey is not None:
        environment["WEIGH_BROKER_URL"] = valkey.broker_url()
        environment["WEIGH_CACHE_URL"] = valkey.cache_url()
    if seaweed is not None:
        environment.update(seaweed.environment(os.environ.get("WEIGH_S3_PUBLIC_ENDPOINT", "")))
    return environment
