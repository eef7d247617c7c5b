"""`./weigh manage ...`: Django's command line in the environment of the hub that runs on a data folder.
It starts nothing; without a running hub it says so."""

from __future__ import annotations

import os
import sys

from hub.services.console import Refusal
from hub.services.folders import ROOT, DataFolder
from hub.services.options import split_data


def manage(arguments: list[str]) -> int:
    """Replace this process by `manage.py` with the running hub's environment. Raises Refusal when none runs on the folder."""
    data, rest = split_data(arguments)
    folder = DataFolder(data)
    try:
        if folder.holder() is None:
            raise Refusal(f"No hub is running on {data}. Start it with ./weigh up, or name its folder: ./weigh manage --data DIR ...")
        environment = folder.read_environment()
    except PermissionError:
        raise Refusal(f"The hub on {data} belongs to another user; run ./weigh manage as that user.") from None
    except FileNotFoundError:
        raise Refusal(f"The hub on {data} is still starting; try again when it is ready.") from None
    os.chdir(ROOT)
    os.execve(sys.executable, [sys.executable, "manage.py", *rest], environment)  # noqa: S606 (the caller's own command)
