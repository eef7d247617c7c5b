"""What the API answers about variants: what can be asked for, and what the converter compared and counted."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from hub import outcomes
from hub.api.hub.parsing import Strict
from hub.variants import Offered
from inference.weights.recipe import KEEPS, PRECISIONS
from registry.formats.plaintext import printable
from registry.models import File


class VariantRequest(Strict):
    """A variant: what is kept, in which precision."""

    keep = serializers.ChoiceField(KEEPS, help_text="all tensors, weights without EMA averages, or ema: the averages in their place.")
    precision = serializers.ChoiceField(PRECISIONS, help_text="keep leaves every number as it is.")


class LeftOut(serializers.Serializer):
    """Tensors left out for one reason; bytes as they are in the source."""

    reason = serializers.CharField()
    count = serializers.IntegerField()
    size_bytes = serializers.IntegerField()


class OfferAnswer(serializers.Serializer):
    """A variant that can be made, told from the file's tensor list alone."""

    keep = serializers.CharField()
    precision = serializers.CharField()
    size_bytes = serializers.IntegerField(help_text="Of the whole file, as it will be written.")
    tensors = serializers.IntegerField()
    dropped = LeftOut(many=True)
    worthwhile = serializers.BooleanField(help_text="Made without being asked for.")
    reason = serializers.CharField(help_text="Why it is, or is not.")
    state = serializers.CharField(help_text="wanted, making, made or failed; empty where it was never made.")
    file_id = serializers.IntegerField(allow_null=True)


class RefusedAnswer(serializers.Serializer):
    """A variant that cannot be made, or would be of no use."""

    keep = serializers.CharField()
    precision = serializers.CharField()
    code = serializers.CharField()
    reason = serializers.CharField()


class OffersAnswer(serializers.Serializer):
    """Every variant of a file: those that can be made, and why not the others that differ from the file."""

    offers = OfferAnswer(many=True)
    refused = RefusedAnswer(many=True)


def offer_answer(row: Offered) -> dict[str, Any]:
    offer = row.offer
    return {
        **offer.recipe.to_json(),
        "size_bytes": offer.size_bytes,
        "tensors": offer.tensors,
        "dropped": [{"reason": name, "count": one.count, "size_bytes": one.size_bytes} for name, one in offer.dropped.items()],
        "worthwhile": offer.worthwhile,
        "reason": row.reason,
        "state": row.state,
        "file_id": row.file.pk if row.file else None,
    }


class Compared(serializers.Serializer):
    """The file against its source, tensor by tensor; `worst` names the tensor with the largest error."""

    equal = serializers.IntegerField()
    rounded = serializers.IntegerField()
    max_abs_error = serializers.FloatField()
    worst = serializers.CharField(allow_blank=True)
    nan_kept = serializers.IntegerField()


class Lost(serializers.Serializer):
    """Values that a cast changed in kind, and those that were not finite before."""

    overflow = serializers.IntegerField(help_text="Became infinite.")
    underflow = serializers.IntegerField(help_text="Became zero.")
    nonfinite = serializers.IntegerField(help_text="Were infinite or NaN in the source.")


class OutcomeAnswer(serializers.Serializer):
    """How a file was converted. Texts of the file are shown without hidden characters and cut."""

    converter = serializers.CharField()
    recipe = serializers.DictField()
    tensors = serializers.IntegerField()
    comparison = Compared()
    losses = Lost()
    lossy = serializers.DictField(child=Lost(), help_text="Tensors with losses, the first 50.")
    dropped = LeftOut(many=True)
    aliases = serializers.DictField(child=serializers.CharField(), help_text="Names left out for another of the same tensor, the first 50.")
    notes = serializers.ListField(child=serializers.CharField())
    warning = serializers.CharField(allow_blank=True, help_text="What is wrong with the file and what to do; empty where nothing is.")
    seconds = serializers.FloatField()


def outcome_answer(file: File, report: dict[str, Any]) -> dict[str, Any]:
    """`report` is `Outcome.to_json()`, of this converter or an earlier one."""
    compared, losses = report.get("comparison", {}), report.get("losses", {})
    return {
        "converter": report.get("converter", ""),
        "recipe": report.get("recipe", {}),
        "tensors": report.get("tensors", 0),
        "comparison": {
            **{key: compared.get(key, 0) for key in ("equal", "rounded", "max_abs_error", "nan_kept")},
            "worst": printable(compared.get("worst", "")),
        },
        "losses": _lost(losses),
        "lossy": {printable(name): _lost(one) for name, one in report.get("lossy", {}).items()},
        "dropped": [
            {"reason": printable(reason), "count": one["count"], "size_bytes": one["size_bytes"]}
            for reason, one in report.get("dropped", {}).items()
        ],
        "aliases": {printable(name): printable(kept) for name, kept in report.get("aliases", {}).items()},
        "notes": [printable(note, 500) for note in report.get("notes", [])],
        "warning": outcomes.warning_of(file),
        "seconds": report.get("seconds", 0.0),
    }


def _lost(losses: dict[str, Any]) -> dict[str, int]:
    return {key: int(losses.get(key, 0)) for key in ("overflow", "underflow", "nonfinite")}
