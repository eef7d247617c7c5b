"""Lets two processes of pytest-xdist share one set of stores: each gets a broker and a cache of its own. Loaded by `-p tests.lanes`.

Databases are told apart by pytest-django, buckets and folders by the fixtures; only Valkey's numbered databases are left.
"""

from __future__ import annotations

import os
import re

LANE = re.fullmatch(r"gw(\d+)", os.environ.get("PYTEST_XDIST_WORKER", ""))
FIRST_FREE = 4
"""The hub itself uses the databases below; Valkey has 16."""


def moved(address: str, number: int) -> str:
    """The same Valkey, its database `number`: in `...?virtual_host=0`, `...?db=2` or `.../2`."""
    return re.sub(r"((?:virtual_host|db)=|/)\d+$", rf"\g<1>{number}", address)


if LANE:  # settings read the environment as soon as pytest-django loads, which is before any conftest
    for place, name in enumerate(("WEIGH_BROKER_URL", "WEIGH_CACHE_URL")):
        if name in os.environ:
            os.environ[name] = moved(os.environ[name], FIRST_FREE + 2 * int(LANE[1]) + place)
