"""Where a version comes from: what is recorded, declared and inferred, who is told of whom, and what it costs."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from hub.lineage import Relative
from hub.web.lineage import DRAWN, ROW, side
from inference.models import Merge, MergeInput
from registry.models import Blob, BlobHash, Entry, File, TensorDigests, TensorIndex, User
from tests.factories import FileFactory
from tests.hub.published import published_entry, published_version

pytestmark = pytest.mark.django_db
EVIL = "<b>evil</b>\u202e"


def weights(owner: User, name: str, **entry: Any) -> File:
    return FileFactory(version=published_version(published_entry(owner, name=name, **entry)), name=f"{name}.safetensors".lower())


def merge_of(owner: User, result: File, multiplier: float = 0.3, **inputs: File) -> Merge:
    recipe = {"method": "weighted_sum", "multiplier": multiplier}
    merge = Merge.objects.create(owner=owner, recipe=recipe, state="made", result=result, file_name=result.name)
    for role, file in inputs.items():
        MergeInput.objects.create(merge=merge, role=role, file=file, sha256=file.sha256, name=file.name)
    return merge


def declare(file: File, **metadata: Any) -> None:
    said = {key: value if isinstance(value, str) else json.dumps(value) for key, value in metadata.items()}
    TensorIndex.keep(file.blob, {"container": "safetensors", "storages": [], "tensors": [], "metadata": said, "others": []})


def page(client: Client, file: File, **headers: str) -> str:
    response = client.get(f"/model-versions/{file.version_id}/lineage", headers=headers)
    assert response.status_code == 200
    return response.content.decode()


def words(text: str) -> str:
    return html.unescape(" ".join(re.sub(r"<[^>]*>", " ", text).split()))


@pytest.fixture
def family(creator: User) -> tuple[File, File, File]:
    a, b, blend = (weights(creator, name) for name in ("Alpha", "Beta", "Blend"))
    merge_of(creator, blend, a=a, b=b)
    return a, b, blend


def test_a_merge_made_here_names_its_parents_with_their_shares_and_they_name_it(client: Client, family: tuple[File, File, File]) -> None:
    a, b, blend = family
    text = page(client, blend)
    assert "Made from Weighted sum 0.3 Alpha v1 A 70 % recorded Beta v1 B 30 % recorded" in words(text)
    for file in (a, b):
        assert f'href="/model-versions/{file.version_id}"' in text
    assert "Merged into Blend v1 B 30 % recorded" in words(page(client, b))


def test_the_graph_reads_as_lists_and_its_drawing_is_silent(client: Client, family: tuple[File, File, File]) -> None:
    text = page(client, family[2])
    assert '<ul aria-labelledby="lineage-parents">' in text
    [drawing] = re.findall(r"<svg([^>]*)>", text[text.index("lineage-parents") : text.index('class="self"')])
    assert drawing.startswith(' aria-hidden="true"')


def test_lines_meet_in_the_middle_and_are_wider_for_larger_shares() -> None:
    drawn = side([Relative("recorded", "A", "a", share=90), Relative("recorded", "B", "b", share=10)], to_the_right=True)
    assert [width for _, width in drawn.lines] == [6.0, 2.0]
    assert all(path.endswith(f" {ROW}") for path, _ in drawn.lines)
    many = side([Relative("declared", "", str(number)) for number in range(9)], to_the_right=False)
    assert (len(many.shown), len(many.more), many.height) == (DRAWN, 9 - DRAWN, ROW * DRAWN)


def test_parents_that_may_not_be_seen_are_not_named(client: Client, family: tuple[File, File, File]) -> None:
    a, _, blend = family
    Entry.objects.filter(pk=a.version.entry_id).update(visibility="private")
    text = page(client, blend)
    assert "Alpha" not in text
    assert "A file that is not public, or not here A 70 % recorded" in words(text)


def test_children_that_may_not_be_seen_are_left_out(client: Client, family: tuple[File, File, File]) -> None:
    a, _, blend = family
    Entry.objects.filter(pk=blend.version.entry_id).update(visibility="unlisted")
    assert "Blend" not in page(client, a)
    client.force_login(blend.version.entry.owner)
    assert "Blend" in page(client, a)


def test_a_declared_recipe_links_what_is_here_and_says_that_nobody_checked(client: Client, creator: User) -> None:
    here, file = weights(creator, "Alpha"), weights(creator, "Blend")
    inner = {"primary_model_hash": "d" * 64, "interp_method": "No interpolation"}
    models = {here.sha256: {"name": "renamed", "sd_merge_recipe": inner}, "e" * 64: {"name": EVIL}, "d" * 64: {"name": "Ancestor"}}
    recipe = {"primary_model_hash": here.sha256, "secondary_model_hash": "e" * 64, "interp_method": "Weighted sum", "multiplier": 0.25}
    declare(file, sd_merge_recipe=recipe, sd_merge_models=models)
    text = page(client, file)
    assert f"Alpha v1 A 75 % declared <b>evil</b>\ufffd B 25 % declared {'e' * 10}…" in words(text)
    assert "<b>evil" not in text
    assert "Declared: the file says so, nobody checked." in words(text)
    assert "Earlier generations, as the file declares them Alpha v1 A 75 % declared Ancestor A 100 %" in words(text)


def test_a_lora_declares_what_it_was_trained_on(client: Client, creator: User) -> None:
    base, lora = weights(creator, "Base"), weights(creator, "Style", kind="lora")
    lora.blob.detected = {"training": {"base_sha256": base.sha256, "base_file": "base.ckpt"}}
    lora.blob.save()
    assert "Base v1 trained on declared" in words(page(client, lora))


def test_equal_tensors_elsewhere_are_inferred(client: Client, creator: User, stranger: User) -> None:
    mine, other, hidden = weights(creator, "Mine"), weights(stranger, "Other"), weights(stranger, "Hidden", visibility="private")
    for file in (mine, other, hidden):
        BlobHash.objects.create(blob=file.blob, kind="TENSORS", value="F" * 64)
        TensorDigests.objects.create(blob=file.blob, packed=b"", vae="a" * 64)
    text = words(page(client, mine))
    assert "Same weights elsewhere Inferred: these tensors are equal bit for bit" in text
    assert "All tensors Other v1 other.safetensors VAE Other v1" in text
    assert "Hidden" not in text


def test_files_made_here_stand_under_their_source(client: Client, creator: User) -> None:
    file = weights(creator, "Mine")
    FileFactory(
        version=file.version, name="mine-fp16.safetensors", role="derived", source=file, recipe={"keep": "weights", "precision": "fp16"}
    )
    assert "Files that this hub made of its files mine.safetensors mine-fp16.safetensors weights alone" in words(page(client, file))


def test_where_nothing_is_known_it_says_so(client: Client, creator: User) -> None:
    assert "Nothing is known of where this version comes from" in words(page(client, weights(creator, "Mine")))


def test_it_is_a_page_or_a_part_of_the_model_page(client: Client, family: tuple[File, File, File]) -> None:
    blend = family[2]
    assert "<!doctype html>" in page(client, blend)
    assert page(client, blend, HX_Request="true").lstrip().startswith('<section class="panel" id="lineage"')
    model = client.get(f"/model-versions/{blend.version_id}", follow=True).content.decode()
    assert f'hx-get="/model-versions/{blend.version_id}/lineage"' in model
    assert f'<a class="link" href="/model-versions/{blend.version_id}/lineage">' in model


def test_queries_do_not_grow_with_the_family(client: Client, creator: User, django_assert_max_num_queries: Any) -> None:
    a, b = weights(creator, "Alpha"), weights(creator, "Beta")
    merge_of(creator, weights(creator, "Blend 0"), a=a, b=b)
    page(client, a)
    with CaptureQueriesContext(connection) as one:
        page(client, a)
    for number in range(1, 8):
        merge_of(creator, weights(creator, f"Blend {number}"), a=a, b=b)
    with django_assert_max_num_queries(len(one)):
        page(client, a)
    assert len(one) <= 15


def test_what_was_trained_on_a_checkpoint_by_hash_is_its_child(client: Client, creator: User, stranger: User) -> None:
    base = weights(creator, "Alpha", kind="checkpoint")
    shown = {"Glow": {}, "Dusk": {"visibility": "private"}, "Mist": {}}
    for name, entry in shown.items():
        lora = weights(stranger, name, kind="lora", **entry)
        said = {"base_sha256": "0" * 64} if name == "Mist" else {"base_sha256": base.sha256, "base_file": "Alpha"}
        Blob.objects.filter(pk=lora.blob_id).update(detected={"kind": "lora", "training": said})
    text = words(page(client, base))
    assert "trained on it" in text
    assert [name in text for name in shown] == [True, False, False]
