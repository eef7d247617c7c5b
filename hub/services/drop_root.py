"""Run as a program: exec a PostgreSQL binary as a user that it accepts, and let it end (SIGINT) with its parent.
Root becomes another user inside a user namespace or, where that is refused, the user `nobody`; others stay who they are."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import sys

from hub.services.parent import die_with_parent

NAMESPACE_REFUSED = 77
_CLONE_NEWUSER = 0x10000000  # unshare(2)
_INSIDE_ID = 1  # `daemon` on every Linux: initdb wants a passwd entry for its user
_libc = ctypes.CDLL(None, use_errno=True)


def has_name(uid: int) -> bool:
    """Whether the user id has a passwd entry."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def enter_namespace() -> None:
    """Become user 1 in a new user namespace; files outside keep their owner. Raises OSError where the kernel refuses."""
    uid, gid = os.geteuid(), os.getegid()
    if _libc.unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{_INSIDE_ID} {uid} 1"), ("gid_map", f"{_INSIDE_ID} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def become_nobody(folder: str) -> None:
    """Hand `folder` to `nobody` and become that user for good."""
    user = pwd.getpwnam("nobody")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    os.chown(folder, user.pw_uid, user.pw_gid)
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def main() -> None:
    """`drop_root userns|nobody|stay CLUSTER_FOLDER PROGRAM ARGS...`; exit status 77 when the namespace is refused."""
    way, folder, *command = sys.argv[1:]
    if way == "userns":
        try:
            enter_namespace()
        except OSError:
            sys.exit(NAMESPACE_REFUSED)
    elif way == "nobody":
        become_nobody(folder)
    die_with_parent(signal.SIGINT)
    os.execv(command[0], command)  # noqa: S606 (our own argument list)


if __name__ == "__main__":
    main()
