"""Contradictions on the pages: the creator is asked where they publish, visitors read the warning and the answer."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from registry import catalog
from registry.models import Version
from tests.factories import BlobFactory, EntryFactory, FileFactory, VersionFactory

pytestmark = pytest.mark.django_db
DETECTED = {"kind": "lora", "family": "SDXL", "base_model": "SDXL 1.0", "evidence": ["attn2_to_k.lora_down.weight [8, 2048]"]}


@pytest.fixture
def contested(creator: Any) -> Version:
    version: Version = VersionFactory(entry=EntryFactory(owner=creator, kind="checkpoint"))
    FileFactory(version=version, blob=BlobFactory(detected=DETECTED))
    return version


@pytest.fixture
def owner(client: Client, creator: Any) -> Client:
    client.force_login(creator)
    return client


def address(version: Version) -> str:
    return f"/{version.entry.owner.username}/{version.entry.slug}/v/{version.pk}"


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


@pytest.mark.parametrize("page", ["model", "upload", "work"])
def test_the_creator_is_asked_where_they_would_publish(owner: Client, contested: Version, page: str) -> None:
    paths = {"model": address(contested), "upload": f"/upload/{contested.pk}", "work": f"/upload/{contested.pk}/work"}
    html = owner.get(paths[page]).content.decode()
    assert html.count("data-question=") == 2
    assert "Change it to SDXL 1.0" in words(html)
    assert "Change it to LoRA" in words(html)
    assert "attn2_to_k.lora_down.weight [8, 2048]" in html
    assert "Ready to publish" not in html


def test_my_models_says_that_a_draft_waits_for_an_answer(owner: Client, contested: Version, django_assert_max_num_queries: Any) -> None:
    for _ in range(5):
        version = VersionFactory(entry=contested.entry)
        FileFactory(version=version, blob=BlobFactory(detected=DETECTED))
    with django_assert_max_num_queries(11):
        text = words(owner.get("/my/models").content.decode())
    assert text.count("Change the declaration, or keep it and say why. There is one more question.") == 6
    assert "ready to publish" not in text


def test_questions_are_not_sent_again_while_somebody_types_an_answer(owner: Client, contested: Version) -> None:
    first = owner.get(f"/upload/{contested.pk}/work").content.decode()
    assert 'hx-swap-oob="true"' in first
    asked = "base_model:SD 1.5:SDXL kind:checkpoint:lora"
    assert "hx-swap-oob" not in owner.get(f"/upload/{contested.pk}/work", {"asked": asked}).content.decode()
    catalog.answer(contested, contested.entry.owner, about="kind", keep=False)
    assert 'hx-swap-oob="true"' in owner.get(f"/upload/{contested.pk}/work", {"asked": asked}).content.decode()


def test_answers_are_taken_and_lead_back(owner: Client, contested: Version) -> None:
    answered = owner.post(
        f"/model-versions/{contested.pk}/answer",
        {"about": "base_model", "detected": "SDXL", "keep": "yes", "reason": "Mapped by hand."},
        HTTP_REFERER=f"http://testserver/upload/{contested.pk}",
    )
    assert answered.headers["Location"].endswith(f"/upload/{contested.pk}")
    owner.post(f"/model-versions/{contested.pk}/answer", {"about": "kind", "detected": "lora", "keep": ""})
    contested.entry.refresh_from_db()
    assert contested.entry.kind == "lora"
    assert "Ready to publish" in owner.get(f"/upload/{contested.pk}/work").content.decode()


def test_an_answer_without_a_reason_is_refused_in_words(owner: Client, contested: Version) -> None:
    page = owner.post(f"/model-versions/{contested.pk}/answer", {"about": "base_model", "keep": "yes", "reason": " "}, follow=True)
    assert "Say why you keep it" in page.content.decode()
    assert not contested.kept.exists()


def test_visitors_read_the_reason_beside_what_the_tensors_say(client: Client, contested: Version) -> None:
    evil = "<b>because</b>"
    catalog.answer(contested, contested.entry.owner, about="base_model", keep=True, reason=evil)
    catalog.answer(contested, contested.entry.owner, about="kind", keep=False)
    catalog.publish(Version.objects.get(pk=contested.pk))
    html = client.get(address(contested)).content.decode()
    assert "Its creator says SD 1.5 , the tensors say SDXL . The creator keeps it: &lt;b&gt;because&lt;/b&gt;" in words(html)
    assert "confirmed by its tensors" not in html
    assert "data-question" not in html


def test_a_published_version_keeps_its_warning(client: Client, creator: Any) -> None:
    version = catalog.publish(FileFactory(version=VersionFactory(entry=EntryFactory(owner=creator))).version)
    FileFactory(version=version, blob=BlobFactory(detected=DETECTED))
    assert "Trust the tensors" in client.get(address(version)).content.decode()
    client.force_login(creator)
    assert "Until you answer, visitors see a warning" in words(client.get(address(version)).content.decode())


def test_strangers_cannot_answer(client: Client, contested: Version, stranger: Any) -> None:
    client.force_login(stranger)
    assert client.post(f"/model-versions/{contested.pk}/answer", {"about": "kind", "keep": ""}).status_code == 404
