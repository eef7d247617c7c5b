"""One hub for all client tests: its own process, database and data folder, filled once by the real pipeline and left as it is.

Tests only read it, so that their order does not matter; whoever must write makes an entry of their own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests import processes
from tests.clients.buckets import filled_buckets
from tests.clients.tlsproxy import TlsProxy, tls_proxy
from tests.servers import hub_process

HOSTS = ("civitai.com", "civitai.red")
"""Names that clients hard-code, and under which the hub answers here (behind `tests.clients.tlsproxy`)."""


@dataclass(frozen=True)
class ClientsHub:
    """A running hub. `url` has no slash at its end; `environment` is what another process of this hub must run in."""

    url: str
    data: Path
    environment: dict[str, str]

    def run(self, module: str, *arguments: str) -> Any:
        """Run `python -m module arguments` as a part of this hub; what it prints last, read as JSON."""
        command = [sys.executable, "-m", module, *arguments]
        done = subprocess.run(command, cwd=processes.ROOT, env=self.environment, capture_output=True, text=True, timeout=200, check=False)
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(done.stdout.splitlines()[-1])


@contextmanager
def copied_database() -> Iterator[str]:
    """The name of a copy of the (empty) test database, dropped when the block ends."""
    from django.db import connection, connections
    from django.db.backends.postgresql.psycopg_any import sql

    test = str(connection.settings_dict["NAME"])
    assert test.startswith("test_"), "not the tests' own database"
    copy = f"{test}_clients"
    connections.close_all()
    with connection._nodb_cursor() as cursor:
        cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(copy)))
        cursor.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(copy), sql.Identifier(test)))
    try:
        yield copy
    finally:
        with connection._nodb_cursor() as cursor:
            cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(copy)))


@pytest.fixture(scope="session")
def clients_hub(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientsHub]:
    """The hub on local disk, as `./weigh up` runs it, with nothing in it yet."""
    data = tmp_path_factory.mktemp("clients-hub")
    with django_db_blocker.unblock(), copied_database() as database:
        url = processes.with_database(os.environ["DATABASE_URL"], database)
        environment = {
            **processes.environment(data, DATABASE_URL=url, WEIGH_SECRET_KEY="k" * 50, WEIGH_SECOND_OPINIONS="0"),
            "DJANGO_SETTINGS_MODULE": "hub.settings",
            "WEIGH_BEHIND_PROXY": "true",
            "WEIGH_ALLOWED_HOSTS": ",".join(HOSTS),
        }
        (data / "static").mkdir()
        with hub_process(environment) as (_, address):
            yield ClientsHub(address, data, environment)


@pytest.fixture(scope="session")
def catalogue(clients_hub: ClientsHub, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `tests.clients.catalogue` put into the hub."""
    return dict(clients_hub.run("tests.clients.catalogue", str(tmp_path_factory.mktemp("originals"))))


@dataclass(frozen=True)
class Door:
    """The hub under the names of `HOSTS`, as a client sees it that has never heard of Weighhouse. `published`: the catalogue."""

    proxy: TlsProxy
    published: dict[str, Any]

    def run(self, command: list[Any], folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a client in `folder`, which is its home too, with nothing of this process's environment but PATH."""
        own = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", "PYTHONUTF8": "1", "NO_COLOR": "1"}
        arguments = [str(part) for part in command]
        environment = {**own, **self.proxy.environment(), **more}
        return subprocess.run(
            arguments, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, check=False
        )


@pytest.fixture(scope="session")
def s3_clients_hub(clients_hub: ClientsHub, catalogue: dict[str, Any]) -> Iterator[ClientsHub]:
    """The same hub over the same database, its files in buckets that it passes through on its own port."""
    if not os.environ.get("WEIGH_S3_ENDPOINT"):
        pytest.skip("no S3 server: WEIGH_S3_ENDPOINT is not set; ./weigh test starts one")
    own = {"WEIGH_STORAGE": "s3", "WEIGH_S3_PUBLIC_ENDPOINT": ""}
    buckets = ("WEIGH_S3_BUCKET", "WEIGH_S3_QUARANTINE_BUCKET", "WEIGH_S3_MEDIA_BUCKET")
    names = {variable: f"clients-{number}-{os.getpid()}" for number, variable in enumerate(buckets)}
    environment = {**clients_hub.environment, **own, **names}
    with filled_buckets(names, clients_hub.data / "storage" / "models", os.environ), hub_process(environment) as (_, address):
        yield ClientsHub(address, clients_hub.data, environment)


@pytest.fixture(scope="session", params=["local", "s3"])
def door(request: pytest.FixtureRequest, catalogue: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """civitai.com and civitai.red, once over local disk and once over S3."""
    hub: ClientsHub = request.getfixturevalue("clients_hub" if request.param == "local" else "s3_clients_hub")
    with tls_proxy(HOSTS, urlsplit(hub.url).port or 0, tmp_path_factory.mktemp("authority")) as proxy:
        yield Door(proxy, catalogue)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """pytest-django makes a database only where a test says that it needs one: ours need its copy."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.django_db)
