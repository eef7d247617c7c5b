"""The report page: what it says of real files, to whom, and that nothing out of a file can act on it."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from registry import catalog, names
from registry.formats.errors import FormatError
from registry.models import Blob, File
from scanner.models import Release, Rescan, ScanReport
from tests.attacks import os_system_checkpoint
from tests.attacks.assemble import call, payload_zip
from tests.factories import BlobFactory, EntryFactory, FileFactory, VersionFactory
from tests.intake import drain, upload_bytes, upload_path
from tests.tiny import plain_checkpoint

pytestmark = pytest.mark.django_db

MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)> [x](javascript:alert(3)) **b** `c`"
EVIL = MARKUP + " \u202eevil\u2066 \x1b[31m red \u05d0\u05d1\u05d2 \U0001f608"
HIDDEN = "\u202e\u2066\x1b"


def page(client: Client, file: File) -> str:
    response = client.get(f"/files/{file.pk}/scan")
    assert response.status_code == 200
    return response.content.decode()


def words(text: str) -> str:
    """The page's visible text in one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


def judged(owner: Any, data: bytes, name: str = "model.ckpt") -> File:
    """A file that went through the real pipeline."""
    file = upload_bytes(VersionFactory(entry=EntryFactory(owner=owner)), owner, name, data)
    drain()
    file.refresh_from_db()
    return file


def reported(report: Any, *, verdict: str = "danger", **fields: Any) -> File:
    """A file with a stored report of any shape, in a published version beside a good one."""
    version = FileFactory(version=VersionFactory()).version
    catalog.publish(version)
    blob = BlobFactory(verdict=verdict, container="torch-zip", verdict_key="1.0.0/2026-11-21")
    state = "ready" if verdict == "success" else "quarantined"
    file: File = FileFactory(version=version, blob=blob, **{"state": state, "name": "model.ckpt", **fields})
    ScanReport.objects.create(blob=blob, verdict=verdict, scanner="1.0.0", policy="2026-11-21", report=report)
    return file


# --- real files -------------------------------------------------------------------------------------------------------------


def test_a_dangerous_file_says_what_it_would_run_where_and_with_what(client: Client, creator: Any) -> None:
    file = judged(creator, os_system_checkpoint())
    client.force_login(creator)
    text = page(client, file)
    assert 'data-verdict="danger"' in text
    assert (file.error_code, file.error) == ("scan:P-CALL", "This file would run `os.system` when loaded. It was not run.")
    said = words(text)
    assert "Danger This file would run `os.system` when loaded. It was not run." in said
    assert "Detected pickle imports (" in said
    assert "os.system dangerous" in said
    assert re.search(r"Where \S*data\.pkl, byte [\d,]+", said)
    assert re.search(r'class="culprit">\s*\d+ REDUCE', text)
    for layer in ("rlimit", "seccomp"):
        assert f"<code>{layer}</code>:" in text
    assert file.sha256 in text
    assert f"/api/hub/files/{file.pk}/scan" in text


def test_a_clean_pickle_counts_its_names_and_tensors_and_tells_how_to_check_it(client: Client, creator: Any, tmp_path: Path) -> None:
    file = upload_path(VersionFactory(entry=EntryFactory(owner=creator)), creator, plain_checkpoint(tmp_path / "a.ckpt"))
    drain()
    client.force_login(creator)
    text = page(client, file)
    said = words(text)
    assert re.search(r"Success Every byte of this file was accounted for; the \d+ names that its pickle imports are known", said)
    assert re.search(r"Tensors [\d,]+, [\d.]+ [kM]B: [\d,]+ F32", said)
    assert "sha256sum FILE" in said
    assert f"data-sha256>{File.objects.get(pk=file.pk).sha256}<" in text
    assert "the safetensors copy" in said
    twin = File.objects.get(source=file, recipe__keep="all")
    twin_said = words(page(client, twin))
    assert re.search(r"accounted for: [\d,]+ tensors, and nothing that could run", twin_said)
    assert "There is no pickle in this file" in twin_said


