"""The page of a model for who decides and downloads: which file and why, what else is needed, links to one file, settings to copy."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from inference.models import FamilyBase
from tests.factories import BlobFactory, FileFactory, UserFactory
from tests.hub.published import published_entry, published_version

pytestmark = pytest.mark.django_db

CHECKPOINT = {"kind": "checkpoint", "family": "SD 1.x", "parameters": 1_000_000_000, "has_vae": True, "has_text_encoder": True}


def model(kind: str = "checkpoint", detected: dict[str, Any] | None = None, **version: Any) -> Any:
    """A published version with an original and its half."""
    made = published_version(published_entry(UserFactory(), kind=kind), **version)
    original = FileFactory(version=made, name="full.ckpt", size_bytes=8_000_000_000, blob=blob("torch-zip", detected))
    half = {"keep": "weights", "precision": "fp16"}
    safe = {"blob": blob("safetensors", detected), "size_bytes": 2_000_000_000}
    FileFactory(version=made, name="half.safetensors", role="derived", source=original, recipe=half, **safe)
    return made


def blob(container: str, detected: dict[str, Any] | None) -> Any:
    return BlobFactory(container=container, detected=CHECKPOINT if detected is None else detected)


def address(version: Any) -> str:
    return f"/{version.entry.owner.username}/{version.entry.slug}"


def test_the_button_names_file_size_and_precision_and_the_page_says_why(client: Client) -> None:
    page = client.get(address(model())).content.decode()
    box = page[page.index('id="download"') : page.index("</section>", page.index('id="download"'))]
    assert "2.00 GB" in box
    assert "fp16" in box
    assert "half.safetensors" in box
    assert "For most people" in box
    assert "75 % less than the original" in page
    assert "Made by this hub from" in page
    assert "2.00 GB of GPU memory" in page


def test_a_visitors_wish_is_kept_in_a_cookie_and_a_members_with_the_account(client: Client) -> None:
    version = model()
    wish = {"memory_gb": "8", "purpose": "train", "form": "ckpt", "precision": "", "next": address(version)}
    answer = client.post("/settings/files", wish)
    assert (answer.status_code, answer["Location"]) == (302, address(version))
    assert client.cookies["files"].value == "8.train.ckpt."
    assert "Because you train or merge" in client.get(address(version)).content.decode()
    member = UserFactory()
    signed_in = Client()
    signed_in.force_login(member)
    signed_in.post("/settings/files", wish)
    assert "files" not in signed_in.cookies
    member.refresh_from_db()
    assert member.file_wish["purpose"] == "train"
    assert "full.ckpt" in signed_in.get(address(version)).context["page"].best.file.name
    client.post("/settings/files", {"purpose": "nonsense"})
    assert "For most people" in client.get(address(version)).content.decode()


def test_an_address_of_one_file_opens_its_version_and_marks_it(client: Client) -> None:
    newest = model()
    older = published_version(newest.entry, name="v0", base_model="SD 1.4", position=1, description="The first one.")
    file = FileFactory(version=older)
    answer = client.get(f"{address(newest)}?file={file.pk}")
    assert answer.context["page"].version == older
    assert answer.content.decode().count("filerow wanted") == 1
    for nobodys in ("999999999999999999", "x", "-1"):
        assert client.get(f"{address(newest)}?file={nobodys}").context["page"].version == newest
    text = client.get(address(newest)).content.decode()
    assert "SD 1.4" in text
    assert "The first one." in text


def test_a_file_of_a_draft_leads_nobody_to_it(client: Client) -> None:
    newest = model()
    draft = published_version(newest.entry, name="next", status="draft", published_at=None, position=1)
    assert client.get(f"{address(newest)}?file={FileFactory(version=draft).pk}").context["page"].version == newest


def test_settings_are_copied_as_a1111_reads_them(client: Client) -> None:
    settings = {"steps": 20, "cfg_scale": 5.5, "sampler": "Euler a", "vae": "a, b", "negative_prompt": "bad", "weight": 0.8}
    version = model("lora", {}, trigger_words=["shell"], **settings)
    text = client.get(address(version)).context["page"].settings_text
    assert text == '<lora:half:0.8>, shell\nNegative prompt: bad\nSteps: 20, Sampler: Euler a, CFG scale: 5.5, VAE: "a, b"'


def test_an_add_on_names_the_admins_base_for_its_family(client: Client) -> None:
    popular = model(base_model="SD 1.5")
    popular.entry.download_count = 50
    popular.entry.save()
    chosen = model()
    addon = model("lora", {"kind": "lora", "family": "SD 1.x"})
    assert client.get(address(addon)).context["page"].needs.rows[0].file.version == popular
    FamilyBase.objects.create(family="SD 1.x", version=chosen)
    needs = client.get(address(addon)).context["page"].needs
    assert [row.file.version for row in needs.rows] == [chosen]
    assert needs.command.count("curl") == 2
    assert "models/Lora/half.safetensors" in needs.command
    assert "models/Stable-diffusion/half.safetensors" in needs.command


@pytest.mark.parametrize("hidden", [{"visibility": "private"}, {"visibility": "unlisted"}, {"rating": 16}])
def test_no_base_is_named_that_the_visitor_would_not_find(client: Client, hidden: dict[str, Any]) -> None:
    base = model()
    for name, value in hidden.items():
        setattr(base.entry, name, value)
    base.entry.save()
    FamilyBase.objects.create(family="SD 1.x", version=base)
    page = client.get(address(model("lora", {"kind": "lora", "family": "SD 1.x"})))
    assert page.context["page"].needs.rows[0].file is None
    assert base.entry.slug not in page.content.decode()


def test_weights_without_vae_and_encoder_ask_for_both(client: Client) -> None:
    vae = model("vae", {"kind": "vae", "family": "Flux.1 / SD 3"})
    bare = model(detected={**CHECKPOINT, "kind": "unet", "family": "Flux.1", "has_vae": False, "has_text_encoder": False})
    needs = client.get(address(bare)).context["page"].needs.rows
    assert [(row.title, row.file and row.file.version) for row in needs] == [("A VAE", vae), ("Text encoders", None)]
    assert "T5-XXL" in needs[1].reason
    assert client.get(address(model())).context["page"].needs.rows == []


@pytest.mark.parametrize("kind", ["checkpoint", "lora"])
def test_the_page_asks_as_often_for_many_files_versions_and_bases_as_for_few(
    client: Client, kind: str, django_assert_max_num_queries: Any
) -> None:
    detected = {**CHECKPOINT, "kind": kind, "has_vae": False, "has_text_encoder": False}
    version = model(kind, detected)

    def asked() -> int:
        with django_assert_max_num_queries(40) as found:
            assert client.get(address(version)).status_code == 200
        return len(found)

    model()
    model("vae", {"kind": "vae", "family": "SD 1.x"})
    published_version(version.entry, name="old", description="x", position=9)
    FamilyBase.objects.create(family="SD 2.x", version=model())
    few = asked()
    for n in range(6):
        model()
        model("vae", {"kind": "vae", "family": "SD 1.x"})
        published_version(version.entry, name=f"old {n}", description="x", position=9)
        FileFactory(version=version, blob=blob("safetensors", detected))
    FamilyBase.objects.create(family="SD 1.x", version=model())
    assert asked() <= few


def test_texts_of_strangers_stay_text_in_every_part(client: Client) -> None:
    evil = "\"><script>alert(1)</script>'"
    words = dict.fromkeys(("sampler", "negative_prompt", "vae", "base_model", "name", "description"), evil)
    version = model("lora", {"kind": "lora", "family": evil}, trigger_words=[evil], **words)
    version.entry.spdx = evil
    version.entry.save()
    page = client.get(address(version)).content.decode()
    assert "<script>alert(1)" not in page
    assert "alert(1)" in page
