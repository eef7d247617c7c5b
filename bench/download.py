"""A 2 GiB download through the hub (signed address, range layer), as one stream and as 8 ranges, against nginx on the same file.

`python -m bench.download [--gib 2] [--rounds 5]` inside the project's virtual environment; needs the file's size on disk, and curl.
nginx comes from the system (`apt-get install nginx-light`); without it the hub is measured alone and there is no ratio.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from bench import ground, house

BLOCK = 8 * 2**20
RANGES = 8


def make_file(data: Path, size: int) -> tuple[object, Path]:
    """A published file of `size` random bytes in the hub's open store: (its row, where its bytes lie)."""
    from django.utils import timezone

    from registry.models import Blob, Entry, File, User, Version
    from registry.storage import blob_name

    draft, digest, block = data / "draft", hashlib.sha256(), os.urandom(BLOCK)
    with draft.open("wb") as target:
        for number in range(size // BLOCK):
            piece = number.to_bytes(8) + block[8:]
            digest.update(piece)
            target.write(piece)
    path = data / "storage" / "models" / blob_name(digest.hexdigest())
    path.parent.mkdir(parents=True)
    draft.rename(path)
    path.chmod(0o644)
    now = timezone.now()
    owner = User.objects.create(username="creator")
    entry = Entry.objects.create(owner=owner, name="Big", slug="big", kind="checkpoint", live=True, published_at=now)
    version = Version.objects.create(entry=entry, name="v1", base_model="SD 1.5", status="published", published_at=now)
    blob = Blob.objects.create(sha256=digest.hexdigest(), size_bytes=path.stat().st_size, verdict="success", container="safetensors")
    return File.objects.create(version=version, name="big.safetensors", blob=blob, size_bytes=blob.size_bytes, state="ready"), path


@contextmanager
def nginx(program: str, folder: Path, path: Path) -> Iterator[str]:
    """nginx serving the folder of `path` by sendfile: the address of the file."""
    port = house.free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    places = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"daemon off; {user} worker_processes auto; pid {folder}/nginx.pid; error_log stderr; events {{}}\n"
        f"http {{ sendfile on; tcp_nopush on; access_log off; {places}\n"
        f"server {{ listen 127.0.0.1:{port}; location / {{ root {path.parent}; }} }} }}\n"
    )
    process = subprocess.Popen([program, "-c", str(configuration), "-e", "stderr"])
    try:
        house.wait_for(port, process)
        yield f"http://127.0.0.1:{port}/{path.name}"
    finally:
        process.terminate()
        process.wait(20)


def fetch(url: str, size: int, ranges: int) -> float:
    """GB/s of one download to nowhere, by as many curls as there are ranges."""
    step = -(-size // ranges)
    begun = time.perf_counter()
    curls = [
        subprocess.Popen(
            ["curl", "-sSf", "-o", "/dev/null", "-w", "%{size_download}", "-r", f"{start}-{min(start + step, size) - 1}", url],
            stdout=subprocess.PIPE,
        )
        for start in range(0, size, step)
    ]
    received = sum(int(curl.communicate()[0]) for curl in curls)
    seconds = time.perf_counter() - begun
    assert received == size, f"{received} of {size} bytes arrived"
    return size / seconds / 1e9


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--gib", type=float, default=2)
    options.add_argument("--rounds", type=int, default=5)
    chosen = options.parse_args()
    ground.stand("bench.download")
    size, program = int(chosen.gib * 2**30) // BLOCK * BLOCK, shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    with house.empty_database("bench_download") as database, tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        file, path = make_file(data, size)
        with house.server(database, data) as port, nginx(program, data, path) if program else nullcontext("") as theirs:
            _measure(_signed(port, file), theirs, size, chosen.rounds)


def _signed(port: int, file: object) -> str:
    from django.conf import settings

    from hub.downloads import signed_url

    settings.STORAGES["models"] = {"BACKEND": "django.core.files.storage.FileSystemStorage"}
    return signed_url(f"http://127.0.0.1:{port}", file)  # type: ignore[arg-type]


def _measure(ours: str, theirs: str, size: int, rounds: int) -> None:
    ratios = []
    for ranges in (1, RANGES):
        figures: dict[str, list[float]] = {name: [] for name, url in (("hub", ours), ("nginx", theirs)) if url}
        for number in range(rounds + 1):
            for name, values in figures.items():
                speed = fetch(ours if name == "hub" else theirs, size, ranges)
                if number:  # the first round fills the page cache
                    values.append(speed)
        label = "one stream" if ranges == 1 else f"{ranges} ranges"
        for name, values in figures.items():
            print(f"{label}, {name}: {statistics.median(values):.2f} GB/s (min {min(values):.2f}, max {max(values):.2f}, n={rounds})")
        if theirs:
            ratios.append(f"ratio hub / nginx, {label}: {statistics.median(figures['hub']) / statistics.median(figures['nginx']):.2f}x")
    print("\n".join(ratios) or "nginx is not installed (apt-get install nginx-light): no ratio")


if __name__ == "__main__":
    main()
