"""What pages say of variants: the offer to make more, how each was made, and the warning of values that became infinite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from hub import outcomes
from hub.web import filelist
from inference.models import Derivative
from registry import catalog
from registry.models import File
from tests.factories import BlobFactory, EntryFactory, FileFactory, VersionFactory
from tests.inference.test_making import overflowing
from tests.intake import drain, published_lightning, upload_path

pytestmark = pytest.mark.django_db

BF16 = {"keep": "weights", "precision": "bf16"}


@pytest.fixture
def checkpoint(at_rest: Any, creator: Any) -> File:
    """A published checkpoint with averages, and all that is made of it unasked."""
    return at_rest(published_lightning, creator)


@pytest.fixture
def loud(at_rest: Any, creator: Any) -> File:
    """The fp16 variant of a published checkpoint that fp16 cannot hold."""
    return at_rest(loud_variant, creator)


def loud_variant(creator: Any, folder: Path) -> File:
    version: Any = VersionFactory(entry=EntryFactory(owner=creator))
    upload_path(version, creator, overflowing(folder / "loud.safetensors"))
    drain()
    catalog.publish(version)
    return File.objects.get(version=version, role="derived")


def page(client: Client, file: File) -> str:
    return client.get(f"/file/{file.pk}").content.decode()


def test_only_its_owner_is_offered_variants(client: Client, checkpoint: File, creator: Any, stranger: Any, moderator: Any) -> None:
    for user, sees in ((None, False), (stranger, False), (creator, True), (moderator, True)):
        client.logout()
        if user:
            client.force_login(user)
        assert ("Make another variant" in page(client, checkpoint)) is sees


def test_what_was_made_is_linked_and_the_rest_can_be_asked_for(client: Client, checkpoint: File, creator: Any) -> None:
    client.force_login(creator)
    text = page(client, checkpoint)
    assert text.count('data-recipe="') == 8
    assert text.count(">Look at it<") == 2
    answer = client.post(f"/file/{checkpoint.pk}/variants", {"recipe": "weights-bf16"}, follow=True)
    assert "is being made" in answer.content.decode()
    assert Derivative.objects.get(source=checkpoint, recipe=BF16).state == "wanted"
    assert (
        "is under way already" in client.post(f"/file/{checkpoint.pk}/variants", {"recipe": "weights-bf16"}, follow=True).content.decode()
    )
    drain()
    assert page(client, checkpoint).count(">Look at it<") == 3


@pytest.mark.parametrize("recipe", ["", "weights", "weights-fp8", "some-fp16", "weights-fp16-", "-"])
def test_what_is_no_recipe_is_refused_in_words(client: Client, checkpoint: File, creator: Any, recipe: str) -> None:
    client.force_login(creator)
    answer = client.post(f"/file/{checkpoint.pk}/variants", {"recipe": recipe}, follow=True)
    assert "Choose one of the variants in the list." in answer.content.decode()


def test_strangers_cannot_ask(client: Client, checkpoint: File, stranger: Any) -> None:
    assert client.post(f"/file/{checkpoint.pk}/variants", {"recipe": "weights-bf16"}).status_code == 302
    client.force_login(stranger)
    assert client.post(f"/file/{checkpoint.pk}/variants", {"recipe": "weights-bf16"}).status_code == 403
    assert not Derivative.objects.filter(source=checkpoint, recipe=BF16).exists()


def test_a_derived_file_shows_how_it_was_made(client: Client, checkpoint: File) -> None:
    small = File.objects.get(source=checkpoint, recipe__keep="weights")
    text = page(client, small)
    shown = outcomes.shown(small)
    assert shown is not None
    assert "How it was made" in text
    assert " rounded, largest error " in shown.compared
    assert shown.compared in text
    assert "EMA: 686 tensors" in text
    assert "Training state: 120 tensors" in text
    assert 'data-warning="overflow"' not in text
    assert "How it was made" not in page(client, checkpoint)


def test_the_twin_shows_that_every_tensor_is_equal(client: Client, checkpoint: File) -> None:
    twin = File.objects.get(source=checkpoint, recipe__keep="all")
    assert "1,819 tensors, all equal to the source&#x27;s." in page(client, twin)


def test_values_that_became_infinite_are_warned_of_everywhere(client: Client, loud: File, creator: Any) -> None:
    sentence = "3 values became infinite in fp16: use bf16 or fp32 instead."
    assert sentence in page(client, loud)
    assert "Take this one to make pictures" not in page(client, loud)
    assert sentence in page(client, loud.source)  # type: ignore[arg-type]
    assert sentence in client.get(f"/{creator.username}/{loud.version.entry.slug}").content.decode()
    answer = client.get(f"/api/hub/files/{loud.pk}").json()
    assert answer["outcome"]["warning"] == sentence
    assert answer["outcome"]["losses"]["overflow"] == answer["recipe"]["overflow"] == 3
    assert answer["outcome"]["lossy"]["model.diffusion_model.out.2.bias"]["overflow"] == 2


def test_a_variant_that_has_infinite_values_is_praised_no_more(client: Client, loud: File, creator: Any) -> None:
    client.force_login(creator)
    text = page(client, loud.source)  # type: ignore[arg-type]
    row = text[text.index('data-recipe="weights-fp16"') :].partition("</tr>")[0]
    assert "3 values became infinite in fp16" in row
    assert "the same for nearly everyone" not in row


def test_a_variant_with_infinite_values_is_never_recommended(client: Client, loud: File) -> None:
    files = list(File.objects.filter(version=loud.version).select_related("blob"))
    assert len(files) == 2
    best = filelist.recommended(files)
    assert best == loud.source
    assert filelist.recommended([loud]) is None
    answer = client.get(f"/api/download/models/{loud.version_id}")
    assert answer.status_code == 307
    assert "loud.safetensors" in answer.headers["Location"]


@pytest.mark.parametrize(
    ("error", "said"), [(0.0004, "0.0004"), (6.12e-05, "0.000061"), (15.0, "15"), (1.24, "1.2"), (1024.0, "1,024"), (3.1e-11, "3.1e-11")]
)
def test_errors_are_said_in_two_digits(error: float, said: str) -> None:
    assert outcomes._number(error) == said


def test_reports_of_earlier_converters_are_shown_too(client: Client, creator: Any) -> None:
    """What version 1 wrote down had no aliases, no warnings and no count of NaN."""
    version: Any = VersionFactory(entry=EntryFactory(owner=creator))
    source = FileFactory(version=version)
    file: Any = FileFactory(version=version, source=source, role="derived", recipe={**BF16, "converter": "1"}, blob=BlobFactory())
    catalog.publish(version)
    old = {
        "converter": "1",
        "recipe": BF16,
        "comparison": {"equal": 2, "rounded": 1, "max_abs_error": 0.0004, "worst": "a"},
        "losses": {"overflow": 0, "underflow": 1204, "nonfinite": 1},
        "lossy": {"a": {"overflow": 0, "underflow": 1204, "nonfinite": 1}},
        "dropped": {},
        "notes": ["Something was seen."],
    }
    Derivative.objects.create(source=source, recipe=BF16, state="made", result=file, outcome=old)
    text = page(client, file)
    assert "2 tensors equal, 1 rounded, largest error 0.0004 in a." in text
    assert "1,204 values too small for bf16 became zero." in text
    assert "1 value had been infinite or NaN before." in text
    assert "Something was seen." in text
    assert client.get(f"/api/hub/files/{file.pk}").json()["outcome"]["comparison"]["nan_kept"] == 0


EVIL = "<script>alert(1)</script>\u202e"


def test_names_of_tensors_stay_text(client: Client, creator: Any) -> None:
    version: Any = VersionFactory(entry=EntryFactory(owner=creator))
    source = FileFactory(version=version)
    file: Any = FileFactory(version=version, source=source, role="derived", recipe=BF16, blob=BlobFactory())
    catalog.publish(version)
    bad = {
        "comparison": {"equal": 0, "rounded": 1, "max_abs_error": 1.0, "worst": EVIL},
        "losses": {"overflow": 0, "underflow": 1, "nonfinite": 0},
        "lossy": {EVIL: {"overflow": 0, "underflow": 1, "nonfinite": 0}},
        "dropped": {EVIL: {"count": 1, "size_bytes": 4, "examples": [EVIL]}},
        "aliases": {EVIL: EVIL},
        "notes": [EVIL],
        "values": [EVIL],
    }
    Derivative.objects.create(source=source, recipe=BF16, state="made", result=file, outcome=bad)
    text = page(client, file)
    assert "<script>alert(1)" not in text
    assert "\u202e" not in text
    assert text.count("&lt;script&gt;alert(1)") >= 7
    assert "\\u202e" not in client.get(f"/api/hub/files/{file.pk}").content.decode()
