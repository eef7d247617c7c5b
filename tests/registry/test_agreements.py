"""Declared against proved: what is asked, what is not, how long an answer holds, and that nothing is published unanswered."""

from __future__ import annotations

from typing import Any

import pytest

from registry import agreements, catalog
from registry.identify.bases import TABLES
from registry.identify.rules import KINDS
from registry.models import File, Version
from registry.places import HIDDEN
from tests.factories import BlobFactory, EntryFactory, FileFactory, VersionFactory

pytestmark = pytest.mark.django_db

LORA = {"kind": "lora", "family": "SDXL", "base_model": "SDXL 1.0", "evidence": ["lora_unet_attn2_to_k.lora_down.weight [8, 2048]"]}
CHECKPOINT = {"kind": "checkpoint", "family": "SD 1.x", "base_model": "SD 1.5", "evidence": ["unet [320, 768]"]}
VAE = {"kind": "vae", "family": "SD 3 / Flux.1", "base_model": "", "evidence": []}


def version_of(owner: Any, *detected: dict[str, Any], kind: str = "checkpoint", base: str = "SD 1.5") -> Version:
    version = VersionFactory(entry=EntryFactory(owner=owner, kind=kind), base_model=base)
    for one in detected:
        add(version, one)
    return version


def add(version: Version, detected: dict[str, Any], **fields: Any) -> File:
    file: File = FileFactory(version=version, blob=BlobFactory(detected=detected), **fields)
    return file


def asked(version: Version) -> list[tuple[str, str, str, str]]:
    version = Version.objects.select_related("entry").get(pk=version.pk)
    found = agreements.unanswered(version, list(version.files.select_related("blob")))
    return [(one.about, one.declared, one.detected, one.suggestion) for one in found]


def test_both_contradictions_are_asked_with_their_evidence(creator: Any) -> None:
    version = version_of(creator, LORA)
    assert asked(version) == [("base_model", "SD 1.5", "SDXL", "SDXL 1.0"), ("kind", "checkpoint", "lora", "lora")]
    [first, _] = agreements.contradictions(version, list(version.files.all()))
    assert (first.evidence, first.file_name) == (tuple(LORA["evidence"]), version.files.get().name)


@pytest.mark.parametrize("base", ["SDXL 1.0", "SDXL Turbo", "Pony", "Illustrious", "NoobAI", "Other", "Something of mine"])
def test_what_tensors_cannot_tell_is_never_asked(creator: Any, base: str) -> None:
    assert asked(version_of(creator, LORA, kind="lora", base=base)) == []


@pytest.mark.parametrize(
    ("declared", "detected"),
    [
        ("checkpoint", "unet"), ("other", "unet"), ("other", "text_encoder"), ("controlnet", "controlnet"), ("lora", "other"),
        ("lora", ""), ("vae", "<b>"), ("embedding", "embedding"), ("other", "other"),
    ],
)  # fmt: skip
def test_a_kind_that_fits_or_proves_nothing_is_not_asked(creator: Any, declared: str, detected: str) -> None:
    assert asked(version_of(creator, {"kind": detected}, kind=declared)) == []


@pytest.mark.parametrize(
    ("declared", "detected", "suggestion"),
    [
        ("other", "lora", "lora"),
        ("lora", "checkpoint", "checkpoint"),
        ("checkpoint", "text_encoder", "other"),
        ("vae", "upscaler", "upscaler"),
    ],
)
def test_a_kind_that_contradicts_is_asked(creator: Any, declared: str, detected: str, suggestion: str) -> None:
    assert asked(version_of(creator, {"kind": detected}, kind=declared)) == [("kind", declared, detected, suggestion)]


@pytest.mark.parametrize("kind", sorted(TABLES))
def test_declaring_what_is_suggested_ends_every_question_that_identification_can_raise(creator: Any, kind: str) -> None:
    version = version_of(creator, kind="other", base="SD 1.5")
    file = add(version, {})
    for family, base in {(row.family, row.base) for row in TABLES[kind] if row.family}:
        file.blob.detected = {"family": family, "base_model": base}  # type: ignore[union-attr]
        for question in agreements.contradictions(version, [file]):
            version.base_model = question.suggestion
            assert agreements.contradictions(version, [file]) == [], (family, base)
            version.base_model = "SD 1.5"


def test_every_kind_that_identification_tells_can_be_declared() -> None:
    assert {rule.kind for rule in KINDS} - {"other"} == set(agreements.DECLARABLE)


def test_hearsay_of_the_metadata_is_no_proof(creator: Any) -> None:
    assert asked(version_of(creator, LORA | {"confidence": "metadata only"}, kind="lora")) == []
    assert asked(version_of(creator, LORA | {"confidence": "told by names"}, kind="lora")) != []


def test_each_question_has_its_own_evidence_without_folders(creator: Any) -> None:
    lines = {"evidence_base": ["[8, 2048]", "ss_sd_model_name = /home/ada/x"], "evidence_kind": ["lora_up"]}
    version = version_of(creator, LORA | lines)
    base, kind = agreements.contradictions(version, list(version.files.all()))
    assert (base.evidence, kind.evidence) == (("[8, 2048]", HIDDEN), ("lora_up",))