def test_a_suspicious_file_names_the_stranger(client: Client, creator: Any) -> None:
    file = judged(creator, payload_zip(call("easydict", "EasyDict")))
    client.force_login(creator)
    text = page(client, file)
    assert 'data-verdict="suspicious"' in text
    assert "easydict.EasyDict" in text
    assert "badge-warn" in text


def test_a_broken_file_is_in_error_and_orange(client: Client, creator: Any) -> None:
    file = judged(creator, os_system_checkpoint()[:-30])
    client.force_login(creator)
    text = page(client, file)
    assert 'data-verdict="error"' in text
    assert "note-err" in text
    assert "badge-err" in client.get(f"/file/{file.pk}").content.decode()


def test_a_file_that_was_refused_for_its_name_says_so_without_a_report(client: Client, creator: Any, tmp_path: Path) -> None:
    file = judged(creator, plain_checkpoint(tmp_path / "a.ckpt").read_bytes(), "a.safetensors")
    client.force_login(creator)
    assert file.error_code == "scan:F-EXTENSION"
    said = words(page(client, file))
    assert "Error This file is named .safetensors, but it is a Python pickle" in said
    assert '<span class="badge badge-err">Error</span>' in client.get(f"/file/{file.pk}").content.decode()


def test_before_the_scan_it_is_pending(client: Client, creator: Any) -> None:
    file = FileFactory(version=VersionFactory(entry=EntryFactory(owner=creator)), state="queued", blob=None)
    client.force_login(creator)
    text = page(client, file)
    assert 'data-verdict="pending"' in text
    assert "have not been scanned yet" in text


# --- addresses --------------------------------------------------------------------------------------------------------------


def test_old_address_leads_here_for_good(client: Client) -> None:
    answer = client.get("/file/7/scan")
    assert (answer.status_code, answer["Location"]) == (301, "/files/7/scan")


def test_json_twin_is_one_redirect_away(client: Client) -> None:
    file = reported({}, verdict="success")
    answer = client.get(f"/files/{file.pk}/scan.json", follow=True)
    assert answer.redirect_chain == [(f"/api/hub/files/{file.pk}/scan", 302)]
    assert answer.json()["file_id"] == file.pk


@pytest.mark.parametrize("name", ["scan", "scan.json"])
def test_no_file_can_be_named_as_these_pages(name: str) -> None:
    with pytest.raises(FormatError):
        names.clean_file_name(name)


def test_signed_downloads_keep_their_door(client: Client) -> None:
    assert client.get("/files/1/scan.safetensors").status_code == 403
    assert "changed on its way" in client.get("/files/1/model.ckpt").json()["error"]


def test_what_may_not_be_read_does_not_exist(client: Client, stranger: Any) -> None:
    file = FileFactory(version=VersionFactory())
    assert client.get(f"/files/{file.pk}/scan").status_code == 404
    client.force_login(stranger)
    assert client.get(f"/files/{file.pk}/scan").status_code == 404


# --- the parts of the page --------------------------------------------------------------------------------------------------

FINDING = {
    "severity": "danger", "code": "P-CALL", "where": "archive/data.pkl", "offset": 452, "message": "This file would run `posix.system`.",
    "args": "('echo',)", "disassembly": ["     440 GLOBAL posix system", "     452 REDUCE   <- calls posix.system", "     453 STOP"],
}  # fmt: skip


def test_each_finding_is_explained_and_its_line_is_marked(client: Client) -> None:
    text = page(client, reported({"findings": [FINDING, {**FINDING, "code": "Q-NEW", "message": "Something new."}]}))
    assert text.count('<span dir="ltr" class="culprit">') == 2
    assert '<span dir="ltr" class="culprit">     452 REDUCE   &lt;- calls posix.system</span>' in text
    assert "/about/scanning#P-CALL" in text
    assert "Loading the file would call a function that weights do not need." in text
    assert "<code>Q-NEW</code>" in text


