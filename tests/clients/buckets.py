"""The buckets of the S3 hub of the client tests: made, filled with the files of a local store, and removed when a block ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def filled_buckets(names: Mapping[str, str], models: Path, where: Mapping[str, str]) -> Iterator[None]:
    """`names`: {variable of the settings: bucket}; `models`: the local store; `where`: the variables that tell of the S3 server."""
    import boto3

    keys = {"aws_access_key_id": where["WEIGH_S3_KEY"], "aws_secret_access_key": where["WEIGH_S3_SECRET"]}
    s3 = boto3.resource("s3", endpoint_url=where["WEIGH_S3_ENDPOINT"], region_name=where.get("WEIGH_S3_REGION", "us-east-1"), **keys)
    buckets = {variable: s3.Bucket(name) for variable, name in names.items()}
    try:
        for bucket in buckets.values():
            bucket.create()
        for path in models.rglob("blobs/sha256/*/*/*"):
            buckets["WEIGH_S3_BUCKET"].put_object(Key=path.relative_to(models).as_posix(), Body=path.read_bytes())
        yield
    finally:
        for bucket in buckets.values():
            bucket.objects.all().delete()
            bucket.delete()