def test_a_helper_beside_the_model_is_no_question(creator: Any) -> None:
    shared_vae = VAE | {"family": "SD 1.x / SD 2.x / SDXL"}
    assert asked(version_of(creator, CHECKPOINT, shared_vae)) == []


def test_every_family_that_contradicts_is_asked_once(creator: Any) -> None:
    version = version_of(creator, CHECKPOINT, CHECKPOINT | {"family": "SDXL", "base_model": "SDXL 1.0"}, VAE, base="SD 2.1")
    assert [one[2] for one in asked(version)] == ["SD 1.x", "SDXL", "SD 3 / Flux.1"]


@pytest.mark.parametrize("state", ["failed", "quarantined", "danger", "scanning", "uploading"])
def test_a_refused_or_unread_file_asks_nothing(creator: Any, state: str) -> None:
    version = version_of(creator, CHECKPOINT)
    add(version, LORA, state=state)
    assert asked(version) == []


def test_variants_ask_nothing_of_their_own(creator: Any) -> None:
    version = version_of(creator, CHECKPOINT)
    add(version, LORA, role="derived", source=version.files.get())
    assert asked(version) == []


def test_nothing_is_published_until_it_is_answered(creator: Any) -> None:
    version = version_of(creator, LORA, kind="lora")
    with pytest.raises(catalog.Refused) as refused:
        catalog.publish(version)
    assert refused.value.code == "publish:unanswered"
    assert "base model is SD 1.5, but the tensors of" in refused.value.sentence
    assert "say SDXL" in refused.value.sentence
    catalog.answer(version, creator, about="base_model", keep=True, reason="The layers are  mapped\nby hand.")
    assert catalog.publish(version).status == "published"
    [kept] = agreements.contradictions(version, list(version.files.all()))
    assert (kept.answered, kept.reason) == (True, "The layers are mapped by hand.")


def test_one_answer_changes_the_declaration(creator: Any) -> None:
    version = version_of(creator, LORA)
    catalog.answer(version, creator, about="base_model", keep=False)
    catalog.answer(version, creator, about="kind", keep=False)
    version = Version.objects.select_related("entry").get(pk=version.pk)
    assert (version.base_model, version.entry.kind, asked(version)) == ("SDXL 1.0", "lora", [])
    assert catalog.publish(version).status == "published"


@pytest.mark.parametrize("family", ["SD 1.x / SD 2.x / SDXL", "SD 3 / Flux.1"])
def test_changing_to_what_several_families_share_ends_the_question(creator: Any, family: str) -> None:
    version = version_of(creator, VAE | {"family": family}, kind="vae", base="Wan Video")
    catalog.answer(version, creator, about="base_model", keep=False)
    assert asked(version) == []


def test_another_detection_asks_anew(creator: Any) -> None:
    version = version_of(creator, LORA, kind="lora")
    catalog.answer(version, creator, about="base_model", keep=True, reason="It works.")
    assert asked(version) == []
    add(version, LORA | {"family": "Flux.1", "base_model": "Flux.1 D"})
    assert asked(version) == [("base_model", "SD 1.5", "Flux.1", "Flux.1 D")]


def test_another_declaration_asks_anew_but_another_name_of_the_family_does_not(creator: Any) -> None:
    version = version_of(creator, LORA, kind="lora")
    catalog.answer(version, creator, about="base_model", keep=True, reason="It works.")
    catalog.change_version(version, base_model="SD 1.4")
    assert asked(version) == []
    catalog.change_version(version, base_model="Flux.1 D")
    assert asked(version) == [("base_model", "Flux.1 D", "SDXL", "SDXL 1.0")]


def test_a_published_version_stays_published_when_another_file_contradicts_it(creator: Any) -> None:
    version = catalog.publish(version_of(creator, CHECKPOINT))
    add(version, LORA)
    assert catalog.publish(version).status == "published"
    assert asked(version) == [("base_model", "SD 1.5", "SDXL", "SDXL 1.0")]


@pytest.mark.parametrize(
    ("answer", "code", "status"),
    [
        ({"about": "base_model", "keep": True}, "answer:no-reason", 400),
        ({"about": "base_model", "keep": True, "reason": " \n "}, "answer:no-reason", 400),
        ({"about": "base_model", "keep": True, "reason": "x" * 501}, "answer:too-long", 400),
        ({"about": "kind", "keep": True, "reason": "because"}, "answer:not-asked", 409),
        ({"about": "base_model", "keep": True, "reason": "because", "detected": "Flux.1"}, "answer:not-asked", 409),
        ({"about": "colour", "keep": False}, "answer:not-asked", 409),
    ],
)
def test_an_answer_that_answers_nothing_changes_nothing(creator: Any, answer: dict[str, Any], code: str, status: int) -> None:
    version = version_of(creator, LORA, kind="lora")
    with pytest.raises(catalog.NoAnswer) as refused:
        catalog.answer(version, creator, **answer)
    assert (refused.value.code, refused.value.status) == (code, status)
    assert asked(version) == [("base_model", "SD 1.5", "SDXL", "SDXL 1.0")]


def test_answering_again_replaces_the_reason(creator: Any) -> None:
    version = version_of(creator, LORA, kind="lora")
    for reason in ("First.", "Second."):
        catalog.answer(version, creator, about="base_model", keep=True, reason=reason)
    assert [row.reason for row in version.kept.all()] == ["Second."]
