"""Honest files of every kind beside torch's are accepted, and what is counted in them is what their own libraries see."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scanner import run
from scanner.pickles import scan
from scanner.pickles.jinja import objection_to
from tests.attacks import arrays, bundles, ggufs
from tests.attacks.assemble import Part, zipped
from tests.attacks.writers import gguf, old_checkpoint
from tests.scanner.chat_templates import CHAT_TEMPLATES
from tests.scanner.honest_kinds import HONEST_KINDS, TOLD, old_with_views, without_checksums

ROOT = Path(run.__file__).resolve().parents[1]
pytestmark = pytest.mark.filterwarnings("ignore")  # torch says of its oldest forms that they are old


@pytest.mark.parametrize("title", HONEST_KINDS)
def test_honest_file_of_another_kind_is_a_success(title: str) -> None:
    name, make = HONEST_KINDS[title]
    report = scan(io.BytesIO(make()), name=name)
    assert (report.verdict, report.findings) == ("success", [])


@pytest.mark.parametrize("title", TOLD)
def test_what_is_worth_a_remark_is_a_success_with_the_remark(title: str) -> None:
    name, make, code = TOLD[title]
    report = scan(io.BytesIO(make()), name=name)
    assert report.verdict == "success"
    assert [(finding.severity, finding.code) for finding in report.findings] == [("info", code)]


def test_there_are_many_kinds() -> None:
    assert len(HONEST_KINDS) >= 60
    kinds = {scan(io.BytesIO(make()), name=name).kind for name, make in HONEST_KINDS.values()}
    assert kinds == {"npy", "npz", "torch-tar", "gguf", "onnx", "bundle", "image", "text"}


@pytest.mark.parametrize("make", [old_checkpoint, old_with_views, HONEST_KINDS["oldest form, as Python writes tars"][1]])
def test_the_directory_of_the_oldest_form_is_what_torch_loads(make: Any, tmp_path: Any) -> None:
    """torch takes this form from a file on disk only."""
    data = make()
    (tmp_path / "model.pt").write_bytes(data)
    report = scan(io.BytesIO(data), name="model.pt")
    loaded = torch.load(tmp_path / "model.pt", weights_only=False)
    assert report.directory is not None
    assert {entry.path for entry in report.directory} == {(key,) for key in loaded}
    for entry in report.directory:
        storage = report.directory.storages[entry.storage]
        whole = np.frombuffer(data, "<f4", storage.size // 4, storage.start)
        found = torch.from_numpy(whole.copy()).as_strided(entry.shape, entry.stride, entry.offset)
        assert torch.equal(found, loaded[entry.path[0]])


def test_missing_checksums_are_no_checksums_for_the_converter() -> None:
    report = scan(io.BytesIO(without_checksums()), name="a.ckpt")
    assert report.directory is not None
    assert {storage.crc32 for storage in report.directory.storages} == {None}


def test_one_stated_checksum_means_that_all_are_needed() -> None:
    """Only a file without any is torch's; a single one left out is damage."""
    data = bytearray(without_checksums())
    at = data.rindex(b"PK\1\2")
    data[at + 16] = 1
    assert scan(io.BytesIO(bytes(data)), name="a.ckpt").verdict == "error"


def test_findings_in_a_bundle_are_told_with_the_path_of_the_member() -> None:
    inner = zipped([Part("deep/x.ckpt", bundles.PAYLOAD)])
    report = scan(io.BytesIO(bundles.bundle(Part("a/inner.zip", inner))), name="pack.zip")
    assert {finding.where for finding in report.findings} == {"a/inner.zip!deep/x.ckpt!pickle 1"}
    assert {row.where for row in report.imports} == {"a/inner.zip!deep/x.ckpt!pickle 1"}


def test_a_bundle_counts_the_tensors_of_all_members() -> None:
    report = scan(io.BytesIO(bundles.bundle(Part("b.safetensors", bundles.LORA.data))), name="pack.zip")
    assert (report.verdict, report.tensors, report.bytes, report.directory) == ("success", 2, 32, None)


def test_an_array_of_objects_is_told_with_what_it_would_run() -> None:
    report = scan(io.BytesIO(arrays.array_of_objects()), name="a.npy")
    assert {finding.code for finding in report.findings} >= {"N-OBJECT", "P-CALL"}
    assert [row.name for row in report.imports] == ["system"]


