"""What plain folders said in English is shown in the language of the page: real refusals and findings, and what must stay as it is."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from hub import fixedsentences, outcomes, variants
from hub.said import LONGEST, said
from inference import mergewords
from registry import names
from registry.formats.errors import FormatError
from registry.models import File
from scanner.pickles import scan
from tests.attacks import ATTACKS
from tests.factories import UserFactory
from tests.hub.published import published_entry, published_file, published_version

CHINESE = "zh-hans"


@pytest.fixture(autouse=True)
def chinese() -> Iterator[None]:
    with translation.override(CHINESE):
        yield


def test_a_refusal_is_translated_with_its_values() -> None:
    with pytest.raises(FormatError) as caught:
        names.clean_file_name("notes.txt")
    assert said(caught.value.sentence).startswith("notes.txt 看起来不像权重文件。")
    assert said("This file is failed. Variants are made of files that are ready.") == "此文件失败。变体由就绪的文件制作。"


def test_a_sentence_in_a_sentence_is_translated_too() -> None:
    whole = "`torch._utils._rebuild_tensor` is called in a way that torch never writes: it has the wrong number of arguments."
    assert said(whole) == "`torch._utils._rebuild_tensor` 的调用方式是 torch 从不写出的：参数个数不对。"


@pytest.mark.parametrize("attack", ATTACKS[::24], ids=lambda attack: attack.title)
def test_every_finding_of_a_real_scan_is_known(attack: Any) -> None:
    """So a pattern in the catalogue fits what the f-string beside it makes."""
    messages = {finding.message for finding in scan(io.BytesIO(attack.build()), name=attack.name).findings}
    assert messages
    assert [message for message in messages if said(message) == message] == []


def test_what_nobody_wrote_down_stays_and_english_pages_say_what_was_said() -> None:
    own = "ValueError: bad magic number"
    assert said(own) == own
    assert said(None) == ""
    with translation.override("en"):
        assert said("This upload has expired. Start a new one.") == "This upload has expired. Start a new one."


def test_values_are_text_and_nothing_else() -> None:
    """A name that looks like a place for a value, or like markup, is handed on as it is; characters that hide are shown."""
    name = "{row}{0}%s<b>.ckpt"
    shown = said(f"This version already has a file named {name}. Rename yours, or delete the other first.")
    assert shown == f"此版本已有名为 {name} 的文件。请给你的文件改名，或先删除另一个。"
    assert "\u202e" not in said("This file was made from a\u202eb by the hub. Ask for variants of that one.")


def test_a_hostile_text_costs_no_more_than_its_length() -> None:
    texts = [
        "This " * (LONGEST // 5),
        "{} " * (LONGEST // 3),
        ". " * (LONGEST // 2),
        "The render process ended before it was done (" * 80,
    ]
    said("warm")
    started = time.process_time()
    for text in texts:
        assert said(text, 10_000)
    assert time.process_time() - started < 0.5


def test_no_two_values_of_a_sentence_have_one_name() -> None:
    root = Path(fixedsentences.__file__).parent.parent
    found = {text for _, _, text in fixedsentences.sentences(root)}
    twice = [text for text in found if len(names := fixedsentences.VALUE.findall(text)) != len(set(names))]
    assert len(found) > 800
    assert twice == []


def test_a_merge_and_a_conversion_are_told_in_the_language_and_kept_in_english() -> None:
    recipe = {"method": "weighted_sum", "multiplier": 0.3, "precision": "fp16", "vae": True, "loras": [0.5]}
    told = mergewords.sentence(recipe)
    assert told == "A 的 0.7 加 B 的 0.3；换用另一个 VAE；以强度 0.5 加入 LoRA 1；以半精度（fp16）保存。"
    kept = mergewords.for_all(mergewords.sentence, recipe)
    assert kept == "0.7 of A and 0.3 of B; another VAE in place of its own; LoRA 1 added at strength 0.5; stored in half precision (fp16)."
    assert mergewords.for_all(mergewords.title, recipe) == "Weighted sum 0.3"
    made: Any = SimpleNamespace(recipe={"overflow": 1200, "precision": "fp16"})
    assert outcomes.warning_of(made) == "1,200 个值在 fp16 下变为无穷大：请改用 bf16 或 fp32。"


@pytest.mark.django_db
@pytest.mark.usefixtures("stores")
def test_pages_translate_what_is_stored_and_programs_get_it_as_it_was_written(client: Client) -> None:
    owner = UserFactory()
    file = published_file(owner, b"told", version=published_version(published_entry(owner, slug="told")))
    error = "The checksum inside this file does not match its tensor data: the file is damaged. Upload an undamaged copy."
    File.objects.filter(pk=file.pk).update(state="failed", error=error, error_code="derive:checksum")
    client.force_login(owner)
    page = client.get(f"/file/{file.pk}", headers={"Accept-Language": CHINESE, "Accept": "text/html"}, follow=True)
    assert "此文件内的校验和与张量数据不符" in page.content.decode()
    answer = client.get(f"/api/hub/files/{file.pk}", headers={"Accept-Language": CHINESE, "Accept": "application/json"})
    assert error in answer.content.decode()
    refusal = variants.why_not(owner, File.objects.get(pk=file.pk))
    assert refusal is not None
    assert refusal.sentence == "This file is failed. Variants are made of files that are ready."


def test_several_things_in_a_row_are_told_each_in_the_language() -> None:
    assert said("a.safetensors, 19,047,774 bytes; b.safetensors, 12 bytes") == "a.safetensors，19,047,774 字节；b.safetensors，12 字节"
    assert said("The checkpoint ends before its last storage; upload the whole file.").endswith("请上传完整的文件。")
