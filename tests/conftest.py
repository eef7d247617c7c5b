"""What every test may use: isolated stores, people with tokens, and a way to let the pipeline run to its end."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings

from tests import between
from tests.prepared import at_rest  # noqa: F401  (a fixture)
from tests.servers import live_hub  # noqa: F401  (a fixture)

Path(django_settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)  # WhiteNoise warns when collectstatic has not run yet
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Playwright keeps an event loop in the test's thread
FOLDERS = count()
between.arrange()
gc.set_threshold(10_000, 10, 50)  # a quarter of all time went into looking, again and again, at what pytest and libraries keep anyway


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As pytest's own, which looks through the folders of all tests before for a free number: longer than many a test."""
    name = re.sub(r"\W", "_", request.node.name)[:30]
    path = tmp_path_factory.getbasetemp() / f"{next(FOLDERS)}-{name}"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture(autouse=True)
def stores(settings: Any, tmp_path: Path) -> Path:
    """Fresh local stores for each test, under its temporary folder."""
    settings.STORAGE_KIND = "local"
    settings.STORAGE_ROOT = tmp_path / "storage"
    settings.SCRATCH = tmp_path / "scratch"
    settings.PREVIEWS = False  # a test that wants pictures says so: rendering takes seconds
    settings.SCAN_SECOND_OPINIONS = False  # as above: two more processes for every pickle
    settings.STORAGES = {**django_settings.STORAGES, **{name: _folder(tmp_path, name) for name in ("models", "quarantine", "media")}}
    return tmp_path / "storage"


def _folder(root: Path, name: str) -> dict[str, Any]:
    options = {"location": root / "storage" / name, "base_url": None, "file_permissions_mode": 0o640}
    return {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": options}


@pytest.fixture
def s3_stores(settings: Any, stores: Path) -> Iterator[None]:
    """The same stores on the S3 server that `./weigh test` started, in buckets of this test."""
    if not settings.S3["endpoint_url"]:
        pytest.skip("no S3 server: WEIGH_S3_ENDPOINT is not set; ./weigh test starts one")
    import uuid

    import boto3

    options = {key: value for key, value in settings.S3.items() if key != "public_endpoint"}
    client = boto3.client(
        "s3",
        endpoint_url=options["endpoint_url"],
        aws_access_key_id=options["access_key"],
        aws_secret_access_key=options["secret_key"],
        region_name=options["region_name"],
    )
    run = uuid.uuid4().hex[:8]
    settings.STORAGE_KIND = "s3"
    settings.S3_BUCKETS = {name: f"t{run}-{name}" for name in ("models", "quarantine", "media")}
    for bucket in settings.S3_BUCKETS.values():
        client.create_bucket(Bucket=bucket)
    extra = {"addressing_style": "path", "signature_version": "s3v4", "default_acl": None, "file_overwrite": False}
    settings.STORAGES = {
        **django_settings.STORAGES,
        **{
            name: {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": {**options, **extra, "bucket_name": bucket}}
            for name, bucket in settings.S3_BUCKETS.items()
        },
    }
    yield
    for bucket in settings.S3_BUCKETS.values():
        for item in client.list_objects_v2(Bucket=bucket).get("Contents", []):
            client.delete_object(Bucket=bucket, Key=item["Key"])
        client.delete_bucket(Bucket=bucket)


@pytest.fixture
def creator(db: None) -> Any:
    from tests.factories import UserFactory

    return UserFactory(username="ada")


@pytest.fixture
def stranger(db: None) -> Any:
    from tests.factories import UserFactory

    return UserFactory(username="eve")


@pytest.fixture
def moderator(db: None) -> Any:
    from tests.factories import UserFactory

    return UserFactory(username="mod", is_moderator=True)


@pytest.fixture
def write_token(creator: Any) -> str:
    from registry.models import Token

    return Token.issue(creator, "tests", "write")[1]


@pytest.fixture
def broker(settings: Any) -> Iterator[str]:
    """The real broker, its queues emptied before and after."""
    from tests.intake import empty_queues

    empty_queues()
    yield settings.CELERY_BROKER_URL
    empty_queues()


@pytest.fixture
def counted_alone(settings: Any) -> None:
    """A cache of this test alone, empty: the hub counts in it what people do within an hour."""
    from django.core.cache import cache

    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "counted-alone"}}
    cache.clear()


def pytest_collection_finish() -> None:
    """Nothing that is there before the first test ever becomes garbage: the collector need not look at it."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests go last: Playwright leaves a running event loop in this thread, in which `asyncio.run` of others would fail."""
    items.sort(key=lambda item: "tests/hub/web/" in item.path.as_posix())
