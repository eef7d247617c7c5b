"""A renderer for tests of the locked child: it computes with torch, and tries the doors. No tests here."""

from __future__ import annotations

import os
import resource
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch

from tests.inference.diffusion.talker import Talker


class Painter(Talker):
    """What a talker can do, and what needs torch."""

    def do_convolve(self, rest: str, fds: Sequence[int], *_: Any) -> dict[str, Any]:
        """What a model does: convolutions and attention in one or several threads, in a kernel made at run time."""
        torch.manual_seed(1)
        with torch.inference_mode():
            for dtype in (torch.float32, torch.bfloat16):
                x = torch.randn(2, 16, 64, 64, dtype=dtype)
                y = torch.nn.functional.conv2d(x, torch.randn(16, 16, 3, 3, dtype=dtype), padding=1)
                q = y.flatten(2)[:, :, :256].unflatten(1, (4, 4)).contiguous()
                z = torch.nn.functional.scaled_dot_product_attention(q, q, q)
        return {"sum": float(z.float().abs().sum()), "head": os.pread(fds[0], 4, 0).hex(), "threads": torch.get_num_threads()}

    def do_doors(self, rest: str, *_: Any) -> dict[str, Any]:
        def listen() -> None:
            socket.socket(socket.AF_UNIX).bind("\0door")

        doors: dict[str, Callable[[], object]] = {
            "inet": lambda: socket.socket(socket.AF_INET),
            "inet6": lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
            "unix": listen,
            "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
            "pair": socket.socketpair,
            "passwd": lambda: os.open("/etc/passwd", os.O_RDONLY),
            "home": lambda: os.listdir(os.path.expanduser("~root")),
            "data": lambda: os.open(rest, os.O_RDONLY),
            "root": lambda: os.listdir("/"),
            "parent": lambda: os.open(f"/proc/{os.getppid()}/environ", os.O_RDONLY),
            "write": lambda: os.open("/dev/shm/door", os.O_WRONLY | os.O_CREAT),
            "temporary": lambda: os.open("/tmp/door", os.O_WRONLY | os.O_CREAT),
            "fork": lambda: os.fork() or os._exit(0),
            "exec": lambda: os.execv("/bin/true", ["true"]),  # noqa: S606 - the point is that it is refused
            "kill": lambda: os.kill(os.getppid(), 0),
            "limits": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (10, 10)),
        }
        later: dict[str, str] = {}
        thread = threading.Thread(target=lambda: later.update({name: attempt(door) for name, door in doors.items()}))
        thread.start()
        thread.join()
        return {"doors": {name: attempt(door) for name, door in doors.items()}, "later": later}

    def do_libraries(self, *_: Any) -> dict[str, Any]:
        """A module that nobody has imported yet, with its shared library, and the packages' data."""
        import importlib.metadata

        import tokenizers

        return {"tokens": tokenizers.Tokenizer(tokenizers.models.BPE()).get_vocab_size(), "version": importlib.metadata.version("torch")}

    def do_allocate(self, rest: str, *_: Any) -> None:
        torch.ones(int(rest), dtype=torch.uint8)


def attempt(door: Callable[[], object]) -> str:
    """ "EPERM", "EACCES" or another error's name, or "ALLOWED"."""
    try:
        door()
    except OSError as error:
        return {1: "EPERM", 13: "EACCES"}.get(error.errno or 0, type(error).__name__)
    except ValueError as error:
        return str(error)
    return "ALLOWED"
