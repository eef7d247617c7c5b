"""A commit as clients send it: a header and operations, one JSON object a line. Checked by themselves; what they do is `pushing.py`'s."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from hub.api.huggingface.answers import HubError
from hub.api.huggingface.bodies import json_lines, text_of
from hub.api.huggingface.contents import LFS, MAX_SMALL, Judge, mode_of
from registry.commits import SHA
from registry.repopaths import MAX_PATH, clean_folder, clean_path

ADD_TEXT, ADD_FILE, DELETE_FILE, DELETE_FOLDER = "file", "lfsFile", "deletedFile", "deletedFolder"
DIGEST = re.compile(r"[0-9a-f]{64}")
MAX_TEXTS = 32 * 2**20
"""Bytes of all texts and pictures of one commit, which are held in memory until it is written."""
MAX_BODY = MAX_TEXTS * 4 // 3 + 8 * 2**20
LONGEST = MAX_SMALL * 4 // 3 + 4096
MAX_OPERATIONS = 5_000
MAX_LARGE = 200
"""Large files that one commit gives their places; each takes some ten queries while other pushes to the version wait."""


@dataclass(frozen=True, slots=True)
class Header:
    """`parent`: the commit that the client saw, or ""."""

    title: str
    message: str
    parent: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One change of a tree: `content` of a text, `sha256` and perhaps `size` of a large file; neither where something is taken away."""

    key: str
    path: str
    content: bytes = b""
    sha256: str = ""
    size: int | None = None


def read(request: HttpRequest) -> tuple[Header, list[Operation]]:
    """Raises `HubError` and `FormatError`: for bodies beyond a limit 413, else 400 with what is wrong in which path."""
    header, operations, left, judge = None, [], MAX_TEXTS, Judge()
    for line in json_lines(request, most_bytes=MAX_BODY, most_lines=MAX_OPERATIONS + 2, longest=LONGEST):
        key, value = line.get("key"), line["value"]
        if key == "header":
            header = _header(value)
            continue
        operation = _operation(key, value)
        left -= len(operation.content)
        if left < 0:
            raise HubError(413, f"The texts of a commit may have {MAX_TEXTS:,} bytes together. Split it into several.")
        if operation.key == ADD_TEXT:
            judge.check(operation.path, operation.content)
        operations.append(operation)
    if header is None or not operations:
        raise HubError(400, "A commit needs a header and at least one operation.")
    if sum(operation.key == ADD_FILE for operation in operations) > MAX_LARGE:
        raise HubError(413, f"A commit may have {MAX_LARGE} large files. Split it into several.")
    _refuse_twice(operations)
    return header, operations


def _header(value: dict[str, Any]) -> Header:
    parent = text_of(value, "parentCommit", 40, "")
    if parent and not SHA.fullmatch(parent):
        raise HubError(400, "parentCommit must be 40 lower-case hexadecimal digits.")
    title = " ".join(text_of(value, "summary", 10_000, "").split())[:200]
    return Header(title or "Upload files", text_of(value, "description", 50_000, ""), parent)


def _operation(key: Any, value: dict[str, Any]) -> Operation:
    given = text_of(value, "path", 4 * MAX_PATH)
    if key == DELETE_FOLDER:
        return Operation(key, clean_folder(given))
    path = clean_path(given)
    if key == DELETE_FILE:
        return Operation(key, path)
    if key == ADD_TEXT:
        return Operation(key, path, content=_decoded(path, value))
    if key == ADD_FILE:
        return _large(path, value)
    raise HubError(400, f"A commit has no operation {str(key)[:40]!r} here; it has file, lfsFile, deletedFile and deletedFolder.")


def _decoded(path: str, value: dict[str, Any]) -> bytes:
    content = value.get("content")
    if not isinstance(content, str) or value.get("encoding", "utf-8") not in {"base64", "utf-8"}:
        raise HubError(400, f"{path}: content must be a text, its encoding base64 or utf-8.")
    if value.get("encoding", "utf-8") == "utf-8":
        return content.encode()
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        raise HubError(400, f"{path}: the content is not base64.") from None


def _large(path: str, value: dict[str, Any]) -> Operation:
    oid, size = value.get("oid"), value.get("size")
    if value.get("algo", "sha256") != "sha256" or not isinstance(oid, str) or not DIGEST.fullmatch(oid):
        raise HubError(400, f"{path}: oid must be the SHA-256 of the file, 64 lower-case hexadecimal digits.")
    if size is not None and (type(size) is not int or not 0 < size < 2**63):
        raise HubError(400, f"{path}: size must be a number of bytes.")
    if mode_of(path, b"", 1) != LFS:
        raise HubError(400, f"{path} is a text or picture: send it inside the commit.")
    return Operation(ADD_FILE, path, sha256=oid, size=size)


def _refuse_twice(operations: list[Operation]) -> None:
    for paths in (_paths(operations, ADD_TEXT, ADD_FILE), _paths(operations, DELETE_FILE)):
        seen: set[str] = set()
        for path in paths:
            if path in seen:
                raise HubError(400, f"{path} is named twice in one commit.")
            seen.add(path)


def _paths(operations: list[Operation], *keys: str) -> Iterator[str]:
    return (operation.path for operation in operations if operation.key in keys)
