"""Releases: only suspicious bytes, only by a second person with a reason, only for the names that were seen; ended by anything else."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models import F

from hub import extracting
from registry import lifecycle, queries, storage
from registry.models import Blob, File, User, Verdict, Version
from scanner import examination, releases, rescans
from scanner.models import Release, ScanReport
from scanner.releases import Refused
from tests.factories import BlobFactory, FileFactory, UserFactory, VersionFactory
from tests.grey import NAME, suspicious_checkpoint
from tests.intake import drain, sealed_suspicious, upload_path

pytestmark = pytest.mark.django_db(transaction=True)
REASON = "The class only holds the training arguments."


@pytest.fixture
def version(creator: Any) -> Version:
    return VersionFactory(entry__owner=creator)


@pytest.fixture
def held(at_rest: Any, creator: Any) -> File:
    """A real suspicious file, sealed."""
    return now(at_rest(sealed_suspicious, creator))


def released_suspicious(creator: User, folder: Path) -> File:
    file = sealed_suspicious(creator, folder)
    releases.release(now(file).blob, User.objects.get(username="mod"), REASON)
    drain()
    return now(file)


@pytest.fixture
def served(at_rest: Any, creator: Any, moderator: Any) -> File:
    """The same, released by the moderator and ready."""
    file = now(at_rest(released_suspicious, creator))
    assert file.downloadable
    return file


def now(file: File) -> File:
    return File.objects.select_related("blob").get(pk=file.pk)


def report_of(blob: Blob, verdict: str = "suspicious", names: tuple[str, ...] = (NAME,), codes: tuple[str, ...] = ("P-UNKNOWN",)) -> None:
    """Record a scan that found these unknown names and made these findings."""
    imports = [{"module": name.rpartition(".")[0], "name": name.rpartition(".")[2], "safety": "unknown"} for name in names]
    findings = [{"severity": "suspicious" if verdict == "suspicious" else verdict, "code": code, "message": "Found."} for code in codes]
    findings = [] if verdict == "success" else findings
    examination.record(blob, {"verdict": verdict, "kind": "torch-zip", "imports": imports, "findings": findings}, None)


# --- what a release does ------------------------------------------------------------------------------------------------------------


def test_released_bytes_become_ready_with_their_copy_and_say_so(held: File, moderator: Any) -> None:
    row = releases.release(held.blob, moderator, f"  {REASON}\n")
    assert (row.names, row.reason, row.by, row.by_name) == ([NAME], REASON, moderator, "mod")
    assert now(held).state == "queued"
    drain()
    file = now(held)
    assert (file.state, file.verdict, file.blob.sealed, file.error, file.downloadable) == ("ready", "suspicious", False, "", True)
    assert File.objects.get(source=file, recipe__keep="all").downloadable
    assert file.timeline.get(step="released").note == f"Suspicious, and released by mod: {REASON}"
    assert file in queries.downloadable_files()
    assert releases.in_force(file.blob) == row


def test_the_same_bytes_elsewhere_are_released_with_them(served: File, creator: Any, tmp_path: Path) -> None:
    again = upload_path(VersionFactory(entry__owner=creator), creator, suspicious_checkpoint(tmp_path / "grey.ckpt"), "b.ckpt")
    drain()
    assert (now(again).blob, now(again).downloadable) == (served.blob, True)


def test_a_withdrawn_release_seals_again_and_stays_on_record(served: File, moderator: Any) -> None:
    row = releases.in_force(served.blob)
    assert row is not None
    other = UserFactory(username="second", is_moderator=True)
    releases.withdraw(row, other, "Code was found in that package.")
    assert not now(served).downloadable, "from the very moment of the word, before any worker has moved a byte"
    drain()
    assert (now(served).state, now(served).blob.sealed) == ("quarantined", True)
    assert now(served).error.startswith("Held back until a moderator has looked: ")
    row.refresh_from_db()
    assert (row.by_name, row.withdrawn_by_name, row.withdrawn_reason) == ("mod", "second", "Code was found in that package.")
    assert releases.in_force(now(served).blob) is None
    releases.release(now(served).blob, other, REASON)
    drain()
    assert now(served).downloadable
    assert Release.objects.count() == 2


def test_a_file_that_is_being_sealed_while_it_is_released_is_served(held: File, moderator: Any) -> None:
    File.objects.filter(pk=held.pk).update(state="danger", turn=F("turn") + 1)
    releases.release(held.blob, moderator, REASON)
    assert now(held).state == "danger"
    drain()
    assert now(held).downloadable


def test_a_withdrawal_reaches_a_file_that_is_on_its_way(held: File, moderator: Any) -> None:
    row = releases.release(held.blob, moderator, REASON)
    lifecycle.claim(now(held), "scanning")
    lifecycle.advance(now(held), "clean")
    releases.withdraw(row, moderator, "Code was found in that package.")
    drain()
    assert (now(held).state, now(held).blob.sealed) == ("quarantined", True)


def test_a_release_after_an_extraction_makes_no_second_copy(held: File, creator: Any, moderator: Any) -> None:
    extracting.extract(creator, held)
    drain()
    copy = File.objects.get(source=held)
    releases.release(held.blob, moderator, REASON)
    drain()
    assert [file for file in File.objects.filter(source=held) if file.recipe["keep"] == "all"] == [copy]
    assert extracting.made_from(held) == copy
    refusal = extracting.why_not(creator, now(held))
    assert refusal is not None
    assert "is made without being asked for" in refusal.sentence


# --- who and what -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", [value for value in Verdict.values if value != "suspicious"])
def test_nothing_but_suspicious_is_ever_released(verdict: str, moderator: Any) -> None:
    file = FileFactory(state="quarantined", blob=BlobFactory(verdict=verdict, sealed=True))
    with pytest.raises(Refused, match="Only suspicious files") as refusal:
        releases.release(file.blob, moderator, REASON)
    assert refusal.value.code == "release:not-suspicious"
    assert now(file).state == "quarantined"


def test_released_is_no_way_around_danger() -> None:
    file = FileFactory(blob=BlobFactory(verdict="danger", released=True))
    assert not file.downloadable
    assert file not in queries.downloadable_files()


def test_only_moderators_release_and_withdraw(held: File, creator: Any, stranger: Any, moderator: Any) -> None:
    for person in (creator, stranger):
        with pytest.raises(Refused) as refusal:
            releases.release(held.blob, person, REASON)
        assert (refusal.value.code, refusal.value.status) == ("release:moderators", 403)
    row = releases.release(held.blob, moderator, REASON)
    with pytest.raises(Refused, match="Only a moderator"):
        releases.withdraw(row, creator, REASON)


def test_nobody_releases_their_own_upload_but_staff(held: File, creator: Any) -> None:
    creator.is_moderator = True
    creator.save()
    with pytest.raises(Refused, match="four eyes") as refusal:
        releases.release(held.blob, creator, REASON)
    assert refusal.value.status == 403
    creator.is_staff = True
    creator.save()
    assert releases.release(held.blob, creator, REASON).by == creator


def test_a_second_copy_of_the_bytes_is_ones_own_too(held: File, tmp_path: Path) -> None:
    both = UserFactory(is_moderator=True)
    upload_path(VersionFactory(entry__owner=both), both, suspicious_checkpoint(tmp_path / "grey.ckpt"))
    drain()
    with pytest.raises(Refused, match="four eyes"):
        releases.release(held.blob, both, REASON)


@pytest.mark.parametrize("reason", ["", "fine", "   x   \n y ", "\x00" * 40])
def test_a_reason_is_asked_for(held: File, moderator: Any, reason: str) -> None:
    with pytest.raises(Refused, match="at least 10 characters"):
        releases.release(held.blob, moderator, reason)
    assert not Release.objects.exists()


def test_of_two_moderators_at_once_one_releases_and_the_other_is_told(held: File) -> None:
    people = [UserFactory(username=f"mod{number}", is_moderator=True) for number in range(2)]
    start, said = threading.Barrier(2), []

    def act(person: Any) -> None:
        try:
            start.wait(10)
            said.append(releases.release(held.blob, person, REASON).by_name)
        except Refused as refusal:
            said.append(refusal.sentence)
        finally:
            connection.close()

    threads = [threading.Thread(target=act, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    row = Release.objects.get()
    assert row.by_name in said
    assert any(text.startswith(f"{row.by_name} released this file already, on ") for text in said)
    drain()
    assert now(held).downloadable


# --- what ends a release ------------------------------------------------------------------------------------------------------------


def test_a_scan_that_finds_the_same_changes_nothing(served: File) -> None:
    rescans.ask(served.blob)
    turn = served.turn
    drain()
    assert (now(served).turn, now(served).blob.released) == (turn, True)
    assert ScanReport.objects.filter(blob=served.blob).count() == 2


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ({"names": (NAME, "acme_networks.other.Thing")}, "found other names than were accepted"),
        ({"names": ()}, "found other names than were accepted"),
        ({"codes": ("P-UNKNOWN", "O-PEER")}, "found something else than was accepted"),
        ({"verdict": "danger", "codes": ("P-CALL",)}, "found these bytes to be dangerous"),
        ({"verdict": "error", "codes": ("P-PARSE",)}, "could not read these bytes to their end"),
    ],
)
def test_a_scan_that_finds_anything_else_ends_it_and_seals(served: File, found: dict[str, Any], why: str) -> None:
    report_of(served.blob, **found)
    assert not now(served).downloadable
    rescans.refresh()
    drain()
    assert (now(served).state, now(served).blob.sealed, now(served).blob.released) == ("quarantined", True, False)
    row = Release.objects.get()
    assert (row.withdrawn_by_name, row.withdrawn_at is not None) == ("", True)
    assert why in row.withdrawn_reason


def test_a_scan_that_finds_it_clean_ends_the_release_and_not_the_file(served: File) -> None:
    report_of(served.blob, verdict="success", names=())
    assert now(served).downloadable
    assert Release.objects.get().withdrawn_at is not None


def test_names_are_those_that_nobody_has_reviewed(held: File, creator: Any, version: Version, tmp_path: Path) -> None:
    names = ("zeta.nets.Block", "acme_networks.blocks.Unknown", "acme_networks.blocks.Other")
    file = upload_path(version, creator, suspicious_checkpoint(tmp_path / "many.ckpt", *names), "many.ckpt")
    drain()
    assert releases.names_of(now(file).blob.scan_reports.first()) == sorted(names)


def test_a_whole_release_on_s3(version: Version, creator: Any, moderator: Any, tmp_path: Path, s3_stores: None) -> None:
    file = upload_path(version, creator, suspicious_checkpoint(tmp_path / "grey.ckpt"))
    drain()
    row = releases.release(now(file).blob, moderator, REASON)
    drain()
    assert now(file).downloadable
    assert storage.exists(now(file).blob)
    releases.withdraw(row, moderator, "Code was found in that package.")
    drain()
    assert (now(file).state, storage.exists(now(file).blob)) == ("quarantined", True)