def test_imports_are_all_there_the_worst_first_beyond_a_hundred_folded(client: Client) -> None:
    rows = [{"module": "pkg", "name": f"N{n:04d}", "safety": "unknown", "count": n, "offset": n, "where": "a"} for n in range(1999)]
    text = page(client, reported({"imports": [*rows, {"module": "os", "name": "system", "safety": "dangerous"}]}, verdict="danger"))
    assert "Detected pickle imports (2,000)" in text
    assert text.index("os.system") < text.index("pkg.N0000")
    assert all(f"pkg.N{n:04d}" in text for n in range(1999))
    head, _, folded = text.partition("1,900 more")
    assert head.count("pkg.N") == 99
    assert folded.count("pkg.N") == 1900


def test_other_scanners_and_the_antivirus_are_quoted(client: Client) -> None:
    opinions = [
        {"tool": "picklescan 1.0.5", "verdict": "dangerous", "worse": True, "detail": "1 dangerous global", "duration_ms": 80.4},
        {"tool": "fickling 0.1.12", "verdict": "LIKELY_SAFE", "worse": False, "detail": "", "duration_ms": 300.0},
    ]
    antivirus = {"verdict": "partial", "message": "The weights were not read.", "scanned_bytes": 2_000_000, "total_bytes": 4_000_000_000}
    said = words(page(client, reported({"second_opinions": opinions, "antivirus": antivirus}, verdict="suspicious")))
    assert "picklescan 1.0.5 dangerous made the verdict worse 1 dangerous global 80.4 ms" in said
    assert "fickling 0.1.12 LIKELY_SAFE none" in said
    assert "The weights were not read. Read 2.00 MB of 4.00 GB." in said
    alone = words(page(client, reported({})))
    assert "No other scanner was asked" in alone
    assert "Antivirus Not set up on this hub" in alone


def test_an_antivirus_that_says_danger_outweighs_our_success(client: Client) -> None:
    text = page(client, reported({"antivirus": {"verdict": "danger", "message": "Eicar found.", "signature": "Eicar"}}, verdict="success"))
    assert 'data-verdict="danger"' in text


def test_an_outdated_verdict_says_that_it_will_be_looked_at_again(client: Client) -> None:
    file = reported({}, verdict="success")
    Blob.objects.filter(pk=file.blob_id).update(verdict_key="0.0.1/1999-01-01")
    assert "A newer scanner is in use; this file will be judged again." in words(page(client, file))
    Rescan.objects.create(blob=file.blob, reason="scanner", before="success")
    assert "waiting to be judged again" in words(page(client, file))


def test_a_verdict_of_todays_scanner_says_nothing_of_another(client: Client, creator: Any) -> None:
    file = judged(creator, os_system_checkpoint())
    client.force_login(creator)
    said = words(page(client, file))
    assert "newer scanner" not in said
    assert "Earlier reports" not in said


def test_earlier_reports_on_the_same_bytes_are_listed_newest_first(client: Client) -> None:
    file = reported({})
    for number, verdict in enumerate(("success", "suspicious", "danger")):
        ScanReport.objects.create(blob=file.blob, verdict=verdict, scanner=f"0.{number}", policy="old", report={})
    said = words(page(client, file))
    history = said[said.index("Earlier reports on the same bytes") :]
    assert re.search(r"0\.1 old Suspicious .* 0\.0 old Success .* 1\.0\.0 2026-11-21 Danger", history)
    assert "0.2 old" not in history


