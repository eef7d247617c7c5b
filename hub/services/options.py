"""The command line of `./weigh up` and `./weigh manage`: options, their environment variables and defaults.
It checks spelling and ranges only; whether a port is free is asked later."""

from __future__ import annotations

import argparse
import os
import pathlib
from dataclasses import dataclass

from hub.services.console import Refusal
from hub.services.folders import ROOT

STORAGES = ("local", "s3")
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 (compared with, never bound to by default)


@dataclass(frozen=True)
class UpOptions:
    """What `./weigh up` was asked for. `data` is absolute."""

    data: pathlib.Path
    port: int
    host: str
    storage: str
    render: bool
    samples: bool

    @property
    def origin(self) -> str:
        """The address that people on this machine type."""
        host = "127.0.0.1" if self.host in EVERYWHERE else self.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


class _Parser(argparse.ArgumentParser):
    """argparse that answers a wrong option with a Refusal instead of leaving."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise Refusal(f"{message[:1].upper()}{message[1:]}. See ./weigh {self.prog.split()[-1]} --help.")


def data_folder(given: str | None) -> pathlib.Path:
    """The data folder: the option, else WEIGH_DATA, else `var` in the checkout; relative to where the command was typed."""
    chosen = given or os.environ.get("WEIGH_DATA")
    if not chosen:
        return ROOT / "var"
    return (pathlib.Path(os.environ.get("WEIGH_CALLED_FROM") or os.getcwd()) / chosen).resolve()


def _flag(name: str) -> bool:
    return os.environ.get(name, "").lower() in ("1", "true", "yes", "on")


def up_options(arguments: list[str]) -> UpOptions:
    """Parse the arguments after `up`. Raises Refusal for what cannot be meant."""
    parser = _Parser(prog="./weigh up", description="Start the whole hub on this machine; Ctrl-C stops it.")
    parser.add_argument("--port", default=os.environ.get("WEIGH_PORT", "8000"), help="port of the web site (WEIGH_PORT; 8000)")
    parser.add_argument("--host", default=os.environ.get("WEIGH_HOST", "127.0.0.1"), help="address to listen on (WEIGH_HOST; 127.0.0.1)")
    parser.add_argument("--data", help="folder of everything the hub keeps (WEIGH_DATA; ./var)")
    parser.add_argument("--storage", default=os.environ.get("WEIGH_STORAGE", "local"), help="local or s3 (WEIGH_STORAGE; local)")
    parser.add_argument("--no-render", action="store_true", default=_flag("WEIGH_NO_RENDER"), help="leave torch and the render worker out")
    parser.add_argument("--no-samples", action="store_true", default=_flag("WEIGH_NO_SAMPLES"), help="do not publish the sample models")
    given = parser.parse_args(arguments)
    if not given.port.isdigit() or not 1 <= int(given.port) <= 65535:
        raise Refusal(f"{given.port!r} is not a port; give a number from 1 to 65535 with --port.")
    if given.storage not in STORAGES:
        raise Refusal(f"{given.storage!r} is not a storage; choose local or s3 with --storage.")
    return UpOptions(data_folder(given.data), int(given.port), given.host, given.storage, not given.no_render, not given.no_samples)


def split_data(arguments: list[str]) -> tuple[pathlib.Path, list[str]]:
    """Take a leading `--data DIR` off the arguments of `./weigh manage`; the rest is Django's."""
    if arguments[:1] == ["--data"]:
        if len(arguments) < 2:
            raise Refusal("--data needs a folder after it.")
        return data_folder(arguments[1]), arguments[2:]
    if arguments and arguments[0].startswith("--data="):
        return data_folder(arguments[0].split("=", 1)[1]), arguments[1:]
    return data_folder(None), arguments
