"""A digest of every tensor of a safetensors stream, and one of all tensors that no metadata, order or padding changes.

It follows the strict reader's rules and gives up in silence where the stream breaks one: telling what is wrong is that reader's work.

Definition: a tensor's digest is the first 128 bits of the BLAKE3 of its bytes. The content hash is the BLAKE3 of one line for each
tensor, in the order of the names' UTF-8: `[name, dtype, shape, digest]` as JSON without spaces, not escaped to ASCII, and a line feed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from json.encoder import encode_basestring

from blake3 import blake3

from registry.formats.errors import FormatError
from registry.formats.safetensors import Header, header_length, parse_header

DIGEST_BYTES = 16
Digests = tuple[tuple[str, str], ...]
"""(name, 32 lower-case hex digits) of every tensor, in the order of the names' UTF-8."""


def content_hash(tensors: Iterable[tuple[str, str, Sequence[int], str]]) -> str:
    """64 hex digits over (name, dtype, shape, digest) of tensors in any order."""
    lines = (
        f'[{encode_basestring(name)},"{dtype}",[{",".join(map(str, shape))}],"{digest}"]\n'  # json.dumps takes three times as long
        for name, dtype, shape, digest in sorted(tensors, key=lambda tensor: tensor[0].encode())
    )
    return blake3("".join(lines).encode()).hexdigest()


class ContentHash:
    """The tensor digests of a stream that arrives in pieces of any size. Memory: the header, at most `MAX_HEADER`, and what it lists.

    `given_up` says that nothing will come of this stream; feeding it further costs nothing.
    """

    def __init__(self) -> None:
        self.given_up = False
        self._head = bytearray()
        self._wanted = 9  # the length, and the brace that a header must start with
        self._header: Header | None = None
        self._digests: list[str] = []
        self._current = blake3()
        self._at = 0

    def feed(self, data: memoryview) -> None:
        """The next bytes of the stream."""
        if self.given_up:
            return
        try:
            if self._header is None:
                data = self._collect(data)
            if self._header is not None:  # also without bytes behind it: tensors may have none
                self._walk(self._header, data)
        except FormatError:
            self._give_up()

    def _give_up(self) -> None:
        self.given_up = True
        self._head, self._header, self._digests = bytearray(), None, []

    def _collect(self, data: memoryview) -> memoryview:
        """Takes the header's bytes; returns those behind it. Raises FormatError for a header that the strict reader refuses."""
        while self._header is None and len(data):
            taken = data[: self._wanted - len(self._head)]
            self._head += taken
            data = data[len(taken) :]
            if len(self._head) == self._wanted == 9:
                if self._head[8:] != b"{":
                    raise FormatError("S-JSON", "The safetensors header does not start as it must.", offset=8)
                self._wanted = max(9, 8 + header_length(bytes(self._head[:8])))
            if len(self._head) == self._wanted:
                self._header = parse_header(bytes(self._head[8:]))
                self._head = bytearray()
        return data

    def _walk(self, header: Header, data: memoryview) -> None:
        """Hashes bytes of the data, tensor by tensor. Raises FormatError for bytes behind the last one."""
        start, self._at = self._at, self._at + len(data)
        done = 0
        for _, _, _, _, end in islice(header.rows, len(self._digests), None):
            if end > self._at:
                break
            self._current.update(data[done : end - start])
            done = end - start
            self._digests.append(self._current.hexdigest(length=DIGEST_BYTES))
            self._current = blake3()
        if len(self._digests) == len(header.rows) and done < len(data):
            header.check_size(self._at)
        self._current.update(data[done:])

    def finish(self) -> tuple[str | None, Digests]:
        """(content hash, tensor digests) of a stream that ended with its last tensor; (None, ()) for any other, and for no tensors."""
        header = self._header
        if header is None or not header.rows or len(self._digests) < len(header.rows):
            return None, ()
        rows = [(name, dtype, shape, digest) for (name, dtype, shape, _, _), digest in zip(header.rows, self._digests, strict=True)]
        rows.sort(key=lambda row: row[0].encode())
        return content_hash(rows), tuple((row[0], row[3]) for row in rows)
