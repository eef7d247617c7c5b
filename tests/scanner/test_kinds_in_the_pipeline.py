"""Uploads of other kinds than torch's go through the whole life: clean ones become ready as they are, others say why not."""

from __future__ import annotations

from typing import Any

import pytest

from registry.models import File, Version
from tests.attacks import bundles, ggufs
from tests.attacks.assemble import Part
from tests.attacks.writers import gguf, old_checkpoint
from tests.factories import VersionFactory
from tests.intake import drain, upload_bytes
from tests.scanner.honest_kinds import HONEST_KINDS

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def version(creator: Any) -> Version:
    return VersionFactory(entry__owner=creator)


def outcome(version: Version, creator: Any, name: str, data: bytes) -> File:
    file = upload_bytes(version, creator, name, data)
    drain()
    file.refresh_from_db()
    return file


@pytest.mark.parametrize(
    ("title", "container"),
    [("gguf, chatml", "gguf"), ("bundle", "bundle"), ("onnx", "onnx"), ("arrays", "npz"), ("array of float32", "npy")],
)
def test_a_clean_file_of_a_kind_without_a_twin_is_ready_as_it_is(version: Version, creator: Any, title: str, container: str) -> None:
    name, make = HONEST_KINDS[title]
    file = outcome(version, creator, name, make())
    assert (file.state, file.verdict, file.blob.container) == ("ready", "success", container)
    assert list(version.files.all()) == [file]
    assert file.downloadable
    assert not file.blob.detected
    assert [step for step, _ in file.timeline.values_list("step", "outcome")] == ["received", "hash", "scan", "ready"]


def test_the_oldest_form_gets_its_twin(version: Version, creator: Any) -> None:
    file = outcome(version, creator, "model.pt", old_checkpoint())
    assert (file.state, file.blob.container) == ("ready", "torch-tar")
    twin = version.files.exclude(pk=file.pk).get()
    assert (twin.name, twin.state, twin.blob.container) == ("model.safetensors", "ready", "safetensors")


def test_a_template_that_breaks_out_is_sealed(version: Version, creator: Any) -> None:
    data = gguf({"tokenizer.chat_template": ggufs.TEMPLATES["class_of_a_text"]})
    file = outcome(version, creator, "model.gguf", data)
    assert (file.state, file.error_code) == ("quarantined", "scan:G-TEMPLATE")


def test_one_hostile_member_seals_the_bundle(version: Version, creator: Any) -> None:
    file = outcome(version, creator, "pack.zip", bundles.bundle(Part("more.ckpt", bundles.PAYLOAD)))
    assert (file.state, file.verdict) == ("quarantined", "danger")
    assert "os.system" in file.error


def test_a_bundle_under_a_checkpoints_name_fails_for_its_name_alone(version: Version, creator: Any) -> None:
    """Otherwise the first to misname it would spoil the bytes for everybody."""
    lying = outcome(version, creator, "model.ckpt", bundles.bundle())
    assert (lying.state, lying.error_code, lying.blob.sealed) == ("failed", "scan:F-EXTENSION", False)
    assert outcome(version, creator, "pack.zip", bundles.bundle()).state == "ready"


def test_a_member_that_lies_about_its_kind_is_the_bundles_own_fault(version: Version, creator: Any) -> None:
    file = outcome(version, creator, "pack.zip", bundles.bundle(Part("preview.png", bundles.torch_zip())))
    assert (file.state, file.error_code) == ("quarantined", "scan:Z-EXTENSION")
