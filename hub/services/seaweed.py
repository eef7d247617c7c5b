"""The embedded S3: SeaweedFS on loopback ports that are chosen once, with keys made once and the hub's buckets.
Ready means that an object was really written and read back, because its status page says yes seconds too early."""

from __future__ import annotations

import functools
import json
import os
import pathlib
import shutil
import sys
from typing import Any

from hub.services import buckets, ports
from hub.services.console import Refusal
from hub.services.folders import DataFolder, write_private
from hub.services.processes import Child, Fleet

_GRPC = 10000  # each of the four servers also opens its port + 10000
OFFSETS = tuple(offset + grpc for offset in range(4) for grpc in (0, _GRPC))
_LOW, _HIGH = 9730, 20000  # with gRPC below 32768, where the kernel's own choices begin


def program() -> pathlib.Path:
    """Path of the `weed` program beside this interpreter, else the system's. Raises Refusal without any."""
    beside = pathlib.Path(sys.executable).parent / "weed"
    if beside.exists():
        return beside
    system = shutil.which("weed")
    if system:
        return pathlib.Path(system)
    raise Refusal("SeaweedFS was not found; run ./weigh up to install it, or use --storage local.")


class Seaweed:
    """One server in `DATA/s3`. `volume_mb`: it sets so much room aside at a time, several times for every bucket, and refuses to
    write when the disk has no more.
    """

    def __init__(self, folder: DataFolder, volume_mb: int = 1024) -> None:
        self.volume_mb = volume_mb
        self.folder = folder
        self.path = folder.path / "s3"
        self.path.mkdir(exist_ok=True, mode=0o700)
        self.port = self._port()
        self.key = folder.secret("s3-key")[:20]
        self.secret = folder.secret("s3-secret")

    def _port(self) -> int:
        """The first of its ports: kept over restarts, because the master remembers itself by its address."""
        kept = self.path / "port"
        if not kept.exists():
            write_private(kept, str(ports.free_base(OFFSETS, _LOW, _HIGH)))
        return int(kept.read_text())

    def check_ports(self) -> None:
        """Refusal naming the first port that is taken, of the eight it needs."""
        for offset in OFFSETS:
            error = ports.bind_error("127.0.0.1", self.port + offset)
            if error is not None:
                raise Refusal(
                    f"Port {self.port + offset} on 127.0.0.1 is taken, and the embedded S3 needs it. "
                    f"Stop what uses it, or start with --storage local (files already in S3 are then not reachable)."
                )

    def endpoint(self) -> str:
        """Loopback address of the S3 server."""
        return f"http://127.0.0.1:{self.port}"

    def environment(self, public_endpoint: str) -> dict[str, str]:
        """The hub's S3 settings. `public_endpoint`: where presigned addresses lead; "" for the name under which each request came."""
        return {
            "WEIGH_S3_ENDPOINT": self.endpoint(),
            "WEIGH_S3_PUBLIC_ENDPOINT": public_endpoint,
            "WEIGH_S3_KEY": self.key,
            "WEIGH_S3_SECRET": self.secret,
            "WEIGH_S3_REGION": buckets.REGION,
            **buckets.NAMES,
        }

    def child(self, origin: str) -> Child:
        """The server process. It needs up to half a minute to end by itself, so its grace is short; it survives SIGKILL."""
        identity = {
            "name": "hub",
            "credentials": [{"accessKey": self.key, "secretKey": self.secret}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        write_private(self.path / "s3.json", json.dumps({"identities": [identity]}))
        sockets = self.folder.sockets()
        options = [
            f"-dir={self.path}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            f"-master.port={self.port + 1}",
            "-master.telemetry=false",  # the default sends statistics to the vendor
            "-master.electionTimeout=1s",  # the default makes a restart wait for some twenty seconds
            f"-master.volumeSizeLimitMB={self.volume_mb}",
            f"-volume.port={self.port + 2}",
            "-volume.max=0",
            "-volume.preStopSeconds=1",
            "-filer",
            f"-filer.port={self.port + 3}",
            "-filer.maxMB=16",
            "-filer.disableDirListing",
            f"-filer.localSocket={sockets / 'f.sock'}",
            "-s3",
            f"-s3.port={self.port}",
            f"-s3.config={self.path / 's3.json'}",
            f"-s3.localSocket={sockets / 's.sock'}",
            f"-s3.allowedOrigins={origin}",
            "-s3.autoCreateBucket=false",
            "-s3.iam=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
        ]
        # Without a limit its memory grows with every gigabyte uploaded.
        env = {"GOMEMLIMIT": "512MiB", "GOGC": "50", "HOME": str(self.path), "PATH": os.environ.get("PATH", "/usr/bin:/bin")}
        command = [str(program()), "-logtostderr=true", "server", *options]
        return Child("s3", "S3 storage", command, self.folder.log("s3"), env=env, wave=1, grace=2.0)

    def launch(self, fleet: Fleet, origin: str) -> Child:
        """Start the server without waiting for it."""
        child = self.child(origin)
        fleet.start(child)
        return child

    @functools.cached_property
    def client(self) -> Any:
        """A boto3 client for it, without retries."""
        return buckets.client(self.endpoint(), self.key, self.secret)

    def answers(self) -> bool:
        """Whether every bucket exists (made if need be) and an object comes back as it was written."""
        client, bucket = self.client, buckets.NAMES["WEIGH_S3_BUCKET"]
        buckets.make_missing(client, list(buckets.NAMES.values()))
        client.put_object(Bucket=bucket, Key=".ready", Body=b"ready")
        return bool(client.get_object(Bucket=bucket, Key=".ready")["Body"].read() == b"ready")
