"""The usual ways to do what `inference.weights` does, each in a process of its own: `python -m bench.weights_peers NAME PATH... `.

They are written out after the tools that they stand for (methods, not their code), with every output synced to the disk as ours is:
Hugging Face's convert.py (torch.load and save_file, without and with its own check), the chain "convert with torch, then read the file
once for each hash", and the arithmetic of A1111's checkpoint merger. They hash by hashlib, zlib and blake3, as Python tools do.
"""

from __future__ import annotations

import hashlib
import os
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

PIECE = 1 << 20


def hf_convert(source: str, target: str, *, check: bool = False) -> None:
    """torch.load into memory, contiguous copies where needed, save_file; with `check` both are compared tensor by tensor."""
    import torch
    from safetensors.torch import load_file, save_file

    loaded = torch.load(source, map_location="cpu", weights_only=True)
    loaded = loaded.get("state_dict", loaded)
    state = {name: tensor.contiguous() for name, tensor in loaded.items()}
    save_file(state, target, metadata={"format": "pt"})
    sync(target)
    if check:
        again = load_file(target)
        assert all(torch.equal(tensor, again[name]) for name, tensor in state.items())


def hf_convert_checked(source: str, target: str) -> None:
    hf_convert(source, target, check=True)


def chain_pruned_half(source: str, target: str) -> None:
    """Load, drop EMA, halve, save; then one read for each hash."""
    import torch

    _variant(torch.load(source, map_location="cpu", weights_only=True), target, keep="weights", half=True)
    hash_each(target)


def variants_separately(source: str, *targets: str) -> None:
    """Four variants one after another, each from the mapped source, each read once for each hash."""
    import torch

    ways = (("all", False), ("weights", False), ("weights", True), ("ema", True))
    for (keep, half), target in zip(ways, targets, strict=True):
        _variant(torch.load(source, map_location="cpu", weights_only=True, mmap=True), target, keep=keep, half=half)
        hash_each(target)


def _variant(loaded: dict[str, Any], target: str, *, keep: str, half: bool) -> None:
    import torch
    from safetensors.torch import save_file

    state = loaded.get("state_dict", loaded)
    if keep != "all":
        averages = {name: tensor for name, tensor in state.items() if name.startswith("model_ema.")}
        state = {name: tensor for name, tensor in state.items() if name not in averages}
        if keep == "ema":
            state = {name: averages.get(average_of(name), tensor) for name, tensor in state.items()}
    if half:
        state = {name: tensor.half() if tensor.dtype == torch.float32 else tensor for name, tensor in state.items()}
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, target, metadata={"format": "pt"})
    sync(target)


def average_of(name: str) -> str:
    return "model_ema." + name.removeprefix("model.").replace(".", "")


def a1111_weighted_sum(first: str, second: str, target: str) -> None:
    """Both models in memory, `(1 - m) * a + m * b` for every tensor of the model, saved; then the SHA-256 that A1111 takes of it."""
    from safetensors.torch import load_file, save_file

    theta_1, theta_0 = load_file(second), load_file(first)
    for name in theta_0:
        if "model" in name and name in theta_1 and not name.endswith("position_ids"):
            theta_0[name] = (1 - 0.3) * theta_0[name] + 0.3 * theta_1[name]
    del theta_1
    save_file(theta_0, target, metadata={"format": "pt"})
    sync(target)
    by_pieces(target, hashlib.sha256().update)


def hash_each(path: str) -> None:
    """SHA256, AutoV3, BLAKE3, CRC32 and AutoV1, each with a read of its own."""
    from blake3 import blake3

    with open(path, "rb") as file:
        start = 8 + int.from_bytes(file.read(8), "little")
    by_pieces(path, hashlib.sha256().update)
    by_pieces(path, hashlib.sha256().update, start)
    by_pieces(path, blake3().update)
    crc = 0

    def add(piece: memoryview) -> None:
        nonlocal crc
        crc = zlib.crc32(piece, crc)

    by_pieces(path, add)
    with open(path, "rb") as file:
        file.seek(0x100000)
        hashlib.sha256(file.read(0x10000))


def by_pieces(path: str, feed: Callable[[memoryview], Any], start: int = 0) -> None:
    """Every byte from `start` on, in pieces that fit the cache."""
    buffer = memoryview(bytearray(PIECE))
    with open(path, "rb", buffering=0) as file:
        file.seek(start)
        while got := file.readinto(buffer):
            feed(buffer[:got])


def sync(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


METHODS = (hf_convert, hf_convert_checked, chain_pruned_half, variants_separately, a1111_weighted_sum)


if __name__ == "__main__":
    method = next(method for method in METHODS if method.__name__ == sys.argv[1])
    method(*sys.argv[2:])
    print(*(Path(path).stat().st_size for path in sys.argv[2:]))
