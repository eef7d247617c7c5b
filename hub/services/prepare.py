"""Run as a program between the stores and the site: brings the tables up to date and makes the first account.
Its stdout is what the person at the terminal should read; everything else goes to stderr."""

from __future__ import annotations

import os
import sys

import django
from django.core.management import call_command


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hub.settings")
    django.setup()
    call_command("migrate", interactive=False, verbosity=1, stdout=sys.stderr)
    call_command("first_start")


if __name__ == "__main__":
    main()
