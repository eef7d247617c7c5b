"""How tokens look: what scanners of secrets match, and the checksum that tells a token from something like it."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.models import Token
from registry.tokentext import PATTERN, PREFIX, PUBLIC_TEST, checksum, made, well_formed
from tests.factories import UserFactory


def test_every_new_token_is_found_in_a_text_and_well_formed() -> None:
    for _ in range(200):
        secret = made()
        assert well_formed(secret)
        assert re.findall(PATTERN, f'token = "{secret}"  # {secret}\n') == [secret, secret]


def test_the_public_test_string_has_the_form() -> None:
    assert well_formed(PUBLIC_TEST)
    assert "PUBLIC-TEST" in PUBLIC_TEST


@pytest.mark.parametrize("place", [3, 20, 45, 48, 51])
def test_one_changed_character_is_no_token(place: int) -> None:
    secret = made()
    changed = secret[:place] + ("A" if secret[place] != "A" else "B") + secret[place + 1 :]
    assert not well_formed(changed)


@settings(max_examples=100)
@given(st.text(max_size=80))
def test_other_texts_are_none(text: str) -> None:
    assert not well_formed(text)
    assert not well_formed(PREFIX + text)


def test_the_checksum_is_of_six_digits_and_known() -> None:
    assert checksum("A" * 43) == checksum("A" * 43)
    assert len(checksum("")) == 6
    assert checksum("") == "000000"  # CRC-32 of nothing is 0
    number = 0
    for digit in checksum("123456789"):
        number = number * 62 + (string.digits + string.ascii_uppercase + string.ascii_lowercase).index(digit)
    assert number == 0xCBF43926  # the check value of CRC-32/ISO-HDLC


@pytest.mark.django_db
def test_tokens_without_a_checksum_stay_good() -> None:
    owner = UserFactory()
    old = "wh_" + "a" * 43
    Token.objects.create(owner=owner, name="old", digest=Token.digest_of(old), hint=old[:8])
    assert Token.resolve(old) is not None
    _, new = Token.issue(owner, "new")
    assert well_formed(new)
    assert Token.resolve(new) is not None
