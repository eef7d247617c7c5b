"""`./weigh manage rescan`: what each option names, how many it says it queues, and that it only queues."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from scanner.models import Rescan
from scanner.rescans import verdict_key
from tests.factories import BlobFactory, FileFactory

pytestmark = pytest.mark.django_db


def blob(container: str = "torch-zip", key: str = "", days: int = 0, **more: Any) -> Any:
    return FileFactory(
        blob=BlobFactory(container=container, verdict_key=key or verdict_key(), scanned_at=timezone.now() - timedelta(days=days), **more)
    ).blob


def run(*options: str) -> str:
    out = StringIO()
    call_command("rescan", *options, stdout=out)
    return out.getvalue().strip()


def asked() -> set[int]:
    return set(Rescan.objects.values_list("blob_id", flat=True))


def test_without_options_it_asks_for_what_older_rules_have_judged() -> None:
    old, _today = blob(key="0.9/2020-01-01"), blob()
    assert run() == "1 file queued to be judged again."
    assert asked() == {old.pk}
    assert run() == "0 files queued to be judged again; 1 wait already."


def test_without_options_it_renews_what_a_new_policy_does_not_concern() -> None:
    scanner = verdict_key().partition("/")[0]
    safe = blob("safetensors", key=f"{scanner}/2020-01-01")
    assert run() == "0 files queued to be judged again."
    safe.refresh_from_db()
    assert safe.verdict_key == verdict_key()


def test_since_names_what_was_judged_from_that_day_on() -> None:
    blob(days=10)
    new = blob(days=1)
    run("--since", f"{timezone.now() - timedelta(days=5):%Y-%m-%d}")
    assert asked() == {new.pk}


def test_kind_pickle_leaves_out_what_cannot_hold_one() -> None:
    pickled, _safe = blob(), blob("safetensors")
    run("--kind", "pickle")
    assert asked() == {pickled.pk}


def test_a_sha256_prefix_names_one_file_in_any_case() -> None:
    one = blob(sha256="ABCDEF".lower() + "0" * 58)
    blob()
    run("--sha256", "ABCDEF")
    assert asked() == {one.pk}


def test_all_names_everything_that_has_a_verdict() -> None:
    some = {blob().pk, blob("safetensors").pk}
    assert run("--all") == "2 files queued to be judged again."
    assert asked() == some
    assert set(Rescan.objects.values_list("reason", "state")) == {("asked", "wanted")}


def test_options_are_narrowed_by_each_other() -> None:
    blob(days=1)
    blob("safetensors", days=1)
    wanted = blob(days=1, sha256="beef" + "0" * 60)
    run("--kind", "pickle", "--since", "2020-01-01", "--sha256", "beef")
    assert asked() == {wanted.pk}


@pytest.mark.parametrize("options", [("--since", "yesterday"), ("--sha256", "xyz"), ("--sha256", "ab"), ("--kind", "gguf")])
def test_nonsense_is_refused(options: tuple[str, str]) -> None:
    blob()
    with pytest.raises(CommandError):
        run(*options)
    assert not asked()
