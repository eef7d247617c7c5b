"""Every hash that the hub and its peers know a file by, computed in one read: SHA256, BLAKE3, CRC32, AutoV1-3, ours of data and tensors.

It reads bytes and counts them; it does not judge them, and an AutoV3 says nothing about a safetensors header being valid.

Definitions (Civitai's ModelHashType; A1111 and kohya agree on those they use):

- AutoV1: SHA-256 of the 0x10000 bytes at 0x100000, first 8 digits; absent for files under 2 MiB. Weak: many files share one.
- AutoV2: first 10 digits of the SHA-256.
- AutoV3: SHA-256 of what follows a safetensors header, first 12 digits; absent for any other kind of file, and for a
  header with no data behind it (the hash of nothing would "find" every such file).
- DATA: ours, the whole of what AutoV3 is the beginning of; kohya's trainers write it as `sshs_model_hash`, and programs look it up.
- CRC32: the IEEE CRC that zlib computes. Civitai prints its four bytes in little-endian order, so do we:
  of "hello world" zlib says 0x0D4A1185 and the text is `85114A0D`.
- TENSORS: ours, of safetensors only (`contents`): equal for files that differ in metadata, order or padding and in nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import sys
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from blake3 import blake3
from isal import isal_zlib

from registry.formats.contents import ContentHash, Digests
from registry.formats.plaintext import printable

CHUNK = 2 << 20
"""Bytes handed to the hash threads at once: still in the cache that they were read into when they are hashed, and few hand-overs."""
RING = 8
"""Chunks in flight in `hash_file`, so 16 MiB of memory whatever the file's size."""
AUTOV1_START, AUTOV1_SIZE, AUTOV1_MIN_FILE = 0x100000, 0x10000, 2 << 20
MAX_HEADER = 100_000_000
"""Largest safetensors header: the reference reader's own limit (safetensors/src/tensor.rs)."""


@dataclass(frozen=True, slots=True)
class Hashes:
    """Digests of one file as lower-case hex (the form that names a blob); `as_dict` gives Civitai's spelling.

    `data_sha256` is the whole digest that AutoV3 abbreviates: equal for two safetensors files that differ in metadata only.
    `content` and `tensors` are what `contents` defines: None and () for anything but well-formed safetensors with tensors in it.
    """

    size_bytes: int
    sha256: str
    blake3: str
    crc32: int
    autov1: str | None
    data_sha256: str | None
    content: str | None = None
    tensors: Digests = field(default=(), repr=False)

    @property
    def autov2(self) -> str:
        return self.sha256[:10]

    @property
    def autov3(self) -> str | None:
        return self.data_sha256[:12] if self.data_sha256 else None

    @property
    def crc32_text(self) -> str:
        """CRC32 as Civitai prints it: the four bytes of the number in little-endian order, upper-case hex."""
        return self.crc32.to_bytes(4, "little").hex().upper()

    def as_dict(self) -> dict[str, str]:
        """Hash type -> upper-case hex, without the types that this file has not: the six that Civitai knows, DATA and TENSORS."""
        found = {
            "AutoV1": self.autov1,
            "AutoV2": self.autov2,
            "AutoV3": self.autov3,
            "SHA256": self.sha256,
            "CRC32": self.crc32_text,
            "BLAKE3": self.blake3,
            "DATA": self.data_sha256,
            "TENSORS": self.content,
        }
        return {name: text.upper() for name, text in found.items() if text}


class _Window:
    """Collects the bytes [start, start + size) of a stream that arrives in pieces."""

    def __init__(self, start: int, size: int) -> None:
        self.start, self.end, self.kept = start, start + size, bytearray()

    def feed(self, at: int, data: memoryview) -> None:
        if at < self.end and at + len(data) > self.start:
            self.kept += data[max(self.start - at, 0) : self.end - at]


