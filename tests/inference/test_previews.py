"""What a version's previews show, by its kind, and why some have none: planned once, and anew when what they depend on changes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from inference import previewplans, previews, recipes, standardprompts
from inference.diffusion import jobs
from inference.models import FamilyBase, PreviewPlan, Render
from inference.renderlimits import NoRender
from registry import catalog
from registry.models import Blob, File, Version
from tests.factories import FileFactory, UserFactory, VersionFactory
from tests.flow_models import sd3_state
from tests.renderable import checkpoint_shapes, embedding_shapes, file_of, lora_shapes, made, planned, specs, vae_shapes

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def unasked(settings: Any) -> None:
    settings.PREVIEWS = True


def test_a_checkpoint_gets_the_standard_six_with_its_trigger_words(base: File) -> None:
    render = planned(base)
    assert (render.purpose, render.state, render.owner, render.base) == ("preview", "wanted", base.version.entry.owner, None)
    rows = specs(render)
    assert len(rows) == 6
    assert all("lanternlight" in row["prompt"] and "{" not in row["prompt"] for row in rows)
    assert [row["seed"] for row in rows] == list(range(1001, 1007))
    assert {(row["width"], row["negative_prompt"]) for row in rows} == {(128, standardprompts.NEGATIVE)}


def test_two_versions_are_rendered_with_the_same_prompts_and_seeds(creator: Any) -> None:
    first, second = (planned(file_of(creator, checkpoint_shapes(), name="x.safetensors")) for _ in range(2))
    assert specs(first) == specs(second)
    assert not set(first.shots.values_list("key", flat=True)) & set(second.shots.values_list("key", flat=True)), "other weights"


def test_a_lora_stands_at_three_strengths_beside_its_base(base: File, lora: File) -> None:
    render = planned(lora)
    assert (render.base, render.file, [one["file"] for one in render.files]) == (base, lora, [base.pk, lora.pk])
    rows = list(render.shots.filter(prompt_number=0))
    assert [row.label for row in rows] == ["strength 0 (base alone)", "strength 0.5", "strength 1"]
    assert [[one["strength"] for one in row.spec["addons"]] for row in rows] == [[], [0.5], [1.0]]
    assert {row.spec["prompt"] for row in rows} == {rows[0].spec["prompt"]}
    assert "inkwash, ink wash painting" in rows[0].spec["prompt"]
    assert len({row.spec["seed"] for row in rows}) == 1
    assert render.shots.count() == 18


def test_tags_among_trigger_words_stay_out_of_a_preview(creator: Any, base: File) -> None:
    file = file_of(creator, lora_shapes(), version={"trigger_words": ["<lora:ink:1>", "ink"]})
    previews.configure(file.version, base=base.version)
    assert all("<lora" not in row["prompt"] and "ink" in row["prompt"] for row in specs(planned(file)))


def test_an_embedding_stands_with_its_word_and_without(creator: Any, base: File) -> None:
    word = file_of(creator, embedding_shapes(), name="soft-glow.safetensors")
    previews.configure(word.version, base=base.version)
    render = planned(word)
    without, with_it = specs(render, 1)
    assert ("soft-glow" in without["prompt"], "soft-glow" in with_it["prompt"]) == (False, True)
    assert (without["addons"], with_it["addons"][0]["file"]) == ([], 1)
    assert len(specs(render)) == 12


@pytest.mark.parametrize("name", ["EasyNegative", "bad_hands-4", "ng_deep"])
def test_a_negative_embedding_stands_in_the_negative_prompt(creator: Any, base: File, name: str) -> None:
    word = file_of(creator, embedding_shapes(), name=f"{name}.safetensors")
    previews.configure(word.version, base=base.version)
    without, with_it = specs(planned(word), 0)
    assert without["prompt"] == with_it["prompt"]
    assert (name in without["negative_prompt"], name in with_it["negative_prompt"]) == (False, True)


def test_words_and_tags_tell_negative_embeddings_from_others(creator: Any) -> None:
    version = VersionFactory(entry__name="Soft light")
    assert previewplans.is_negative(version, "ngoc") is False
    catalog.set_tags(version.entry, ["Negative embedding"])
    assert previewplans.is_negative(Version.objects.get(pk=version.pk), "ngoc") is True


def test_a_vae_stands_beside_the_base_s_own(creator: Any, base: File) -> None:
    vae = file_of(creator, vae_shapes(), name="sharp.safetensors")
    previews.configure(vae.version, base=base.version)
    assert [shot.label for shot in planned(vae).shots.filter(prompt_number=0)] == ["the base's own VAE", "this VAE"]


def test_what_a_base_shows_already_is_not_rendered_again(creator: Any, base: File) -> None:
    previews.configure(base.version, prompts=["a red circle"])
    made(planned(base))
    vae = file_of(creator, vae_shapes())
    previews.configure(vae.version, base=base.version, prompts=["lanternlight, a red circle"])
    render = planned(vae)
    assert [shot.picture is not None for shot in render.shots.all()] == [True, False]
    assert render.steps_total == 20


def test_the_owner_s_prompts_and_settings_replace_the_standard_ones(creator: Any, base: File) -> None:
    Version.objects.filter(pk=base.version_id).update(steps=8, sampler="Euler a", cfg_scale=5, clip_skip=2, negative_prompt="grey")
    previews.configure(base.version, prompts=["a \x00red circle <lora:x:1>", "", "a {trigger} square"])
    first, second = specs(planned(File.objects.get(pk=base.pk)))
    assert (first["prompt"], second["prompt"]) == ("lanternlight, a red circle", "a lanternlight square")
    assert (first["steps"], first["sampler"], first["cfg_scale"], first["clip_skip"], first["negative_prompt"]) == (
        8,
        "Euler a",
        5.0,
        2,
        "grey",
    )
    previews.configure(base.version, negative_prompt="blue")
    assert {row["negative_prompt"] for row in specs(planned(File.objects.get(pk=base.pk)))} == {"blue"}


def test_wrong_settings_are_refused(creator: Any, stranger: Any, base: File, lora: File) -> None:
    secret = file_of(stranger, checkpoint_shapes(), visibility="private")
    for more, code in (
        ({"prompts": ["x"] * 13}, "preview:prompts"),
        ({"base": lora.version}, "preview:base"),
        ({"base": secret.version}, "preview:base"),
        ({"prediction": "guess"}, "preview:prediction"),
    ):
        with pytest.raises(NoRender) as caught:
            previews.configure(lora.version, **more)
        assert caught.value.code == code
    assert planned(lora).base == base


def test_asking_twice_changes_nothing(base: File) -> None:
    assert planned(base) == planned(base)
    assert Render.objects.count() == 1


def test_made_previews_stay_when_nothing_changed(base: File) -> None:
    render = made(planned(base))
    assert planned(base) == render


def test_what_pictures_depend_on_asks_for_new_ones(base: File, monkeypatch: Any) -> None:
    first = planned(base)
    previews.configure(base.version, prompts=["a cat"])
    second = planned(base)
    assert (second.state, second.shots.count()) == ("wanted", 1)
    assert list(Render.objects.all()) == [second], "what was cancelled for it shows nothing, and is gone"
    assert first.pk != second.pk
    monkeypatch.setattr("inference.previewplans.RENDERER_VERSION", "next")
    assert planned(base) != second
    File.objects.filter(pk=base.pk).update(blob=file_of(base.version.entry.owner, checkpoint_shapes()).blob)
    assert planned(File.objects.get(pk=base.pk)).files[0]["sha256"] != base.sha256


def test_a_lora_without_a_base_says_so_and_is_planned_when_one_appears(creator: Any, moderator: Any) -> None:
    lora = file_of(creator, lora_shapes(768), name="ink.safetensors")
    assert lora.blob.detected["family"] == "SD 1.x"
    plan = previews.want(lora.version)
    assert (plan.render, plan.code) == (None, "preview:no-base")
    status = previews.status(lora.version)
    assert status.kind == "waiting"
    assert status.sentence == "There is no base of the family SD 1.x to render it on: its owner can name one, or the admin a default."
    base = file_of(moderator, checkpoint_shapes())
    FamilyBase.objects.create(family="SD 1.x", version=base.version)
    PreviewPlan.objects.update(planned_at=timezone.now() - timedelta(seconds=11))
    previews.refresh()
    assert previews.status(lora.version).code == "preview:does-not-fit", "of the family, but of other widths"


def test_a_default_base_must_be_readable_by_the_owner(creator: Any, stranger: Any) -> None:
    vae = file_of(creator, vae_shapes())
    Blob.objects.filter(pk=vae.blob_id).update(detected={**vae.blob.detected, "family": "SD 1.x"})
    base = file_of(stranger, checkpoint_shapes(), visibility="private")
    FamilyBase.objects.create(family="SD 1.x", version=base.version)
    assert previews.want(vae.version).code == "preview:no-base"
    base.version.entry.visibility = "public"
    base.version.entry.save()
    assert planned(vae).base == base


def test_what_makes_no_pictures_says_why(creator: Any) -> None:
    upscaler = file_of(creator, {"model.0.weight": (64, 3, 3, 3), "model.1.sub.0.RDB1.conv1.0.weight": (32, 64, 3, 3)})
    assert (previews.want(upscaler.version).code, previews.status(upscaler.version).kind) == ("render:kind", "none")
    unet = file_of(creator, {name: shape for name, shape in checkpoint_shapes().items() if "diffusion_model" in name})
    assert previews.want(unet.version).code == "render:no-text-encoder"
    off = file_of(creator, checkpoint_shapes())
    previews.configure(off.version, enabled=False)
    assert previews.want(off.version).code == "preview:off"
    assert previews.shown(off.version) is None
    closed = file_of(UserFactory(is_active=False), checkpoint_shapes())
    assert previews.want(closed.version).code == "preview:owner"
    gguf = FileFactory(blob__container="gguf")
    assert previews.want(gguf.version).code == "render:not-safetensors"
    assert previews.want(VersionFactory()).code == "render:not-ready"


def test_the_uploaded_file_comes_before_its_twin_and_that_before_a_variant(creator: Any, base: File) -> None:
    pickle = FileFactory(version=base.version, name="dream.ckpt", blob__container="torch")
    variant = {"keep": "weights", "precision": "fp16", "converter": "1"}
    smaller = FileFactory(version=base.version, role="derived", source=pickle, recipe=variant, blob__detected=base.blob.detected)
    assert planned(base).file == base
    File.objects.filter(pk=base.pk).update(role="derived", source=pickle, recipe={"keep": "all", "precision": "keep", "converter": "1"})
    assert planned(base).file == base
    File.objects.filter(pk=base.pk).update(state="danger")
    assert previews.want(base.version).code == "render:no-tensors", "the variant is what is left, and no scan has listed its tensors"
    assert smaller.downloadable


def test_whether_the_hub_has_t5_is_part_of_what_sd3_shows_and_of_the_room_it_needs(creator: Any, settings: Any, tmp_path: Path) -> None:
    file = file_of(creator, {name: tuple(one.shape) for name, one in sd3_state().items()}, name="three.safetensors", size_bytes=700)
    Blob.objects.filter(pk=file.blob_id).update(detected={**file.blob.detected, "family": "SD 3"})
    file = File.objects.get(pk=file.pk)
    without = planned(file)
    (tmp_path / "t5.safetensors").write_bytes(b"x" * 300)
    settings.T5_DIR = str(tmp_path)
    with_it = planned(File.objects.get(pk=file.pk))
    assert (without.weight_bytes, with_it.weight_bytes) == (700, 1000)
    keys = [recipes.key_of(jobs.Shot("x"), render.files, None, "cpu") for render in (without, with_it)]
    assert keys[0] == keys[1], "a worker asks what its own hub has, not what was there when it was asked"
    settings.T5_DIR = ""
    assert recipes.key_of(jobs.Shot("x"), without.files, None, "cpu") != keys[0]
    plain = file_of(creator, checkpoint_shapes())
    assert "t5_bytes" not in planned(plain).files[0]


def test_what_lacked_t5_is_planned_again_once_the_hub_has_it(base: File, settings: Any) -> None:
    previews.refresh()
    PreviewPlan.objects.update(render=None, code="render:needs-t5")
    assert not previews.due().exists()
    settings.T5_DIR = "/srv/t5"
    assert list(previews.due()) == [base.version]
