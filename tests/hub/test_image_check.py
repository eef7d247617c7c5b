"""Images of people on their way in: refused by their form, decoded in a locked child, shown, and forgotten with their bytes."""

from __future__ import annotations

import base64
import io
import json
import struct
import zlib
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.storage import storages
from django.utils import timezone
from PIL import Image

from hub import imagecheck, imagedoor, imagepixels, pipeline
from hub.imagemeta import layout_of
from hub.tasks import check_image
from registry import images, imagestore, lifecycle
from registry.formats.errors import FormatError
from registry.images import NoImage
from registry.imagesizes import shown_size
from registry.lifecycle import ImageState
from registry.models import StoredImage, UserImage, Version
from tests import toolimages
from tests.factories import UserFactory, VersionFactory
from tests.imagerows import attached
from tests.intake import empty_queues


def webp(size: tuple[int, int], **how: Any) -> bytes:
    out = io.BytesIO()
    toolimages.picture(size).save(out, "WEBP", **how)
    return out.getvalue()


def png_of(width: int, height: int, body: bytes = b"") -> bytes:
    """A PNG that says to be this large, with next to no pixels in it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body or zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")


def moving() -> bytes:
    out = io.BytesIO()
    frames = [Image.new("RGB", (20, 20), (shade, 0, 0)) for shade in (0, 120)]
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:], duration=50)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "image:empty"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image:kind"),
        (b"GIF89a" + b"\0" * 40, "image:kind"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * (20 << 20), "image:size"),
        (png_of(60_000, 60_000), "image:pixels"),
        (png_of(16_384, 100), "image:pixels"),
        (moving(), "image:moving"),
        (toolimages.png({}) + b"PK\x03\x04hidden", "I-TRAILING"),
        (toolimages.png({})[:-20], "F-TRUNCATED"),
    ],
    ids=["empty", "svg", "gif", "large", "bomb", "wide", "moving", "polyglot", "cut"],
)
def test_the_form_is_refused_before_anything_is_decoded(data: bytes, code: str) -> None:
    with pytest.raises(FormatError) as refused:
        imagedoor.admitted(data)
    assert refused.value.code == code
    assert refused.value.sentence.endswith(".")


def test_the_child_is_locked_and_makes_plain_copies() -> None:
    made = imagecheck.look(toolimages.png({"parameters": toolimages.A1111}, size=(900, 600)))
    assert "seccomp" in made.sandbox
    assert (made.width, made.height, len(made.blurhash)) == (900, 600, 28)
    sizes = [(found.width, found.height) for found in map(layout_of, made.copies)]
    assert sizes == [(450, 300), (900, 600)]
    assert made.meta.parameters == toolimages.A1111
    for copy in made.copies:
        assert b"lighthouse" not in copy
        assert layout_of(copy).pieces == []


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1", "CMYK"])
def test_every_way_to_hold_colours_is_taken(mode: str) -> None:
    out = io.BytesIO()
    image = toolimages.picture((60, 40)).convert(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.new("L", image.size, 100))
    image.save(out, "JPEG" if mode == "CMYK" else "PNG")
    with Image.open(io.BytesIO(imagepixels_of(out.getvalue()))) as copy:
        assert copy.size == (60, 40)
        assert copy.mode == ("RGBA" if mode in ("LA", "RGBA") else "RGB")


def imagepixels_of(data: bytes) -> bytes:
    """The large copy, made in this process: the same code without its locks."""
    return base64.b64decode(imagepixels.made(data)["copies"][-1])


def test_a_photo_that_lies_on_its_side_is_put_upright() -> None:
    out, block = io.BytesIO(), Image.Exif()
    block[0x0112] = 6
    toolimages.picture((80, 40)).save(out, "JPEG", exif=block.tobytes(), quality=95)
    found = imagepixels.made(out.getvalue())
    assert (found["width"], found["height"]) == (40, 80)
    with Image.open(io.BytesIO(imagepixels_of(out.getvalue()))) as copy:
        assert copy.size == (40, 80)
        red, green, _ = copy.convert("RGB").getpixel((20, 10))  # type: ignore[misc]
        assert green > red, "the left half is the top now"


def test_very_tall_images_get_narrow_copies() -> None:
    found = imagepixels.made(webp((100, 4000)))
    with Image.open(io.BytesIO(imagepixels_of(webp((100, 4000))))) as copy:
        assert copy.size == (100, 4000)
    assert len(found["copies"]) == 2
    assert shown_size(100, 4000, 450) == (34, 1350)


def test_pixels_that_are_not_there_are_the_images_fault() -> None:
    with pytest.raises(FormatError, match="image:damaged"):
        imagecheck.look(png_of(3000, 3000))


@pytest.mark.parametrize(
    "said",
    [
        b"", b"[]", b"{}", b'{"answer": {}}', b'{"answer": {"width": 48, "height": 32, "blurhash": "<b>"}}',
        b'{"answer": 3, "sandbox": []}', b'{"error": {"code": 3, "sentence": 4}}',
    ],
)  # fmt: skip
def test_a_child_that_was_broken_out_of_is_not_believed(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagecheck, "run_child", lambda *args, **kwargs: (0, said))
    with pytest.raises(imagecheck.Trouble):
        imagecheck.look(toolimages.png({}))


@pytest.mark.parametrize("change", ["other size", "words inside", "no copy", "odd metadata"])
def test_copies_of_another_form_are_not_believed(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = imagepixels.made(toolimages.png({}))
    block = Image.Exif()
    block[0x010F] = "words"
    wrong = {
        "other size": webp((47, 32)), "words inside": webp((48, 32), exif=block.tobytes()), "no copy": b"<svg/>", "odd metadata": b"",
    }[change]  # fmt: skip
    if wrong:
        told["copies"][0] = base64.b64encode(wrong).decode()
    else:
        told["meta"]["prompt"] = ["x"]
    monkeypatch.setattr(imagecheck, "run_child", lambda *args, **kwargs: (0, json.dumps({"answer": told, "sandbox": []}).encode()))
    with pytest.raises(imagecheck.Trouble):
        imagecheck.look(toolimages.png({}))


@pytest.fixture
def version(creator: Any) -> Version:
    found: Any = VersionFactory(entry__owner=creator, status="published", entry__published_at=timezone.now(), entry__live=True)
    return found


@pytest.mark.django_db
@pytest.mark.parametrize("store", ["disk", "s3"])
def test_an_image_is_checked_shown_and_forgotten(version: Version, store: str, request: Any) -> None:
    if store == "s3":
        request.getfixturevalue("s3_stores")
    user = UserFactory()
    data = toolimages.png({"prompt": json.dumps(toolimages.GRAPH), "workflow": json.dumps(toolimages.WORKFLOW)})
    image = attached(user, version, data)
    assert (image.state, pipeline.TABLE[UserImage, image.state].queue) == ("received", "cpu")
    check_image(image.pk)
    image.refresh_from_db()
    file = image.file
    assert (image.state, file.tool, file.width, file.height) == ("shown", "ComfyUI", 48, 32)
    assert json.loads(file.workflow) == toolimages.WORKFLOW
    assert file.checked_at
    names = [file.stored_name, file.shown_name(450), file.shown_name(1600)]
    assert imagestore.original(file) == data
    assert all(storages["media"].exists(name) for name in names)
    images.delete(image, user)
    assert imagestore.collect() == 0, "too young"
    StoredImage.objects.update(created_at=timezone.now() - timedelta(hours=2))
    assert imagestore.collect() == 1
    assert not any(storages["media"].exists(name) for name in names)


@pytest.mark.django_db
def test_bytes_stay_while_another_needs_them(version: Version) -> None:
    first, second = UserFactory(), UserFactory()
    one, two = attached(first, version), attached(second, version)
    assert one.file_id == two.file_id
    images.delete(one, first)
    StoredImage.objects.update(created_at=timezone.now() - timedelta(hours=2))
    assert imagestore.collect() == 0


@pytest.mark.django_db
def test_a_damaged_image_is_refused_in_words_and_forgotten_after_a_week(version: Version) -> None:
    image = attached(UserFactory(), version, png_of(3000, 3000))
    check_image(image.pk)
    image.refresh_from_db()
    assert (image.state, image.error_code) == ("refused", "image:damaged")
    assert images.forget_old() == 0
    UserImage.objects.update(moved_at=timezone.now() - timedelta(days=8))
    assert images.forget_old() == 1


@pytest.mark.django_db
def test_trouble_of_ours_is_tried_again(version: Version, monkeypatch: pytest.MonkeyPatch) -> None:
    image = attached(UserFactory(), version)
    monkeypatch.setattr(imagecheck, "run_child", lambda *args, **kwargs: (1, b"traceback"))
    check_image(image.pk)
    image.refresh_from_db()
    assert (image.state, image.attempts) == ("received", 1)
    assert image.send_after > timezone.now()


@pytest.mark.django_db(transaction=True)
def test_the_sweep_finds_what_no_worker_heard_of(broker: str, version: Version) -> None:
    attached(UserFactory(), version)
    UserImage.objects.update(send_after=None)
    empty_queues()
    assert pipeline.sweep()["sent"] == 1
    assert pipeline.waiting_messages("cpu") == 1


@pytest.mark.django_db
def test_a_dead_workers_image_is_taken_back(version: Version) -> None:
    image = attached(UserFactory(), version)
    lifecycle.claim(image, ImageState.CHECKING)
    UserImage.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert lifecycle.reclaim(UserImage) == 1
    image.refresh_from_db()
    assert image.state == ImageState.RECEIVED


@pytest.mark.django_db
def test_images_of_deleted_versions_go_when_their_weights_go(version: Version) -> None:
    attached(UserFactory(), version)
    Version.objects.update(deleted_at=timezone.now() - timedelta(days=1))
    assert images.forget_old() == 0
    Version.objects.update(deleted_at=timezone.now() - timedelta(days=40))
    assert images.forget_old() == 1


@pytest.mark.django_db
def test_there_are_limits_for_everybody(version: Version, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    user = UserFactory()
    monkeypatch.setattr(images, "MAX_WAITING", 1)
    attached(user, version)
    with pytest.raises(NoImage, match="image:waiting"):
        attached(user, version, webp((10, 10)))
    UserImage.objects.update(state="shown")
    settings.USER_IMAGE_BYTES = 200
    with pytest.raises(NoImage, match="image:quota"):
        attached(user, version, webp((10, 10)))
    Version.objects.update(status="draft")
    version.refresh_from_db()
    with pytest.raises(NoImage, match="image:not-yours"):
        attached(UserFactory(), version)


@pytest.mark.django_db
def test_the_same_image_twice_is_one(version: Version) -> None:
    user = UserFactory()
    assert attached(user, version).pk == attached(user, version).pk
    assert UserImage.objects.count() == 1
