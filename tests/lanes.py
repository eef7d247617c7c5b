"""Lets two processes of pytest-xdist share one set of stores: each gets a broker and a cache of its own. Loaded by `-p tests.lanes`.

It also says which files of tests stay together. Databases are told apart by pytest-django, buckets and folders by the fixtures; only
Valkey's numbered databases are left.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

LANE = re.fullmatch(r"gw(\d+)", os.environ.get("PYTEST_XDIST_WORKER", ""))
FIRST_FREE = 4
"""The hub itself uses the databases below; Valkey has 16."""
TOGETHER = ("tests/clients/", "tests/hub/services/")
"""Folders whose tests share one started hub: all of a folder go to one process, one after the other, before everything else."""


def moved(address: str, number: int) -> str:
    """The same Valkey, its database `number`: in `...?virtual_host=0`, `...?db=2` or `.../2`."""
    return re.sub(r"((?:virtual_host|db)=|/)\d+$", rf"\g<1>{number}", address)


if LANE:  # settings read the environment as soon as pytest-django loads, which is before any conftest
    for place, name in enumerate(("WEIGH_BROKER_URL", "WEIGH_CACHE_URL")):
        if name in os.environ:
            os.environ[name] = moved(os.environ[name], FIRST_FREE + 2 * int(LANE[1]) + place)


def scope(nodeid: str) -> str:
    """What goes to one process as a whole: a folder of `TOGETHER`, or else a file."""
    path = nodeid.partition("::")[0]
    return next((folder for folder in TOGETHER if path.startswith(folder)), path)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """As `--dist loadfile`, with `scope` in place of the file."""
    from xdist.scheduler import LoadFileScheduling

    class Lanes(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return scope(nodeid)

    return Lanes(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that neither process has one of them alone at the end."""
    items.sort(key=lambda item: scope(item.nodeid) not in TOGETHER)
