"""deploy/nginx.conf at work, before a real S3 server: what clients ask of a signed address that S3 servers do not do by themselves."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import RequestFactory

from hub.downloads import signed_url
from tests.hub.transport.test_s3proxy import DATA, get, stored
from tests.processes import ROOT, wait_until
from tests.servers import answers, free_port

CONFIGURATION = ROOT / "deploy" / "nginx.conf"


@pytest.fixture
def nginx(s3_stores: None, settings: Any, tmp_path: Path) -> Iterator[str]:
    """Its address; the containers' names and the buckets are those of this test, and the web server is away."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        pytest.skip("no nginx on this machine")
    port = free_port()
    text = CONFIGURATION.read_text()
    for name, replacement in {
        "web:8000 resolve": "127.0.0.1:9",
        "s3:8333 resolve": settings.S3["endpoint_url"].removeprefix("http://"),
        "listen 8080": f"listen 127.0.0.1:{port}",
        "weighhouse-models|weighhouse-media": settings.S3_BUCKETS["models"],
        "/tmp/": f"{tmp_path}/",
        "/dev/stderr": f"{tmp_path}/errors",
        "pid ": "daemon off; pid ",
    }.items():
        assert name in text
        text = text.replace(name, replacement)
    (tmp_path / "nginx.conf").write_text(text)
    settings.S3 = {**settings.S3, "public_endpoint": ""}
    process = subprocess.Popen([program, "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "errors")])
    try:
        wait_until(lambda: process.poll() is not None or answers(port), 20)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def test_head_and_if_range_before_s3(nginx: str, creator: Any) -> None:
    file = stored(creator, DATA)
    url = signed_url(nginx, file)
    status, headers, body = get(url, {"Authorization": "Bearer None", "Cookie": "sessionid=x"}, "HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", str(len(DATA)))
    assert headers["Content-Disposition"] == f'attachment; filename="{file.name}"'
    part = {"Range": "bytes=7000000-", "Authorization": "Bearer None"}
    for condition, wanted in (({}, 206), ({"If-Range": headers["ETag"]}, 206), ({"If-Range": '"of another file"'}, 200)):
        status, answer, body = get(url, {**part, **condition})
        assert (status, body) == (wanted, DATA[7000000:] if wanted == 206 else DATA)
        assert answer.get("Content-Range") == (f"bytes 7000000-{len(DATA) - 1}/{len(DATA)}" if wanted == 206 else None)
    status, headers, _ = get(url, {"Range": f"bytes={len(DATA)}-"})
    assert (status, headers["Content-Range"]) == (416, f"bytes */{len(DATA)}")


def test_whoever_asks_by_head_is_sent_to_an_address_for_get(nginx: str, creator: Any, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    request = RequestFactory().head("/", headers={"host": nginx.removeprefix("http://")})
    url = signed_url(request, stored(creator, b"weights"))
    assert [get(url, method=method)[0] for method in ("HEAD", "GET")] == [200, 200]
