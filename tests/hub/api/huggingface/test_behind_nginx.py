"""Files of the local disk through deploy/nginx.conf: nginx sends the bytes, and clients need headers that only the hub knows."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry.models import Blob, User
from tests.hub.api.huggingface.conftest import REPO, weights
from tests.hub.api.huggingface.test_resolve import PATH, ask, lantern
from tests.processes import ROOT, wait_until
from tests.servers import answers, free_port, serving


@pytest.fixture
def nginx(transactional_db: None, stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Its address. Before it stands the hub as compose runs it: without the layer that sends files."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        pytest.skip("no nginx on this machine")
    from hub.asgi import django

    with serving(django, monkeypatch) as hub:
        port = free_port()
        user = "user root; " if os.geteuid() == 0 else ""
        text = (ROOT / "deploy" / "nginx.conf").read_text()
        for name, replacement in {
            "/tmp/": f"{tmp_path}/",
            "web:8000 resolve": f"127.0.0.1:{hub.port}",
            "s3:8333 resolve": "127.0.0.1:9",
            "listen 8080": f"listen 127.0.0.1:{port}",
            "/data/storage/": f"{stores}/",
            "/dev/stderr": f"{tmp_path}/errors",
            "pid ": f"{user}daemon off; pid ",
        }.items():
            assert name in text
            text = text.replace(name, replacement, 1 if name == "pid " else -1)
        (tmp_path / "nginx.conf").write_text(text)
        process = subprocess.Popen([program, "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "errors")])
        try:
            wait_until(lambda: process.poll() is not None or answers(port), 20)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(20)


def test_a_client_downloads_through_nginx(nginx: str, creator: User, tmp_path: Path) -> None:
    from huggingface_hub import HfApi

    file = lantern(creator)
    status, headers, _ = ask(nginx + PATH, "HEAD")
    assert status == 200
    assert len(headers["x-repo-commit"]) == 40
    assert headers["x-linked-etag"] == f'"{file.sha256}"'
    assert headers["x-linked-size"] == headers["content-length"] == str(file.size_bytes)
    path = HfApi(endpoint=nginx, token=False).hf_hub_download(REPO, "lantern.safetensors", cache_dir=tmp_path / "cache")
    assert Path(path).read_bytes() == weights()
    assert Path(path).resolve().name == file.sha256
    assert ask(nginx + PATH, Range="bytes=10-")[::2] == (206, weights()[10:])


def test_a_warning_passes_nginx(nginx: str, creator: User) -> None:
    file = lantern(creator)
    Blob.objects.filter(pk=file.blob_id).update(verdict="suspicious", released=True)
    status, headers, _ = ask(nginx + PATH, "HEAD")
    assert status == 200
    assert "released" in headers["x-hf-warning"]
