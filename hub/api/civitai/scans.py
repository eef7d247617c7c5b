"""What a scan found, in the fields and wording that clients of the Civitai API read, with the detail beside them."""

from __future__ import annotations

from typing import Any

from hub.api.civitai import vocabulary
from hub.api.civitai.answers import iso
from hub.api.civitai.rows import FileRow
from registry.formats.plaintext import printable

VIRUS_MESSAGE = "Judged by the structural scan: it holds tensors and nothing that would run. No antivirus engine is set up."
MAX_SHOWN_IMPORTS = 100


def scan_fields(file: FileRow) -> dict[str, Any]:
    """pickleScan*, virusScan*, scannedAt and `scan`.

    `virusScanResult` follows the verdict: several clients download nothing whose result is not "Success". Only what was
    found to consist of tensors and allow-listed calls is ever a success, and the message says which scan that was.
    """
    result = vocabulary.SCAN_RESULTS[file.verdict]  # type: ignore[index]
    fields: dict[str, Any] = {
        "pickleScanResult": result,
        "pickleScanMessage": pickle_message(file, result),
        "virusScanResult": result,
        "virusScanMessage": VIRUS_MESSAGE if result == "Success" else None,
        "scan": detail(file),
    }
    if file.scanned_at is not None:
        fields["scannedAt"] = iso(file.scanned_at)
    return fields


def pickle_message(file: FileRow, result: str) -> str:
    """The site's wording: "No Pickle imports", or the list of what is imported with the dangerous ones in asterisks."""
    imports = (file.report or {}).get("imports") or []
    if result == "Pending":
        return "Waiting for the scan"
    if not imports:
        return "No Pickle imports" if result == "Success" else _first_finding(file)
    lines = [_import_line(row) for row in imports[:MAX_SHOWN_IMPORTS]]
    head = [f"**Detected Pickle imports ({len(imports)})**"]
    if result == "Danger":
        head.append("*Dangerous import detected*")
    return "\n".join([*head, "```", *lines, "```"])


def _import_line(row: dict[str, Any]) -> str:
    name = printable(f"{row.get('module', '')}.{row.get('name', '')}", 200).replace("`", "'")
    return f"*{name}*" if row.get("safety") in {"dangerous", "unknown"} else name


def _first_finding(file: FileRow) -> str:
    findings = (file.report or {}).get("findings") or []
    return str(findings[0].get("message", "")) if findings else "The scan gave no answer"


def detail(file: FileRow) -> dict[str, Any]:
    """The hub's own object: level, scanner and policy; with the whole report also kind, imports and findings."""
    scanner, _, policy = file.verdict_key.partition("/")
    data: dict[str, Any] = {"level": file.verdict, "scanner": scanner, "policy": policy}
    report = file.report or {}
    if "kind" in report:
        keys = {"kind": "kind", "opcodes": "opcodes", "duration_ms": "durationMs", "sandbox": "sandbox"}
        data |= {shown: report[key] for key, shown in keys.items() if key in report}
        data |= {"imports": report.get("imports", []), "findings": report.get("findings", [])}
    return data
