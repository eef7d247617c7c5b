"""A dropped image leads to the models it was made with; it is neither decoded nor kept, and hostile ones are refused."""

from __future__ import annotations

import io
from typing import Any

import pytest

from registry.models import BlobHash
from tests.hub.web.test_finding import published
from tests.toolimages import A1111, png

pytestmark = pytest.mark.django_db


def asked(client: Any, data: bytes, name: str = "harbour.png") -> Any:
    file = io.BytesIO(data)
    file.name = name
    return client.post("/search/image", {"image": file})


def test_lists_the_models_here_and_those_that_are_not(client: Any, creator: Any, django_assert_max_num_queries: Any) -> None:
    lora, base = published(creator, "Harbour"), published(creator, "Seaside")
    BlobHash.objects.create(blob=base.files.get().blob, kind="SHA256", value="31E35C80FC" + "0" * 54)
    BlobHash.objects.create(blob=lora.files.get().blob, kind="AutoV3", value="0123456789AB")
    with django_assert_max_num_queries(3):
        page = asked(client, png({"parameters": A1111}))
    assert [one.file.version.entry.name for one in page.context["here"]] == ["Seaside", "Harbour"]
    assert {(one.resource.name, one.resource.hash) for one in page.context["missing"]} == {
        ("soft.vae", "c6a580b13a"),
        ("salty", "fedcba987654"),
    }
    text = page.content.decode()
    assert f"/v/{base.pk}" in text
    assert "fedcba987654" in text
    assert "made with A1111" in text


def test_private_models_are_not_told(client: Any, creator: Any) -> None:
    base = published(creator, "Seaside", visibility="private")
    BlobHash.objects.create(blob=base.files.get().blob, kind="SHA256", value="31E35C80FC" + "0" * 54)
    assert asked(client, png({"parameters": A1111})).context["here"] == []
    client.force_login(creator)
    assert len(asked(client, png({"parameters": A1111})).context["here"]) == 1


def test_what_an_image_says_is_escaped(client: Any) -> None:
    text = A1111.replace("seaside_v2", "<script>alert(1)</script>").replace("a lighthouse", "<img src=x onerror=alert(1)>")
    page = asked(client, png({"parameters": text}), "<svg onload=alert(1)>.png").content.decode()
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "<svg onload" not in page


def test_an_image_that_says_nothing(client: Any) -> None:
    assert "It names no models" in asked(client, png({})).content.decode()


@pytest.mark.parametrize("data", [b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF89a", b"\x89PNG\r\n\x1a\n" + b"\xff" * 99, b""])
def test_other_bytes_are_refused_in_words(client: Any, data: bytes) -> None:
    page = asked(client, data)
    assert page.status_code == 400
    assert 'role="alert"' in page.content.decode()


def test_too_large_a_body_is_refused_before_it_is_read(client: Any) -> None:
    page = client.generic("POST", "/search/image", b"", content_type="multipart/form-data; boundary=x", CONTENT_LENGTH=str(30 << 20))
    assert page.status_code == 413


def test_works_without_a_script(client: Any) -> None:
    page = client.get("/search/image").content.decode()
    assert 'enctype="multipart/form-data"' in page
    assert client.post("/search/image", {}).status_code == 400
