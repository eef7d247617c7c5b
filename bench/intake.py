"""From "upload complete" to scan verdict and all hashes, by a real worker, against `openssl dgst -sha256` of the same file.

`python -m bench.intake [--gib 2] [--rounds 3]` inside the project's virtual environment; needs 3x the file's size on disk.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import ground


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--gib", type=float, default=2.0)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    ground.stand("bench.intake")
    with tempfile.TemporaryDirectory(dir=os.environ["WEIGH_DATA"]) as folder:
        run(Path(folder), options.gib, options.rounds)


def run(folder: Path, gib: float, rounds: int) -> None:
    from tests import tiny
    from tests.factories import UserFactory
    from tests.processes import celery_worker

    source = tiny.big_checkpoint(folder / "bench.ckpt", gib)
    print(f"file: {source.stat().st_size:,} bytes, torch zip, fp32 with EMA", flush=True)
    owner = UserFactory()
    ours, openssl = [], []
    with celery_worker(Path(os.environ["WEIGH_DATA"])):
        for _ in range(rounds):
            openssl.append(timed_openssl(source))
            ours.append(timed_intake(owner, source))
    ground.report("complete -> verdict and all hashes", ours, openssl, "openssl dgst -sha256")


def timed_openssl(path: Path) -> float:
    start = time.monotonic()
    subprocess.run(["openssl", "dgst", "-sha256", path], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def timed_intake(owner: Any, source: Path) -> float:
    """Seconds from the completed upload to the recorded verdict; the parts are sent before the clock starts."""
    from registry import uploads
    from registry.deposit import send_parts
    from registry.models import File
    from tests.factories import VersionFactory
    from tests.processes import wait_until

    upload = uploads.begin(VersionFactory(entry__owner=owner), owner, source.name, source.stat().st_size)
    with source.open("rb") as handle:
        send_parts(upload, handle)
    start = time.monotonic()
    file = uploads.complete(upload)
    wait_until(lambda: File.objects.filter(pk=file.pk, blob__verdict="success").exists(), 300, every=0.01)
    took = time.monotonic() - start
    wait_until(lambda: File.objects.filter(pk=file.pk, state="ready").exists(), 600, every=0.2)
    wait_until(lambda: not File.objects.exclude(state="ready").exists() and not waiting_variants(), 600, every=0.2)
    forget()
    return took


def waiting_variants() -> bool:
    from inference.models import Derivative

    return Derivative.objects.exclude(state="made").exists()


def forget() -> None:
    """Remove every file and its bytes: the next round must not find known bytes."""
    from registry import storage
    from registry.models import Blob, File

    File.objects.all().delete()
    for blob in Blob.objects.all():
        storage.remove(blob)
        blob.delete()


if __name__ == "__main__":
    main()
