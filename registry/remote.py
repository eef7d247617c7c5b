"""Reads a stored S3 object by offset, as if it were an open file: ranged GETs, ahead of whoever reads in order. It writes nothing.

The object's ETag is fixed when it is opened and asked for with every range, so that all bytes are those of one object.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError, HTTPClientError

from registry.formats.reader import cut_short

log = logging.getLogger(__name__)

FIRST, LARGEST = 256 << 10, 8 << 20
"""Bytes of the first range after a jump, and of the largest one: each that is read on to is twice as large as the one before."""
AHEAD = 2
"""Ranges under way behind the one that is being read; with the last one of `LARGEST`, at most 32 MiB are held."""
ATTEMPTS = 4
"""Connections for one range: bodies that end early are taken up where they ended."""
WAIT_SECONDS = 0.5
"""Before the second connection; twice as long before each further one."""


class Changed(OSError):
    """Other bytes lie under the name than when it was opened."""


class StoredReader:
    """A `registry.formats.reader.Reader` of one S3 object. Use as a context manager: it has threads.

    Beside what `Reader` says it raises what boto3 does where the store stays away, and `Changed`. `fetched` counts the bytes asked for.
    """

    def __init__(self, bucket: Any, name: str) -> None:
        self._client, self._place = bucket.meta.client, {"Bucket": bucket.name, "Key": name}
        head = self._client.head_object(**self._place)
        self.size: int = head["ContentLength"]
        self._etag: str = head["ETag"]
        self._parts: deque[tuple[int, int, Future[bytes]]] = deque()
        self._pool = ThreadPoolExecutor(AHEAD, thread_name_prefix="s3-read")
        self.fetched = 0

    def __enter__(self) -> StoredReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def read_into(self, offset: int, view: memoryview) -> None:
        if offset < 0 or offset + len(view) > self.size:
            raise cut_short(offset)
        while view:
            self._move_to(offset, len(view))
            start, _, future = self._parts[0]
            piece = memoryview(future.result())[offset - start :][: len(view)]
            view[: len(piece)] = piece
            view, offset = view[len(piece) :], offset + len(piece)

    def _move_to(self, offset: int, wanted: int) -> None:
        """Make the range that holds `offset` the first one, and have what follows it fetched, if it was come to in order."""
        while self._parts and not self._parts[0][0] <= offset < sum(self._parts[0][:2]):
            self._parts.popleft()[2].cancel()
        if not self._parts:
            self._ask(offset, max(FIRST, min(wanted, LARGEST)))
            return
        while len(self._parts) <= AHEAD:
            start, size, _ = self._parts[-1]
            if start + size >= self.size:
                return
            self._ask(start + size, min(2 * size, LARGEST))

    def _ask(self, start: int, size: int) -> None:
        size = min(size, self.size - start)
        self.fetched += size
        self._parts.append((start, size, self._pool.submit(self._fetch, start, size)))

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
