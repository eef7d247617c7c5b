"""What the API takes and answers about merges, field by field."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from hub import merging
from hub.api.hub.parsing import Strict
from hub.api.hub.requests import MAX_BIGINT, Line, Number, length
from inference.models import Merge
from inference.weights.merging.discard import MAX_PATTERN
from inference.weights.merging.recipe import BLOCK_COUNTS, LARGEST, MAX_LORAS, METHODS, PRECISIONS, ROLES
from registry import lifecycle
from registry.lifecycle import MergeState
from registry.models import Entry

MODELS = ("a", "b", "c")


def file_id(text: str, **more: Any) -> serializers.IntegerField:
    return serializers.IntegerField(min_value=1, max_value=MAX_BIGINT, help_text=text, **more)


def bounded(**more: Any) -> Number:
    return Number(min_value=-LARGEST, max_value=LARGEST, **more)


class LoraToBake(Strict):
    file_id = file_id("A LoRA of the hub.")
    strength = bounded(help_text="1 adds it as it was trained.")


class MergeRequest(Strict):
    """Which files (by id) are merged how, and where the result goes: into `entry_id`, or into a new entry called `name`."""

    method = serializers.ChoiceField(
        METHODS, help_text="What A, B and C take part in: " + "; ".join(f"{m} {', '.join(r)}" for m, r in ROLES.items())
    )
    a = file_id("The file that the others are merged into: what only A has stays as it is.")
    b = file_id("The second model.", required=False)
    c = file_id("What is taken from B before it is added, for add_difference.", required=False)
    multiplier = bounded(default=0.5, help_text="How much of B; 0 leaves A as it is.")
    block_weights = serializers.ListField(
        child=bounded(),
        required=False,
        max_length=max(BLOCK_COUNTS),
        help_text="BASE, IN00.., M00, OUT00..: each in the multiplier's place.",
    )
    vae = file_id("An autoencoder that takes the place of A's.", required=False)
    loras = serializers.ListField(child=LoraToBake(), required=False, max_length=MAX_LORAS)
    discard = serializers.CharField(
        required=False, allow_blank=True, max_length=MAX_PATTERN, help_text="Tensors whose names this finds are left out."
    )
    precision = serializers.ChoiceField(PRECISIONS, default="keep")
    entry_id = serializers.IntegerField(
        min_value=1, max_value=MAX_BIGINT, required=False, help_text="One of your checkpoints; gets a new draft version."
    )
    name = Line(max_length=length(Entry, "name"), required=False, help_text="Name of a new entry for the result.")
    file_name = serializers.CharField(required=False, max_length=255, help_text="Made from the entry's name where it is left out.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        needed = ROLES[attrs["method"]]
        wrong = {role: ["This method needs it."] for role in needed if role not in attrs}
        wrong |= {role: ["This method does not use it."] for role in MODELS if role in attrs and role not in needed}
        if ("entry_id" in attrs) == ("name" in attrs):
            wrong["name"] = ["Give either entry_id, for a model of yours, or name, for a new one."]
        if wrong:
            raise serializers.ValidationError(wrong)
        return attrs


def split(fields: dict[str, Any]) -> tuple[dict[str, Any], dict[str, int]]:
    """A request's fields as (recipe, role -> file id), in the merging library's words."""
    loras = fields.get("loras", [])
    recipe = {
        "method": fields["method"],
        "multiplier": fields["multiplier"],
        "precision": fields["precision"],
        "blocks": fields.get("block_weights", []),
        "vae": "vae" in fields,
        "loras": [lora["strength"] for lora in loras],
        "discard": fields.get("discard", ""),
    }
    files = {role: fields[role] for role in (*MODELS, "vae") if role in fields}
    return recipe, files | {f"lora{number}": lora["file_id"] for number, lora in enumerate(loras)}


class MergedFrom(serializers.Serializer):
    """An input of a merge. Of one that is not listed and not yours, or that is gone, the beginning of its SHA-256 is told at most."""

    role = serializers.CharField(help_text="a, b, c, vae, lora0, lora1...")
    file_id = serializers.IntegerField(source="file.id", allow_null=True, default=None)
    version_id = serializers.IntegerField(source="file.version_id", allow_null=True, default=None)
    entry_id = serializers.IntegerField(source="file.version.entry_id", allow_null=True, default=None)
    name = serializers.CharField(allow_null=True)
    sha256 = serializers.CharField(help_text="Whole, its first ten digits, or nothing: as much as you may know.")


class MadeFrom(serializers.Serializer):
    """The merge that a file came out of."""

    method = serializers.CharField(source="merge.recipe.method")
    multiplier = serializers.FloatField(source="merge.recipe.multiplier")
    recipe = serializers.DictField(source="merge.recipe")
    in_words = serializers.CharField(source="sentence")
    inputs = MergedFrom(many=True)


class LicenceAnswer(serializers.Serializer):
    """The permissions of the entry that takes the result: of a new one the strictest of what the inputs allow."""

    visibility = serializers.CharField()
    rating = serializers.IntegerField()
    allow_no_credit = serializers.BooleanField()
    allow_commercial_use = serializers.ListField(child=serializers.CharField())
    allow_derivatives = serializers.BooleanField()
    allow_different_license = serializers.BooleanField()
    spdx = serializers.CharField(allow_blank=True)


class MergeAnswer(serializers.ModelSerializer):
    state = serializers.CharField(read_only=True, help_text=", ".join(MergeState.values))
    in_words = serializers.SerializerMethodField(help_text="What is done with A, B and C, as a sentence.")
    inputs = serializers.SerializerMethodField()
    entry_id = serializers.IntegerField(read_only=True, allow_null=True, help_text="Null until a new entry was made for the result.")
    name = serializers.CharField(source="entry_name", read_only=True, help_text="Name of the new entry; empty for one that was there.")
    version_id = serializers.SerializerMethodField(help_text="The draft version that holds the result, once it is made.")
    file_id = serializers.IntegerField(source="result_id", read_only=True, allow_null=True)
    licence = LicenceAnswer(read_only=True)
    notes = serializers.ListField(child=serializers.CharField(), read_only=True, help_text="What was taken instead of what was named.")
    queue_place = serializers.SerializerMethodField(help_text="1 is next; null where it does not wait for a worker.")

    class Meta:
        model = Merge
        fields = [
            *("id", "state", "recipe", "in_words", "inputs", "entry_id", "name", "file_name", "version_id", "file_id", "licence", "notes"),
            *("done_bytes", "total_bytes", "queue_place", "outcome", "error", "error_code", "created_at", "moved_at"),
        ]
        read_only_fields = fields

    def get_in_words(self, merge: Merge) -> str:
        return merging.shown(self.context["request"].user, merge).sentence

    @extend_schema_field(MergedFrom(many=True))
    def get_inputs(self, merge: Merge) -> list[dict[str, Any]]:
        return list(MergedFrom(merging.shown(self.context["request"].user, merge).inputs, many=True).data)

    def get_version_id(self, merge: Merge) -> int | None:
        return merge.result.version_id if merge.result else None

    def get_queue_place(self, merge: Merge) -> int | None:
        return lifecycle.place_in_queue(merge)
