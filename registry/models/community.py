"""What people say and keep about models: reviews, reports, notes, collections, follows. Writes are in modules of their own."""

from __future__ import annotations

from django.core.validators import MaxLengthValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from registry.models.catalog import Entry, Version
from registry.models.images import UserImage
from registry.models.people import User

MAX_REVIEW, MAX_ANSWER, MAX_NOTE = 5_000, 2_000, 10_000
"""Characters of a review, of its creator's answer, of a private note."""


class Review(models.Model):
    """A thumb up or down of one person for one version, and what they say to it. Hidden ones do not count."""

    version = models.ForeignKey(Version, models.CASCADE, related_name="reviews")
    author = models.ForeignKey(User, models.CASCADE, related_name="reviews")
    positive = models.BooleanField()
    text = models.TextField(blank=True, validators=[MaxLengthValidator(MAX_REVIEW)], help_text="Markdown.")
    image = models.ForeignKey(
        UserImage, models.SET_NULL, null=True, blank=True, related_name="+", help_text="Of its author, attached to the same version."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(null=True, blank=True, help_text="When its author last changed it.")
    answer = models.TextField(blank=True, validators=[MaxLengthValidator(MAX_ANSWER)], help_text="Of the model's creator, once.")
    answered_at = models.DateTimeField(null=True, blank=True)
    hidden_at = models.DateTimeField(null=True, blank=True)
    hidden_reason = models.CharField(max_length=500, blank=True, help_text="Its author reads it.")
    hidden_by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "author"], name="review_once")]
        indexes = [models.Index(fields=["version", "-positive", "-id"], name="review_of_version")]

    def __str__(self) -> str:
        return f"{'+' if self.positive else '-'} version {self.version_id} by user {self.author_id}"


class Reported(models.TextChoices):
    """What a report can be about."""

    MODEL = "model", _("Model")
    VERSION = "version", _("Version")
    IMAGE = "image", _("Picture")
    REVIEW = "review", _("Review")


class ReportReason(models.TextChoices):
    MALWARE = "malware", _("It holds harmful code")
    RATING = "rating", _("Its content rating is wrong")
    STOLEN = "stolen", _("It was taken from somebody else")
    ILLEGAL = "illegal", _("It is illegal")
    MISLABELLED = "mislabelled", _("It is not what it says it is")
    OTHER = "other", _("Something else")


class Decision(models.TextChoices):
    """What moderators said to a report; open until then."""

    OPEN = "open", _("Open")
    DISMISSED = "dismissed", _("Nothing to do")
    RERATED = "rerated", _("Given another rating")
    REMOVED = "removed", _("Hidden or withdrawn")


class Report(models.Model):
    """Somebody's word that a thing should be looked at, and the decision on it. Rows are kept: they are the audit."""

    about = models.CharField(max_length=8, choices=Reported.choices)
    thing = models.PositiveBigIntegerField(help_text="The thing's id.")
    title = models.CharField(max_length=200, help_text="What the thing was called when it was reported.")
    entry = models.ForeignKey(Entry, models.SET_NULL, null=True, blank=True, related_name="+", help_text="The model it belongs to.")
    owner = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="reports_about", help_text="Whose the thing is.")
    reporter = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="reports_made", help_text="None: a stranger.")
    reason = models.CharField(max_length=12, choices=ReportReason.choices)
    text = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    decision = models.CharField(max_length=9, choices=Decision.choices, default=Decision.OPEN)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(User, models.SET_NULL, null=True, blank=True, related_name="+")
    decided_by_name = models.CharField(max_length=150, blank=True)
    decision_text = models.CharField(max_length=1000, blank=True, help_text="Its reporters and the thing's owner read it.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["about", "thing", "reporter"], condition=Q(decision="open", reporter__isnull=False), name="report_once_open"
            )
        ]
        indexes = [
            models.Index(fields=["about", "thing"], condition=Q(decision="open"), name="report_open"),
            models.Index(fields=["owner", "-decided_at"], name="report_owner"),
            models.Index(fields=["reporter", "-id"], name="report_reporter"),
        ]

    def __str__(self) -> str:
        return f"{self.reason}: {self.about} {self.thing}"


class Note(models.Model):
    """What a person noted for themselves about a model. Nobody else reads it."""

    owner = models.ForeignKey(User, models.CASCADE, related_name="notes")
    entry = models.ForeignKey(Entry, models.CASCADE, related_name="+")
    text = models.TextField(validators=[MaxLengthValidator(MAX_NOTE)])
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "entry"], name="note_once")]
        indexes = [models.Index(fields=["owner", "-changed_at"], name="note_newest")]

    def __str__(self) -> str:
        return f"note of user {self.owner_id} on entry {self.entry_id}"


class Collection(models.Model):
    """A named list of models: its owner's alone, or for everybody."""

    owner = models.ForeignKey(User, models.CASCADE, related_name="collections")
    name = models.CharField(max_length=80)
    public = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="collection_name")]

    def __str__(self) -> str:
        return self.name


class Collected(models.Model):
    """A model in a collection."""

    collection = models.ForeignKey(Collection, models.CASCADE, related_name="items")
    entry = models.ForeignKey(Entry, models.CASCADE, related_name="+")
    added_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["collection", "entry"], name="collected_once")]

    def __str__(self) -> str:
        return f"entry {self.entry_id} in collection {self.collection_id}"


class Follow(models.Model):
    """A person follows a model or a creator. Of a model it keeps the version that the person has, to tell when there is a newer one."""

    owner = models.ForeignKey(User, models.CASCADE, related_name="follows")
    entry = models.ForeignKey(Entry, models.CASCADE, null=True, blank=True, related_name="followers")
    creator = models.ForeignKey(User, models.CASCADE, null=True, blank=True, related_name="followers")
    version = models.ForeignKey(
        Version, models.SET_NULL, null=True, blank=True, related_name="+", help_text="The one seen when following, or downloaded since."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "entry"], name="follow_entry"),
            models.UniqueConstraint(fields=["owner", "creator"], name="follow_creator"),
            models.CheckConstraint(condition=Q(entry__isnull=True) ^ Q(creator__isnull=True), name="follow_one"),
        ]

    def __str__(self) -> str:
        return f"user {self.owner_id} follows {f'entry {self.entry_id}' if self.entry_id else f'user {self.creator_id}'}"
