"""`manage.py translations`: bring the catalogues of pages up to date; `--missing` prints what is not translated yet."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    help = "Read what pages say out of templates and modules, and bring locale/ up to date. Needs Babel."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--missing", action="store_true", help="print every message that has no translation yet")

    def handle(self, **options: Any) -> None:
        from hub import translations

        for language in translations.languages():
            catalog = translations.update(language)
            without = translations.missing(catalog)
            self.stdout.write(f"{language}: {len(catalog)} messages, {len(without)} without a translation")
            if options["missing"]:
                self.stdout.write("\n".join(without))