ADVICE = {
    ("danger", "owner"): "torch.save(model.state_dict()",
    ("danger", "moderator"): "Danger is never released.",
    ("danger", "visitor"): "do not load it, and tell whoever gave it to you",
    ("suspicious", "owner"): "ask a moderator to release it",
    ("suspicious", "moderator"): "A release is for these bytes and these names only",
    ("suspicious", "visitor"): "Ask its creator for a safetensors file",
    ("error", "owner"): "was copied completely",
    ("error", "moderator"): "is judged again by itself",
    ("success", "visitor"): "whether you got these very bytes",
}


@pytest.mark.parametrize(("verdict", "who"), list(ADVICE))
def test_advice_fits_verdict_and_reader(client: Client, moderator: Any, verdict: str, who: str) -> None:
    file = reported({}, verdict=verdict)
    reader = {"owner": file.version.entry.owner, "moderator": moderator, "visitor": None}[who]
    if reader:
        client.force_login(reader)
    text = page(client, file)
    advice = text[text.index('<h2 id="next">') :].partition("</section>")[0]
    assert f'data-reader="{who}"' in advice
    assert ADVICE[verdict, who] in unescape(advice)


# --- releases ---------------------------------------------------------------------------------------------------------------


def released(moderator: Any) -> File:
    file = reported({"imports": [{"module": "easydict", "name": "EasyDict", "safety": "unknown"}]}, verdict="suspicious", state="ready")
    Blob.objects.filter(pk=file.blob_id).update(released=True)
    Release.objects.create(blob=file.blob, names=["easydict.EasyDict"], reason="Known\ntrainer <b>x</b>", by=moderator, by_name="mod")
    return file


def test_a_release_is_shown_on_every_page_of_the_file(client: Client, moderator: Any) -> None:
    file = released(moderator)
    said = words(page(client, file))
    assert "A moderator let these bytes through although they are suspicious: mod ," in said
    assert "Known trainer <b>x</b>" in said
    assert "<b>x</b>" not in page(client, file)
    entry = file.version.entry
    for address in (f"/file/{file.pk}", f"/{entry.owner.username}/{entry.slug}"):
        assert "released by mod although it is suspicious" in client.get(address).content.decode(), address


@pytest.mark.parametrize("over", ["withdrawn", "not in force", "danger"])
def test_a_release_that_is_over_is_not_shown(client: Client, moderator: Any, over: str) -> None:
    file = released(moderator)
    if over == "withdrawn":
        Release.objects.update(withdrawn_at=file.created_at)
    else:
        Blob.objects.filter(pk=file.blob_id).update(**({"released": False} if over == "not in force" else {"verdict": "danger"}))
    File.objects.filter(pk=file.pk).update(state="quarantined")
    entry = file.version.entry
    for address in (f"/files/{file.pk}/scan", f"/file/{file.pk}", f"/{entry.owner.username}/{entry.slug}"):
        text = client.get(address).content.decode()
        assert "although" not in text, address


def test_releases_cost_the_model_page_no_query(client: Client, moderator: Any, django_assert_max_num_queries: Any) -> None:
    file = released(moderator)
    for _ in range(5):
        other = FileFactory(version=file.version, blob=BlobFactory(verdict="suspicious", released=True))
        ScanReport.objects.create(blob=other.blob, verdict="suspicious", scanner="1", policy="1", report={})
        Release.objects.create(blob=other.blob, names=[], reason="r", by=moderator, by_name="mod")
    entry = file.version.entry
    with django_assert_max_num_queries(11):
        assert client.get(f"/{entry.owner.username}/{entry.slug}").content.decode().count("released by mod") == 6


def test_the_page_asks_the_database_a_bounded_number_of_times(client: Client, django_assert_max_num_queries: Any) -> None:
    file = reported({"imports": [{"name": str(n)} for n in range(500)], "findings": [FINDING] * 100})
    for _ in range(20):
        ScanReport.objects.create(blob=file.blob, verdict="danger", scanner="1", policy="1", report={"findings": [FINDING]})
    with django_assert_max_num_queries(16):
        page(client, file)


# --- hostile texts ----------------------------------------------------------------------------------------------------------


