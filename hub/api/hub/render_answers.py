"""What the API takes and answers about renders, field by field. The limits and their sentences are `inference.renderlimits`'."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from hub import pictures
from hub.api.hub.parsing import Strict
from hub.api.hub.requests import MAX_BIGINT, Number
from hub.downloads import origin_of
from inference import renderlimits, renders, workers
from inference.diffusion.samplernames import SAMPLERS, SCHEDULES
from inference.models import Picture, Render, Shot
from registry import queries
from registry.lifecycle import RenderState


def some_id(text: str) -> serializers.IntegerField:
    return serializers.IntegerField(min_value=1, max_value=MAX_BIGINT, required=False, help_text=text)


class Text(serializers.CharField):
    """Any text: what is too long or cannot be seen in it is `inference.renderlimits`' to judge."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, allow_blank=True, trim_whitespace=False, **options)
        self.validators = []


class NamedWeights(Strict):
    """Weights of this hub: a version, or one file of it."""

    version_id = some_id("Its file that stands for it is taken.")
    file_id = some_id("This file.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("version_id" in attrs) == ("file_id" in attrs):
            raise serializers.ValidationError("Name either version_id or file_id.")
        return attrs


class LoraWanted(NamedWeights):
    strength = Number(default=1.0, help_text="1 acts as it was trained.")


class RenderRequest(Strict):
    """What is left out is as the version recommends it, else as it is usual for its family."""

    version_id = serializers.IntegerField(min_value=1, max_value=MAX_BIGINT, help_text="Whose weights make the pictures.")
    prompt = Text(help_text="A1111's syntax: (word:1.2), BREAK, <lora:name:0.8> for files of this hub.")
    negative_prompt = Text()
    width = serializers.IntegerField(required=False, help_text="Pixels, a multiple of 8.")
    height = serializers.IntegerField(required=False, help_text="Pixels, a multiple of 8.")
    sampler_name = serializers.CharField(required=False, max_length=80, help_text="As A1111 names them: " + ", ".join(SAMPLERS))
    scheduler = serializers.CharField(required=False, max_length=80, help_text=", ".join(SCHEDULES))
    cfg_scale = Number(required=False)
    steps = serializers.IntegerField(required=False)
    seed = serializers.IntegerField(default=-1, help_text="-1 draws one. The pictures have seed, seed + 1, ...")
    clip_skip = serializers.IntegerField(required=False, help_text="As A1111 counts, from 1.")
    batch_size = serializers.IntegerField(default=1)
    n_iter = serializers.IntegerField(default=1, help_text="batch_size times n_iter pictures are made.")
    loras = LoraWanted(many=True, required=False, max_length=renderlimits.MAX_ADDONS)
    embeddings = NamedWeights(many=True, required=False, max_length=renderlimits.MAX_ADDONS)
    vae = NamedWeights(required=False)
    base = NamedWeights(required=False, help_text="The checkpoint that an add-on is rendered on; a checkpoint takes none.")


class PictureAnswer(serializers.Serializer):
    """A picture. Its addresses hold its digest, so they may be kept for ever; of what is not public they need who may see it."""

    url = serializers.CharField(help_text="The PNG, with its recipe in it as A1111 writes it.")
    small_url = serializers.CharField(help_text="At most 450 pixels wide.")
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    sha256 = serializers.CharField()
    size_bytes = serializers.IntegerField()
    parameters = serializers.CharField(help_text="As in the PNG.")
    meta = serializers.DictField(help_text="The same as an object, in the words of Civitai's API.")
    renderer = serializers.CharField()

    def to_representation(self, picture: Picture) -> dict[str, Any]:
        return picture_data(picture, self.context["origin"], self.context.get("stem", "picture"))


def picture_data(picture: Picture, origin: str, stem: str) -> dict[str, Any]:
    """The fields of `PictureAnswer`."""
    name = f"{stem}-{picture.seed}"
    address, *_ = pictures.small(picture, name)
    return {
        "url": origin + pictures.original(picture, name),
        "small_url": origin + address,
        **{key: getattr(picture, key) for key in ("width", "height", "sha256", "size_bytes", "parameters", "meta", "renderer")},
    }


class ShotAnswer(serializers.Serializer):
    """One picture that is wanted, and what came of it: `picture`, `error`, or neither yet."""

    place = serializers.IntegerField()
    prompt_number = serializers.IntegerField(help_text="Shots of one prompt belong side by side.")
    label = serializers.CharField(help_text="What sets it apart beside others of its prompt.")
    recipe = serializers.DictField(
        help_text="Prompt, negative prompt, size, sampler, schedule, steps, CFG scale, seed, CLIP skip, add-ons."
    )
    picture = PictureAnswer(allow_null=True)
    error = serializers.CharField(help_text="Why there is no picture although it was rendered.")
    error_code = serializers.CharField()

    def to_representation(self, shot: Shot) -> dict[str, Any]:
        picture = PictureAnswer(shot.picture, context=self.context).data if shot.picture else None
        plain = {key: getattr(shot, key) for key in ("place", "prompt_number", "label", "error", "error_code")}
        return {**plain, "recipe": shot.spec, "picture": picture}


class BaseAnswer(serializers.Serializer):
    """The checkpoint that an add-on was rendered on."""

    version_id = serializers.IntegerField()
    file_id = serializers.IntegerField(source="pk")
    name = serializers.CharField()


class RenderAnswer(serializers.ModelSerializer):
    state = serializers.CharField(read_only=True, help_text=", ".join(RenderState.values))
    entry_id = serializers.IntegerField(source="version.entry_id", read_only=True)
    base = serializers.SerializerMethodField(help_text="Null for a checkpoint, and where the base is not yours to see.")
    queue_place = serializers.SerializerMethodField(help_text="1 is next; null where it does not wait for a worker.")
    waits_for = serializers.SerializerMethodField(help_text="Why no worker of this hub can take it just now; empty where one can.")
    pictures_done = serializers.SerializerMethodField()
    pictures_total = serializers.SerializerMethodField()
    shots = serializers.SerializerMethodField()
    url = serializers.SerializerMethodField(help_text="Its page.")
    events_url = serializers.SerializerMethodField(help_text="Progress as server-sent events.")

    class Meta:
        model = Render
        fields = [
            *("id", "purpose", "state", "version_id", "entry_id", "file_id", "base", "recipe", "queue_place", "waits_for", "note"),
            *("steps_done", "steps_total", "pictures_done", "pictures_total", "shots", "outcome", "error", "error_code"),
            *("created_at", "moved_at", "url", "events_url"),
        ]
        read_only_fields = fields

    @extend_schema_field(BaseAnswer(allow_null=True))
    def get_base(self, render: Render) -> dict[str, Any] | None:
        base = render.base
        if base is None or not queries.may_read_version(self.context["request"].user, base.version):
            return None
        return dict(BaseAnswer(base).data)

    def get_queue_place(self, render: Render) -> int | None:
        return renders.place(render)

    def get_waits_for(self, render: Render) -> str:
        return workers.why_waiting(render, self.context.get("workers")) if render.state == RenderState.WANTED else ""

    def get_pictures_done(self, render: Render) -> int:
        return sum(shot.picture_id is not None for shot in render.shots.all())  # type: ignore[attr-defined]

    def get_pictures_total(self, render: Render) -> int:
        return len(render.shots.all())  # type: ignore[attr-defined]

    @extend_schema_field(ShotAnswer(many=True))
    def get_shots(self, render: Render) -> list[dict[str, Any]]:
        context = {"origin": origin_of(self.context["request"]), "stem": stem_of(render)}
        return list(ShotAnswer(render.shots.all(), many=True, context=context).data)  # type: ignore[attr-defined]

    def get_url(self, render: Render) -> str:
        return f"{origin_of(self.context['request'])}/renders/{render.pk}"

    def get_events_url(self, render: Render) -> str:
        return f"{origin_of(self.context['request'])}/api/hub/renders/{render.pk}/events"


def stem_of(render: Render) -> str:
    """What a picture of a render is saved as, before its seed."""
    return pictures.stem_of(render, render.version)
