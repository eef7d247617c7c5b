"""Tokens: only their digest is kept, and a dead one is nobody."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from registry.models import Token
from registry.models.people import username_validators

pytestmark = pytest.mark.django_db


def test_a_token_resolves_to_its_owner_and_only_its_digest_is_stored(creator: Any) -> None:
    token, secret = Token.issue(creator, "laptop", "write")
    assert Token.resolve(secret) == token
    assert secret not in str(Token.objects.values().get())
    assert Token.resolve(secret + "x") is None


def test_a_revoked_expired_or_ownerless_token_is_nobody(creator: Any) -> None:
    revoked, expired, orphan = (Token.issue(creator, name)[1] for name in ("a", "b", "c"))
    Token.objects.filter(name="a").update(revoked_at=timezone.now())
    Token.objects.filter(name="b").update(expires_at=timezone.now() - timedelta(seconds=1))
    assert Token.resolve(revoked) is None
    assert Token.resolve(expired) is None
    assert Token.resolve(orphan) is not None
    creator.is_active = False
    creator.save()
    assert Token.resolve(orphan) is None


def test_use_is_noted_once_a_minute(creator: Any, django_assert_num_queries: Any) -> None:
    token, secret = Token.issue(creator, "a")
    token.touch()
    with django_assert_num_queries(1):
        found = Token.resolve(secret)
        assert found is not None
        found.touch()


@pytest.mark.parametrize("name", ["a", "-dash", "with space", "ünïcode", "a/b", "x" * 40, "a.b", "a--b", "ada-"])
def test_names_that_are_no_path_segment_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        [validate(name) for validate in username_validators]
