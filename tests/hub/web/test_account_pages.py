"""Pages about oneself and the upload form: tokens, settings, names that the site keeps, and input that is never lost."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from registry.models import Entry, Token, User, Version
from tests.factories import EntryFactory, FileFactory, VersionFactory

pytestmark = pytest.mark.django_db

FORM = {
    "model-name": "Harbour Light",
    "model-kind": "lora",
    "model-rating": "1",
    "model-visibility": "public",
    "version-name": "v1",
    "version-base_model": "SD 1.5",
}


def test_tokens_secret_is_shown_once_and_works(client: Client, creator: Any) -> None:
    client.force_login(creator)
    response = client.post("/account/tokens", {"name": "laptop", "scope": "write", "days": "30"})
    secret = response.context["secret"]
    assert secret in response.content.decode()
    assert response.headers["Cache-Control"] == "private, no-store"
    token = Token.resolve(secret)
    assert token is not None
    assert (token.owner, token.scope) == (creator, "write")
    assert secret not in client.get("/account/tokens").content.decode()


def test_revoked_token_no_longer_opens(client: Client, creator: Any, stranger: Any) -> None:
    token, secret = Token.issue(creator, "laptop")
    client.force_login(stranger)
    assert client.post(f"/account/tokens/{token.pk}/revoke").status_code == 404
    assert Token.resolve(secret) is not None
    client.force_login(creator)
    client.post(f"/account/tokens/{token.pk}/revoke")
    assert Token.resolve(secret) is None


@pytest.mark.parametrize("name", ["upload", "API", "model-versions", "file"])
def test_names_of_the_sites_own_addresses_cannot_be_taken(client: Client, name: str) -> None:
    form = {"username": name, "password1": "weigh-anchor-7", "password2": "weigh-anchor-7"}
    assert "used by the site itself" in client.post("/accounts/signup/", form).content.decode()
    assert not User.objects.exists()


def test_limit_of_ratings_is_saved(client: Client, creator: Any) -> None:
    client.force_login(creator)
    client.post("/account", {"max_rating": "8", "blur_from": "8", "email": "ada@example.org"})
    creator.refresh_from_db()
    assert (creator.max_rating, creator.blur_from) == (8, 8)


@pytest.mark.parametrize("path", ["/upload", "/account", "/account/tokens", "/my/models"])
def test_pages_about_oneself_ask_strangers_to_sign_in(client: Client, path: str) -> None:
    assert client.get(path).headers["Location"] == f"/accounts/login/?next={path}"


def test_upload_form_makes_model_and_version_and_leads_to_the_files(client: Client, creator: Any) -> None:
    client.force_login(creator)
    response = client.post("/upload", {**FORM, "model-tags": "Fog, fog , sea", "version-trigger_words": "harbour\nfog bell"})
    version = Version.objects.get()
    assert response.headers["Location"] == f"/upload/{version.pk}"
    assert version.trigger_words == ["harbour", "fog bell"]
    assert sorted(tag.name for tag in version.entry.tags.all()) == ["fog", "sea"]


def test_wrong_field_is_told_beside_it_and_nothing_typed_is_lost(client: Client, creator: Any) -> None:
    client.force_login(creator)
    response = client.post("/upload", {**FORM, "version-base_model": "", "model-description": "My own words.", "version-steps": "9999"})
    text = response.content.decode()
    assert response.status_code == 422
    assert 'value="Harbour Light"' in text
    assert "My own words." in text
    assert "Use a number between 1 and 1000." in text
    assert 'id="id_version-base_model_error"' in text
    assert not Entry.objects.exists()


def test_name_with_hidden_characters_is_refused(client: Client, creator: Any) -> None:
    client.force_login(creator)
    text = client.post("/upload", {**FORM, "model-name": "evil\u202egnp"}).content.decode()
    assert "invisible or direction-changing" in text
    assert not Entry.objects.exists()


def test_new_version_joins_only_a_model_of_ones_own(client: Client, creator: Any, stranger: Any) -> None:
    mine, theirs = EntryFactory(owner=creator), EntryFactory(owner=stranger)
    client.force_login(creator)
    fields = {"version-name": "v2", "version-base_model": "SD 1.5"}
    client.post("/upload", {**fields, "entry": str(theirs.pk)})
    assert not Version.objects.exists()
    client.post("/upload", {**fields, "entry": str(mine.pk)})
    assert Version.objects.get().entry == mine


def test_my_models_says_what_each_draft_waits_for(client: Client, creator: Any) -> None:
    VersionFactory(entry=EntryFactory(owner=creator, name="Empty draft"))
    FileFactory(version=VersionFactory(entry=EntryFactory(owner=creator, name="Ready draft")))
    client.force_login(creator)
    text = client.get("/my/models").content.decode()
    assert "upload a file to this version first" in text
    assert "ready to publish" in text


def test_failed_file_is_shown_with_sentence_code_and_retry_only_to_its_creator(client: Client, creator: Any) -> None:
    file = FileFactory(
        version=VersionFactory(entry=EntryFactory(owner=creator)), state="failed", error="It is torn.", error_code="scan:torn"
    )
    assert client.get(f"/file/{file.pk}").status_code == 404
    client.force_login(creator)
    text = client.get(f"/file/{file.pk}").content.decode()
    assert "It is torn." in text
    assert "scan:torn" in text
    answer = client.post(f"/file/{file.pk}/retry", follow=True).content.decode()
    assert "Upload it again" in answer


def test_theme_goes_back_only_to_this_site(client: Client) -> None:
    response = client.post("/theme", {"theme": "dark", "next": "https://evil.example/"})
    assert response.headers["Location"] == "/"
    assert response.cookies["theme"].value == "dark"
    assert 'data-theme="dark"' in client.get("/about").content.decode()


def test_styled_account_pages_open(client: Client, creator: Any) -> None:
    for path in ("/accounts/login/", "/accounts/signup/", "/accounts/password/reset/"):
        assert client.get(path).status_code == 200
    client.force_login(creator)
    for path in ("/accounts/logout/", "/accounts/password/change/"):
        assert client.get(path, follow=True).status_code == 200


def test_menu_leads_staff_to_the_admin(client: Client, creator: Any) -> None:
    creator.is_staff = creator.is_superuser = True
    creator.save()
    client.force_login(creator)
    from django.urls import reverse

    assert f'href="{reverse("admin:index")}"' in client.get("/about").content.decode()


def test_refused_sign_in_says_only_that(client: Client) -> None:
    text = client.post("/accounts/login/", {"login": "nobody", "password": "nothing"}).content.decode()
    assert "not correct" in text
    assert "these fields" not in text
