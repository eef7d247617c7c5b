"""Wanted variants of files, merges and renders, each with its own small life: a failed one never holds back a download."""

from __future__ import annotations

from django.db import models

from registry.lifecycle import DERIVATIVE_LIFE, MERGE_LIFE, RENDER_LIFE, DerivativeState, MergeState, RenderState
from registry.models import Entry, File, Living, User, Version


class Derivative(Living):
    """A variant that is wanted of `source` by `recipe`; `result` is the derived file once it is made."""

    LIFE = DERIVATIVE_LIFE

    source = models.ForeignKey(File, models.CASCADE, related_name="derivatives")
    recipe = models.JSONField(help_text='{"keep": "all|weights|ema", "precision": "keep|fp32|fp16|bf16"}')
    state = models.CharField(max_length=8, choices=DerivativeState.choices, default=DerivativeState.WANTED)
    result = models.OneToOneField(File, models.SET_NULL, null=True, blank=True, related_name="made_by")
    outcome = models.JSONField(default=dict, blank=True, help_text="What the converter compared and counted.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["state", "moved_at"], name="derivative_state_moved")]
        constraints = [models.UniqueConstraint(fields=["source", "recipe"], name="derivative_once")]

    def __str__(self) -> str:
        return f"{self.recipe} of {self.source_id}"


class Merge(Living):
    """A merge that somebody asked for; `result` is its file, in a draft version that is made together with it.

    Rows are kept: with their inputs they are the lineage of the result.
    """

    LIFE = MERGE_LIFE

    owner = models.ForeignKey(User, models.CASCADE, related_name="merges")
    recipe = models.JSONField(help_text="MergeRecipe.to_json() of inference.weights.merging; its roles are the inputs' roles.")
    state = models.CharField(max_length=9, choices=MergeState.choices, default=MergeState.WANTED)
    entry = models.ForeignKey(Entry, models.SET_NULL, null=True, blank=True, related_name="merges", help_text="Where the result goes.")
    entry_name = models.CharField(
        max_length=120, blank=True, help_text="Name of the entry that is made for the result; empty for a known one."
    )
    file_name = models.CharField(max_length=255)
    licence = models.JSONField(default=dict, blank=True, help_text="What the inputs allow together: the columns of an entry.")
    notes = models.JSONField(default=list, blank=True, help_text="Sentences for the owner: what was taken instead of what was named.")
    done_bytes = models.PositiveBigIntegerField(default=0)
    total_bytes = models.PositiveBigIntegerField(default=0)
    result = models.OneToOneField(File, models.SET_NULL, null=True, blank=True, related_name="merge")
    outcome = models.JSONField(default=dict, blank=True, help_text="What the merger counted.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["state", "moved_at"], name="merge_state_moved")]

    def __str__(self) -> str:
        return f"merge {self.pk}: {self.state}"


class MergeInput(models.Model):
    """One file that a merge reads, by the role that the recipe gives it. What it was stays known when the file goes."""

    merge = models.ForeignKey(Merge, models.CASCADE, related_name="inputs")
    role = models.CharField(max_length=16, help_text='"a", "b", "c", "vae", "lora:0"...')
    file = models.ForeignKey(File, models.SET_NULL, null=True, blank=True, related_name="merged_into")
    sha256 = models.CharField(max_length=64)
    name = models.CharField(max_length=255)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["merge", "role"], name="merge_input_role")]

    def __str__(self) -> str:
        return f"{self.role} of merge {self.merge_id}"


class Purpose(models.TextChoices):
    """Why a render is made: the hub's own previews of a version, or because somebody asked."""

    PREVIEW = "preview"
    TXT2IMG = "txt2img"


class Render(Living):
    """Pictures wanted of one version's weights, all with one base: its `shots`. Finished shots stay when it starts again."""

    LIFE = RENDER_LIFE

    owner = models.ForeignKey(User, models.CASCADE, related_name="renders")
    purpose = models.CharField(max_length=8, choices=Purpose.choices, default=Purpose.TXT2IMG)
    version = models.ForeignKey(Version, models.CASCADE, related_name="renders")
    file = models.ForeignKey(File, models.CASCADE, related_name="renders", help_text="The weights of the version that are rendered.")
    base = models.ForeignKey(File, models.SET_NULL, null=True, blank=True, related_name="rendered_on", help_text="What an add-on acts on.")
    state = models.CharField(max_length=9, choices=RenderState.choices, default=RenderState.WANTED)
    recipe = models.JSONField(default=dict, blank=True, help_text="What was asked for, before it was spread out into shots.")
    files = models.JSONField(default=list, blank=True, help_text="Job.files of inference.diffusion.jobs, with the file ids.")
    weight_bytes = models.PositiveBigIntegerField(default=0, help_text="Of all files together: what a worker must have room for.")
    steps_done = models.PositiveIntegerField(default=0)
    steps_total = models.PositiveIntegerField(default=0)
    note = models.CharField(max_length=200, blank=True, help_text="What is being done now, or what it waits for.")
    outcome = models.JSONField(default=dict, blank=True, help_text="Versions, device, seconds, batches: what the renderer said.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["state", "moved_at"], name="render_state_moved"),
            models.Index(fields=["version", "purpose", "-id"], name="render_of_version"),
            models.Index(fields=["owner", "-id"], name="render_of_owner"),
        ]

    def __str__(self) -> str:
        return f"render {self.pk}: {self.state}"


