"""What a scan found, in the fields and wording that clients of the Civitai API read, with the detail beside them.

Answers about many files carry `scan` in short: level, scanner and policy. Answers about one version (`/model-versions/{id}`,
by-hash) carry it whole. Nothing here can leave the code fence that names out of files stand in: clients render Markdown.
"""

from __future__ import annotations

from typing import Any

from hub.api.civitai import vocabulary
from hub.api.civitai.answers import iso
from hub.api.civitai.rows import FileRow
from hub.verdicts import sentences, shown
from hub.verdicts.reports import release_note

VIRUS_MESSAGE = "Judged by the structural scan: it holds tensors and nothing that would run. No antivirus engine is set up."
VIRUS_RESULTS = {"success": "Success", "partial": "Success", "danger": "Danger", "error": "Error"}
MAX_SHOWN_IMPORTS = 100
WARNED_OF = frozenset({"dangerous", "unknown"})


def scan_fields(file: FileRow) -> dict[str, Any]:
    """pickleScan*, virusScan*, scannedAt and `scan`."""
    result = vocabulary.SCAN_RESULTS[file.verdict]  # type: ignore[index]
    virus_result, virus_message = virus_scan(file, result)
    fields: dict[str, Any] = {
        "pickleScanResult": result,
        "pickleScanMessage": pickle_message(file, result),
        "virusScanResult": virus_result,
        "virusScanMessage": virus_message,
        "scan": detail(file),
    }
    if file.scanned_at is not None:
        fields["scannedAt"] = iso(file.scanned_at)
    return fields


def virus_scan(file: FileRow, result: str) -> tuple[str, str | None]:
    """(virusScanResult, virusScanMessage). Without an antivirus engine the result follows our verdict and says so.

    Several clients download nothing whose result is not "Success"; only what was found to consist of tensors and
    allow-listed calls is one then. With an engine, weights beyond what it can read are a success of which the message says how
    much was not read: they were judged by the structural scan.
    """
    said = shown.antivirus((file.report or {}).get("antivirus"))
    if said is None or result == "Pending":
        return result, VIRUS_MESSAGE if result == "Success" else None
    if said["verdict"] == "partial":
        return "Success", f"weights not AV-scanned ({_gigabytes(said['total_bytes'] - said['scanned_bytes'])} GB)"
    if said["verdict"] == "success":
        return "Success", None
    found = f"Virus found: {said['signature']}" if said["verdict"] == "danger" and said["signature"] else said["message"]
    return VIRUS_RESULTS[said["verdict"]], _fenced([found]) if found else None


def _gigabytes(size: int) -> str:
    return f"{max(size, 0) / 1e9:.1f}" if size >= 50_000_000 else f"{max(size, 0) / 1e9:.3f}"


def pickle_message(file: FileRow, result: str) -> str:
    """The site's wording: "No Pickle imports", or the list of what is imported with the dangerous ones in asterisks.

    A file that was refused for something else than its imports says that in a fence of its own.
    """
    report = file.report or {}
    imports = shown.imports(report.get("imports"))
    if result == "Pending":
        return "Waiting for the scan"
    head = [f"**Detected Pickle imports ({len(imports)})**" if imports else "No Pickle imports"]
    if any(row["safety"] in WARNED_OF for row in imports):
        head += ["*Dangerous import detected*"] if result == "Danger" else []
    elif result != "Success":
        lead = sentences.leading(shown.report(report))
        head += [_fenced([lead["message"]])] if lead else []
    if not imports:
        return "\n".join(head)
    return "\n".join([*head, _fenced([_import_line(row) for row in imports[:MAX_SHOWN_IMPORTS]])])


def _import_line(row: dict[str, Any]) -> str:
    name = shown.text(f"{row['module']}.{row['name']}", 200)
    return f"*{name}*" if row["safety"] in WARNED_OF else name


def _fenced(lines: list[str]) -> str:
    """Lines as they are, whatever they hold: printable texts have no line breaks, and without backticks nothing ends the fence."""
    return "\n".join(["```", *(line.replace("`", "'") for line in lines), "```"])


def detail(file: FileRow) -> dict[str, Any]:
    """The hub's own object: level, scanner and policy; with the whole report everything else that `scan` may say."""
    scanner, _, policy = file.verdict_key.partition("/")
    data: dict[str, Any] = {"level": file.verdict, "scanner": scanner, "policy": policy}
    if file.report is None or "kind" not in file.report:
        return data
    body = shown.report(file.report)
    data |= {key: body[key] for key in ("kind", "opcodes", "sandbox", "imports", "findings")}
    data["durationMs"] = body["duration_ms"]
    data["findings"] = [{key: value for key, value in row.items() if value is not None} for row in body["findings"]]
    data["imports"] = [{key: value for key, value in row.items() if value is not None} for row in body["imports"]]
    data["secondOpinions"] = [{"tool": row["tool"], "verdict": row["verdict"]} for row in body["second_opinions"]]
    release = release_note(file.release)
    if release is not None:
        data["release"] = {"by": release.by, "reason": release.reason, "at": iso(release.at)}
    return data
