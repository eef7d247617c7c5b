"""The page on which a merge is put together: searching, what would come out, refusals that keep what was typed, and the work after it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from inference.models import Merge
from registry.models import Entry, File
from samples.layout import TINY
from tests.hub.web.test_preview_pages import signed_in
from tests.intake import drain
from tests.merges import checkpoint, ready, wanted, worked
from tests.tiny import lora_safetensors

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def a(creator: Any, tmp_path: Path) -> File:
    return checkpoint(creator, tmp_path / "alpha.safetensors", name="Alpha lantern")


@pytest.fixture
def b(stranger: Any, tmp_path: Path) -> File:
    return checkpoint(stranger, tmp_path / "beta.safetensors", name="Beta <b>lantern")


@pytest.fixture
def ada(creator: Any) -> Client:
    return signed_in(creator)


def told(client: Client, status: int = 200, **query: Any) -> str:
    answer = client.get("/merge", query)
    assert answer.status_code == status
    return answer.content.decode()


def send(client: Client, status: int, address: str = "/merge", **fields: Any) -> str:
    answer = client.post(address, {"method": "weighted_sum", "multiplier": "0.3", "precision": "keep", **fields})
    assert answer.status_code == status
    return answer["Location"] if status == 302 else answer.content.decode()


def test_an_address_names_the_files_and_the_page_says_what_comes_out(ada: Client, a: File, b: File) -> None:
    text = told(ada, a=a.pk, b=b.pk, multiplier="0.25")
    assert f'name="a" value="{a.pk}" checked' in text
    assert "0.75 of A and 0.25 of B." in text
    assert "Beta &lt;b&gt;lantern" in text
    assert 'data-outlook="ready"' in text
    assert "A mixture: at 0 all A" in text


def test_nothing_is_begun_by_looking(ada: Client, a: File, b: File) -> None:
    told(ada, a=a.pk, b=b.pk)
    send(ada, 200, "/merge/check", a=a.pk, b=b.pk, name="Blend")
    send(ada, 200, a=a.pk, b=b.pk, name="Blend")
    assert not Merge.objects.exists(), "only the button that says so orders a merge"


def test_files_are_searched_by_the_name_of_their_model(ada: Client, creator: Any, a: File, b: File, tmp_path: Path) -> None:
    hidden = checkpoint(b.version.entry.owner, tmp_path / "gamma.safetensors", name="Gamma lantern", visibility="private")
    text = send(ada, 200, q_b="lantern", find="b", name="Kept & safe", a=a.pk)
    choices = text.partition('id="choices-b"')[2].partition("</div>")[0]
    assert [f'value="{file.pk}"' in choices for file in (a, b, hidden)] == [True, True, False]
    assert 'value="Kept &amp; safe"' in text
    part = ada.get("/merge/files", {"role": "b", "q_b": "beta", "b": a.pk}).content.decode()
    assert part.startswith('<div id="choices-b"')
    assert f'value="{a.pk}" checked' in part, "what was chosen stays"
    assert f'value="{b.pk}"' in part
    assert "Nothing that you may merge" in ada.get("/merge/files", {"role": "vae", "q_vae": "lantern"}).content.decode()


def test_a_private_file_looks_like_one_that_does_not_exist(ada: Client, a: File, b: File) -> None:
    Entry.objects.filter(pk=b.version.entry_id).update(visibility="private", name="Hush hush")
    problems = {told(ada, a=a.pk, b=pk).partition('id="problem-b"')[2].partition("</p>")[0] for pk in (b.pk, 987654)}
    assert len(problems) == 1
    assert "no such file" in problems.pop()
    assert "Hush" not in told(ada, b=b.pk)


def test_what_cannot_work_is_said_with_its_reason(ada: Client, a: File, b: File) -> None:
    Entry.objects.filter(pk=b.version.entry_id).update(allow_derivatives=False)
    text = send(ada, 200, "/merge/check", a=a.pk, b=b.pk)
    assert 'data-outlook="refused"' in text
    assert "does not allow merges of it" in text
    assert "&lt;b&gt;" in text
    assert "Choose model B." in send(ada, 200, "/merge/check", a=a.pk)
    assert "Choose model C." in send(ada, 200, "/merge/check", a=a.pk, b=b.pk, method="add_difference")
    assert "These are 2 numbers" in send(ada, 200, "/merge/check", a=a.pk, b=b.pk, block_weights="0.5, 1")
    assert "input blocks" in send(ada, 200, "/merge/check", a=a.pk, b=a.pk, block_weights=",".join(["0.5"] * 19))


def test_the_licence_that_results_is_the_strictest(ada: Client, a: File, b: File) -> None:
    Entry.objects.filter(pk=b.version.entry_id).update(allow_no_credit=False, spdx="CC-BY-4.0", allow_different_license=True)
    text = send(ada, 200, "/merge/check", a=a.pk, b=b.pk)
    assert "Name the creator when you use it" in text
    assert "CC-BY-4.0" in text


@pytest.fixture
def lora(stranger: Any, tmp_path: Path) -> File:
    path = lora_safetensors(tmp_path / "glow.safetensors", width=TINY.unet[0], context=TINY.clip, metadata={})
    return ready(stranger, path, name="Glow <i>lantern", kind="lora")


def test_loras_are_searched_ticked_and_baked_in_with_their_strength(ada: Client, a: File, lora: File) -> None:
    part = ada.get("/merge/files", {"role": "lora", "q_lora": "glow", f"lora_{lora.pk}": "0.4"}).content.decode()
    assert f'name="lora" value="{lora.pk}">' in part
    assert f'name="lora_{lora.pk}" value="0.4"' in part
    assert "Glow &lt;i&gt;lantern" in part
    asked = {"a": a.pk, "method": "no_interpolation", "lora": lora.pk, f"lora_{lora.pk}": "0.4"}
    text = told(ada, **asked)
    assert f'name="lora" value="{lora.pk}" checked' in text
    assert "LoRA 1 added at strength 0.4" in text
    send(ada, 302, make="1", name="Baked", **asked)
    merge = Merge.objects.get()
    assert (merge.recipe["loras"], [row.role for row in merge.inputs.all()]) == ([0.4], ["a", "lora0"])
    Merge.objects.update(state="failed")
    page = ada.get(f"/my/merges/{merge.pk}").content.decode()
    assert f"lora={lora.pk}&amp;lora_{lora.pk}=0.4" in page, "the way back to the form keeps them"
    assert "Glow &lt;i&gt;lantern" in page


def test_loras_that_cannot_be_baked_in_are_refused_with_the_reason(ada: Client, a: File, b: File, lora: File, tmp_path: Path) -> None:
    asked = {"a": a.pk, "method": "no_interpolation"}
    other = ready(a.version.entry.owner, lora_safetensors(tmp_path / "wide.safetensors", metadata={}), name="Wide", kind="lora")
    assert 'data-outlook="refused"' in send(ada, 200, "/merge/check", lora=other.pk, **asked)
    assert 'data-outlook="refused"' in send(ada, 200, "/merge/check", lora=b.pk, **asked), "a checkpoint is no LoRA"
    assert "is a number from -10 to 10" in send(ada, 200, "/merge/check", **{"lora": lora.pk, f"lora_{lora.pk}": "nan"}, **asked)
    assert "At most 16 LoRAs" in send(ada, 200, "/merge/check", lora=list(range(1, 40)), **asked)
    Entry.objects.filter(pk=lora.version.entry_id).update(allow_no_credit=False)
    assert "Name the creator when you use it" in send(ada, 200, "/merge/check", lora=lora.pk, **asked), "its licence counts"
    Entry.objects.filter(pk=lora.version.entry_id).update(allow_derivatives=False)
    assert "does not allow merges of it" in send(ada, 200, "/merge/check", lora=lora.pk, **asked)
    Entry.objects.filter(pk=lora.version.entry_id).update(visibility="private")
    hidden, missing = (told(ada, lora=pk).partition('id="choices-lora"')[2].partition("</div>")[0] for pk in (lora.pk, 987654))
    assert hidden == missing
    assert "no such file" in hidden


def test_bad_input_keeps_everything(ada: Client, a: File, b: File) -> None:
    typed = {"multiplier": "eleven", "name": "Kept", "block_weights": "1,2", "discard": "ema", "file_name": "x.ckpt"}
    text = send(ada, 400, make="1", a=a.pk, b=b.pk, **typed)
    assert f'name="b" value="{b.pk}" checked' in text
    assert [name for name, kept in typed.items() if f'value="{kept}"' not in text] == []
    assert "Give the new model a name" in send(ada, 400, make="1", a=a.pk, b=b.pk)
    assert not Merge.objects.exists()


def test_a_merge_is_ordered_watched_and_ends_in_a_draft(ada: Client, stranger: Any, a: File, b: File) -> None:
    address = send(ada, 302, make="1", a=a.pk, b=b.pk, name="Blend", precision="fp16")
    merge = Merge.objects.get()
    assert address == f"/my/merges/{merge.pk}"
    text = ada.get(address).content.decode()
    assert "number 1 in the queue" in text
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in text
    assert 'hx-trigger="every 1500ms"' in text
    assert signed_in(stranger).get(address).status_code == 404
    worked(merge)
    drain()
    part = ada.get(address, headers={"HX-Request": "true"}).content.decode()
    assert part.startswith('<section id="merge-work"')
    assert f'href="/model-versions/{merge.result.version_id}"' in part
    assert f'href="/compare?v={a.version_id}&amp;v={b.version_id}&amp;v={merge.result.version_id}"' in part
    assert "hx-get" not in part
    assert merge.result.version.status == "draft"
    assert f"a={a.pk}&amp;b={b.pk}" in part


def test_a_merge_is_cancelled_and_tried_again_from_its_page(ada: Client, creator: Any, a: File, b: File) -> None:
    merge = wanted(creator, a, b)
    address = f"/my/merges/{merge.pk}"
    assert "It was cancelled" in ada.post(f"{address}/cancel", {"next": address}, follow=True).content.decode()
    Merge.objects.update(state="failed", error="Beta was withdrawn <b>.")
    assert "Beta was withdrawn &lt;b&gt;." in ada.get(address).content.decode()
    assert "number 1 in the queue" in ada.post(f"{address}/retry", {"next": address}, follow=True).content.decode()


def test_looking_takes_few_queries(ada: Client, a: File, b: File, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(30):
        told(ada, a=a.pk, b=b.pk)


def test_the_dial_tells_at_once_and_the_way_works_without_a_script(
    open_page: Callable[..., Any], sign_in: Callable[..., None], creator: Any, a: File, b: File
) -> None:
    page = open_page()
    sign_in(page, creator)
    page.goto(f"/merge?a={a.pk}")
    assert not page.locator("#q_c").is_visible(), "only add difference takes a C"
    page.locator("#q_b").press_sequentially("beta")
    page.locator("#choices-b").get_by_text("beta.safetensors").click()
    page.get_by_text("0.5 of A and 0.5 of B.").wait_for()
    page.locator('[data-dial="merge_multiplier"]').focus()
    page.keyboard.press("End")
    page.get_by_text("0 of A and 1 of B.").wait_for()
    assert page.locator("#merge_multiplier").input_value() == "1"
    plain = open_page(java_script_enabled=False, viewport={"width": 320, "height": 800})
    sign_in(plain, creator)
    plain.goto(f"/merge?a={a.pk}")
    plain.locator("#q_b").fill("beta")
    plain.locator("#q_b").press("Enter")
    plain.locator("#choices-b").get_by_text("beta.safetensors").click()
    plain.get_by_label("Name of the new model").fill("Blend")
    plain.get_by_role("button", name="Merge", exact=True).click()
    plain.wait_for_url("**/my/merges/*")
    assert Merge.objects.get().entry_name == "Blend"