class Picture(models.Model):
    """A rendered picture, stored once for a recipe on weights: `key` is the digest of both and of the renderer's version."""

    key = models.CharField(max_length=64, unique=True)
    sha256 = models.CharField(max_length=64, help_text="Of the PNG as it is served, with its text.")
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    size_bytes = models.PositiveIntegerField()
    seed = models.PositiveBigIntegerField()
    parameters = models.TextField(help_text="As A1111 writes it into the PNG.")
    meta = models.JSONField(default=dict, blank=True, help_text="The same as an object, in the words of Civitai's API.")
    renderer = models.CharField(max_length=80, help_text="Renderer version, device and the versions of what it used.")
    blurhash = models.CharField(
        max_length=60, blank=True, default="", help_text="A blurred stand-in of about 28 characters; empty until it is known."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["sha256"], name="picture_sha256")]

    def __str__(self) -> str:
        return f"picture {self.sha256[:12]}"

    @property
    def stored_name(self) -> str:
        """Its name in the `media` store: derived from its digest."""
        return f"pictures/{self.sha256[:2]}/{self.sha256[2:4]}/{self.sha256}.png"


class Shot(models.Model):
    """One picture of a render: what was wanted, and what came of it. `picture` may belong to several shots."""

    render = models.ForeignKey(Render, models.CASCADE, related_name="shots")
    place = models.PositiveIntegerField(help_text="From 0, in the order of Job.shots.")
    spec = models.JSONField(help_text="Shot.to_json() of inference.diffusion.jobs.")
    prompt_number = models.PositiveSmallIntegerField(default=0, help_text="Shots of one prompt stand side by side.")
    label = models.CharField(max_length=80, blank=True, help_text='What sets it apart beside others of its prompt: "strength 0.5".')
    key = models.CharField(max_length=64, db_index=True)
    picture = models.ForeignKey(Picture, models.PROTECT, null=True, blank=True, related_name="shots")
    error_code = models.CharField(max_length=60, blank=True)
    error = models.TextField(blank=True, help_text="Why there is no picture although it was rendered.")

    class Meta:
        ordering = ["render", "place"]
        constraints = [models.UniqueConstraint(fields=["render", "place"], name="shot_place")]

    def __str__(self) -> str:
        return f"shot {self.place} of render {self.render_id}"


class PreviewSettings(models.Model):
    """How the owner wants a version's previews; without a row the kind's standard set is rendered."""

    version = models.OneToOneField(Version, models.CASCADE, related_name="preview_settings", primary_key=True)
    enabled = models.BooleanField(default=True)
    base = models.ForeignKey(Version, models.SET_NULL, null=True, blank=True, related_name="+", help_text="What an add-on is rendered on.")
    prompts = models.JSONField(default=list, blank=True, help_text="The owner's prompts; empty for the standard set.")
    negative_prompt = models.TextField(blank=True)
    prediction = models.CharField(max_length=12, blank=True, help_text="epsilon, v_prediction; empty where the file tells.")

    def __str__(self) -> str:
        return f"previews of version {self.version_id}"


class PreviewPlan(models.Model):
    """What was last decided about a version's previews: the render that makes them, or the sentence that says why there is none."""

    version = models.OneToOneField(Version, models.CASCADE, related_name="preview_plan", primary_key=True)
    render = models.ForeignKey(Render, models.SET_NULL, null=True, blank=True, related_name="+")
    digest = models.CharField(max_length=64, blank=True, help_text="Of all that its pictures depend on; another one asks for new pictures.")
    renderer = models.CharField(max_length=20, help_text="Renderer version that it was made for.")
    code = models.CharField(max_length=60, blank=True, help_text="Why nothing is rendered, for programs; empty where something is.")
    sentence = models.TextField(blank=True)
    planned_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["code", "planned_at"], name="preview_plan_code")]

    def __str__(self) -> str:
        return f"previews of version {self.version_id}: {self.code or self.render_id}"


class FamilyBase(models.Model):
    """The admin's choice: on which checkpoint add-ons of a family are rendered whose owner names none."""

    family = models.CharField(max_length=40, unique=True, help_text="As registry.identify names it.")
    version = models.ForeignKey(Version, models.CASCADE, related_name="+")

    class Meta:
        verbose_name = "default base"

    def __str__(self) -> str:
        return f"{self.family}: {self.version}"


class RenderWorker(models.Model):
    """A render worker that was heard of: what it runs on decides which renders can be made at all."""

    name = models.CharField(max_length=120, unique=True)
    device = models.CharField(max_length=20, help_text="cpu, cuda")
    device_name = models.CharField(max_length=120, blank=True)
    memory_bytes = models.PositiveBigIntegerField(default=0, help_text="Of the device.")
    largest_weights = models.PositiveBigIntegerField(default=0, help_text="Bytes of weights that it takes on at most.")
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
