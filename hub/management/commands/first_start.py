"""Run after every migration: creates the admin on the first start and prints name and password; says nothing later."""

from __future__ import annotations

import secrets
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from registry.models import Rating, User


class Command(BaseCommand):
    help = "Create the admin account when this hub has none."

    @transaction.atomic
    def handle(self, **_: Any) -> None:
        if User.objects.filter(is_superuser=True).exists():
            return
        password = secrets.token_urlsafe(12)
        User.objects.create_superuser("admin", email="", password=password, max_rating=Rating.XXX)
        self.stdout.write(f"Admin account: admin\nPassword: {password}  (shown only now; change it at /accounts/password/change/)")
