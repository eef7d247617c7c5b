"""What a token looks like, so that programs which look for leaked secrets find it: prefix, random part, checksum. It knows no owner.

Scanners of repositories match `PATTERN` and can tell by the checksum whether a match is a token at all, without asking a hub.
"""

from __future__ import annotations

import re
import secrets
import zlib

PREFIX = "wh_"
RANDOM_CHARACTERS, CHECK_CHARACTERS = 43, 6
"""256 random bits as base64 of URLs; six digits to the base 62 hold a CRC-32."""
PATTERN = r"\bwh_[A-Za-z0-9_-]{43}[0-9A-Za-z]{6}(?![A-Za-z0-9_-])"
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def checksum(body: str) -> str:
    """CRC-32 (IEEE) of the random part's ASCII, to the base 62, six digits, the most significant first."""
    number = zlib.crc32(body.encode("ascii"))
    found = ""
    for _ in range(CHECK_CHARACTERS):
        number, digit = divmod(number, len(DIGITS))
        found = DIGITS[digit] + found
    return found


def made() -> str:
    """A new secret."""
    body = secrets.token_urlsafe(32)
    return PREFIX + body + checksum(body)


def well_formed(text: str) -> bool:
    """Whether this is a token by its form. Tokens that were made before there was a checksum are not, and are good all the same."""
    if not re.fullmatch(PATTERN.removeprefix(r"\b"), text):
        return False
    body = text[len(PREFIX) : -CHECK_CHARACTERS]
    return checksum(body) == text[-CHECK_CHARACTERS:]


_PUBLIC = "PUBLIC-TEST-STRING-of-this-hub-not-a-secret"
PUBLIC_TEST = PREFIX + _PUBLIC + checksum(_PUBLIC)
"""A token by its form that nobody owns: for documentation, and to try out a scanner of secrets with."""
PUBLIC_SENTENCE = (
    "This is the public test string of the documentation, not a token: it opens nothing. Make a token of your own on your account page."
)
