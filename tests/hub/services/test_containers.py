"""docker-compose.yml, Dockerfile, nginx.conf and env.example agree with each other and keep closed what must be closed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from hub.services.folders import ROOT
from scanner import antivirus

COMPOSE = ROOT / "docker-compose.yml"
NGINX = ROOT / "deploy" / "nginx.conf"
STORES = ("postgres", "valkey", "s3")
EXTRAS = ("-f", str(ROOT / "deploy" / "gpu.yml"), "-f", str(ROOT / "deploy" / "clamav.yml"))
HUB = ("migrate", "web", "cpu", "gpu", "beat")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return loaded


def test_every_part_has_a_service(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {*HUB, *STORES, "nginx"}


def test_only_nginx_publishes_a_port(compose: dict[str, Any]) -> None:
    assert [name for name, service in compose["services"].items() if "ports" in service] == ["nginx"]


def test_every_hub_container_has_the_same_settings(compose: dict[str, Any]) -> None:
    settings = [{k: v for k, v in compose["services"][name]["environment"].items() if k != "REMAP_SIGTERM"} for name in HUB]
    assert all(one == settings[0] for one in settings)


def test_sealed_bucket_is_another_one_and_nginx_does_not_know_it(compose: dict[str, Any]) -> None:
    environment = compose["services"]["web"]["environment"]
    names = [environment[f"WEIGH_S3_{kind}"] for kind in ("BUCKET", "QUARANTINE_BUCKET", "MEDIA_BUCKET")]
    assert len(set(names)) == 3
    text = NGINX.read_text()
    assert names[0] in text
    assert names[1] not in text
    assert "quarantine" not in text


def test_files_on_disk_are_sent_by_nginx_and_only_on_word_of_the_hub(compose: dict[str, Any]) -> None:
    assert compose["services"]["web"]["environment"]["WEIGH_SERVE_FILES"] == "false"
    protected = re.findall(r"location /protected/(\w+)/ \{ (\w+);", NGINX.read_text())
    assert protected == [("models", "internal"), ("media", "internal")]


def test_workers_take_one_queue_each_and_end_softly(compose: dict[str, Any]) -> None:
    for name in ("cpu", "gpu"):
        service = compose["services"][name]
        assert service["command"][service["command"].index("-Q") + 1] == name
        assert service["environment"]["REMAP_SIGTERM"] == "SIGQUIT"


def test_every_long_running_service_has_a_health_check(compose: dict[str, Any]) -> None:
    assert [name for name, service in compose["services"].items() if "healthcheck" not in service] == ["migrate"]


def test_hub_starts_after_the_tables_and_the_tables_after_the_stores(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert all(
        services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully" for name in HUB if name != "migrate"
    )
    assert {name: services["migrate"]["depends_on"][name]["condition"] for name in STORES} == dict.fromkeys(STORES, "service_healthy")


def test_no_secret_is_written_down() -> None:
    secret = re.compile(r"^(WEIGH_(?:SECRET_KEY|DB_PASSWORD|VALKEY_PASSWORD|S3_KEY|S3_SECRET))=(.*)$", re.MULTILINE)
    found = secret.findall((ROOT / "deploy" / "env.example").read_text())
    assert len(found) == 5
    assert {value for _, value in found} == {""}
    for name, _ in found:
        assert f"${{{name}:?" in COMPOSE.read_text(), f"{name} may be left empty"


def test_every_variable_of_the_compose_file_is_told_in_the_example() -> None:
    example = (ROOT / "deploy" / "env.example").read_text()
    used = set(re.findall(r"\$\{(WEIGH_\w+)", COMPOSE.read_text()))
    assert {name for name in used if not re.search(rf"^{name}=", example, re.MULTILINE)} == set()


def test_every_variable_that_the_settings_read_is_told_in_the_example() -> None:
    example = (ROOT / "deploy" / "env.example").read_text()
    read = set(re.findall(r"\"((?:WEIGH_\w+|DATABASE_URL))\"", (ROOT / "hub" / "settings.py").read_text()))
    read.discard("WEIGH_TEST_DB")  # for the tests' own database only
    assert {name for name in read if name not in example} == set()


def test_image_runs_as_an_ordinary_user() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    user = next(number for number, line in enumerate(lines) if line == "USER weighhouse")
    assert all(not line.startswith("RUN") for line in lines[user:])


def test_the_virus_scanner_is_where_the_worker_looks_for_it() -> None:
    extra = yaml.safe_load((ROOT / "deploy" / "clamav.yml").read_text())
    limits = dict(line.split(" ", 1) for line in (ROOT / "deploy" / "clamd.conf").read_text().splitlines() if not line.startswith("#"))
    folder, _, name = limits["LocalSocket"].rpartition("/")
    shared = {mount.split(":")[0]: mount.split(":")[1] for mount in extra["services"]["clamav"]["volumes"]}
    assert shared["clamd"] == folder
    seen = dict(mount.split(":")[:2] for mount in extra["services"]["cpu"]["volumes"])
    assert extra["services"]["cpu"]["environment"]["CLAMD_SOCKET"] == f"{seen['clamd']}/{name}"
    assert "ports" not in extra["services"]["clamav"]


def test_the_virus_scanner_reads_what_the_hub_sends_and_says_what_it_did_not_read() -> None:
    limits = dict(line.split(" ", 1) for line in (ROOT / "deploy" / "clamd.conf").read_text().splitlines() if not line.startswith("#"))
    assert limits["AlertExceedsMax"] == "yes"
    for name in ("StreamMaxLength", "MaxFileSize", "MaxScanSize"):
        assert int(limits[name].rstrip("M")) << 20 >= antivirus.WHOLE


def test_docker_accepts_the_compose_file(tmp_path: Path) -> None:
    if shutil.which("docker") is None:
        pytest.skip("no docker client on this machine")
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this docker client has no compose")
    example = (ROOT / "deploy" / "env.example").read_text()
    filled = tmp_path / "env"
    filled.write_text(re.sub(r"^(WEIGH_\w+)=$", r"\1=x", example, flags=re.MULTILINE))
    command = ["docker", "compose", "-f", str(COMPOSE), *EXTRAS, "--env-file", str(filled), "config", "-q"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_nginx_accepts_its_configuration(tmp_path: Path) -> None:
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if nginx is None:
        pytest.skip("no nginx on this machine")
    text = NGINX.read_text()
    # Outside the containers nobody answers to their names, and looking names up again needs nginx 1.27.3.
    for name, replacement in {
        "web:8000 resolve": "127.0.0.1:8000",
        "s3:8333 resolve": "127.0.0.1:8333",
        "/tmp/nginx.pid": f"{tmp_path}/pid",
    }.items():
        assert name in text
        text = text.replace(name, replacement)
    (tmp_path / "nginx.conf").write_text(text)
    done = subprocess.run([nginx, "-t", "-q", "-c", str(tmp_path / "nginx.conf")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
