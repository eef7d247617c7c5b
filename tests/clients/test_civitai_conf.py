"""deploy/civitai.conf at work: nginx answers as civitai.com, and every address that the hub gives stays under that name."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.clients.conftest import HOSTS, ClientsHub
from tests.processes import ROOT, wait_until
from tests.servers import answers, free_port

WHOLE = """
daemon off; pid {folder}/pid; error_log {folder}/errors; events {{}}
http {{ access_log off; {temporary} include {folder}/civitai.conf; }}
"""
KINDS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@pytest.fixture
def civitai(clients_hub: ClientsHub, tmp_path: Path) -> Iterator[list[str]]:
    """A curl command that reaches nginx by civitai's names and trusts its certificate alone."""
    nginx, curl = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"), shutil.which("curl")
    if nginx is None or curl is None:
        pytest.skip("no nginx or no curl on this machine")
    port, authority = free_port(), trustme.CA()
    certificate = authority.issue_cert(*HOSTS)
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    certificate.private_key_pem.write_to_path(str(tmp_path / "civitai.key"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "civitai.pem"))
    text = (ROOT / "deploy" / "civitai.conf").read_text()
    for name, replacement in {
        "listen 443": f"listen 127.0.0.1:{port}",
        "/etc/weighhouse": str(tmp_path),
        "http://127.0.0.1:8000": clients_hub.url,
    }.items():
        assert name in text
        text = text.replace(name, replacement)
    (tmp_path / "civitai.conf").write_text(text)
    temporary = " ".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in KINDS)
    (tmp_path / "nginx.conf").write_text(WHOLE.format(folder=tmp_path, temporary=temporary))
    process = subprocess.Popen([nginx, "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "errors")])
    try:
        wait_until(lambda: process.poll() is not None or answers(port), 20)
        names = [part for host in HOSTS for part in ("--connect-to", f"{host}:443:127.0.0.1:{port}")]
        yield [curl, "-sS", "--fail", "--cacert", str(tmp_path / "authority.pem"), "--proto", "=https", *names]
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.parametrize("host", HOSTS)
def test_every_address_stays_under_the_name_that_was_called(
    civitai: list[str], catalogue: dict[str, Any], tmp_path: Path, host: str
) -> None:
    listed = subprocess.run([*civitai, f"https://{host}/api/v1/models?limit=1"], capture_output=True, check=True)
    page = json.loads(listed.stdout)
    addresses = [page["metadata"]["nextPage"], page["items"][0]["modelVersions"][0]["downloadUrl"]]
    assert all(address.startswith(f"https://{host}/api/") for address in addresses)
    version, folder = catalogue["unicode"]["version"], tmp_path / "got"
    folder.mkdir()
    fetched = [*civitai, "-JLO", "-w", "%{url_effective}", f"https://{host}/api/download/models/{version}"]
    done = subprocess.run(fetched, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"https://{host}/files/")
    assert [path.name for path in folder.iterdir()] == [catalogue["unicode"]["files"][0]["name"]]
