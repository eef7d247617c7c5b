"""The moderators' page and what a report offers: who sees and may do what, real files through it, hostile text in it, races."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.template.loader import render_to_string
from django.test import Client, RequestFactory

from hub.web import moderation
from registry import catalog, storage
from registry.models import File, Version
from scanner.models import Disagreement, Release, Rescan, ScanReport
from tests.factories import BlobFactory, FileFactory, UserFactory, VersionFactory
from tests.grey import NAME, suspicious_checkpoint
from tests.intake import drain, sealed_suspicious, upload_path
from tests.tiny import lightning_checkpoint

pytestmark = pytest.mark.django_db(transaction=True)
REASON = "The class only holds the training arguments."


@pytest.fixture
def version(creator: Any) -> Version:
    return VersionFactory(entry__owner=creator)


@pytest.fixture
def held(at_rest: Any, creator: Any) -> File:
    """A real suspicious file, sealed."""
    return at_rest(sealed_suspicious, creator)


@pytest.fixture
def judge(client: Client, moderator: Any) -> Client:
    client.force_login(moderator)
    return client


@pytest.fixture
def owner(creator: Any) -> Client:
    client = Client()
    client.force_login(creator)
    return client


def reported(blob: Any, **imports: str) -> ScanReport:
    rows = [{"module": name.rpartition(".")[0], "name": name.rpartition(".")[2], "safety": safety} for name, safety in imports.items()]
    return ScanReport.objects.create(blob=blob, verdict=blob.verdict, scanner="1", policy="1", report={"imports": rows, "findings": []})


# --- who ----------------------------------------------------------------------------------------------------------------------------


def test_only_moderators_see_the_page_and_its_link(client: Client, creator: Any, moderator: Any) -> None:
    assert client.get("/moderation").status_code == 302
    client.force_login(creator)
    assert client.get("/moderation").status_code == 403
    assert b'href="/moderation"' not in client.get("/").content
    client.force_login(moderator)
    assert client.get("/moderation").status_code == 200
    assert b'href="/moderation"' in client.get("/").content


@pytest.mark.parametrize("address", ["/files/{file}/release", "/files/{file}/rescan", "/moderation/releases/{release}/withdraw"])
def test_nobody_else_decides(owner: Client, held: File, moderator: Any, address: str) -> None:
    row = Release.objects.create(blob=held.blob, names=[], reason=REASON, by=moderator, by_name="mod")
    path = address.format(file=held.pk, release=row.pk)
    assert owner.post(path, {"reason": REASON}).status_code == 403
    assert Client().post(path, {"reason": REASON}).status_code == 302
    held.refresh_from_db()
    row.refresh_from_db()
    assert (held.state, held.blob.released, row.withdrawn_at, Rescan.objects.count()) == ("quarantined", False, None, 0)


def test_a_private_file_is_not_there_for_strangers(held: File, stranger: Any) -> None:
    client = Client()
    client.force_login(stranger)
    for word in ("release", "rescan", "extract"):
        assert client.post(f"/files/{held.pk}/{word}", {"reason": REASON}).status_code == 404


def test_a_get_changes_nothing(judge: Client, held: File) -> None:
    for word in ("release", "rescan", "extract"):
        assert judge.get(f"/files/{held.pk}/{word}").status_code == 405


def test_forms_of_other_sites_are_refused(held: File, moderator: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(moderator)
    assert client.post(f"/files/{held.pk}/release", {"reason": REASON}).status_code == 403
    assert not Release.objects.exists()


# --- the page -----------------------------------------------------------------------------------------------------------------------


def test_an_empty_page_says_that_nothing_waits(judge: Client) -> None:
    text = judge.get("/moderation").content.decode()
    for sentence in ("Nothing is waiting", "No suspicious file is being served", "No open disagreement"):
        assert sentence in text


def test_what_waits_is_named_with_uploader_and_names(judge: Client, held: File) -> None:
    text = judge.get("/moderation").content.decode()
    for part in ("grey.ckpt", "ada", NAME, f"/files/{held.pk}/scan"):
        assert part in text


def test_danger_never_waits_for_a_moderator(judge: Client) -> None:
    FileFactory(state="quarantined", name="bad.ckpt", blob=BlobFactory(verdict="danger", sealed=True))
    assert judge.get("/moderation").context["counts"]["waiting"] == 0


def test_text_out_of_files_is_never_markup(judge: Client, moderator: Any) -> None:
    blob = BlobFactory(verdict="suspicious", sealed=True)
    file = FileFactory(state="quarantined", name="a.ckpt", blob=blob)
    report = reported(blob, **{"evil.<script>alert(1)</script>": "unknown", "evil.\u202egnp": "unknown"})
    Disagreement.objects.create(report=report, blob=blob, tool="<img src=x>", said="<b>", ours="success", detail="<script>")
    Rescan.objects.create(blob=blob, reason="asked", state="failed", error="<script>alert(2)</script>")
    for path in ("/moderation", f"/files/{file.pk}/scan"):
        text = judge.get(path).content.decode()
        for hostile in ("<script>alert", "<img src=x>", "\u202e"):
            assert hostile not in text


def test_the_page_asks_a_constant_number_of_queries(judge: Client, django_assert_max_num_queries: Any) -> None:
    for _ in range(12):
        blob = BlobFactory(verdict="suspicious", sealed=True)
        FileFactory(state="quarantined", blob=blob)
        Rescan.objects.create(blob=blob, reason="asked", state="failed", error="Trouble of ours.")
        Disagreement.objects.create(report=reported(blob), blob=blob, tool="t", said="s", ours="success")
    with django_assert_max_num_queries(15):
        assert judge.get("/moderation").context["counts"] == {"waiting": 12, "released": 0, "disagreements": 12, "failed": 12}


# --- releasing ----------------------------------------------------------------------------------------------------------------------


def test_a_released_file_is_served_and_says_by_whom(judge: Client, held: File) -> None:
    answer = judge.post(f"/files/{held.pk}/release", {"reason": REASON}, follow=True)
    assert answer.redirect_chain[-1][0] == f"/files/{held.pk}/scan"
    drain()
    held.refresh_from_db()
    assert (held.state, held.downloadable) == ("ready", True)
    catalog.publish(held.version)
    visitor = Client()
    assert visitor.get(f"/api/download/models/{held.version_id}?fileId={held.pk}").status_code == 307
    text = visitor.get(f"/files/{held.pk}/scan").content.decode()
    assert "mod" in text
    assert REASON in text
    desk = judge.get("/moderation")
    assert (desk.context["counts"]["waiting"], desk.context["counts"]["released"]) == (0, 1)


def test_a_release_without_a_reason_is_refused_with_a_sentence(judge: Client, held: File) -> None:
    text = judge.post(f"/files/{held.pk}/release", {"reason": "ok"}, follow=True).content.decode()
    assert "at least 10 characters" in text
    assert not Release.objects.exists()


def test_a_withdrawn_release_seals_the_file_again(judge: Client, held: File) -> None:
    judge.post(f"/files/{held.pk}/release", {"reason": REASON})
    drain()
    row = Release.objects.get()
    answer = judge.post(f"/moderation/releases/{row.pk}/withdraw", {"reason": "Somebody found code in that package.", "from": "moderation"})
    assert answer.headers["Location"] == "/moderation"
    held.refresh_from_db()
    assert not held.downloadable
    drain()
    held.refresh_from_db()
    assert (held.state, held.blob.sealed) == ("quarantined", True)
    again = judge.post(f"/moderation/releases/{row.pk}/withdraw", {"reason": "Somebody found code in that package."}, follow=True)
    assert "has ended already" in again.content.decode()


# --- the partial on a report --------------------------------------------------------------------------------------------------------


def partial(file: File, user: Any) -> str:
    request = RequestFactory().get("/")
    request.user = user
    file = File.objects.select_related("version__entry__owner", "blob").get(pk=file.pk)
    return render_to_string("moderation/actions.html", {"actions": moderation.actions(request, file)}, request)


def test_a_report_offers_each_person_what_they_may_do(held: File, creator: Any, moderator: Any, stranger: Any) -> None:
    buttons = ("Release these bytes", "Extract the tensors", "Judge again</button>")
    assert [text in partial(held, moderator) for text in buttons] == [True, True, True]
    assert [text in partial(held, creator) for text in buttons] == [False, True, False]
    assert partial(held, stranger).strip() == ""


def test_a_moderator_who_uploaded_the_file_is_told_to_ask_another(version: Version, tmp_path: Path) -> None:
    both = UserFactory(username="both", is_moderator=True)
    file = upload_path(VersionFactory(entry__owner=both), both, suspicious_checkpoint(tmp_path / "own.ckpt"))
    drain()
    text = partial(file, both)
    assert "four eyes" in text
    assert "Release these bytes" not in text


def test_ended_releases_stay_on_the_report(held: File, judge: Client, creator: Any) -> None:
    judge.post(f"/files/{held.pk}/release", {"reason": REASON})
    judge.post(f"/moderation/releases/{Release.objects.get().pk}/withdraw", {"reason": "Somebody found code in that package."})
    text = partial(held, creator)
    for part in ("Releases that have ended (1)", REASON, "Somebody found code", NAME):
        assert part in text


# --- extracting, judging again, settling ---------------------------------------------------------------------------------------------


def test_extracted_tensors_can_be_published_while_the_original_stays_sealed(owner: Client, held: File, creator: Any) -> None:
    for _ in range(2):
        assert owner.post(f"/files/{held.pk}/extract").headers["Location"] == f"/files/{held.pk}/scan"
    drain()
    held.refresh_from_db()
    made = File.objects.get(source=held)
    assert (held.state, held.blob.sealed, made.state, made.name) == ("quarantined", True, "ready", "grey.safetensors")
    assert "grey.safetensors" in partial(held, creator)
    assert owner.post(f"/model-versions/{held.version_id}/publish").status_code == 302
    answer = Client().get(f"/api/download/models/{held.version_id}")
    assert f"/files/{made.pk}/" in answer["Location"]
    refused = Client().get(f"/api/download/models/{held.version_id}?fileId={held.pk}")
    assert (refused.status_code, "until a moderator has looked" in refused.json()["message"]) == (403, True)


def test_nothing_is_extracted_from_a_clean_file(owner: Client, version: Version, creator: Any, tmp_path: Path) -> None:
    file = upload_path(version, creator, lightning_checkpoint(tmp_path / "a.ckpt"))
    drain()
    text = owner.post(f"/files/{file.pk}/extract", follow=True).content.decode()
    assert "this is none" in text


def test_the_button_judges_the_bytes_again(judge: Client, held: File) -> None:
    assert judge.post(f"/files/{held.pk}/rescan", {"from": "moderation"}).headers["Location"] == "/moderation"
    assert judge.get("/moderation").context["open_rescans"] == 1
    drain()
    assert ScanReport.objects.filter(blob=held.blob).count() == 2
    assert Rescan.objects.get().state == "done"


def test_a_disagreement_is_settled_once_with_a_note(judge: Client, held: File, moderator: Any) -> None:
    report = held.blob.scan_reports.first()
    row = Disagreement.objects.create(report=report, blob=held.blob, tool="picklescan 1.0.5", said="dangerous", ours="success")
    assert "picklescan 1.0.5" in partial(held, moderator)
    path = f"/moderation/disagreements/{row.pk}/settle"
    assert "Say in a word" in judge.post(path, {"note": ""}, follow=True).content.decode()
    judge.post(path, {"note": "A false alarm: it is a plain dictionary."})
    row.refresh_from_db()
    assert (row.settled_by_name, row.settled_note) == ("mod", "A false alarm: it is a plain dictionary.")
    assert "has settled this already" in judge.post(path, {"note": "Another view."}, follow=True).content.decode()


def test_a_file_that_could_not_be_judged_again_can_be_sent_again(judge: Client, held: File) -> None:
    Rescan.objects.create(blob=held.blob, reason="scanner", state="failed", error="Trouble of ours.", error_code="work:trouble")
    assert "Trouble of ours." in judge.get("/moderation").content.decode()
    judge.post(f"/files/{held.pk}/rescan", {"from": "moderation"})
    drain()
    assert [row.state for row in Rescan.objects.all()] == ["done"]
    assert storage.exists(held.blob)