class _DataHash:
    """SHA-256 of what follows a safetensors header, or nothing when the stream does not begin like one (`plain`)."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._sha = hashlib.sha256()
        self._start: int | None = None
        self.plain = False

    def feed(self, at: int, data: memoryview) -> None:
        if self.plain:
            return
        if self._start is None:
            self._head += data[: 9 - len(self._head)]
            if len(self._head) < 9:
                return
            length = int.from_bytes(self._head[:8], "little")
            self.plain = length > MAX_HEADER or self._head[8:] != b"{"
            self._start = 8 + length
        if not self.plain and at + len(data) > self._start:
            self._sha.update(data[max(self._start - at, 0) :])

    def digest(self, size: int) -> str | None:
        known = self._start is not None and not self.plain and size > self._start
        return self._sha.hexdigest() if known else None


class Hasher:
    """All hashes of a stream, fed piece by piece. Each lane is a thread of its own, so that the wall time is near that of one SHA-256.

    Lanes that only safetensors need are left alone as soon as the stream is known to be something else.

    `update` returns when the piece is hashed. `feed` returns at once with futures to wait for before the
    piece's memory is used again; pieces are always hashed in the order in which they were fed.
    """

    def __init__(self) -> None:
        self._sha, self._blake, self._crc, self._size = hashlib.sha256(), blake3(), 0, 0
        self._window = _Window(AUTOV1_START, AUTOV1_SIZE)
        self._data, self._contents = _DataHash(), ContentHash()
        self._lanes = [ThreadPoolExecutor(1, thread_name_prefix=f"hash-{name}") for name in ("sha", "light", "data", "contents")]

    def feed(self, data: bytes | bytearray | memoryview) -> list[Future[Any]]:
        """Begin hashing a piece; the caller keeps it unchanged until every future is done."""
        view = memoryview(data).cast("B")
        at, self._size = self._size, self._size + len(view)
        sha, light, behind, contents = self._lanes
        futures = [sha.submit(self._sha.update, view), light.submit(self._light_piece, at, view)]
        if not self._data.plain:
            futures.append(behind.submit(self._data.feed, at, view))
        if not self._contents.given_up:
            futures.append(contents.submit(self._contents.feed, view))
        return futures

    def update(self, data: bytes | bytearray | memoryview) -> None:
        settle(self.feed(data))

    def _light_piece(self, at: int, view: memoryview) -> None:
        self._blake.update(view)
        self._crc = isal_zlib.crc32(view, self._crc)
        self._window.feed(at, view)

    def close(self) -> None:
        """Ends the threads; `finish` does it too. For streams that are given up half-way."""
        for lane in self._lanes:
            lane.shutdown()

    def finish(self) -> Hashes:
        """Waits for what was fed and gives the hashes. Nothing can be fed afterwards."""
        self.close()
        content, tensors = self._contents.finish()
        early = hashlib.sha256(self._window.kept).hexdigest()[:8] if self._size >= AUTOV1_MIN_FILE else None
        return Hashes(
            size_bytes=self._size,
            sha256=self._sha.hexdigest(),
            blake3=self._blake.hexdigest(),
            crc32=self._crc,
            autov1=early,
            data_sha256=self._data.digest(self._size),
            content=content,
            tensors=tensors,
        )


def settle(futures: list[Future[Any]]) -> None:
    """Waits for the futures of one piece; an error of a hash thread is raised here."""
    for future in futures:
        future.result()


def hash_file(
    source: BinaryIO | str | os.PathLike[str],
    *,
    copy_to: BinaryIO | None = None,
    progress: Callable[[int], None] | None = None,
) -> Hashes:
    """All hashes of a file in one read, and a copy of it on the way if `copy_to` is given.

    An open file is read from where it stands to its end. `progress` gets the bytes read so far, once a chunk.
    Memory stays at `RING` chunks. Raises OSError only: every byte string has hashes.
    """
    if isinstance(source, str | os.PathLike):
        with open(source, "rb", buffering=0) as opened:
            with contextlib.suppress(OSError):  # a pipe has nothing to read ahead of
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
            return hash_file(opened, copy_to=copy_to, progress=progress)
    hasher = Hasher()
    try:
        _pump(source, hasher, copy_to, progress)
    finally:
        hasher.close()
    return hasher.finish()


def _pump(source: BinaryIO, hasher: Hasher, copy_to: BinaryIO | None, progress: Callable[[int], None] | None) -> None:
    free = deque(bytearray(CHUNK) for _ in range(RING))
    busy: deque[tuple[bytearray, list[Future[Any]]]] = deque()
    total = 0
    while True:
        if not free:
            chunk, futures = busy.popleft()
            settle(futures)
            free.append(chunk)
        chunk = free.popleft()
        got = source.readinto(chunk)  # type: ignore[attr-defined]
        if not got:
            break
        view = memoryview(chunk)[:got]
        busy.append((chunk, hasher.feed(view)))
        if copy_to is not None:
            _write_all(copy_to, view)
        total += got
        if progress is not None:
            progress(total)
    for _, futures in busy:
        settle(futures)


def _write_all(target: BinaryIO, view: memoryview) -> None:
    """An unbuffered file may take less than it is given."""
    while view:
        view = view[target.write(view) :]


def _of(name: str, *, tensors: bool) -> dict[str, Any]:
    """What the command tells of one file. Raises OSError."""
    found = _of_standard_input() if name == "-" else hash_file(name)
    told = {"file": name, "size_bytes": found.size_bytes, **found.as_dict()}
    return {**told, "tensors": dict(found.tensors)} if tensors else told


def _of_standard_input() -> Hashes:
    with open(0, "rb", buffering=0, closefd=False) as source:
        return hash_file(source)


def _table(told: dict[str, Any]) -> str:
    lines = [f"{printable(told['file'])}: {told['size_bytes']:,} bytes"]
    lines += [f"  {kind:<8} {value}" for kind, value in told.items() if kind not in {"file", "size_bytes", "tensors"}]
    lines += [f"  {digest}  {printable(name)}" for name, digest in told.get("tensors", {}).items()]
    return "\n".join(lines)


def _matches(told: dict[str, Any], wanted: str) -> bool:
    wanted = wanted.strip().upper().removeprefix("0X")
    return wanted in {value for kind, value in told.items() if isinstance(value, str) and kind != "file"}


def main(arguments: list[str] | None = None) -> int:
    """The command: 0 where every file was read (and is the one that `--check` names), else 1 and a sentence on stderr for each."""
    options = argparse.ArgumentParser(prog="python -m registry.formats.hashes", description=str(__doc__).split("\n\n")[0])
    options.add_argument("files", nargs="+", metavar="FILE", help="Files to read; - is standard input.")
    options.add_argument("--json", action="store_true", help="JSON on a terminal too, where a table is printed otherwise.")
    options.add_argument("--tensors", action="store_true", help="The digest of every tensor of a safetensors file, too.")
    options.add_argument("--check", metavar="HASH", help="Fail for a file that none of whose hashes (of any kind) is this one.")
    chosen = options.parse_args(arguments)
    found, wrong = [], 0
    for name in chosen.files:
        try:
            found.append(_of(name, tensors=chosen.tensors))
        except OSError as error:
            print(f"{printable(name)} cannot be read: {error.strerror or error}.", file=sys.stderr)
            wrong = 1
            continue
        if chosen.check and not _matches(found[-1], chosen.check):
            print(f"{printable(name)} is another file: none of its hashes is {printable(chosen.check)}.", file=sys.stderr)
            wrong = 1
    if sys.stdout.isatty() and not chosen.json:
        print("\n\n".join(map(_table, found)))
    elif found:
        print(json.dumps(found[0] if len(chosen.files) == 1 else found, indent=1))
    return wrong


if __name__ == "__main__":
    sys.exit(main())
