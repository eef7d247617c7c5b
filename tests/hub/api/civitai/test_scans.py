"""Scan results in Civitai's fields: its words and its Markdown, our level and the whole detail beside them."""

from __future__ import annotations

from typing import Any

import pytest
from markdown_it import MarkdownIt

from registry.models import Blob, File, User
from scanner.models import Release, ScanReport
from tests.attacks import os_system_checkpoint
from tests.factories import EntryFactory, VersionFactory
from tests.hub.api.civitai.conftest import Get
from tests.hub.published import published_file
from tests.intake import drain, upload_bytes

Json = dict[str, Any]
WHOLE = {"level", "kind", "scanner", "policy", "durationMs", "opcodes", "sandbox", "imports", "findings", "secondOpinions"}


def report(file: File, verdict: str, imports: list[tuple[str, str]] = [], **more: Any) -> None:  # noqa: B006
    rows = [{"module": name.rpartition(".")[0], "name": name.rpartition(".")[2], "safety": safety} for name, safety in imports]
    body = {
        "verdict": verdict,
        "kind": "torch-zip",
        "imports": rows,
        "findings": [],
        "opcodes": 9,
        "sandbox": ["rlimit"],
        "duration_ms": 4.2,
        **more,
    }
    ScanReport.objects.create(blob=file.blob, verdict=verdict, scanner="1", policy="p", report=body)


def pickled(creator: User, verdict: str = "success", **fields: Any) -> File:
    state = "ready" if verdict == "success" else "quarantined"
    fields = {"state": state, "blob_container": "torch-zip", "blob_verdict": verdict, "blob_verdict_key": "1.0.0/2026-11-21", **fields}
    return published_file(creator, b"pickle", "a.ckpt", **fields)


def shown(get: Get, file: File) -> Json:
    """The file as the answer about its version has it, served or held."""
    body = get(f"/api/v1/model-versions/{file.version_id}").json()
    [found] = [one for one in [*body["files"], *body.get("heldFiles", [])] if one["id"] == file.pk]
    return found


def listed(get: Get, file: File) -> Json:
    [found] = get("/api/v1/models").json()["items"][0]["modelVersions"][0]["files"]
    return found


def test_a_clean_pickle_lists_its_imports(get: Get, creator: User) -> None:
    file = pickled(creator)
    report(file, "success", [("os.system", "dangerous")])
    report(file, "success", [("collections.OrderedDict", "allowed"), ("torch._utils._rebuild_tensor_v2", "allowed")])
    for fields in (listed(get, file), shown(get, file)):
        assert fields["pickleScanResult"] == "Success"
        assert fields["pickleScanMessage"] == (
            "**Detected Pickle imports (2)**\n```\ncollections.OrderedDict\ntorch._utils._rebuild_tensor_v2\n```"
        )
        assert fields["metadata"]["format"] == "PickleTensor"


def test_lists_are_short_and_single_answers_whole(get: Get, creator: User) -> None:
    file = pickled(creator)
    report(file, "success", [("collections.OrderedDict", "allowed"), ("torch._utils._rebuild_tensor_v2", "allowed")])
    assert listed(get, file)["scan"] == {"level": "success", "scanner": "1.0.0", "policy": "2026-11-21"}
    scan = shown(get, file)["scan"]
    assert set(scan) == WHOLE
    assert (scan["kind"], scan["durationMs"], scan["opcodes"], scan["sandbox"]) == ("torch-zip", 4.2, 9, ["rlimit"])
    assert [row["name"] for row in scan["imports"]] == ["OrderedDict", "_rebuild_tensor_v2"]


def test_a_real_attack_has_every_field(get: Get, creator: User) -> None:
    good = published_file(creator, b"good")
    file = upload_bytes(good.version, creator, "evil.ckpt", os_system_checkpoint())
    drain()
    fields = shown(get, file)
    assert (fields["pickleScanResult"], fields["virusScanResult"], fields["scan"]["level"]) == ("Danger", "Danger", "danger")
    scan = fields["scan"]
    assert set(scan) == WHOLE
    worst = scan["imports"][0]
    assert (worst["module"], worst["name"], worst["safety"], worst["count"]) == ("os", "system", "dangerous", 1)
    assert set(worst) == {"module", "name", "safety", "count", "where", "offset", "reason"}
    finding = scan["findings"][0]
    assert set(finding) == {"severity", "code", "where", "offset", "message", "args", "disassembly"}
    assert (finding["code"], finding["message"]) == ("P-CALL", "This file would run `os.system` when loaded. It was not run.")
    assert "echo" in finding["args"]
    assert any("REDUCE" in line for line in finding["disassembly"])
    assert {layer.rstrip("0123456789") for layer in scan["sandbox"]} >= {"rlimit", "seccomp"}
    assert fields["pickleScanMessage"].startswith("**Detected Pickle imports (4)**\n*Dangerous import detected*\n```\n*os.system*\n")
    assert "downloadUrl" not in fields