@pytest.mark.parametrize("style", CHAT_TEMPLATES)
def test_a_chat_template_of_a_known_style_is_accepted(style: str) -> None:
    assert objection_to(CHAT_TEMPLATES[style]) == ""


@pytest.mark.parametrize("style", CHAT_TEMPLATES)
def test_one_way_out_added_to_an_honest_template_is_seen(style: str) -> None:
    for bad in ("{{ ''.__class__ }}", "{{ messages[0]['a' ~ 'b'] }}", "{{ messages|attr('x') }}"):
        assert objection_to(CHAT_TEMPLATES[style] + bad), bad


def test_without_jinja2_no_template_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scanner.pickles.jinja", None)
    monkeypatch.delattr("scanner.pickles.jinja", raising=False)
    for style, template in CHAT_TEMPLATES.items():
        assert scan(io.BytesIO(gguf({"tokenizer.chat_template": template})), name="a.gguf").verdict in ("error", "danger"), style
    honest = scan(io.BytesIO(gguf({"tokenizer.chat_template": "{{ messages[0].content }}"})), name="a.gguf")
    assert (honest.verdict, "jinja2" in honest.findings[0].message) == ("error", True)
    hostile = scan(io.BytesIO(gguf({"tokenizer.chat_template": ggufs.TEMPLATES["class_of_a_text"]})), name="a.gguf")
    assert hostile.verdict == "danger"


@pytest.mark.parametrize(
    ("name", "data", "verdict"),
    [
        ("a.gguf", HONEST_KINDS["gguf, qwen with tools and reasoning"][1](), "success"),
        ("pack.zip", zipped([Part("a.gguf", HONEST_KINDS["gguf, chatml"][1]())]), "success"),
        ("a.gguf", gguf({"tokenizer.chat_template": ggufs.TEMPLATES["class_in_pieces"]}), "danger"),
        ("a.onnx", HONEST_KINDS["onnx"][1](), "success"),
        ("a.npz", HONEST_KINDS["arrays, packed"][1](), "success"),
        ("pack.zip", HONEST_KINDS["bundle"][1](), "success"),
        ("model.pt", old_checkpoint(), "success"),
    ],
    ids=["gguf", "gguf in a bundle", "hostile gguf", "onnx", "npz", "bundle", "oldest form"],
)
def test_the_sandboxed_scan_gives_the_same_answer(name: str, data: bytes, verdict: str, tmp_path: Any) -> None:
    """There the templates' judge must be at hand before the doors close, and nothing may be imported later."""
    (tmp_path / name).write_bytes(data)
    report = run.scan_path(tmp_path / name, name=name)
    assert (report["verdict"], report["findings"] and report["findings"][0]["code"]) == (
        verdict,
        "G-TEMPLATE" if verdict == "danger" else [],
    )


@pytest.mark.parametrize(
    ("name", "head", "loaded"),
    [("a.gguf", b"GGUF", True), ("pack.zip", b"PK\3\4", True), ("a.ckpt", b"PK\3\4", False), ("a.safetensors", b"\x10\0\0\0", False)],
)
def test_jinja2_is_loaded_only_for_files_that_may_need_it(name: str, head: bytes, loaded: bool, tmp_path: Path) -> None:
    """A scan of a checkpoint must not wait for it."""
    (tmp_path / name).write_bytes(head + bytes(60))
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from registry.formats.window import Window\nfrom scanner.pickles.templates import prepare\n"
        f"prepare(Window(open({str(tmp_path / name)!r}, 'rb')), {name!r}, {run._jinja2()!r})\nprint('jinja2' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=60)
    assert result.stdout.strip() == str(loaded), result.stderr[-500:]


def test_the_standard_library_alone_reads_every_kind(tmp_path: Path) -> None:
    """Only a chat template needs more, and is then not taken."""
    paths = []
    for number, (name, make) in enumerate(HONEST_KINDS.values()):
        path = tmp_path / str(number) / name
        path.parent.mkdir()
        path.write_bytes(make())
        paths.append(str(path))
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\nimport os\nfrom scanner.pickles import scan\n"
        f"for path in {paths!r}:\n print(scan(open(path, 'rb'), name=os.path.basename(path)).verdict)"
    )
    result = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=120)
    verdicts = dict(zip(HONEST_KINDS, result.stdout.split(), strict=True))
    styles = {f"gguf, {style}" for style in CHAT_TEMPLATES}
    assert {title for title, verdict in verdicts.items() if verdict != "success"} == styles, result.stderr[-500:]
