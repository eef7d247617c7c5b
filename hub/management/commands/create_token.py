"""`./weigh manage create_token USER --scope write`: makes a token and prints its secret, once."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from registry.models import Scope, Token, User


class Command(BaseCommand):
    help = "Make a bearer token for a user and print its secret. It is shown only now."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user")
        parser.add_argument("--scope", choices=Scope.values, default=Scope.READ)
        parser.add_argument("--name", default="command line")
        parser.add_argument("--days", type=int, default=365, help="Days until it expires; 0 never.")

    def handle(self, *, user: str, scope: str, name: str, days: int, **_: Any) -> None:
        owner = User.objects.filter(username__iexact=user).first()
        if owner is None:
            raise CommandError(f"There is no user named {user}.")
        _, secret = Token.issue(owner, name, scope, days or None)
        self.stdout.write(secret)