def test_safetensors_has_no_imports(get: Get, creator: User) -> None:
    fields = shown(get, published_file(creator, b"weights"))
    assert (fields["pickleScanResult"], fields["pickleScanMessage"]) == ("Success", "No Pickle imports")


@pytest.mark.parametrize(
    ("verdict", "result"),
    [("danger", "Danger"), ("suspicious", "Danger"), ("error", "Error"), ("success", "Success"), ("pending", "Pending")],
)
def test_verdicts_are_said_in_civitais_four_words(get: Get, creator: User, verdict: str, result: str) -> None:
    file = pickled(creator, verdict, version=published_file(creator, b"good").version, state="quarantined")
    report(file, verdict)
    fields = shown(get, file)
    assert fields["pickleScanResult"] == fields["virusScanResult"] == result
    assert fields["scan"]["level"] == verdict


@pytest.mark.parametrize("verdict", ["danger", "suspicious"])
def test_a_dangerous_file_names_its_imports_the_worst_first(get: Get, creator: User, verdict: str) -> None:
    good = published_file(creator, b"good")
    bad = pickled(creator, verdict, version=good.version)
    report(bad, verdict, [("collections.OrderedDict", "allowed"), ("posix.system", "dangerous")])
    body = get(f"/api/v1/model-versions/{good.version_id}").json()
    assert [one["id"] for one in body["files"]] == [good.pk]
    assert body["heldFiles"][0]["pickleScanMessage"] == (
        "**Detected Pickle imports (2)**\n*Dangerous import detected*\n```\n*posix.system*\ncollections.OrderedDict\n```"
    )


def test_a_file_refused_for_something_else_says_what(get: Get, creator: User) -> None:
    good = published_file(creator, b"good")
    bad = pickled(creator, "danger", version=good.version)
    finding = {"severity": "danger", "code": "F-PROGRAM", "message": "This is a Linux program, not weights. It was not opened."}
    report(bad, "danger", findings=[finding])
    assert shown(get, bad)["pickleScanMessage"] == f"No Pickle imports\n```\n{finding['message']}\n```"
    report(bad, "danger", [("collections.OrderedDict", "allowed")], findings=[{**finding, "message": "`a` is called oddly."}])
    assert shown(get, bad)["pickleScanMessage"] == (
        "**Detected Pickle imports (1)**\n```\n'a' is called oddly.\n```\n```\ncollections.OrderedDict\n```"
    )


EVIL = "```\n# heading\n[x](javascript:alert(1)) <img src=x onerror=alert(1)> ~~~ \u202e\x1b[31m http://evil.example"


@pytest.mark.parametrize("safety", ["allowed", "dangerous", "odd"])
@pytest.mark.parametrize("verdict", ["danger", "success"])
def test_nothing_breaks_out_of_its_fence(get: Get, creator: User, safety: str, verdict: str) -> None:
    file = pickled(creator, verdict, version=published_file(creator, b"good").version)
    finding = {"severity": "danger", "code": EVIL, "message": EVIL, "args": EVIL, "where": EVIL, "disassembly": [EVIL]}
    virus = {"verdict": "danger", "message": EVIL, "signature": EVIL}
    report(file, verdict, findings=[finding], antivirus=virus)
    first = shown(get, file)
    report(file, verdict, [(f"a.b{EVIL}", safety), (EVIL, "allowed")], findings=[finding], antivirus=virus)
    for fields in (first, shown(get, file)):
        for message in (fields["pickleScanMessage"], fields["virusScanMessage"]):
            assert "\u202e" not in message
            assert "\x1b" not in message
            html = MarkdownIt("commonmark").enable("table").render(message)
            assert not any(tag in html for tag in ("<h1", "<a ", "<img")), html


def test_no_text_of_a_report_hides_anything(get: Get, creator: User) -> None:
    file = pickled(creator)
    finding = {"severity": "info", "code": EVIL, "message": EVIL, "args": EVIL, "where": EVIL, "disassembly": [EVIL]}
    report(
        file,
        "success",
        [(EVIL, "allowed")],
        kind=EVIL,
        sandbox=[EVIL],
        findings=[finding],
        second_opinions=[{"tool": EVIL, "verdict": EVIL}],
    )
    scan = shown(get, file)["scan"]
    assert all(char not in str(scan) for char in "\u202e\x1b\n")
    assert "\\u202e" not in repr(scan)
    assert scan["findings"][0]["disassembly"][0].startswith("```")


