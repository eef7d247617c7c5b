"""`manage.py import_folder`: a models folder as people have it comes into the hub, and a second run changes nothing."""

from __future__ import annotations

import json
import os
import shutil
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from PIL import Image
from safetensors.numpy import save_file

from hub.importing import bring, told
from hub.importing.folders import MAX_DEPTH, Found, walk
from registry import schedule
from registry.models import Entry, File, Upload, UserImage, Version
from tests import intake
from tests.hub.published import published_file
from tests.registry.test_recognise import LORA
from tests.tiny import plain_checkpoint

pytestmark = pytest.mark.django_db


def lora(path: Path, fill: float = 1.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: np.full(shape, fill, np.float16) for name, shape in LORA.items()}, path)
    return path


CIVITAI = {
    "id": 12, "modelId": 7, "name": "v2", "baseModel": "SD 1.5", "trainedWords": ["old brass, lamp", "old brass"],
    "description": "<p>Less fog</p>", "model": {"name": "Old Brass", "type": "LORA", "nsfw": True, "tags": ["metal"],
    "description": "<p>Brass &amp; <b>light</b></p><script>x</script>"},
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A1111's layout with Civitai Helper's and LoRA-Manager's files, ComfyUI's below, and what no import may stumble over."""
    root = tmp_path / "models"
    brass = lora(root / "Lora" / "style" / "brass_v2.safetensors")
    brass.with_suffix(".civitai.info").write_text(json.dumps(CIVITAI))
    brass.with_suffix(".txt").write_text("my note: strength 0.7")
    Image.new("RGB", (64, 48), "teal").save(brass.with_suffix(".preview.png"))
    managed = lora(root / "loras" / "fog.safetensors", 2.0)
    own = {"model_name": "Fog Bell", "base_model": "SD 1.5", "notes": "works with 0.6", "civitai": {"trainedWords": ["fog bell"]}}
    managed.with_suffix(".metadata.json").write_text(json.dumps(own))
    (root / "embeddings").mkdir()
    (root / "Stable-diffusion").mkdir()
    plain_checkpoint(root / "Stable-diffusion" / "lantern-fp16.ckpt")
    (root / "Lora" / "broken.safetensors").write_bytes(b"\xff" * 40)
    (root / "Lora" / "empty.safetensors").write_bytes(b"")
    (root / "Lora" / "readme.md").write_text("no weights")
    os.symlink(brass, root / "Lora" / "link.safetensors")
    os.symlink(root, root / "Lora" / "round")
    return root


def run(folder: Path, *options: str) -> dict[str, Any]:
    out = StringIO()
    call_command("import_folder", str(folder), "--owner", "ada", "--json", *options, stdout=out)
    return dict(json.loads(out.getvalue()))


def actions(report: dict[str, Any]) -> dict[str, str]:
    return {Path(row["path"]).name: row["action"] for row in report["files"]}


def prints_of(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_size) for path in folder.rglob("*")}


EXPECTED = {
    "brass_v2.safetensors": "import", "fog.safetensors": "import", "lantern-fp16.ckpt": "import", "broken.safetensors": "import",
    "empty.safetensors": "refused", "link.safetensors": "failed",
}  # fmt: skip


def test_dry_run_says_everything_and_changes_nothing(creator: Any, stores: Path, folder: Path) -> None:
    before = prints_of(folder)
    report = run(folder, "--dry-run")
    assert actions(report) == EXPECTED
    assert report["summary"] == {"import": 4, "refused": 1, "failed": 1}
    assert (Entry.objects.count(), File.objects.count(), prints_of(folder) == before) == (0, 0, True)
    out = StringIO()
    call_command("import_folder", str(folder), "--owner", "ada", "--dry-run", stdout=out)
    assert "6 files: 1 failed, 4 import, 1 refused. Nothing was changed." in out.getvalue()


def test_folder_comes_in_with_what_lies_beside_its_files(creator: Any, stores: Path, folder: Path) -> None:
    before = prints_of(folder)
    assert actions(run(folder, "--visibility", "unlisted", "--publish")) == EXPECTED
    assert prints_of(folder) == before, "the source is only read"
    brass = Version.objects.select_related("entry").get(entry__name="Old Brass")
    assert (brass.name, brass.base_model, brass.trigger_words, brass.description) == ("v2", "SD 1.5", ["old brass", "lamp"], "Less fog")
    assert (brass.entry.kind, brass.entry.visibility, brass.entry.rating) == ("lora", "unlisted", 8)
    assert brass.entry.description == "Brass & light\nx\n\nNotes kept beside the file:\n\nmy note: strength 0.7"
    assert list(brass.entry.tags.values_list("name", flat=True)) == ["metal"]
    assert UserImage.objects.get().version == brass
    fog = Version.objects.select_related("entry").get(entry__name="Fog Bell")
    assert (fog.trigger_words, "works with 0.6" in fog.entry.description) == (["fog bell"], True)
    assert Version.objects.get(entry__name="lantern").entry.kind == "checkpoint"
    intake.drain()
    assert schedule.publish_due() == 3
    states = dict(File.objects.filter(role="uploaded").values_list("name", "state"))
    assert states.pop("broken.safetensors") != "ready", "it was judged as any upload"
    assert set(states.values()) == {"ready"}
    again = {name: {"import": "known"}.get(action, action) for name, action in EXPECTED.items()}
    assert actions(run(folder)) == again, "also what the scan refused is not sent again"


def test_second_run_knows_what_is_here_and_goes_on_with_what_broke_off(
    creator: Any, stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "models"
    first, second = lora(folder / "a.safetensors"), lora(folder / "b.safetensors", 2.0)
    published_file(creator, lora(tmp_path / "elsewhere.safetensors", 3.0).read_bytes())
    shutil.copy(tmp_path / "elsewhere.safetensors", folder / "c.safetensors")

    def breaks_off(*_: Any) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("registry.deposit.send_parts", breaks_off)
        assert run(folder)["summary"] == {"failed": 2, "known": 1}
    assert Upload.objects.count() == 2
    assert actions(run(folder)) == {first.name: "go on", second.name: "go on", "c.safetensors": "known"}
    assert actions(run(folder)) == {first.name: "known", second.name: "known", "c.safetensors": "known"}
    assert sorted(File.objects.exclude(state="ready").values_list("state", flat=True)) == ["queued", "queued"]


def test_bytes_of_others_that_may_be_read_are_linked(creator: Any, stranger: Any, stores: Path, tmp_path: Path) -> None:
    path = lora(tmp_path / "models" / "a.safetensors")
    published_file(stranger, path.read_bytes())
    report = run(tmp_path / "models")
    assert report["summary"] == {"link": 1}
    assert not Upload.objects.exists()
    assert File.objects.get(version__entry__owner=creator).state == "queued"


def test_refused_file_leaves_no_draft_behind(creator: Any, stores: Path, tmp_path: Path, settings: Any) -> None:
    lora(tmp_path / "models" / "a.safetensors")
    importer = bring.Importer(creator, "private")
    settings.USER_QUOTA_BYTES = 10
    outcome = importer.bring(next(found for found in walk(tmp_path / "models") if isinstance(found, Found)))
    assert (outcome.action, outcome.reason.split(":")[0], Entry.objects.count()) == ("refused", "upload", 0)


@pytest.mark.parametrize(
    "text", ["{", "[]", "\xff", '{"model": 3, "trainedWords": {"a": 1}, "tags": [1, null], "notes": []}', "[" * 100_000]
)
def test_texts_that_make_no_sense_are_named_and_passed_over(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.civitai.info"
    path.write_bytes(text.encode("latin-1"))
    found = told.read([path])
    assert (found.name, found.words, found.text()) == ("", [], "")


def test_texts_hide_folders_and_characters_that_cannot_be_seen(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"description": "a\u202eb", "activation text": "lamp, C:\\Users\\ada\\x", "sd version": "Unknown"}))
    found = told.read([path])
    assert (found.text(), found.words, found.base_model) == ("a\ufffdb", ["lamp"], "")


def test_walk_goes_no_deeper_than_its_limit(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * (MAX_DEPTH + 2))
    deep.mkdir(parents=True)
    (deep / "a.safetensors").write_bytes(b"x")
    assert [type(found).__name__ for found in walk(tmp_path)] == ["Unreadable"]


def test_wrong_names_are_said_at_once(creator: Any, tmp_path: Path) -> None:
    for options in (
        ("--owner", "nobody"),
        ("--owner", "ada", "--visibility", "group"),
        ("--owner", "ada", "--group", "x", "--visibility", "group"),
    ):
        with pytest.raises(CommandError):
            call_command("import_folder", str(tmp_path), *options)
    with pytest.raises(CommandError):
        call_command("import_folder", str(tmp_path / "none"), "--owner", "ada")
