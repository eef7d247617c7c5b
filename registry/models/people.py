"""Who uses the hub: users and the tokens that programs carry for them. Sign-in itself is allauth's."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from django.contrib.auth.models import AbstractUser
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry import tokentext

username_validators = [
    RegexValidator(
        r"^(?!.*--)(?!.*-$)[A-Za-z0-9][A-Za-z0-9_-]{1,38}$",
        "Use 2 to 39 letters, digits, single hyphens or underscores, starting with a letter or digit and not ending with a hyphen: "
        "it becomes part of your pages' address.",
    )
]
"""Narrower than Django's: the name is a path segment of model pages and of Hugging Face style repository ids, whose clients refuse
hyphens at an end or beside each other (huggingface_hub, validate_repo_id).
"""


class Rating(models.IntegerChoices):
    """Content rating; values are Civitai's NsfwLevel bits."""

    PG = 1, "PG"
    PG13 = 2, "PG-13"
    R = 4, "R"
    X = 8, "X"
    XXX = 16, "XXX"


NO_BLUR = 32
"""`User.blur_from` of whoever wants no picture blurred: above every rating."""


class User(AbstractUser):
    """A person. Staff are admins; members of no group but with `is_moderator` may judge suspicious files."""

    is_moderator = models.BooleanField(default=False)
    max_rating = models.PositiveSmallIntegerField(choices=Rating.choices, default=Rating.PG13)
    blur_from = models.PositiveSmallIntegerField(default=Rating.R, help_text="Pictures rated so or above are blurred; 32: none are.")
    file_wish = models.JSONField(default=dict, blank=True, help_text="Which file of a version suits them: see hub.wishes.")

    @property
    def moderates(self) -> bool:
        return self.is_active and (self.is_moderator or self.is_staff)


class Scope(models.TextChoices):
    READ = "read", _("Read and download")
    WRITE = "write", _("Read, upload and publish")


class Token(models.Model):
    """A bearer token. Only its SHA-256 is kept: 256 random bits need no slow hash."""

    owner = models.ForeignKey(User, models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=80)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(max_length=12, editable=False, help_text="First characters, so that its owner can tell it from others.")
    scope = models.CharField(max_length=5, choices=Scope.choices, default=Scope.READ)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} ({self.hint}…)"

    @staticmethod
    def digest_of(secret: str) -> str:
        return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()

    @classmethod
    def issue(cls, owner: User, name: str, scope: str = Scope.READ, days: int | None = 365) -> tuple[Token, str]:
        """A new token and its secret, which is shown once. `days` None never expires."""
        secret = tokentext.made()
        expires = timezone.now() + timedelta(days=days) if days else None
        token = cls.objects.create(
            owner=owner, name=name[:80] or "token", digest=cls.digest_of(secret), hint=secret[:8], scope=scope, expires_at=expires
        )
        return token, secret

    @classmethod
    def resolve(cls, secret: str) -> Token | None:
        """The live token of this secret: not revoked, not expired, its owner active. None otherwise."""
        token = cls.objects.select_related("owner").filter(digest=cls.digest_of(secret), revoked_at=None).first()
        if token is None or not token.owner.is_active or not token.alive:
            return None
        return token

    @property
    def alive(self) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > timezone.now())

    def touch(self) -> None:
        """Note the use, at most once a minute: a write for every request would be the hottest row of the hub."""
        now = timezone.now()
        if self.last_used_at is None or now - self.last_used_at > timedelta(minutes=1):
            type(self).objects.filter(pk=self.pk).update(last_used_at=now)
