"""`python -m hub.services up|test|manage|preflight ...`: what the shell script `weigh` runs inside the virtual environment.
`preflight` runs before anything is installed and uses the standard library only."""

from __future__ import annotations

import sys

from hub.services.console import Refusal, complain
from hub.services.options import up_options


def preflight(arguments: list[str]) -> int:
    """Refuse what can be refused before a long installation: wrong options, a taken port, a data folder in use."""
    from hub.services import ports
    from hub.services.folders import DataFolder

    options = up_options(arguments)
    if (pid := DataFolder(options.data).holder()) is not None:
        raise Refusal(f"A hub is already running on {options.data} (process {pid}). Stop it first, or choose another folder with --data.")
    ports.require_free(options.host, options.port, "--port", "the web site")
    return 0


def _up(arguments: list[str]) -> int:
    from hub.services.launcher import up

    return up(up_options(arguments))


def _test(arguments: list[str]) -> int:
    from hub.services.testrun import test

    return test(arguments)


def _manage(arguments: list[str]) -> int:
    from hub.services.manage import manage

    return manage(arguments)


COMMANDS = {"preflight": preflight, "up": _up, "test": _test, "manage": _manage}


def main(arguments: list[str]) -> int:
    """Run one command; a Refusal becomes a sentence on stderr and exit status 2."""
    if not arguments or arguments[0] not in COMMANDS:
        complain(f"Unknown command; choose one of {', '.join(COMMANDS)}.")
        return 2
    try:
        return COMMANDS[arguments[0]](arguments[1:])
    except Refusal as refusal:
        complain(str(refusal))
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
