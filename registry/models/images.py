"""Images that people attach to versions, and the bytes behind them. Rendered pictures are `inference.models.Picture`; writes are in
`registry/images.py`."""

from __future__ import annotations

from django.db import models

from registry.lifecycle import IMAGE_LIFE, ImageState
from registry.models.catalog import Version
from registry.models.living import Living
from registry.models.people import Rating, User


class StoredImage(models.Model):
    """The bytes of an image as it was uploaded, kept once under their SHA-256 (lower-case hex), and what was found in them.

    `checked_at` is empty until a worker has decoded it: before, nothing of it is served. Width and height are those that
    people see, in pixels. `meta` is `hub.imagemeta.ImageMeta.to_json()` without its workflow, which stands beside it.
    """

    sha256 = models.CharField(max_length=64, unique=True)
    size_bytes = models.PositiveIntegerField()
    kind = models.CharField(max_length=4, help_text="png, jpeg or webp.")
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    blurhash = models.CharField(max_length=40, blank=True)
    tool = models.CharField(max_length=20, blank=True, help_text="The program whose words stand in it; empty for none that is known.")
    meta = models.JSONField(default=dict, blank=True)
    workflow = models.TextField(blank=True, help_text="ComfyUI's, as JSON.")
    checked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="stored_image_age")]

    def __str__(self) -> str:
        return f"{self.kind} {self.sha256[:12]}"

    @property
    def stored_name(self) -> str:
        """Name of the original in the `media` store."""
        return f"images/{self.sha256[:2]}/{self.sha256}.{self.kind}"

    def shown_name(self, width: int) -> str:
        """Name of the copy for pages of this width, in the `media` store."""
        return f"images/{self.sha256[:2]}/{self.sha256}.w{width}.webp"


class UserImage(Living):
    """An image that a person attached to a version. It is shown once a worker has decoded and re-encoded it."""

    LIFE = IMAGE_LIFE

    version = models.ForeignKey(Version, models.CASCADE, related_name="images")
    owner = models.ForeignKey(User, models.CASCADE, related_name="images")
    file = models.ForeignKey(StoredImage, models.PROTECT, related_name="images")
    name = models.CharField(max_length=120, help_text="What its uploader called it.")
    state = models.CharField(max_length=8, choices=ImageState.choices, default=ImageState.RECEIVED)
    rating = models.PositiveSmallIntegerField(choices=Rating.choices, default=Rating.PG)
    created_at = models.DateTimeField(auto_now_add=True)
    hidden_at = models.DateTimeField(null=True, blank=True)
    hidden_by_name = models.CharField(max_length=150, blank=True)
    hidden_reason = models.CharField(max_length=300, blank=True, help_text="Its uploader reads it.")

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["state", "moved_at"], name="image_state_moved"),
            models.Index(fields=["version", "-id"], condition=models.Q(state=ImageState.SHOWN, hidden_at=None), name="image_of_version"),
        ]
        constraints = [models.UniqueConstraint(fields=["version", "owner", "file"], name="image_once")]

    def __str__(self) -> str:
        return f"image {self.pk} of version {self.version_id}"
