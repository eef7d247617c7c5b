"""Whole lives by ending: what becomes of honest, hostile, broken and unknown bytes, on local disk and on S3."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from django.core.files.storage import storages
from django.utils import timezone

from registry import lifecycle, storage
from registry.formats.hashes import hash_file
from registry.models import Blob, File, Version
from scanner.models import ScanReport
from tests import tiny
from tests.factories import VersionFactory
from tests.grey import suspicious_checkpoint
from tests.intake import drain, upload_bytes, upload_path

pytestmark = pytest.mark.django_db(transaction=True)


class Payload:
    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/weighhouse-was-here",)


@pytest.fixture
def version(creator: Any) -> Version:
    return VersionFactory(entry__owner=creator)


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    path = tmp_path / "hostile.ckpt"
    torch.save({"state_dict": {"a": torch.zeros(4)}, "x": Payload()}, path)
    return path


def outcome(file: File) -> File:
    drain()
    file.refresh_from_db()
    return file


def test_an_honest_checkpoint_becomes_ready_with_its_twin_and_variants(version: Version, creator: Any, tmp_path: Path) -> None:
    file = outcome(upload_path(version, creator, tiny.lightning_checkpoint(tmp_path / "dream.ckpt")))
    assert (file.state, file.verdict, file.blob.container) == ("ready", "success", "torch-zip")
    assert file.blob.detected["kind"] == "checkpoint"
    names = set(version.files.values_list("name", flat=True))
    assert names == {"dream.ckpt", "dream.safetensors", "dream-pruned-fp16.safetensors", "dream-ema-fp16.safetensors"}
    assert all(derived.downloadable and derived.blob.verdict == "success" for derived in version.files.all())
    steps = list(file.timeline.values_list("step", "outcome"))
    assert [name for name, _ in steps][:5] == ["received", "hash", "scan", "identify", "convert"]
    assert {how for _, how in steps} == {"done"}


def test_every_hash_of_the_stored_bytes_is_recorded(version: Version, creator: Any, tmp_path: Path) -> None:
    path = tiny.lora_safetensors(tmp_path / "style.safetensors")
    file = outcome(upload_path(version, creator, path))
    assert file.blob.hash_values() == hash_file(path).as_dict()
    with storage.local_path(file.blob) as stored:
        assert stored.read_bytes() == path.read_bytes()


def test_safetensors_are_ready_without_a_twin(version: Version, creator: Any, tmp_path: Path) -> None:
    file = outcome(upload_path(version, creator, tiny.lora_safetensors(tmp_path / "style.safetensors")))
    assert (file.state, list(version.files.all())) == ("ready", [file])
    assert file.blob.detected["kind"] == "lora"


def test_a_checkpoint_that_would_run_a_command_is_sealed_with_the_reason(version: Version, creator: Any, hostile: Path) -> None:
    file = outcome(upload_path(version, creator, hostile))
    assert (file.state, file.verdict) == ("quarantined", "danger")
    assert "system" in file.error
    assert not file.downloadable
    name = storage.blob_name(file.blob.sha256)
    assert not storages["models"].exists(name)
    assert storages["quarantine"].exists(name)
    assert not Path("/tmp/weighhouse-was-here").exists()
    assert version.files.count() == 1


def test_an_unknown_class_is_sealed_as_suspicious_and_says_for_whom_it_waits(version: Version, creator: Any, tmp_path: Path) -> None:
    file = outcome(upload_path(version, creator, suspicious_checkpoint(tmp_path / "odd.ckpt")))
    assert (file.state, file.verdict, file.blob.sealed) == ("quarantined", "suspicious", True)
    assert file.error.startswith("Held back until a moderator has looked: ")


@pytest.mark.parametrize(
    ("name", "data", "state"),
    [
        ("picture.ckpt", b"\x89PNG\r\n\x1a\n" + b"\0" * 200, "quarantined"),
        ("noise.safetensors", b"\xff" * 500, "failed"),
        ("short.ckpt", b"PK\x03\x04" + b"\0" * 60, "failed"),
    ],
)
def test_what_is_no_weights_file_never_becomes_ready(version: Version, creator: Any, name: str, data: bytes, state: str) -> None:
    file = outcome(upload_bytes(version, creator, name, data))
    assert file.state in {"failed", "quarantined"}
    assert file.state == state or file.verdict in {"danger", "error"}
    assert file.error.endswith((".", "!"))
    assert file.error_code.startswith("scan:")


def test_a_truncated_checkpoint_fails_with_a_sentence(version: Version, creator: Any, tmp_path: Path) -> None:
    data = tiny.plain_checkpoint(tmp_path / "a.ckpt").read_bytes()
    file = outcome(upload_bytes(version, creator, "cut.ckpt", data[: len(data) // 2]))
    assert (file.state, file.verdict) == ("failed", "error")
    assert file.error


def test_a_safetensors_header_of_80_mb_is_refused_quickly(version: Version, creator: Any) -> None:
    data = (80 << 20).to_bytes(8, "little") + b"{" + b" " * (80 << 20)
    file = outcome(upload_bytes(version, creator, "bomb.safetensors", data))
    assert file.state == "failed"
    assert "header" in file.error
    assert file.timeline.get(step="scan").seconds < 5


def test_bytes_that_differ_from_what_was_announced_are_not_kept(version: Version, creator: Any, tmp_path: Path) -> None:
    data = tiny.lora_safetensors(tmp_path / "a.safetensors").read_bytes()
    file = outcome(upload_bytes(version, creator, "a.safetensors", data, sha256="ab" * 32))
    assert (file.state, file.error_code, file.blob) == ("failed", "upload:sha256-mismatch", None)
    assert "ab" * 32 in file.error
    assert not Blob.objects.exists()


def test_the_same_bytes_twice_are_stored_and_scanned_once(version: Version, creator: Any, tmp_path: Path) -> None:
    path = tiny.lora_safetensors(tmp_path / "a.safetensors")
    first, second = upload_path(version, creator, path, "a.safetensors"), upload_path(version, creator, path, "b.safetensors")
    drain()
    first.refresh_from_db()
    second.refresh_from_db()
    assert first.blob == second.blob
    assert (first.state, second.state) == ("ready", "ready")
    assert ScanReport.objects.count() == 1


def test_a_crash_between_storing_and_recording_loses_nothing(version: Version, creator: Any, tmp_path: Path) -> None:
    path = tiny.lora_safetensors(tmp_path / "a.safetensors")
    file = upload_path(version, creator, path)
    lifecycle.claim(file, "scanning")
    storage.place_staged(file.upload.staging_name, hash_file(path).sha256)
    File.objects.filter(pk=file.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    lifecycle.reclaim(File)
    assert outcome(file).state == "ready"


def test_a_moderator_who_asks_again_gets_a_new_verdict_from_the_sealed_store(version: Version, creator: Any, hostile: Path) -> None:
    file = outcome(upload_path(version, creator, hostile))
    Blob.objects.update(verdict_key="older/rules")
    lifecycle.retry(file, "queued")
    file = outcome(file)
    assert (file.state, file.verdict) == ("quarantined", "danger")
    assert ScanReport.objects.count() == 2


def test_ready_files_on_bytes_that_turn_out_dangerous_are_sealed_too(version: Version, creator: Any, hostile: Path) -> None:
    file = upload_path(version, creator, hostile)
    sha = hash_file(hostile)
    blob = Blob.objects.create(sha256=sha.sha256, size_bytes=sha.size_bytes, verdict="success", verdict_key="older/rules")
    other = File.objects.create(version=version, name="older.ckpt", blob=blob, size_bytes=sha.size_bytes, state="ready")
    outcome(file)
    other.refresh_from_db()
    assert other.state == "quarantined"
    assert not other.downloadable


def test_the_whole_life_on_s3(version: Version, creator: Any, tmp_path: Path, s3_stores: None) -> None:
    file = outcome(upload_path(version, creator, tiny.lightning_checkpoint(tmp_path / "dream.ckpt")))
    assert file.state == "ready", file.error
    assert version.files.count() == 4
    assert all(derived.downloadable and storage.exists(derived.blob) for derived in version.files.all())
    assert not list(storage.bucket("models").objects.filter(Prefix="staging/"))


def test_sealing_on_s3_moves_the_bytes_to_the_other_bucket(version: Version, creator: Any, hostile: Path, s3_stores: None) -> None:
    file = outcome(upload_path(version, creator, hostile))
    assert file.state == "quarantined"
    name = storage.blob_name(file.blob.sha256)
    assert (storages["models"].exists(name), storages["quarantine"].exists(name)) == (False, True)


def test_known_clean_bytes_under_a_lying_name_are_refused(version: Version, creator: Any, tmp_path: Path) -> None:
    path = tiny.plain_checkpoint(tmp_path / "honest.ckpt")
    assert outcome(upload_path(version, creator, path)).state == "ready"
    lying = outcome(upload_path(version, creator, path, "honest-again.gguf"))
    assert lying.state == "failed"
    assert lying.error_code.startswith("scan:")
    assert lying.blob.verdict == "success", "the bytes themselves are as clean as before"


def test_nobody_can_seal_anothers_bytes_by_misnaming_them(version: Version, creator: Any, tmp_path: Path) -> None:
    path = tiny.plain_checkpoint(tmp_path / "honest.ckpt")
    lying = outcome(upload_path(version, creator, path, "harmless.gguf"))
    assert (lying.state, lying.error_code, lying.blob.sealed) == ("failed", "scan:F-EXTENSION", False)
    assert outcome(upload_path(version, creator, path)).state == "ready"


def test_suspicious_bytes_are_not_spoiled_by_a_lying_name_either(version: Version, creator: Any, tmp_path: Path) -> None:
    path = suspicious_checkpoint(tmp_path / "grey.ckpt")
    lying = outcome(upload_path(version, creator, path, "grey.gguf"))
    assert (lying.state, lying.error_code, lying.verdict) == ("failed", "scan:F-EXTENSION", "pending")
    held = outcome(upload_path(version, creator, path))
    assert (held.state, held.verdict) == ("quarantined", "suspicious")
    again = outcome(upload_path(version, creator, path, "grey-again.gguf"))
    assert (again.state, again.error_code, again.verdict) == ("failed", "scan:F-EXTENSION", "suspicious")
