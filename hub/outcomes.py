"""How a derived file was made and what the converter compared, in sentences for pages and programs. Reads; decides nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from inference.models import Derivative
from registry.formats.plaintext import printable
from registry.models import File

SHOWN = 8
"""Names that are listed one by one; programs get all that were recorded."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    reason: str
    count: int
    size_bytes: int
    examples: list[str]


@dataclass(frozen=True, slots=True)
class Shown:
    """A report as its page shows it. `compared` and `lost` are sentences, `lossy` (name, what happened) of the tensors with losses."""

    recipe: dict[str, Any]
    converter: str
    seconds: float
    warning: str
    compared: str
    lost: list[str]
    lossy: list[tuple[str, str]]
    dropped: list[LeftOut]
    aliases: list[tuple[str, str]]
    alias_count: int
    notes: list[str]
    values: list[str] = field(default_factory=list)


def overflow_of(file: File) -> int:
    """Values that became infinite when this file was made; 0 for what was not cast here."""
    count = file.recipe.get("overflow", 0)
    return count if isinstance(count, int) else 0


def warning_of(file: File) -> str:
    """What is wrong with a variant whose cast overflowed, and what to do; "" for all others."""
    count = overflow_of(file)
    if not count:
        return ""
    precision = str(file.recipe.get("precision", ""))
    instead = "fp32" if precision == "bf16" else _("bf16 or fp32")
    said = ngettext(
        "%(n)s value became infinite in %(precision)s: use %(instead)s instead.",
        "%(n)s values became infinite in %(precision)s: use %(instead)s instead.",
        count,
    )
    return said % {"n": intcomma(count), "precision": precision, "instead": instead}


def report_of(file: File) -> dict[str, Any] | None:
    """The converter's report on a derived file (`Outcome.to_json()`), or None where there is none."""
    row = Derivative.objects.filter(result=file).first()
    return row.outcome or None if row else None


def shown(file: File) -> Shown | None:
    """The report on a derived file for its page; None for a file that was not converted here."""
    report = report_of(file)
    if not report:
        return None
    losses, aliases = report.get("losses", {}), report.get("aliases", {})
    precision = str(report.get("recipe", {}).get("precision", "keep"))
    return Shown(
        recipe=report.get("recipe", {}),
        converter=str(report.get("converter", "")),
        seconds=float(report.get("seconds", 0)),
        warning=warning_of(file),
        compared=_compared(report.get("comparison", {})),
        lost=list(_lost(losses, report.get("comparison", {}), precision)),
        lossy=[(printable(name), "; ".join(_lost(one, {}, precision))) for name, one in list(report.get("lossy", {}).items())[:SHOWN]],
        dropped=[
            LeftOut(printable(reason), one["count"], one["size_bytes"], [printable(name) for name in one.get("examples", [])])
            for reason, one in report.get("dropped", {}).items()
        ],
        aliases=[(printable(name), printable(kept)) for name, kept in list(aliases.items())[:SHOWN]],
        alias_count=len(aliases),
        notes=[printable(note, 500) for note in report.get("notes", [])],
        values=[printable(value, 60) for value in report.get("values", [])[:SHOWN]],
    )


def _compared(found: dict[str, Any]) -> str:
    """ "1,133 tensors equal, 686 rounded, largest error 0.0004 in model.diffusion_model...." """
    equal, rounded = found.get("equal", 0), found.get("rounded", 0)
    if not rounded:
        said = ngettext("%(n)s tensor, all equal to the source's.", "%(n)s tensors, all equal to the source's.", equal)
        return said % {"n": intcomma(equal)}
    values = {"n": intcomma(equal), "rounded": intcomma(rounded)}
    if not found.get("worst"):
        return ngettext("%(n)s tensor equal, %(rounded)s rounded.", "%(n)s tensors equal, %(rounded)s rounded.", equal) % values
    said = ngettext(
        "%(n)s tensor equal, %(rounded)s rounded, largest error %(error)s in %(name)s.",
        "%(n)s tensors equal, %(rounded)s rounded, largest error %(error)s in %(name)s.",
        equal,
    )
    return said % {**values, "error": _number(found["max_abs_error"]), "name": printable(found["worst"])}


def _number(error: float) -> str:
    """Two digits, in full unless that were a long row of zeros: 0.000061, 15, 3.1e-11."""
    return f"{error:,.0f}" if error >= 10 else f"{error:.2g}" if error < 1e-9 else f"{float(f'{error:.2g}'):.12f}".rstrip("0").rstrip(".")


def _lost(losses: dict[str, Any], compared: dict[str, Any], precision: str) -> Iterable[str]:
    """What happened to single values, a sentence each."""
    nan = compared.get("nan_kept", 0)
    if count := losses.get("overflow"):
        yield ngettext("%(n)s value became infinite", "%(n)s values became infinite", count) % {"n": intcomma(count)}
    if count := losses.get("underflow"):
        said = ngettext("%(n)s value too small for %(type)s became zero", "%(n)s values too small for %(type)s became zero", count)
        yield said % {"n": intcomma(count), "type": precision}
    if nan:
        yield ngettext("%(n)s value is NaN, as in the source", "%(n)s values are NaN, as in the source", nan) % {"n": intcomma(nan)}
    if (other := losses.get("nonfinite", 0) - nan) > 0:
        said = ngettext("%(n)s value had been infinite or NaN before", "%(n)s values had been infinite or NaN before", other)
        yield said % {"n": intcomma(other)}
