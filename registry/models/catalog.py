"""What people see: entries, their versions and tags. Files are in `files.py`, writes in `registry/catalog.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models.functions import Lower, Upper
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry.branches import branch_name
from registry.models.people import Rating, User

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager

    from registry.models.files import File


class Kind(models.TextChoices):
    CHECKPOINT = "checkpoint", _("Checkpoint")
    LORA = "lora", _("LoRA")
    EMBEDDING = "embedding", _("Embedding")
    HYPERNETWORK = "hypernetwork", _("Hypernetwork")
    VAE = "vae", _("VAE")
    CONTROLNET = "controlnet", _("ControlNet")
    UPSCALER = "upscaler", _("Upscaler")
    OTHER = "other", _("Other")


class Visibility(models.TextChoices):
    PUBLIC = "public", _("Public: everybody finds it")
    UNLISTED = "unlisted", _("Unlisted: only who has the link")
    GROUP = "group", _("Group: only the members of one group")
    PRIVATE = "private", _("Private: only you")


CLOSED = (Visibility.GROUP, Visibility.PRIVATE)
"""What is not for everybody who has the link: to all others it does not exist."""


class Status(models.TextChoices):
    DRAFT = "draft", _("Draft")
    PUBLISHED = "published", _("Published")
    WITHDRAWN = "withdrawn", _("Withdrawn")


class CommercialUse(models.TextChoices):
    """What others may earn money with; spellings are Civitai's."""

    IMAGE = "Image", _("Sell images made with it")
    RENT_CIVIT = "RentCivit", _("Run it on a paid service of this hub's kind")
    RENT = "Rent", _("Run it on any paid service")
    SELL = "Sell", _("Sell the model or merges of it")


