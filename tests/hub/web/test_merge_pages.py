"""Merges on pages: where a merged file comes from, as far as visitors may see; one's own merges, their progress, and their end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from inference.models import Merge
from registry import catalog, storage
from registry.models import Entry, File, Version
from tests.intake import drain
from tests.merges import checkpoint, wanted, worked

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def a(creator: Any, tmp_path: Path) -> File:
    return checkpoint(creator, tmp_path / "secret.safetensors", name="Secret *plans*", visibility="private")


@pytest.fixture
def b(stranger: Any, tmp_path: Path) -> File:
    return checkpoint(stranger, tmp_path / "b.safetensors", name="Beta [x](http://evil.example) <b>")


@pytest.fixture
def merge(creator: Any, a: File, b: File) -> Merge:
    return wanted(creator, a, b)


def published(merge: Merge) -> File:
    """The result, examined and made public by its owner."""
    result = worked(merge).result
    drain()
    Entry.objects.filter(pk=result.version.entry_id).update(visibility="public")
    catalog.publish(Version.objects.select_related("entry__owner").get(pk=result.version_id))
    return result


def page(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_merged_file_names_its_inputs_with_links(client: Client, creator: Any, merge: Merge, a: File, b: File) -> None:
    worked(merge)
    client.force_login(creator)
    text = page(client, f"/file/{merge.result.pk}")
    assert "Weighted sum 0.3: 0.7 of A and 0.3 of B." in text
    for file in (a, b):
        assert f'href="/file/{file.pk}"' in text
        assert f'href="/model-versions/{file.version_id}"' in text
    assert "Merged by this hub from other files" in text
    source = page(client, f"/file/{a.pk}")
    assert "Merged by this hub</h2>" not in source
    assert f'href="/file/{merge.result.pk}">blend-merge.safetensors</a>' in source
    client.logout()
    assert "Merged into" not in page(client, f"/file/{b.pk}"), "a draft is nobody else's"


def test_visitors_learn_nothing_of_an_input_that_is_private(client: Client, merge: Merge, a: File, b: File) -> None:
    result = published(merge)
    text = page(client, f"/file/{result.pk}")
    assert "Secret" not in text
    assert "secret.safetensors" not in text
    assert f'href="/file/{a.pk}"' not in text
    assert a.sha256[:10] in text
    assert a.sha256[:12] not in text
    assert f'href="/file/{b.pk}"' in text


def test_nobody_is_led_to_what_is_unlisted_by_a_merge(client: Client, creator: Any, stranger: Any, tmp_path: Path) -> None:
    """Neither on the way up, by a hash that the hub would find it by, nor on the way down."""
    a = checkpoint(creator, tmp_path / "whispered.safetensors", name="Whispered", visibility="unlisted")
    b = checkpoint(stranger, tmp_path / "beta.safetensors", name="Beta")
    result = published(wanted(creator, a, b))
    for address in (f"/file/{result.pk}", f"/model-versions/{result.version_id}", f"/api/hub/files/{result.pk}"):
        text = client.get(address, follow=True).content.decode()
        assert not [sign for sign in ("hispered", f'/file/{a.pk}"', a.sha256[:8]) if sign in text]
    header = storage.path_of("models", storage.blob_name(result.sha256)).read_bytes()[:200_000].decode("latin-1")
    assert a.sha256[:8] not in header
    assert b.sha256 in header
    assert f'href="/file/{result.pk}"' in page(client, f"/file/{b.pk}")
    Entry.objects.filter(pk=result.version.entry_id).update(visibility="unlisted")
    assert "Merged into" not in page(client, f"/file/{b.pk}")
    assert client.get(f"/api/hub/files/{b.pk}").json()["merged_into"] == []
    client.force_login(creator)
    assert f'href="/file/{result.pk}"' in page(client, f"/file/{b.pk}")
    assert f'href="/file/{a.pk}"' in page(client, f"/file/{result.pk}")


def test_a_page_leads_to_no_merge_above_the_visitors_rating(client: Client, creator: Any, merge: Merge, b: File) -> None:
    result = published(merge)
    assert "Merged into" in page(client, f"/file/{b.pk}")
    Entry.objects.filter(pk=result.version.entry_id).update(rating=16)
    assert "Merged into" not in page(client, f"/file/{b.pk}")


def test_the_model_page_tells_the_recipe_and_no_markup_of_others_works(client: Client, merge: Merge, b: File) -> None:
    result = published(merge)
    text = client.get(f"/model-versions/{result.version_id}", follow=True).content.decode()
    assert "Weighted sum: 0.7 of A and 0.3 of B." in text
    assert f'href="/model-versions/{b.version_id}"' in text
    assert 'href="http://evil.example"' not in text
    assert "a file that is not public" in text
    assert "Secret" not in text


def test_overflow_in_a_merge_is_a_warning_on_its_page(client: Client, creator: Any, merge: Merge) -> None:
    worked(merge)
    Merge.objects.update(outcome={"warnings": ["3 values became infinite (x): they are too large for the type."]})
    client.force_login(creator)
    assert "3 values became infinite" in page(client, f"/file/{merge.result.pk}")


def test_my_models_show_what_waits_runs_and_failed(client: Client, creator: Any, merge: Merge) -> None:
    client.force_login(creator)
    text = page(client, "/my/models")
    assert 'hx-get="/my/merges"' in text
    assert "Weighted sum 0.3, place 1 in the queue" in text
    Merge.objects.update(state="merging", done_bytes=250, total_bytes=1000)
    text = page(client, "/my/merges")
    assert "25 percent done" in text
    assert f"/my/merges/{merge.pk}/cancel" in text
    Merge.objects.update(state="failed", error="Beta was withdrawn <b>.")
    text = page(client, "/my/merges")
    assert "Beta was withdrawn &lt;b&gt;." in text
    assert "hx-get" not in text
    Merge.objects.update(state="made")
    assert page(client, "/my/merges").strip() == '<div id="merges"></div>'


def test_a_merge_is_cancelled_and_tried_again_from_the_page(client: Client, creator: Any, stranger: Any, merge: Merge) -> None:
    client.force_login(stranger)
    assert client.post(f"/my/merges/{merge.pk}/cancel").status_code == 404
    assert "merge" not in page(client, "/my/merges").replace('id="merges"', "")
    client.force_login(creator)
    assert client.get(f"/my/merges/{merge.pk}/cancel").status_code == 405
    done = client.post(f"/my/merges/{merge.pk}/cancel", follow=True).content.decode()
    assert "is cancelled; nothing is left of it." in done
    assert "cancelled already" in client.post(f"/my/merges/{merge.pk}/cancel", follow=True).content.decode()
    Merge.objects.update(state="failed")
    assert "in the queue again" in client.post(f"/my/merges/{merge.pk}/retry", follow=True).content.decode()
    merge.refresh_from_db()
    assert merge.state == "wanted"


def test_nobody_elses_merges_are_shown_to_strangers(client: Client, merge: Merge) -> None:
    assert client.get("/my/merges").status_code == 302
    assert client.post(f"/my/merges/{merge.pk}/cancel").status_code == 302
    merge.refresh_from_db()
    assert merge.state == "wanted"
