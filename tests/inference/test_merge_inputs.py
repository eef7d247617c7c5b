"""Which files may be merged by whom: what cannot be seen does not exist, what is not clean, ready and safetensors is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inference import mergeinputs
from inference.mergeinputs import NoInput, find
from registry import catalog
from registry.formats.directory import Storage, TensorDirectory, TensorEntry
from registry.models import File, TensorIndex
from tests.factories import BlobFactory, EntryFactory, FileFactory, VersionFactory
from tests.intake import drain, upload_path
from tests.merges import checkpoint
from tests.tiny import plain_checkpoint

pytestmark = pytest.mark.django_db


def public(owner: Any, **file: Any) -> File:
    version = VersionFactory(entry=EntryFactory(owner=owner))
    made = FileFactory(version=version, **file)
    FileFactory(version=version)
    catalog.publish(version)
    return made


def code_of(user: Any, file: File) -> tuple[str, int]:
    with pytest.raises(NoInput) as caught:
        find(user, "a", file.pk)
    return caught.value.code, caught.value.status


def test_a_public_file_of_somebody_else_may_be_taken(creator: Any, stranger: Any) -> None:
    file = public(creator)
    found = find(stranger, "b", file.pk)
    assert (found.role, found.file, found.note) == ("b", file, "")


def test_what_is_not_ones_own_to_see_does_not_exist(creator: Any, stranger: Any) -> None:
    private = public(creator)
    private.version.entry.visibility = "private"
    private.version.entry.save()
    hidden = [private, FileFactory(version__entry__owner=creator), public(creator, state="failed"), public(creator, state="queued")]
    assert {code_of(stranger, file) for file in hidden} == {("not_found", 404)}
    assert find(creator, "a", private.pk).file == private
    with pytest.raises(NoInput) as missing:
        find(stranger, "a", 999_999_999)
    with pytest.raises(NoInput) as secret:
        find(stranger, "a", private.pk)
    assert missing.value.sentence == secret.value.sentence


@pytest.mark.parametrize("state", ["uploading", "queued", "scanning", "clean", "converting", "failed", "quarantined", "danger"])
def test_a_file_that_is_not_ready_is_refused_with_its_state(creator: Any, state: str) -> None:
    file = FileFactory(version__entry__owner=creator, state=state)
    with pytest.raises(NoInput, match=state) as caught:
        find(creator, "a", file.pk)
    assert caught.value.code == "merge:not-ready"


@pytest.mark.parametrize("blob", [{"verdict": "suspicious"}, {"verdict": "error"}, {"sealed": True}, {"stored": False}])
def test_bytes_that_may_not_be_served_are_not_merged_either(creator: Any, blob: dict[str, Any]) -> None:
    assert code_of(creator, FileFactory(version__entry__owner=creator, blob=BlobFactory(**blob))) == ("merge:not-ready", 409)


def test_what_was_withdrawn_is_not_merged_even_by_its_owner(creator: Any) -> None:
    file = public(creator)
    catalog.withdraw(file.version, "Wrong set.")
    assert code_of(creator, file)[0] == "merge:withdrawn"


def test_other_containers_have_nothing_to_merge(creator: Any) -> None:
    assert code_of(creator, FileFactory(version__entry__owner=creator, blob__container="gguf"))[0] == "merge:not-safetensors"


def test_a_file_without_a_tensor_directory_says_so(creator: Any) -> None:
    with pytest.raises(NoInput) as caught:
        _ = find(creator, "a", public(creator).pk).directory
    assert caught.value.code == "merge:no-tensors"


@pytest.mark.django_db(transaction=True)
def test_of_a_pickle_its_safetensors_copy_is_taken_and_that_is_said(creator: Any, tmp_path: Path) -> None:
    pickle = upload_path(VersionFactory(entry__owner=creator), creator, plain_checkpoint(tmp_path / "dream.ckpt"))
    drain()
    found = find(creator, "a", pickle.pk)
    assert (found.file.source_id, found.file.name) == (pickle.pk, "dream.safetensors")
    assert found.note == "dream.ckpt is no safetensors file; its copy dream.safetensors is merged."
    File.objects.filter(pk=found.file.pk).update(state="quarantined")
    assert code_of(creator, pickle)[0] == "merge:not-safetensors"


@pytest.mark.django_db(transaction=True)
def test_a_ready_checkpoint_has_its_directory(creator: Any, tmp_path: Path) -> None:
    file = checkpoint(creator, tmp_path / "a.safetensors")
    assert len(find(creator, "a", file.pk).directory.tensors) > 1000


def listed(owner: Any, count: int, name: str = "{}") -> File:
    """A file whose scan found so many tensors, and whose detection says that one of them is the model's."""
    file: File = FileFactory(version__entry__owner=owner, blob__detected={"tensors": 1})
    rows = tuple(TensorEntry((name.format(number),), "F16", (0,), 0, 0, (1,)) for number in range(count))
    assert file.blob is not None
    TensorIndex.keep(file.blob, TensorDirectory("safetensors", (Storage("x", 0, 0),), rows, {}).to_json())
    return file


def test_files_of_very_many_tensors_do_not_keep_a_request_busy(creator: Any) -> None:
    inputs = [find(creator, role, listed(creator, count).pk) for role, count in zip("abc", (59_999, 1, 2), strict=True)]
    mergeinputs.check_counts(inputs[:2])
    with pytest.raises(NoInput, match="60,002 tensors together") as caught:
        mergeinputs.check_counts(inputs)
    assert caught.value.code == "merge:too-many-tensors"


def test_lists_that_are_long_are_not_even_unpacked_to_be_counted(creator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = [find(creator, role, listed(creator, 5_000, "model_ema." + "x" * 600 + "{}").pk) for role in "abc"]
    mergeinputs.check_counts(inputs[:1])
    monkeypatch.setattr(TensorIndex, "directory", property(lambda _: pytest.fail("unpacked")))
    with pytest.raises(NoInput, match="too many tensors") as caught:
        mergeinputs.check_counts(inputs)
    assert caught.value.code == "merge:too-many-tensors"


def test_a_person_who_was_locked_out_merges_nothing(creator: Any) -> None:
    file = public(creator)
    creator.is_active = False
    with pytest.raises(NoInput):
        mergeinputs.still_allowed(creator, "a", file, file.name)
