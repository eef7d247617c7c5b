"""Images of people on pages: attached without a script, shown with what they say, kept from who may not see them, hidden and deleted."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from hub.imagefiles import colour
from hub.web import images as image_views
from registry.models import StoredImage, User, UserImage, Version
from tests import toolimages
from tests.factories import UserFactory
from tests.hub.published import published_entry, published_file, published_version
from tests.hub.web.visitors import signed_in
from tests.imagerows import shown
from tests.intake import drain

pytestmark = pytest.mark.django_db
HOSTILE = '<script>alert(1)</script> "quoted" \u202eesrever {{ 7|add:7 }}'


@pytest.fixture
def version(creator: User) -> Version:
    return published_version(published_entry(creator))


@pytest.fixture
def reader() -> User:
    found: User = UserFactory(username="eve")
    return found


def sent(*files: tuple[str, bytes]) -> list[SimpleUploadedFile]:
    return [SimpleUploadedFile(name, data) for name, data in files]


def form_of(version: Version) -> str:
    return f"/model-versions/{version.pk}/images"


def text_of(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, (address, answer.status_code)
    return answer.content.decode()


def test_an_image_goes_from_the_form_to_the_models_page(version: Version, reader: User) -> None:
    client = signed_in(reader)
    files = sent(("shore.png", toolimages.png({"parameters": toolimages.A1111})))
    page = client.post(form_of(version), {"images": files, "rating": "1"}, follow=True).content.decode()
    assert "1 image is being checked." in page
    assert "Waits to be checked" in page
    assert "/images/mine" in page, "the list asks again"
    assert drain() == 1
    image = UserImage.objects.get()
    assert "Shown" in text_of(client, f"{form_of(version)}/mine")
    model = text_of(Client(), f"/{version.entry.owner.username}/{version.entry.slug}")
    assert f'href="/images/{image.pk}"' in model
    assert 'loading="lazy"' in model
    shown_page = text_of(Client(), f"/images/{image.pk}")
    for words in (
        "a lighthouse at dusk",
        "blurry, low quality",
        "Copy prompt",
        "Copy negative",
        "Copy all settings",
        "A1111",
        "1234567890",
    ):
        assert words in shown_page
    assert "Copy ComfyUI workflow" not in shown_page


def test_what_cannot_be_taken_is_said_and_the_rest_is_taken(version: Version, reader: User) -> None:
    files = sent(
        ("good.png", toolimages.png({})),
        ("x.svg", b"<svg onload='alert(1)'/>"),
        ("bomb.png", toolimages.png({})[:16] + b"\0\0\xff\xff" * 9),
    )
    answer = signed_in(reader).post(form_of(version), {"images": files, "rating": "1"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "This is not a PNG, JPEG or WebP image." in page
    assert page.count("<li><bdi>") == 2
    assert UserImage.objects.count() == 1


def test_a_thirteenth_image_and_an_empty_form_are_refused(version: Version, reader: User) -> None:
    client = signed_in(reader)
    files = sent(*((f"{n}.png", toolimages.png({"n": str(n)})) for n in range(image_views.MOST + 1)))
    assert "Only 12 images are taken at once." in client.post(form_of(version), {"images": files, "rating": "1"}).content.decode()
    assert UserImage.objects.count() == image_views.MOST
    assert "Choose at least one image." in client.post(form_of(version), {"rating": "1"}).content.decode()


def test_a_body_beyond_all_limits_is_refused_unread(version: Version, reader: User) -> None:
    class Unread(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise AssertionError("the body was read")

    answer = signed_in(reader).post(
        form_of(version),
        data=b"",
        content_type="multipart/form-data; boundary=x",
        CONTENT_LENGTH=str(image_views.MAX_BODY + 1),
        **{"wsgi.input": Unread()},
    )
    assert answer.status_code == 413
    assert "Nothing was taken." in answer.content.decode()


def test_a_form_of_another_site_is_refused(version: Version, reader: User) -> None:
    client = signed_in(reader, enforce_csrf_checks=True)
    assert client.post(form_of(version), {"images": sent(("a.png", toolimages.png({}))), "rating": "1"}).status_code == 403


def test_the_rating_begins_as_the_models(creator: User, reader: User) -> None:
    version = published_version(published_entry(creator, rating=2))
    assert '<option value="2" selected>' in text_of(signed_in(reader), form_of(version))


def test_resources_lead_to_what_is_here(version: Version, creator: User, reader: User) -> None:
    file = published_file(creator, b"weights of the sea" * 40)
    short = {kind: value for kind, value in file.blob.hash_values().items() if kind in ("AutoV2", "SHA256")}
    said = toolimages.A1111.replace("31e35c80fc", short["AutoV2"].lower()[:10])
    image = shown(reader, version, toolimages.png({"parameters": said}))
    page = text_of(Client(), f"/images/{image.pk}")
    assert f'href="/model-versions/{file.version_id}"' in page
    assert "not here" in page
    type(file.version.entry).objects.filter(pk=file.version.entry_id).update(visibility="private")
    assert f'href="/model-versions/{file.version_id}"' not in text_of(Client(), f"/images/{image.pk}")


def test_an_image_is_opened_with_its_settings(creator: User, reader: User) -> None:
    file = published_file(creator, b"weights of the lake" * 40)
    said = toolimages.A1111.replace("31e35c80fc", file.blob.hash_values()["AutoV2"].lower()[:10])
    image = shown(reader, published_version(published_entry(creator)), toolimages.png({"parameters": said}))
    address = f"/model-versions/{file.version_id}/try?image={image.pk}"
    assert f'href="{address}"' in text_of(signed_in(reader), f"/images/{image.pk}")
    assert "Open with these settings" not in text_of(Client(), f"/images/{image.pk}")
    form = text_of(signed_in(UserFactory()), address)
    for value in ("a lighthouse at dusk", "blurry, low quality", 'value="1234567890"', 'value="28"', 'value="6.5"', 'value="768"'):
        assert value in form
    UserImage.objects.update(hidden_at="2026-01-01T00:00Z")
    assert "a lighthouse at dusk" not in text_of(signed_in(UserFactory()), address)


def test_a_workflow_is_copied_and_saved(version: Version, reader: User) -> None:
    texts = {"prompt": json.dumps(toolimages.GRAPH), "workflow": json.dumps(toolimages.WORKFLOW)}
    image = shown(reader, version, toolimages.png(texts))
    page = text_of(Client(), f"/images/{image.pk}")
    assert "Copy ComfyUI workflow" in page
    assert "FaceDetailerMystery" in page
    answer = Client().get(f"/images/{image.pk}/workflow.json")
    assert json.loads(answer.content) == toolimages.WORKFLOW
    assert answer["Content-Disposition"].startswith("attachment")


def test_an_image_without_words_says_so(version: Version, reader: User) -> None:
    image = shown(reader, version, toolimages.png({}))
    assert "This image does not say how it was made." in text_of(Client(), f"/images/{image.pk}")
    assert Client().get(f"/images/{image.pk}/workflow.json").status_code == 404


def test_hostile_words_stay_words(version: Version, reader: User) -> None:
    said = f"{HOSTILE}\nNegative prompt: {HOSTILE}\nSteps: 1, Sampler: <b>x</b>, Seed: 1, Odd <i>: 2, Model: {json.dumps(HOSTILE)}"
    image = shown(reader, version, toolimages.png({"parameters": said, "<u>odd</u>": "x"}))
    UserImage.objects.update(name=HOSTILE)
    for page in (
        text_of(Client(), f"/images/{image.pk}"),
        text_of(signed_in(reader), form_of(version)),
        text_of(Client(), f"/models/{version.entry_id}/gallery"),
    ):
        assert "<script>alert" not in page
        assert "<b>x</b>" not in page
        assert "<u>odd" not in page


@pytest.mark.parametrize("store", ["disk", "s3"])
def test_bytes_go_out_under_safe_headers(version: Version, reader: User, store: str, request: Any) -> None:
    if store == "s3":
        request.getfixturevalue("s3_stores")
    data = toolimages.png({"parameters": toolimages.A1111})
    image = shown(reader, version, data)
    original, copy = (Client().get(f"/images/{image.pk}/{name}") for name in ("original.png", "w450.webp"))
    assert original["Content-Disposition"] == 'attachment; filename="shore.png"'
    assert (original["Content-Type"], copy["Content-Type"]) == ("image/png", "image/webp")
    for answer in (original, copy):
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in answer["Content-Security-Policy"]
        assert answer["Cache-Control"] == "public, max-age=600"
    if store == "s3":
        assert original.content == data
        assert Client().get(f"/images/{image.pk}/w450.webp", headers={"If-None-Match": copy["ETag"]}).status_code == 304
    else:
        assert original["X-Accel-Redirect"] == f"/protected/media/{image.file.stored_name}"
    assert Client().get(f"/images/{image.pk}/original.webp").status_code == 404


def test_nobody_gets_what_no_worker_has_seen(version: Version, reader: User) -> None:
    client = signed_in(reader)
    client.post(form_of(version), {"images": sent(("a.png", toolimages.png({}))), "rating": "1"})
    image = UserImage.objects.get()
    for address in (f"/images/{image.pk}", f"/images/{image.pk}/original.png", f"/images/{image.pk}/w450.webp"):
        assert client.get(address).status_code == 404


def test_hidden_images_are_gone_but_for_those_who_manage_them(version: Version, reader: User, creator: User, moderator: User) -> None:
    image = shown(reader, version)
    assert Client().post(f"/images/{image.pk}/hide").status_code == 302, "to sign in"
    assert signed_in(UserFactory()).post(f"/images/{image.pk}/hide").status_code == 403
    signed_in(moderator).post(f"/images/{image.pk}/hide", {"reason": "not made with it"})
    assert Client().get(f"/images/{image.pk}").status_code == 404
    assert Client().get(f"/images/{image.pk}/w450.webp").status_code == 404
    assert f"/images/{image.pk}" not in text_of(Client(), f"/models/{version.entry_id}/gallery")
    page = text_of(signed_in(reader), f"/images/{image.pk}")
    assert "not made with it" in page
    signed_in(creator).post(f"/images/{image.pk}/hide", {"again": "1"})
    image.refresh_from_db()
    assert image.hidden_at, "a moderator's word"
    signed_in(moderator).post(f"/images/{image.pk}/hide", {"again": "1"})
    assert Client().get(f"/images/{image.pk}").status_code == 200


def test_its_uploader_the_creator_and_moderators_delete_it(version: Version, reader: User, creator: User, moderator: User) -> None:
    for user in (reader, creator, moderator):
        image = shown(reader, version)
        assert signed_in(UserFactory()).post(f"/images/{image.pk}/delete").status_code == 403
        signed_in(user).post(f"/images/{image.pk}/delete")
        assert not UserImage.objects.exists()


def test_ratings_bind_pages_and_the_cap_binds_bytes(version: Version, reader: User, settings: Any) -> None:
    image = shown(reader, version, rating=8)
    other = UserFactory(max_rating=16)
    assert "lighthouse" not in text_of(Client(), f"/images/{image.pk}")
    assert f"/images/{image.pk}" not in text_of(Client(), f"/models/{version.entry_id}/gallery")
    assert "lighthouse" in text_of(signed_in(other), f"/images/{image.pk}")
    assert Client().get(f"/images/{image.pk}/w450.webp").status_code == 200
    settings.MAX_RATING = 4
    for address in (f"/images/{image.pk}", f"/images/{image.pk}/w450.webp"):
        assert signed_in(other).get(address).status_code == 404
        assert signed_in(reader).get(address).status_code == 200


def test_only_moderators_lower_a_rating(version: Version, reader: User, moderator: User) -> None:
    image = shown(reader, version, rating=2)
    for user, wanted, is_now in ((reader, 4, 4), (reader, 1, 4), (moderator, 1, 1)):
        signed_in(user).post(f"/images/{image.pk}/rating", {"rating": str(wanted)})
        image.refresh_from_db()
        assert image.rating == is_now


def test_a_gallery_is_paged_and_chosen_from(version: Version, reader: User, monkeypatch: pytest.MonkeyPatch) -> None:
    from hub.web import imagepage

    monkeypatch.setattr(imagepage, "PAGE", 2)
    second = published_version(version.entry, name="v2", branch="v2")
    told = [shown(reader, version, toolimages.png({"parameters": toolimages.A1111, "n": str(n)})) for n in range(3)]
    plain = shown(reader, second, toolimages.png({}))
    address = f"/models/{version.entry_id}/gallery"
    first = text_of(Client(), address)
    assert [f"/images/{one.pk}" in first for one in (plain, told[2], told[1])] == [True, True, False]
    rest = Client().get(f"{address}?before={told[2].pk}", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in rest
    assert [f"/images/{one.pk}" in rest for one in (plain, told[1], told[0])] == [False, True, True]
    assert "More images" not in rest
    assert f"/images/{plain.pk}" not in text_of(Client(), f"{address}?told=1")
    only = text_of(Client(), f"{address}?version={second.pk}")
    assert [f"/images/{one.pk}" in only for one in (plain, told[2])] == [True, False]
    page = text_of(Client(), f"/images/{told[1].pk}?told=1")
    assert f'href="/images/{told[2].pk}?told=1" rel="prev"' in page
    assert f'href="/images/{told[0].pk}?told=1" rel="next"' in page
    assert "No image fits" in text_of(Client(), f"{address}?told=1&version={second.pk}")


def test_lists_cost_the_same_however_long(version: Version, reader: User) -> None:
    def queries(address: str) -> int:
        with CaptureQueriesContext(
            connection,
        ) as found:
            text_of(Client(), address)
        return len(found)

    addresses = [f"/models/{version.entry_id}/gallery", f"/{version.entry.owner.username}/{version.entry.slug}"]
    shown(reader, version)
    before = [queries(address) for address in addresses]
    for n in range(5):
        shown(UserFactory(), version, toolimages.png({"parameters": toolimages.A1111, "n": str(n)}))
    assert [queries(address) for address in addresses] == before


def test_the_page_of_an_image_costs_the_same_however_much_it_names(version: Version, reader: User) -> None:
    def queries(count: int) -> int:
        hashes = ", ".join(f"part{n}: {n:012x}" for n in range(1, count + 1))
        said = f'x\nSteps: 1, Sampler: Euler, Seed: {count}, Size: 8x8, Lora hashes: "{hashes}", Version: v1.10.1'
        image = shown(reader, version, toolimages.png({"parameters": said}))
        with CaptureQueriesContext(connection) as found:
            assert f"part{count}" in text_of(Client(), f"/images/{image.pk}")
        return len(found)

    assert queries(30) <= queries(3)


def test_the_box_has_its_size_and_colour_before_the_image_comes(version: Version, reader: User) -> None:
    image = shown(reader, version)
    page = text_of(Client(), f"/models/{version.entry_id}/gallery")
    assert f"background:{colour(image.file.blurhash)}" in page
    assert 'width="48" height="32"' in page
    assert "--r:1.500" in page


@pytest.mark.parametrize(("blurhash", "mean"), [("L02rs+fQfQfQfQfQfQfQfQfQfQfQ", "#"), ("", ""), ("L0\u00e9\u00e9\u00e9\u00e9", "")])
def test_the_colour_of_a_blurhash(blurhash: str, mean: str) -> None:
    found = colour(blurhash)
    assert found[:1] == mean
    assert len(found) in (0, 7)


def test_drafts_take_their_creators_images_alone(creator: User, reader: User) -> None:
    from tests.factories import VersionFactory

    draft: Any = VersionFactory(entry__owner=creator)
    assert signed_in(reader).get(form_of(draft)).status_code == 404
    assert signed_in(creator).get(form_of(draft)).status_code == 200
    assert StoredImage.objects.count() == 0
