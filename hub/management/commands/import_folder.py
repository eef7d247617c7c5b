"""`./weigh manage import_folder PATH --owner NAME`: brings a models folder into the hub. Nothing at the source is moved or changed."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from hub.importing.bring import FAILED, REFUSED, Importer, Outcome
from hub.importing.folders import Unreadable, walk
from registry import groups
from registry.formats.errors import FormatError
from registry.formats.plaintext import printable
from registry.models import User, Visibility


class Command(BaseCommand):
    help = "Import a folder of models as A1111, ComfyUI or LoRA-Manager lay it out, with the texts and previews beside the files."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, help="The models folder, on this machine.")
        parser.add_argument("--owner", required=True, help="Whose models they become.")
        parser.add_argument("--visibility", choices=Visibility.values, default=Visibility.PRIVATE.value)
        parser.add_argument("--group", default="", help="With --visibility group: one that the owner belongs to.")
        parser.add_argument("--publish", action="store_true", help="Publish by itself what is found clean; else they stay drafts.")
        parser.add_argument("--dry-run", action="store_true", help="Say what would be done, and why; change nothing.")
        parser.add_argument("--json", action="store_true", help="One JSON object instead of a table.")

    def handle(self, *, path: Path, owner: str, dry_run: bool, publish: bool, **options: Any) -> None:
        user = User.objects.filter(username=owner, is_active=True).first()
        if user is None:
            raise CommandError(f"There is no user {owner}. Names are written as on their pages.")
        if not path.is_dir():
            raise CommandError(f"{path} is no folder that can be read here.")
        importer = Importer(user, options["visibility"], dry_run, publish, self._group(user, options["visibility"], options["group"]))
        outcomes = []
        for found in walk(path):
            outcome = Outcome(found.path, FAILED, found.reason) if isinstance(found, Unreadable) else importer.bring(found)
            outcomes.append(outcome)
            if not options["json"]:
                self._line(outcome, path)
        self._summary(outcomes, options["json"], dry_run)

    def _group(self, user: User, visibility: str, name: str) -> Any:
        try:
            return groups.fields(user, {"visibility": visibility, **({"group": name} if name else {})})["group"]
        except FormatError as refusal:
            raise CommandError(refusal.sentence) from refusal

    def _line(self, outcome: Outcome, root: Path) -> None:
        where = printable(str(outcome.path.relative_to(root)), 70)
        what = " · ".join(part for part in (outcome.name, outcome.kind, outcome.base_model) if part)
        why = "; ".join(part for part in (outcome.reason, *outcome.remarks) if part)
        self.stdout.write(f"{outcome.action:<8} {outcome.size_bytes:>15,}  {where:<70}  {printable(what, 90)}{f'  ({why})' if why else ''}")

    def _summary(self, outcomes: list[Outcome], as_json: bool, dry_run: bool) -> None:
        counts = Counter(outcome.action for outcome in outcomes)
        if as_json:
            body = {"dry_run": dry_run, "files": [outcome.to_json() for outcome in outcomes], "summary": dict(counts)}
            self.stdout.write(json.dumps(body, indent=1))
            return
        told = ", ".join(f"{number} {action}" for action, number in sorted(counts.items())) or "no file of weights was found"
        self.stdout.write(f"\n{len(outcomes)} files: {told}.{' Nothing was changed.' if dry_run else ''}")
        if counts[FAILED] or counts[REFUSED]:
            self.stdout.write("Run it again when the reasons are gone: what is here already is passed over.")