def evil_report() -> dict[str, Any]:
    evil = EVIL
    finding = dict.fromkeys(("severity", "code", "where", "message", "args"), evil) | {"offset": 3, "disassembly": [evil, f"3 {evil}"]}
    return {
        "verdict": evil, "kind": evil, "scanner": evil, "policy": evil, "sandbox": [evil], "opcodes": 3, "tensors": 2,
        "imports": [{"module": evil, "name": evil * 40, "safety": evil, "where": evil, "reason": evil, "count": 1, "offset": 1}],
        "findings": [finding, {**finding, "severity": "danger"}],
        "second_opinions": [{"tool": evil, "verdict": evil, "detail": evil, "worse": True}],
        "antivirus": {"verdict": "danger", "message": evil, "signature": evil},
    }  # fmt: skip


@pytest.mark.parametrize("verdict", ["danger", "suspicious", "error", "success"])
def test_nothing_of_a_file_is_markup_or_hides_anything(client: Client, creator: Any, verdict: str) -> None:
    file = reported(evil_report(), verdict=verdict, name=f"{EVIL}.ckpt")
    file.version.entry.owner = creator
    file.version.entry.save()
    client.force_login(creator)
    entry = file.version.entry
    for address in (f"/files/{file.pk}/scan", f"/file/{file.pk}", f"/{entry.owner.username}/{entry.slug}"):
        text = client.get(address).content.decode()
        for markup in ("<script>alert", "<img src=x", 'href="javascript:', "<strong>b</strong>", "<code>c</code>"):
            assert markup not in text, (address, markup)
        for char in HIDDEN:
            assert char not in text, (address, repr(char))
        title = re.search(r"<title>(.*?)</title>", text, re.DOTALL)
        assert title is not None
        assert "<" not in title[1]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page(client, file)


def test_a_message_about_a_file_hides_nothing(client: Client, moderator: Any) -> None:
    file = reported({}, name=f"{EVIL}.ckpt")
    client.force_login(moderator)
    text = client.post(f"/file/{file.pk}/retry", follow=True).content.decode()
    message = text[text.index('<div role="status">') :].partition("</div>\n  </div>")[0]
    assert "is in the queue again." in message
    assert "&lt;script&gt;" in message
    assert not any(char in text for char in HIDDEN)


def test_nothing_of_a_file_hides_anything_in_json(client: Client) -> None:
    file = reported(evil_report())
    body = json.dumps(client.get(f"/api/hub/files/{file.pk}/scan").json(), ensure_ascii=False)
    shown = json.dumps(client.get(f"/api/v1/model-versions/{file.version_id}").json(), ensure_ascii=False)
    assert "alert(1)" in body
    assert "alert(1)" in shown
    for text in (body, shown):
        assert not any(char in text or f"\\u{ord(char):04x}" in text for char in HIDDEN)


@pytest.mark.parametrize(
    "report",
    [
        {},
        {"imports": [{}], "findings": [{}]},
        {"antivirus": "x", "sandbox": {}, "second_opinions": "y"},
        {"kind": 5, "tensors": "many", "opcodes": -1},
    ],
)
def test_a_report_with_odd_values_has_a_page(client: Client, report: Any) -> None:
    file = reported(report)
    assert 'data-verdict="danger"' in page(client, file)
    assert client.get(f"/api/hub/files/{file.pk}/scan").json()["verdict"] == "danger"


# --- the glossary -----------------------------------------------------------------------------------------------------------


def test_the_glossary_explains_every_code_at_its_own_place(client: Client) -> None:
    from hub.verdicts import glossary

    text = client.get("/about/scanning").content.decode()
    for code, meaning in glossary.CODES.items():
        assert f'<dt id="{code}">' in text
        assert str(meaning) in unescape(text)
    assert all(title in text for title in ("Pending", "Success", "Suspicious", "Danger", "Error"))
