"""The report page in a real browser: readable on a phone in both themes, in colours that differ, and dead to whatever files hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from registry.models import File
from scanner.models import ScanReport
from tests.attacks import os_system_checkpoint
from tests.factories import BlobFactory, EntryFactory, FileFactory, VersionFactory
from tests.intake import drain, upload_bytes

pytestmark = pytest.mark.django_db(transaction=True)

EVIL = "<script>window.caught = 1</script><img src=x onerror='window.caught=2'> [x](javascript:alert(3)) \u202e\u05d0\u05d1 \U0001f608"
TONES = ["success", "suspicious", "danger", "error", "pending"]


def held(owner: Any, verdict: str, report: dict[str, Any] | None, **fields: Any) -> File:
    version = VersionFactory(entry=EntryFactory(owner=owner))
    blob = BlobFactory(verdict=verdict, container="torch-zip")
    file: File = FileFactory(version=version, blob=blob, **{"state": "quarantined", "name": "model.ckpt", **fields})
    if report is not None:
        ScanReport.objects.create(blob=blob, verdict=verdict, scanner="1.0.0", policy="2026-11-21", report=report)
    return file


def wide_report(text: str) -> dict[str, Any]:
    """Everything that a report can hold, each text `text`."""
    finding = dict.fromkeys(("code", "where", "message", "args"), text) | {"offset": 7, "disassembly": [f"  {n} {text}" for n in range(12)]}
    imports = [{"module": text, "name": f"{text}{n}", "safety": "dangerous", "where": text, "reason": text} for n in range(120)]
    opinions = [{"tool": text, "verdict": text, "detail": text, "worse": True}]
    antivirus = {"verdict": "danger", "message": text, "signature": text}
    findings = [{**finding, "severity": severity} for severity in ("danger", "error", "suspicious", "info") for _ in range(4)]
    return {"kind": text, "sandbox": [text], "imports": imports, "findings": findings, "second_opinions": opinions, "antivirus": antivirus}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("text", ["W" * 600, EVIL], ids=["long", "evil"])
def test_nothing_scrolls_sideways_and_nothing_runs(
    open_page: Callable[..., Any], sign_in: Callable[..., None], creator: Any, text: str, scheme: str
) -> None:
    file = held(creator, "danger", wide_report(text), name=f"{text[:200]}.ckpt")
    page = open_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    sign_in(page, creator)
    page.goto(f"/files/{file.pk}/scan")
    for fold in page.locator("details.unfold > summary").all():
        if fold.is_visible():
            fold.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("window.caught") is None
    assert page.locator("main script, main img, main a[href^=javascript]").count() == 0


def test_all_of_a_long_list_is_reached_without_scripts(open_page: Callable[..., Any], sign_in: Callable[..., None], creator: Any) -> None:
    file = held(creator, "danger", wide_report("plain"))
    page = open_page(java_script_enabled=False, viewport={"width": 1280, "height": 900})
    sign_in(page, creator)
    page.goto(f"/files/{file.pk}/scan")
    assert not page.get_by_text("plain.plain119").is_visible()
    page.locator("section[aria-labelledby=imports] summary").click()
    assert page.get_by_text("plain.plain119").is_visible()
    assert page.locator("article.finding").nth(9).is_visible()
    assert not page.locator("article.finding").nth(10).is_visible()
    page.locator("section[aria-labelledby=findings] > details > summary").click()
    assert page.locator("article.finding").nth(15).is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_verdict_has_a_colour_of_its_own(
    open_page: Callable[..., Any], sign_in: Callable[..., None], creator: Any, scheme: str
) -> None:
    page = open_page(color_scheme=scheme)
    sign_in(page, creator)
    colours = []
    for verdict in TONES:
        file = held(creator, verdict, {} if verdict != "pending" else None, state="ready" if verdict == "success" else "quarantined")
        page.goto(f"/files/{file.pk}/scan")
        badge = page.locator("[data-verdict] .badge")
        assert badge.inner_text() == verdict.capitalize()
        colours.append(badge.evaluate("node => getComputedStyle(node).color"))
    assert len(set(colours)) == len(TONES)


def test_from_the_file_to_its_report_to_the_meaning_of_a_code(
    open_page: Callable[..., Any], sign_in: Callable[..., None], creator: Any
) -> None:
    file = upload_bytes(VersionFactory(entry=EntryFactory(owner=creator)), creator, "model.ckpt", os_system_checkpoint())
    drain()
    page = open_page()
    sign_in(page, creator)
    page.goto(f"/file/{file.pk}")
    page.get_by_role("link", name="Read the scan report").click()
    page.wait_for_url(f"**/files/{file.pk}/scan")
    assert page.locator(".code .culprit").first.is_visible()
    page.get_by_role("link", name="P-CALL").first.click()
    page.wait_for_url("**/about/scanning#P-CALL")
    assert page.locator("#P-CALL").is_visible()
