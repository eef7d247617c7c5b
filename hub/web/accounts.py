"""Pages about oneself: tokens, settings; and the adapter that tells allauth whether sign-up is open."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings
from django.http import HttpRequest


class AccountAdapter(DefaultAccountAdapter):
    """allauth, told by WEIGH_OPEN_SIGNUP whether strangers may sign up."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return bool(settings.OPEN_SIGNUP)
