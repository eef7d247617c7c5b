"""System-call filters for a process that stays and computes with big libraries: for one on processors, and one that drives a GPU.

Beside `filters`, whose children parse and end: these may make machine code (oneDNN writes its kernels at run time) and open what Landlock
lets them. Neither may make a socket, a process or a program. They apply nothing; `computing` does.
"""

from __future__ import annotations

import errno

from registry.sandbox import filters

_NONE = -1
"""This machine has no such call."""

OPENING: dict[str, tuple[int, int]] = {
    "open": (2, _NONE), "openat": (257, 56), "stat": (4, _NONE), "lstat": (6, _NONE), "newfstatat": (262, 79), "statx": (332, 291),
    "access": (21, _NONE), "faccessat": (269, 48), "faccessat2": (439, 439), "readlink": (89, _NONE), "readlinkat": (267, 78),
    "getdents64": (217, 61),
}  # fmt: skip
"""What finds and opens files by name: allowed only where Landlock says which (syscall_64.tbl, asm-generic/unistd.h)."""

COMPUTING: dict[str, tuple[int, int]] = {
    "readv": (19, 65), "preadv": (295, 69), "preadv2": (327, 286), "writev": (20, 66), "fadvise64": (221, 223), "readahead": (187, 213),
    "mincore": (27, 232), "get_mempolicy": (239, 236), "membarrier": (324, 283),
    "sendto": (44, 206), "sendmsg": (46, 211), "recvfrom": (45, 207), "recvmsg": (47, 212), "poll": (7, _NONE), "ppoll": (271, 73),
    "select": (23, _NONE), "pselect6": (270, 72), "dup": (32, 23), "fcntl": (72, 25), "getcwd": (79, 17),
    "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "getcpu": (309, 168),
    "nanosleep": (35, 101), "clock_nanosleep": (230, 115), "clock_getres": (229, 114), "gettimeofday": (96, 169), "time": (201, _NONE),
    "restart_syscall": (219, 128), "uname": (63, 160), "sysinfo": (99, 179), "getrusage": (98, 165), "times": (100, 153),
    "getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177), "getppid": (110, 173),
    "prctl": (157, 167), "prlimit64": (302, 261), "arch_prctl": (158, _NONE),
}  # fmt: skip
"""What torch, its threads and one inherited socket need beside `filters.CALLS` and `filters.THREADS`. The calls of messages reach the
sockets that are open; `arch_prctl` is how a process asks for the AMX registers.
"""

REFUSED: dict[str, tuple[int, int]] = {
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201), "accept": (43, 202), "accept4": (288, 242),
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, _NONE), "vfork": (58, _NONE), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "process_madvise": (440, 440), "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424), "kill": (62, 129), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "tkill": (200, 130), "kcmp": (312, 272), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40),
    "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "move_mount": (429, 429), "open_tree": (428, 428),
    "fsopen": (430, 430), "fsmount": (432, 432), "mount_setattr": (442, 442), "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "keyctl": (250, 219),
    "add_key": (248, 217), "request_key": (249, 218), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142), "swapon": (167, 224),
    "swapoff": (168, 225), "acct": (163, 89), "syslog": (103, 116), "seccomp": (317, 277), "setuid": (105, 146), "setgid": (106, 144),
    "setreuid": (113, 145), "setresuid": (117, 147), "setresgid": (119, 149), "setgroups": (116, 159), "capset": (126, 91),
    "personality": (135, 92),
}  # fmt: skip
"""What no driver of a GPU needs once it is set up. Its own calls (ioctls above all) are not listed anywhere, so that program names what is
refused instead of what is allowed.
"""

_THIRD_HIGH = 36
_PR_SET_NAME, _PR_GET_NAME, _PR_SET_VMA = 15, 16, 0x53564D41
_JUMP_IF_OVER = 0x35
_X32 = 0x40000000

_ONLY_NAMES = (
    filters._step(filters._LOAD, 0, 0, filters._FIRST_ARGUMENT),
    *(filters._step(filters._JUMP_EQUAL, left, 0, wanted) for left, wanted in ((3, _PR_SET_NAME), (2, _PR_GET_NAME), (1, _PR_SET_VMA))),
    filters._step(filters._RETURN, 0, 0, filters._ERROR | errno.EPERM),
    filters._step(filters._RETURN, 0, 0, filters._ALLOW),
)
"""Of `prctl`: names of threads and of memory."""

_ONLY_ASKING = (
    filters._step(filters._LOAD, 0, 0, filters._THIRD_ARGUMENT),
    filters._step(filters._JUMP_EQUAL, 0, 3, 0),
    filters._step(filters._LOAD, 0, 0, _THIRD_HIGH),
    filters._step(filters._JUMP_EQUAL, 0, 1, 0),
    filters._step(filters._RETURN, 0, 0, filters._ALLOW),
    filters._step(filters._RETURN, 0, 0, filters._ERROR | errno.EPERM),
)
"""Of `prlimit64`: with no new limit (a null third argument)."""

_THREADS_ALONE = {"clone": filters._ONLY_THREADS, "clone3": filters._UNKNOWN}


def on_processors(machine: str, *, opening: bool) -> list[bytes]:
    """Allows what is listed and nothing else; `opening` where Landlock decides about names. Raises `KeyError` for an unknown machine."""
    column = filters.ARCHITECTURES[machine][1]
    tables = (filters.CALLS, filters.THREADS, COMPUTING, OPENING if opening else {})
    numbers = {name: pair[column] for table in tables for name, pair in table.items() if pair[column] != _NONE}
    return filters.assemble(machine, numbers, {**_THREADS_ALONE, "prctl": _ONLY_NAMES, "prlimit64": _ONLY_ASKING})


def on_gpu(machine: str) -> list[bytes]:
    """Refuses what is listed, other processes, and x32's numbers; allows the rest. Raises `KeyError` for an unknown machine."""
    column = filters.ARCHITECTURES[machine][1]
    numbers = [pair[column] for pair in REFUSED.values() if pair[column] != _NONE]
    threads = [filters._checked(filters.THREADS[name][column], steps) for name, steps in _THREADS_ALONE.items()]
    return [
        *filters.head(machine),
        filters._step(_JUMP_IF_OVER, 0, 1, _X32),
        filters._step(filters._RETURN, 0, 0, filters._ERROR | errno.EPERM),
        *(step for steps in threads for step in steps),
        *(filters._step(filters._JUMP_EQUAL, len(numbers) - index, 0, number) for index, number in enumerate(numbers)),
        filters._step(filters._RETURN, 0, 0, filters._ALLOW),
        filters._step(filters._RETURN, 0, 0, filters._ERROR | errno.EPERM),
    ]
