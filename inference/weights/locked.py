"""Conversions in a locked child process: this side opens, starts, listens and publishes; the child can do nothing but the work.

`convert_locked` is a conversion. `work_locked` is what it has in common with any other work on weights, such as a merge: that gives its
own entry (a function which calls `inside.work`), its sources and targets, and orders that JSON can carry.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.weights import libtorch
from inference.weights.convert import cast_bytes
from inference.weights.kernels import TORCH_PAYS
from inference.weights.newfile import NewFile
from inference.weights.recipe import Recipe
from registry.formats.directory import TensorDirectory
from registry.formats.errors import FormatError, LimitExceeded
from registry.formats.hashes import Hashes
from registry.formats.reader import FileReader, Reader
from registry.sandbox.parent import run_child
from registry.sandbox.ranges import Serving

CONVERT = "inference.weights.inside:convert"

MEMORY, TORCH_MEMORY = 2 << 30, 8 << 30
"""Address space of a child, in bytes: a directory of 64 MB of JSON and its plan fit. Torch's library maps half a gigabyte, and several with
CUDA.
"""

PATIENCE_SECONDS, BYTES_A_SECOND = 120, 16 << 20
"""A child may work so long, and for every byte that it reads or writes as long as at this pace: 42 minutes for four files of 4 GB."""

OUTPUT_TIMES, OUTPUT_FREE = 4, 256 << 20
"""An output may have so many times the bytes of all sources, and these beside: half precision to single, and views that were shared."""

ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
"""No library starts threads at its import, before the doors are closed; and threads share memory arenas, each of which would reserve
64 MiB of the address space.
"""

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all), a few times a second."""


class Unfinished(OSError):
    """The work was not done, and not because of the file: a full disk, a killed or late child.

    `sentence` says it to whoever waits, `text` (a traceback, say) to whoever mends it.
    """

    def __init__(self, sentence: str, text: str = "", number: int | None = None) -> None:
        super().__init__(number or errno.EIO, f"{sentence} {text}".strip())
        self.sentence, self.text = sentence, text


@dataclass(frozen=True, slots=True)
class Wanted:
    """One output of a conversion. Its metadata is `metadata.derived_metadata`, or with `plain` {"format": "pt"} and every name."""

    target: Path
    recipe: Recipe
    plain: bool = False
    source_sha256: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """A file that now lies at its target: what is known of its bytes, `Outcome.to_json()` or another work's own report, and the layers
    of the sandbox that it was made in.
    """

    size_bytes: int
    hashes: Hashes
    report: dict[str, Any]
    sandbox: tuple[str, ...] = ()


def convert_locked(
    source: str | os.PathLike[str] | Reader,
    directory: TensorDirectory,
    wanted: Sequence[Wanted],
    *,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> list[Made | FormatError]:
    """Make every file of `wanted` from one source in one pass; in their order what was made, or why that one cannot be.

    Raises `FormatError` where the file is at fault, `Unfinished` or what the source's store raises where we are, and `Cancelled`; then
    nothing is published. `cancelled` is asked ten times a second, and the child dead at once where it says so; what it or `progress`
    raises ends the work as well.
    """
    orders = {
        "directory": directory.to_json(),
        "outputs": [[each.recipe.to_json(), each.plain, each.source_sha256, each.title] for each in wanted],
    }
    targets = [each.target for each in wanted]
    torch = cast_bytes(directory, [each.recipe for each in wanted]) >= TORCH_PAYS and libtorch.installed()
    return work_locked(CONVERT, [source], targets, orders, progress=progress, cancelled=cancelled, torch=torch)


def work_locked(
    entry: str,
    sources: Sequence[str | os.PathLike[str] | Reader],
    targets: Sequence[Path],
    orders: dict[str, Any],
    *,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
    torch: bool = False,
) -> list[Made | FormatError]:
    """Run `entry` ("module:function", which calls `inside.work`) in a locked child and publish what it wrote to `targets`.

    The child's job answers {"made": [...]}, for each target a row as `inside.written` gives it, or {"error"}: that file is not published.
    A source is a path, or a `Reader`: one with `fileno` is handed over as that descriptor, any other is served through pipes. `orders`
    are the job's: whatever JSON can carry, of any length. `torch` has its library opened there first.
    Raises as `convert_locked` does. Nothing is visible at any target until the whole work is done.
    """
    with ExitStack() as stack:
        served = [_hand_over(source, stack) for source in sources]
        files = [stack.enter_context(NewFile(target)) for target in targets]
        total = sum(each.size for each in served)
        told = {
            "sources": [each.row for each in served],
            "outputs": [[file.fd, file.direct_fd] for file in files],
            "orders": orders,
        }
        timeout = PATIENCE_SECONDS + math.ceil(total * (2 + 2 * len(targets)) / BYTES_A_SECOND)
        code, said = run_child(
            entry,
            [fd for each in served for fd in each.fds] + [fd for file in files for fd in (file.fd, file.direct_fd) if fd is not None],
            ["torch"] if torch else [],
            timeout=timeout,
            site_packages=True,
            memory_bytes=TORCH_MEMORY if torch else MEMORY,
            file_bytes=OUTPUT_TIMES * total + OUTPUT_FREE,
            told=json.dumps(told).encode(),
            environment=ENVIRONMENT,
            heard=_progress(progress or _nobody),
            cancelled=cancelled,
        )
        rows, layers = _answer(code, said, timeout, [each.serving for each in served])
        made = [_made(row, file, layers) for row, file in zip(rows, files, strict=True)]
        for file, one in zip(files, made, strict=True):
            if isinstance(one, Made):
                file.publish()
    return made


@dataclass(frozen=True, slots=True)
class _Handed:
    """A source as the child gets it: descriptors, and the row of its orders that says which is what."""

    size: int
    fds: tuple[int, ...]
    row: list[int]
    serving: Serving | None = None


def _hand_over(source: str | os.PathLike[str] | Reader, stack: ExitStack) -> _Handed:
    if isinstance(source, str | os.PathLike):
        fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, fd)
        reader: Reader = FileReader(fd)
    else:
        reader = source
    if hasattr(reader, "fileno"):
        fd = reader.fileno()
        return _Handed(reader.size, (fd,), [fd])
    serving = stack.enter_context(Serving(reader))
    return _Handed(reader.size, serving.fds, [*serving.fds, reader.size], serving)


