"""Which bytes of a file a request asks for, by the rules of RFC 9110 sections 13 and 14. Reads no file and sends nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime

_RANGE = re.compile(rb"bytes=\s*(\d{0,18})-(\d{0,18})\s*", re.IGNORECASE)
"""One range. Several in one request are answered with the whole file, which RFC 9110 14.2 allows; nobody resumes that way."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What to send: `status` 200, 206, 304 or 416, the bytes [start, start + length), and the headers that say so."""

    status: int
    start: int
    length: int
    headers: list[tuple[bytes, bytes]]


def answer(asked: dict[bytes, bytes], size: int, etag: bytes, modified: float) -> Answer:
    """Decide on a GET or HEAD of `size` bytes.

    `asked`: the request's headers, names in lower case. `etag`: strong, with its quotes. `modified`: Unix seconds.
    """
    headers = [(b"etag", etag), (b"last-modified", http_date(modified)), (b"accept-ranges", b"bytes")]
    if _unchanged(asked, etag, modified):
        return Answer(304, 0, 0, headers)
    whole = Answer(200, 0, size, [*headers, (b"content-length", b"%d" % size)])
    wanted = _RANGE.fullmatch(asked.get(b"range", b""))
    if wanted is None or not still_the_same(asked.get(b"if-range"), etag, modified):
        return whole
    return _part(wanted[1], wanted[2], size, headers) or whole


def http_date(seconds: float) -> bytes:
    return formatdate(seconds, usegmt=True).encode()


def _part(first: bytes, last: bytes, size: int, headers: list[tuple[bytes, bytes]]) -> Answer | None:
    """206 or 416; None for a range that is no range and must be ignored."""
    if not first and not last:
        return None
    if first:
        start, end = int(first), min(int(last), size - 1) if last else size - 1
        if last and int(last) < start:
            return None
    else:
        start, end = max(0, size - int(last)), size - 1
    if start >= size:
        return Answer(416, 0, 0, [*headers, (b"content-range", b"bytes */%d" % size), (b"content-length", b"0")])
    length = end - start + 1
    place = b"bytes %d-%d/%d" % (start, end, size)
    return Answer(206, start, length, [*headers, (b"content-range", place), (b"content-length", b"%d" % length)])


def _unchanged(asked: dict[bytes, bytes], etag: bytes, modified: float) -> bool:
    """If-None-Match decides; If-Modified-Since only where the other is absent."""
    known = asked.get(b"if-none-match")
    if known is not None:
        tags = [tag.strip().removeprefix(b"W/") for tag in known.split(b",")]
        return etag in tags or b"*" in tags
    since = _seconds(asked.get(b"if-modified-since", b""))
    return since is not None and int(modified) <= since


def still_the_same(condition: bytes | None, etag: bytes, modified: float) -> bool:
    """Whether a range may be served under this If-Range: a strong tag that matches, or exactly our date."""
    if condition is None:
        return True
    if condition.strip().startswith((b'"', b"W/")):
        return condition.strip() == etag
    return _seconds(condition) == int(modified)


def _seconds(date: bytes) -> float | None:
    try:
        return parsedate_to_datetime(date.decode("latin-1")).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
