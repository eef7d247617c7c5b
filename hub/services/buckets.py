"""Makes the hub's three buckets where they are missing. Run as a program it does so in the S3 that the environment names,
as the containers do before their first start."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

NAMES = {
    "WEIGH_S3_BUCKET": "weighhouse-models",
    "WEIGH_S3_QUARANTINE_BUCKET": "weighhouse-quarantine",
    "WEIGH_S3_MEDIA_BUCKET": "weighhouse-media",
}
REGION = "us-east-1"
_PATIENCE = 60.0


def client(endpoint: str, key: str, secret: str, region: str = REGION) -> Any:
    """A boto3 client without retries: who calls it decides how long to wait."""
    config = Config(retries={"max_attempts": 0}, connect_timeout=2, read_timeout=10, s3={"addressing_style": "path"})
    return boto3.client("s3", endpoint_url=endpoint, aws_access_key_id=key, aws_secret_access_key=secret, region_name=region, config=config)


def make_missing(s3: Any, names: list[str]) -> list[str]:
    """Make the buckets that do not exist yet; returns their names. Raises botocore's errors when the server cannot answer."""
    made = []
    for name in names:
        try:
            s3.head_bucket(Bucket=name)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
            s3.create_bucket(Bucket=name)
            made.append(name)
    return made


def main() -> int:
    """Wait for the server for up to a minute, then make what is missing."""
    region = os.environ.get("WEIGH_S3_REGION", REGION)
    s3 = client(os.environ["WEIGH_S3_ENDPOINT"], os.environ["WEIGH_S3_KEY"], os.environ["WEIGH_S3_SECRET"], region)
    names = [os.environ.get(variable, name) for variable, name in NAMES.items()]
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            made = make_missing(s3, names)
        except (BotoCoreError, ClientError) as error:
            if time.monotonic() > deadline:
                print(f"The buckets could not be made: {error}", file=sys.stderr)
                return 1
            time.sleep(1)
        else:
            print(f"Buckets made: {', '.join(made) or 'none was missing'}")
            return 0


if __name__ == "__main__":
    sys.exit(main())