# --- antivirus --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "result", "message"),
    [
        (None, "Success", "No antivirus engine is set up"),
        ({"verdict": "success", "message": "All was read."}, "Success", None),
        ({"verdict": "partial", "scanned_bytes": 0, "total_bytes": 4_265_146_304}, "Success", "weights not AV-scanned (4.3 GB)"),
        ({"verdict": "danger", "signature": "Win.Test.EICAR_HDB-1", "message": "Found."}, "Danger", "Virus found: Win.Test.EICAR_HDB-1"),
        ({"verdict": "error", "message": "clamd did not answer."}, "Error", "clamd did not answer."),
        ({"verdict": "who knows", "message": "x"}, "Error", "x"),
    ],
)
def test_virus_fields_follow_the_antivirus_where_there_is_one(
    get: Get, creator: User, said: Json | None, result: str, message: str | None
) -> None:
    file = pickled(creator)
    report(file, "success", antivirus=said)
    for fields in (shown(get, file), listed(get, file)):
        assert (fields["pickleScanResult"], fields["virusScanResult"]) == ("Success", result)
        if message is None:
            assert fields["virusScanMessage"] is None
        else:
            assert message in fields["virusScanMessage"]


def test_lists_and_single_answers_agree_on_the_virus_scan_of_safetensors(get: Get, creator: User, settings: Any) -> None:
    settings.CLAMD_SOCKET = "/run/clamav/clamd.sock"
    file = published_file(creator, b"weights")
    report(file, "success", kind="safetensors", antivirus={"verdict": "partial", "scanned_bytes": 0, "total_bytes": 2_000_000_000})
    assert listed(get, file)["virusScanMessage"] == shown(get, file)["virusScanMessage"] == "weights not AV-scanned (2.0 GB)"


# --- opinions and releases --------------------------------------------------------------------------------------------------


def test_second_opinions_are_named_with_their_own_words(get: Get, creator: User) -> None:
    file = pickled(creator)
    opinions = [{"tool": "picklescan 1.0.5", "verdict": "innocuous", "worse": False, "detail": "x", "duration_ms": 3}]
    report(file, "success", second_opinions=opinions)
    assert shown(get, file)["scan"]["secondOpinions"] == [{"tool": "picklescan 1.0.5", "verdict": "innocuous"}]


def released(creator: User, moderator: User) -> File:
    file = pickled(creator, "suspicious", state="ready")
    report(file, "suspicious", [("easydict.EasyDict", "unknown")])
    Blob.objects.filter(pk=file.blob_id).update(released=True)
    Release.objects.create(blob=file.blob, names=["easydict.EasyDict"], reason="Checked\nby hand.", by=moderator, by_name="mod")
    return file


def test_a_released_file_is_served_and_still_called_danger(get: Get, creator: User, moderator: User) -> None:
    file = released(creator, moderator)
    fields = shown(get, file)
    assert (fields["pickleScanResult"], fields["scan"]["level"]) == ("Danger", "suspicious")
    assert fields["downloadUrl"]
    note = fields["scan"]["release"]
    assert (note["by"], note["reason"]) == ("mod", "Checked by hand.")
    assert note["at"].endswith("Z")
    assert len(note["at"]) == len("2026-11-21T10:00:00.000Z")


def test_a_withdrawn_release_is_not_told(get: Get, creator: User, moderator: User) -> None:
    file = released(creator, moderator)
    Release.objects.update(withdrawn_at=file.created_at)
    assert "release" not in shown(get, file)["scan"]


def test_releases_cost_no_query(client: Any, creator: User, moderator: User, django_assert_max_num_queries: Any) -> None:
    file = released(creator, moderator)
    with django_assert_max_num_queries(9):
        client.get(f"/api/v1/model-versions/{file.version_id}")


def test_formats_of_other_kinds_are_named(get: Get, creator: User) -> None:
    version = VersionFactory(entry=EntryFactory(owner=creator, live=True, published_at="2026-11-21T00:00Z"), status="published")
    kinds = {"gguf": "GGUF", "onnx": "ONNX", "torch-tar": "PickleTensor", "npz": "Other", "safetensors": "SafeTensor"}
    files = {
        published_file(creator, kind.encode(), f"m.{kind}", version=version, blob_container=kind): word for kind, word in kinds.items()
    }
    for file, word in files.items():
        assert shown(get, file)["metadata"]["format"] == word
