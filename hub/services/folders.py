"""The data folder of one hub: where its parts keep their files, its lock, its secrets and its short socket folder.
What lies inside the parts' folders (PostgreSQL's, Valkey's, S3's) is their own business."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pathlib
import pwd
import secrets
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from hub.services.console import Refusal

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOCKET_PATH_BYTES = 100  # sun_path holds 107 and a NUL; some libraries stop a little earlier
LONGEST_SOCKET_NAME = len("/.s.PGSQL.5432.lock")
LOG_BYTES = 5 * 2**20
LOGS_KEPT = 3


def owner_name(uid: int) -> str:
    """The login name of a user id, or the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


class DataFolder:
    """Paths below one data folder (absolute), made with modes that keep other users out."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.logs = path / "logs"
        self.run = path / "run"
        self.secrets = path / "secrets"

    def prepare(self) -> None:
        """Create the folder; Refusal when it belongs to somebody else or cannot be written."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            owner = self.path.stat().st_uid
            if owner != os.geteuid():
                raise Refusal(
                    f"The data folder {self.path} belongs to {owner_name(owner)}; run ./weigh as that user or choose another with --data."
                )
            for folder in (self.logs, self.run, self.secrets):
                folder.mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise Refusal(f"The data folder {self.path} cannot be used ({error.strerror}); choose another with --data.") from None

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for this process; Refusal naming the process that holds it already. Freed by the kernel however we end."""
        with open(self.path / "lock", "a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                pid = file.read().strip() or "unknown"
                raise Refusal(
                    f"A hub is already running on {self.path} (process {pid}). Stop it first, or choose another folder with --data."
                ) from None
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield

    def holder(self) -> int | None:
        """Process id of the hub that runs on this folder; None when none does."""
        try:
            with open(self.path / "lock") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except OSError:
                    return int(file.read().strip() or 0)
        except OSError:
            return None
        return None

    def secret(self, name: str) -> str:
        """A random string (43 characters, URL-safe) made once and kept in `secrets/NAME`, mode 0600."""
        path = self.secrets / name
        if not path.exists():
            write_private(path, secrets.token_urlsafe(32))
        return path.read_text()

    def sockets(self) -> pathlib.Path:
        """A folder (mode 0700) whose path is short enough for Unix sockets: `run/`, else one named after a digest elsewhere."""
        if len(os.fsencode(self.run)) + LONGEST_SOCKET_NAME <= SOCKET_PATH_BYTES:
            return self.run
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        parent = runtime if runtime and len(runtime) < 60 and os.access(runtime, os.W_OK) else "/tmp"  # noqa: S108 (owner and mode are checked)
        return own_folder(pathlib.Path(parent) / f"weighhouse-{os.geteuid()}-{digest}")

    def log(self, name: str) -> pathlib.Path:
        """Path of the log of one process."""
        return self.logs / f"{name}.log"

    def rotate_logs(self) -> None:
        """Move logs above 5 MiB aside (`.1` is the newest of three)."""
        for log in self.logs.glob("*.log"):
            if log.stat().st_size <= LOG_BYTES:
                continue
            for number in range(LOGS_KEPT - 1, 0, -1):
                older = log.with_name(f"{log.name}.{number}")
                if older.exists():
                    older.rename(log.with_name(f"{log.name}.{number + 1}"))
            log.rename(log.with_name(f"{log.name}.1"))

    def write_environment(self, environment: dict[str, str]) -> None:
        """Keep the hub's environment for `./weigh manage` (mode 0600: it holds the secrets)."""
        write_private(self.run / "env.json", json.dumps(environment, indent=1))

    def read_environment(self) -> dict[str, str]:
        """What `write_environment` kept last."""
        kept: dict[str, str] = json.loads((self.run / "env.json").read_text())
        return kept


def own_folder(path: pathlib.Path) -> pathlib.Path:
    """Make a folder in a place that others may write to; Refusal unless it is a real folder of ours that nobody else may enter."""
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise Refusal(f"{path} exists but is not a private folder of this user; remove it, or choose a shorter data folder with --data.")
    return path


def write_private(path: pathlib.Path, text: str) -> None:
    """Write `text` to `path` with mode 0600, whole or not at all."""
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    os.replace(temporary, path)
