"""Reads a stored S3 object by offset, as if it were an open file: ranged GETs, ahead of whoever reads in order. It writes nothing.

The object's ETag is fixed when it is opened and asked for with every range, so that all bytes are those of one object.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError, HTTPClientError

from registry.formats.reader import cut_short

log = logging.getLogger(__name__)

FIRST, LARGEST = 256 << 10, 8 << 20
"""Bytes of the first range after a jump, at least, and of the largest one: each that is read on to is twice as large as the last."""
AHEAD = 2
"""Ranges under way behind the one that is being read; one until they are of the largest size, since a jump may come at any time."""
HELD = 48 << 20
"""Bytes of ranges that are kept, those that were used last: readers jump back and forth between neighbours."""
ATTEMPTS = 4
"""Connections for one range: bodies that end early are taken up where they ended."""
WAIT_SECONDS = 0.5
"""Before the second connection; twice as long before each further one."""


class Changed(OSError):
    """Other bytes lie under the name than when it was opened."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A range of the object that was asked for."""

    start: int
    size: int
    bytes: Future[bytes]

    @property
    def end(self) -> int:
        return self.start + self.size


class StoredReader:
    """A `registry.formats.reader.Reader` of one S3 object. Use as a context manager: it has threads.

    Beside what `Reader` says it raises what boto3 does where the store stays away, and `Changed`. `fetched` counts the bytes asked for.
    """

    def __init__(self, bucket: Any, name: str) -> None:
        self._client, self._place = bucket.meta.client, {"Bucket": bucket.name, "Key": name}
        head = self._client.head_object(**self._place)
        self.size: int = head["ContentLength"]
        self._etag: str = head["ETag"]
        self._parts: list[_Part] = []
        self._next, self._step = -1, FIRST
        self._pool = ThreadPoolExecutor(AHEAD, thread_name_prefix="s3-read")
        self.fetched = 0

    def __enter__(self) -> StoredReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def read_into(self, offset: int, view: memoryview) -> None:
        if offset < 0 or offset + len(view) > self.size:
            raise cut_short(offset)
        in_order = offset == self._next
        self._next = offset + len(view)
        while view:
            part = self._part(offset, max(FIRST, len(view)), in_order)
            piece = memoryview(part.bytes.result())[offset - part.start :][: len(view)]
            view[: len(piece)] = piece
            view, offset, in_order = view[len(piece) :], offset + len(piece), True

    def _part(self, offset: int, wanted: int, in_order: bool) -> _Part:
        """The range that holds `offset`. What follows it is asked for as well, where it was come to in order."""
        self._step = self._step if in_order else min(wanted, LARGEST)
        part = self._find(offset) or self._ask(offset)
        self._parts.remove(part)
        self._parts.append(part)
        end = part.end
        for _ in range((AHEAD if self._step == LARGEST else 1) if in_order else 0):
            if end < self.size:
                end = (self._find(end) or self._ask(end)).end
        while len(self._parts) > 1 + AHEAD and sum(each.size for each in self._parts) > HELD:
            self._parts.pop(0).bytes.cancel()
        return part

    def _find(self, offset: int) -> _Part | None:
        return next((part for part in reversed(self._parts) if part.start <= offset < part.end), None)

    def _ask(self, start: int) -> _Part:
        size = min(self._step, self.size - start)
        self._step = min(2 * self._step, LARGEST)
        self.fetched += size
        self._parts.append(_Part(start, size, self._pool.submit(self._fetch, start, size)))
        return self._parts[-1]

    def _fetch(self, start: int, size: int) -> bytes:
        data = bytearray()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._fill(data, start, size)
            except HTTPClientError as trouble:
                if attempt == ATTEMPTS:
                    raise
                log.info("a range of %s broke off after %d of %d bytes: %s", self._place["Key"], len(data), size, trouble)
            if len(data) == size:
                return bytes(data)
            time.sleep(WAIT_SECONDS * 2 ** (attempt - 1))
        raise OSError(f"the store sent {len(data)} of {size} bytes of {self._place['Key']} from {start} on")

    def _fill(self, data: bytearray, start: int, size: int) -> None:
        """Add what is missing of a range; fewer bytes where the body ends early."""
        wanted = f"bytes={start + len(data)}-{start + size - 1}"
        try:
            answer = self._client.get_object(**self._place, Range=wanted, IfMatch=self._etag)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 412:
                raise self._changed() from error
            raise
        if answer["ETag"] != self._etag:
            raise self._changed()
        with answer["Body"] as body:
            for piece in iter(lambda: body.read(1 << 20), b""):
                data += piece
        if len(data) > size:
            raise OSError(f"the store sent more bytes of {self._place['Key']} than were asked for")

    def _changed(self) -> Changed:
        return Changed(f"{self._place['Key']} is not the object that it was")