def _nobody(_done: int, _total: int) -> None:
    """Nobody asked how far the work is; the child says so anyway."""


def _progress(progress: Progress) -> Callable[[Any], None]:
    def hear(news: Any) -> None:
        if isinstance(news, list) and len(news) == 2 and all(type(number) is int and 0 <= number < 1 << 62 for number in news):
            progress(min(news), news[1])

    return hear


def _answer(code: int | None, said: bytes | None, timeout: float, servings: list[Serving | None]) -> tuple[list[Any], tuple[str, ...]]:
    """Rows of what the child made and its locks, or what it ended with as an exception. It may have been broken out of: look twice."""
    try:
        answer = json.loads(said or b"") if code == 0 else None
    except (ValueError, RecursionError):
        answer = None
    if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
        raise _format_error(answer["error"])
    for serving in servings:
        if serving is not None and serving.trouble is not None:
            raise serving.trouble
    if isinstance(answer, dict) and isinstance(answer.get("trouble"), dict):
        raise _trouble(answer["trouble"])
    if code is None or (isinstance(answer, dict) and "late" in answer):
        raise Unfinished(f"The work on this file took longer than {timeout:.0f} seconds and was ended.")
    made = answer["answer"].get("made") if isinstance(answer, dict) and isinstance(answer.get("answer"), dict) else None
    if not isinstance(made, list):
        how = f"was stopped by the system (signal {-code})" if code < 0 else "gave no answer"
        raise Unfinished(
            f"The process that worked on this file {how}.", (said or b"").decode(errors="replace")[-4000:] if code == 1 else ""
        )
    layers = answer.get("sandbox") if isinstance(answer, dict) else None
    return made, tuple(map(str, layers)) if isinstance(layers, list) else ()


def _format_error(error: dict[str, Any]) -> FormatError:
    code, sentence, where = (str(error.get(key) or "")[:2000] for key in ("code", "sentence", "where"))
    offset = error.get("offset")
    if not re.fullmatch(r"[A-Za-z][\w:-]{2,60}", code) or not sentence:
        raise Unfinished("The process that worked on this file gave no answer.")
    kind = LimitExceeded if error.get("limit") is True else FormatError
    return kind(code, sentence, where=where, offset=offset if type(offset) is int else None)


FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def _trouble(trouble: dict[str, Any]) -> Unfinished:
    said, text = trouble.get("errno"), str(trouble.get("text", ""))[:4000]
    number = said if type(said) is int else None
    if number in FULL:
        return Unfinished(
            "The disk is full, so the file could not be made. Nothing was left of it; make room and try again.", number=number
        )
    return Unfinished("The work on this file met trouble that is not the file's.", text, number)


_HEX = {"sha256": 64, "blake3": 64, "autov1": 8, "data_sha256": 64, "content": 64}
_OPTIONAL = {"autov1", "data_sha256", "content"}


def _made(row: Any, file: NewFile, layers: tuple[str, ...]) -> Made | FormatError:
    """What the child says of an output, held against the output. That its digests are those of the bytes is its word."""
    if isinstance(row, dict) and isinstance(row.get("error"), dict):
        return _format_error(row["error"])
    try:
        report, fields = row
        digests = {key: fields[key] for key in _HEX}
        for key, value in digests.items():
            if not (value is None and key in _OPTIONAL) and not re.fullmatch(f"[0-9a-f]{{{_HEX[key]}}}", value):
                raise ValueError(key)
        tensors = tuple((str(name), str(digest)) for name, digest in fields["tensors"])
        crc32, size = fields["crc32"], os.fstat(file.fd).st_size
        if type(crc32) is not int or not 0 <= crc32 < 1 << 32 or fields["size_bytes"] != size or not isinstance(report, dict):
            raise ValueError("size_bytes")
    except (TypeError, ValueError, KeyError) as error:
        raise Unfinished("The process that worked on this file gave an answer that does not fit the file.", str(error)) from error
    return Made(size, Hashes(size_bytes=size, crc32=crc32, tensors=tensors, **digests), report, layers)