class Tag(models.Model):
    name = models.CharField(max_length=60, unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Entry(models.Model):
    """A page of the registry: one checkpoint, LoRA, embedding... People and addresses say "model"."""

    owner = models.ForeignKey(User, models.PROTECT, related_name="entries")
    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=80)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    description = models.TextField(blank=True, help_text="Markdown.")
    tags = models.ManyToManyField(Tag, related_name="entries", blank=True)
    visibility = models.CharField(max_length=8, choices=Visibility.choices, default=Visibility.PUBLIC)
    group = models.ForeignKey(
        "auth.Group", models.SET_NULL, null=True, blank=True, related_name="+", help_text="Who may read it where its visibility is group."
    )
    rating = models.PositiveSmallIntegerField(choices=Rating.choices, default=Rating.PG)
    allow_no_credit = models.BooleanField(default=True)
    allow_commercial_use = ArrayField(models.CharField(max_length=12, choices=CommercialUse.choices), default=list, blank=True)
    allow_derivatives = models.BooleanField(default=True)
    allow_different_license = models.BooleanField(default=True)
    spdx = models.CharField("SPDX licence", max_length=80, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    published_at = models.DateTimeField(null=True, blank=True, help_text="When the newest published version came out.")
    live = models.BooleanField(default=False, editable=False, help_text="It has a published version.")
    deleted_at = models.DateTimeField(null=True, blank=True)
    deleted_reason = models.CharField(max_length=300, blank=True)
    download_count = models.PositiveBigIntegerField(default=0, editable=False)
    by_push = models.BooleanField(
        default=False,
        editable=False,
        help_text="Made by a push, and nobody has described it by hand yet: its kind comes from its files, its words from their README.",
    )
    thumbs_up = models.PositiveIntegerField(default=0, editable=False, help_text="Of its published versions' reviews.")
    thumbs_down = models.PositiveIntegerField(default=0, editable=False)
    approval = models.FloatField(default=0, editable=False, help_text="Wilson's lower bound of the share of thumbs up, 95 %, 0 to 1.")
    text_bytes = models.PositiveBigIntegerField(default=0, editable=False, help_text="Bytes of texts and small pictures that were pushed.")
    search = SearchVectorField(null=True, editable=False)
    search_rules = models.PositiveSmallIntegerField(default=0, editable=False, help_text="Number of the rules that made `search`.")

    versions: RelatedManager[Version]

    class Meta:
        verbose_name_plural = "entries"
        constraints = [models.UniqueConstraint(fields=["owner", "slug"], name="entry_owner_slug")]
        indexes = [
            GinIndex(fields=["search"], name="entry_search"),
            GinIndex(OpClass(Upper("name"), name="gin_trgm_ops"), name="entry_name_trgm"),
            models.Index(fields=["search_rules", "id"], name="entry_search_rules"),
            models.Index(fields=["-published_at", "-id"], name="entry_newest"),
            models.Index(fields=["-download_count", "-id"], name="entry_downloads"),
            models.Index(fields=["kind", "-published_at", "-id"], name="entry_kind_newest"),
            models.Index(fields=["-approval", "-id"], name="entry_best_rated"),
            models.Index(fields=["-approval", "-download_count", "-id"], name="entry_highest_rated"),
            models.Index(Lower("name"), "id", name="entry_by_name"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def gone(self) -> bool:
        """Deleted: a tombstone is left, which keeps name, metadata and hashes."""
        return self.deleted_at is not None


class SearchWord(models.Model):
    """A word that some entry has or had, to mend typing errors by (`registry.indexing`). Whose it is, is asked of the entries."""

    word = models.CharField(max_length=40)

    class Meta:
        indexes = [
            models.Index(fields=["word"], name="searchword_word"),
            GinIndex(fields=["word"], name="searchword_trgm", opclasses=["gin_trgm_ops"]),
        ]

    def __str__(self) -> str:
        return self.word


class Version(models.Model):
    """One release of an entry."""

    entry = models.ForeignKey(Entry, models.CASCADE, related_name="versions")
    name = models.CharField(max_length=80)
    branch = models.CharField(max_length=80, editable=False, help_text="Its name where programs speak of branches; never changes.")
    position = models.PositiveIntegerField(default=0, help_text="Lower comes first.")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.DRAFT)
    base_model = models.CharField(max_length=60, help_text="What the creator declares; what the tensors say is on the file.")
    description = models.TextField(blank=True, help_text=_("What is new. Markdown."))
    trigger_words = ArrayField(models.CharField(max_length=200), default=list, blank=True)
    weight = models.FloatField(null=True, blank=True, help_text=_("Recommended strength of an add-on."))
    clip_skip = models.PositiveSmallIntegerField(null=True, blank=True)
    sampler = models.CharField(max_length=60, blank=True)
    steps = models.PositiveSmallIntegerField(null=True, blank=True)
    cfg_scale = models.FloatField(null=True, blank=True)
    negative_prompt = models.TextField(blank=True)
    vae = models.CharField(max_length=120, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    published_at = models.DateTimeField(null=True, blank=True)
    publish_at = models.DateTimeField(null=True, blank=True, help_text="Published by itself then, or as soon afterwards as it is ready.")
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawn_reason = models.CharField(max_length=300, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    download_count = models.PositiveBigIntegerField(default=0, editable=False)
    thumbs_up = models.PositiveIntegerField(default=0, editable=False, help_text="Reviews that recommend it; hidden ones do not count.")
    thumbs_down = models.PositiveIntegerField(default=0, editable=False)

    files: RelatedManager[File]
    kept: RelatedManager[KeptDeclaration]

    class Meta:
        ordering = ["position", "-id"]
        indexes = [
            models.Index(fields=["entry", "status", "position"], name="version_of_entry"),
            models.Index(fields=["base_model", "status"], name="version_base"),
            models.Index(fields=["publish_at"], condition=models.Q(publish_at__isnull=False), name="version_publish_at"),
        ]
        constraints = [models.UniqueConstraint(fields=["entry", "branch"], name="version_branch")]

    def __str__(self) -> str:
        return f"{self.entry.name} {self.name}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Names the branch of a new version."""
        if not self.branch:
            taken = set(Version.objects.filter(entry_id=self.entry_id).values_list("branch", flat=True))
            self.branch = branch_name(self.name, taken)
        super().save(*args, **kwargs)

    @property
    def gone(self) -> bool:
        """Withdrawn or deleted (or its entry is): metadata and hashes stay, bytes are not served."""
        return self.deleted_at is not None or self.status == Status.WITHDRAWN or self.entry.gone

    @property
    def settings(self) -> dict[str, object]:
        """The recommended settings that the creator filled in; empty ones left out."""
        names = ("weight", "clip_skip", "sampler", "steps", "cfg_scale", "negative_prompt", "vae")
        return {name: getattr(self, name) for name in names if getattr(self, name) not in (None, "")}


class Subject(models.TextChoices):
    """What a declaration is about."""

    BASE_MODEL = "base_model", _("base model")
    KIND = "kind", _("kind")


class KeptDeclaration(models.Model):
    """A declaration that its creator keeps although tensors prove something else, and why. Holds for exactly this pair."""

    version = models.ForeignKey(Version, models.CASCADE, related_name="kept")
    about = models.CharField(max_length=10, choices=Subject.choices)
    declared = models.CharField(max_length=60)
    detected = models.CharField(max_length=60, help_text="The family or kind that the tensors prove.")
    reason = models.CharField(max_length=500, help_text="Visitors read it.")
    by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "about", "declared", "detected"], name="kept_once")]

    def __str__(self) -> str:
        return f"{self.declared} kept against {self.detected}"


class DownloadCount(models.Model):
    """Downloads of one file on one day: appended to, folded into the counters by the sweep."""

    version = models.ForeignKey(Version, models.CASCADE, related_name="+")
    file_id = models.PositiveBigIntegerField()
    at = models.DateTimeField(default=timezone.now)
    folded = models.BooleanField(default=False)

    class Meta:
        indexes = [models.Index(fields=["id"], condition=models.Q(folded=False), name="download_unfolded")]

    def __str__(self) -> str:
        return f"file {self.file_id} at {self.at:%Y-%m-%d %H:%M}"
