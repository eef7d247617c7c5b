"""Where the parts of an upload land: the same five verbs over local disk and S3 multipart. Knows no request and no user.

Local: one file written in place, one marker a finished part, a lock that parts share and completion takes alone, so that
nothing can write to bytes that are being judged. S3: the bucket's own multipart upload, by presigned URLs (threat: a
presigned part URL is worthless once its upload is completed).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from django.conf import settings
from django.core import signing
from django.core.files.storage import storages

from registry import storage
from registry.models import Upload
from registry.partfile import markers

SALT = "weighhouse.part"


class PartsMissing(Exception):
    """Completion was asked for before everything arrived. `numbers` are the parts that are missing or of a wrong size."""

    def __init__(self, numbers: list[int]) -> None:
        super().__init__(f"parts {numbers[:20]} are missing")
        self.numbers = numbers


class PartsBusy(Exception):
    """A part is still arriving."""


class OtherPart(Exception):
    """What the client says it sent as part `number` is not what arrived."""

    def __init__(self, number: int) -> None:
        super().__init__(f"part {number} is another")
        self.number = number


def begin(upload: Upload) -> None:
    """Prepare the store for the parts of this upload."""
    if storage.on_disk():
        folder = _folder(upload)
        folder.mkdir(parents=True)
        (folder / "lock").touch()
        (folder / "data").touch()
        return
    answer = _client().create_multipart_upload(Bucket=_bucket_name(), Key=upload.staging_name)
    upload.backend_id = answer["UploadId"]
    upload.save(update_fields=["backend_id"])


def part_url(upload: Upload, number: int, origin: str) -> str:
    """URL to PUT part `number` to, valid for `SIGNED_URL_SECONDS`; `origin` is the site's scheme and host."""
    if storage.on_disk():
        claim = {"n": upload.staging_name, "p": number, "s": upload.part_bytes(number), "o": (number - 1) * upload.part_size_bytes}
        return f"{origin}/upload-parts/{signing.dumps(claim, salt=SALT, compress=True)}"
    params = {"Bucket": _bucket_name(), "Key": upload.staging_name, "UploadId": upload.backend_id, "PartNumber": number}
    return _signer(origin).generate_presigned_url("upload_part", Params=params, ExpiresIn=settings.SIGNED_URL_SECONDS)


def read_claim(token: str) -> dict[str, Any]:
    """What a local part URL allows: name, part, size, offset. Raises `signing.BadSignature` (also when expired)."""
    return signing.loads(token, salt=SALT, max_age=settings.SIGNED_URL_SECONDS)


def received(upload: Upload) -> dict[int, dict[str, Any]]:
    """{part number: {"size": bytes, "etag": str}} of what the store has whole."""
    if storage.on_disk():
        return markers(_folder(upload))
    if upload.completed_at:
        return {}
    return _s3_parts(upload)


def complete(upload: Upload, etags: Mapping[int, str] | None = None) -> None:
    """Join the parts into one object that can no longer be written. `etags`: what the client says it sent, by part.

    Raises `PartsMissing`, `PartsBusy`, `OtherPart`. Asked twice it does nothing the second time.
    """
    if storage.on_disk():
        _complete_local(upload, etags or {})
    else:
        _complete_s3(upload, etags or {})


def _check_parts(upload: Upload, have: dict[int, dict[str, Any]], etags: Mapping[int, str]) -> None:
    wrong = [n for n in range(1, upload.part_count + 1) if n not in have or have[n]["size"] != upload.part_bytes(n)]
    if wrong:
        raise PartsMissing(wrong)
    for number, etag in etags.items():
        if have[number]["etag"] != etag:
            raise OtherPart(number)


def abort(upload: Upload) -> None:
    """Throw away what arrived."""
    if not storage.on_disk() and upload.backend_id:
        try:
            _client().abort_multipart_upload(Bucket=_bucket_name(), Key=upload.staging_name, UploadId=upload.backend_id)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchUpload":
                raise
    storage.drop_staged(upload.staging_name)


# --- local disk -------------------------------------------------------------------------------------------------------------


def _folder(upload: Upload) -> Path:
    """Not made when it is gone: a given-up upload must not come back as an empty folder."""
    return Path(storages["models"].path(upload.staging_name))


def _complete_local(upload: Upload, etags: Mapping[int, str]) -> None:
    """Take the lock alone, look once more, and take the lock from its place: from here on no part can be written."""
    folder = _folder(upload)
    if joined(upload):
        return
    try:
        handle = os.open(folder / "lock", os.O_RDWR)
    except FileNotFoundError:
        raise PartsMissing(list(range(1, upload.part_count + 1))) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _check_parts(upload, markers(folder), etags)
        (folder / "lock").rename(folder / "closed")
    except BlockingIOError:
        raise PartsBusy from None
    finally:
        os.close(handle)


def joined(upload: Upload) -> bool:
    """Whether the upload's bytes lie in staging as one whole, closed to writers."""
    if storage.on_disk():
        return (_folder(upload) / "closed").exists()
    try:
        _client().head_object(Bucket=_bucket_name(), Key=upload.staging_name)
    except ClientError as error:
        if error.response["Error"]["Code"] in {"404", "NoSuchKey", "NotFound"}:
            return False
        raise
    return True


# --- S3 ---------------------------------------------------------------------------------------------------------------------


def _s3_parts(upload: Upload) -> dict[int, dict[str, Any]]:
    pages = _client().get_paginator("list_parts").paginate(Bucket=_bucket_name(), Key=upload.staging_name, UploadId=upload.backend_id)
    try:
        rows = [part for page in pages for part in page.get("Parts", [])]
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchUpload":
            return {}
        raise
    return {row["PartNumber"]: {"size": row["Size"], "etag": row["ETag"].strip('"')} for row in rows}


def _complete_s3(upload: Upload, etags: Mapping[int, str]) -> None:
    have = _s3_parts(upload)
    if not have and joined(upload):
        return
    _check_parts(upload, have, etags)
    parts = [{"PartNumber": number, "ETag": have[number]["etag"]} for number in range(1, upload.part_count + 1)]
    try:
        _client().complete_multipart_upload(
            Bucket=_bucket_name(), Key=upload.staging_name, UploadId=upload.backend_id, MultipartUpload={"Parts": parts}
        )
    except ClientError as error:
        # Another request for the same completion was first.
        if error.response["Error"]["Code"] != "NoSuchUpload" or not joined(upload):
            raise


def _client() -> Any:
    return storage.bucket("models").meta.client


def _bucket_name() -> str:
    return str(storage.bucket("models").name)


def public_endpoint(origin: str) -> str:
    """The address under which browsers reach S3: configured, or the site itself, which passes signed requests on."""
    return settings.S3["public_endpoint"] or origin


def _signer(origin: str) -> Any:
    return signer(public_endpoint(origin))


@lru_cache(16)
def signer(endpoint: str) -> Any:
    """A client that only signs: presigned URLs must name the host that the browser will send."""
    s3 = settings.S3
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=s3["access_key"],
        aws_secret_access_key=s3["secret_key"],
        region_name=s3["region_name"],
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
