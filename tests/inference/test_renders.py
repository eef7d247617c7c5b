"""Who may ask for which pictures: limits say which they are, names find only what fits and may be seen, and nothing is made twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from inference import pictures, renders
from inference.models import Picture, Render, Shot
from inference.renderfiles import NoWeights
from inference.renderlimits import NoRender
from registry import lifecycle
from registry.formats.errors import FormatError
from registry.models import File
from tests.factories import FileFactory
from tests.renderable import checkpoint_shapes, embedding_shapes, file_of, lora_shapes, planned, vae_shapes, worker

pytestmark = pytest.mark.django_db


@pytest.fixture
def base(creator: Any) -> File:
    return file_of(creator, checkpoint_shapes(), name="lantern.safetensors")


@pytest.fixture
def lora(creator: Any) -> File:
    return file_of(creator, lora_shapes(), name="ink.safetensors", version={"weight": 0.8})


def specs(render: Render) -> list[dict[str, Any]]:
    return list(render.shots.values_list("spec", flat=True))


def asked(user: Any, file: File, **more: Any) -> Render:
    return renders.request(user, version_id=file.version_id, **{"prompt": "a red circle", "seed": 7, **more})


def refused(user: Any, file: File, **more: Any) -> FormatError:
    with pytest.raises(FormatError) as caught:
        asked(user, file, **more)
    assert not Render.objects.exists()
    return caught.value


def pictured(render: Render) -> None:
    """Every shot has its picture, as a worker would leave it."""
    for shot in render.shots.all():
        known = {"sha256": shot.key, "width": 64, "height": 64, "size_bytes": 1, "seed": 1, "parameters": "", "renderer": "1"}
        Shot.objects.filter(pk=shot.pk).update(picture=Picture.objects.create(key=shot.key, **known))


def test_a_checkpoint_is_rendered_at_its_own_size_with_the_usual_recipe(stranger: Any, base: File) -> None:
    render = asked(stranger, base, n_iter=2)
    assert (render.state, render.purpose, render.owner, render.file, render.base) == ("wanted", "txt2img", stranger, base, None)
    first, second = specs(render)
    assert (first["sampler"], first["schedule"], first["steps"], first["cfg_scale"]) == ("DPM++ 2M", "Karras", 20, 7.0)
    assert (first["width"], first["height"], first["clip_skip"], first["addons"]) == (128, 128, 1, [])
    assert (first["seed"], second["seed"]) == (7, 8)
    assert render.steps_total == 40
    assert render.files == [
        {"role": "checkpoint", "name": "lantern", "sha256": base.sha256, "size_bytes": 1000, "autov3": "", "file": base.pk}
    ]


def test_a_version_s_own_settings_are_taken_where_they_are_valid(creator: Any, stranger: Any) -> None:
    settings = {"sampler": "Euler a", "steps": 12, "cfg_scale": 5.5, "clip_skip": 2, "negative_prompt": "rain"}
    (spec,) = specs(asked(creator, file_of(creator, checkpoint_shapes(), version=settings)))
    assert (spec["sampler"], spec["schedule"], spec["steps"], spec["cfg_scale"], spec["clip_skip"]) == ("Euler a", "Normal", 12, 5.5, 2)
    assert spec["negative_prompt"] == "rain"
    wrong = {"sampler": "best one", "steps": 3000, "cfg_scale": -1.0, "clip_skip": 99}
    (spec,) = specs(asked(creator, file_of(creator, checkpoint_shapes(), version=wrong)))
    assert (spec["sampler"], spec["steps"], spec["cfg_scale"], spec["clip_skip"]) == ("DPM++ 2M", 20, 7.0, 1)
    (spec,) = specs(asked(creator, file_of(creator, checkpoint_shapes(), version=settings), sampler_name="Heun", negative_prompt=""))
    assert (spec["sampler"], spec["negative_prompt"]) == ("Heun", "")
    (spec,) = specs(asked(stranger, file_of(creator, checkpoint_shapes(), version={"sampler": "Euler a"}), scheduler="Karras"))
    assert (spec["sampler"], spec["schedule"]) == ("Euler a", "Karras")


@pytest.mark.parametrize(
    ("more", "code", "says"),
    [
        ({"width": 4096, "height": 4096}, "render:size", "1,048,576"),
        ({"width": 16384}, "render:size", "64 to 4096"),
        ({"width": 100, "height": 128}, "render:size", "multiples of 8"),
        ({"width": 32, "height": 64}, "render:size", "from 64 to"),
        ({"batch_size": 64}, "render:pictures", "1 to 16"),
        ({"batch_size": 5, "n_iter": 4}, "render:pictures", "1 to 16"),
        ({"n_iter": 0}, "render:pictures", "1 to 16"),
        ({"seed": 2**64}, "render:seed", "4,294,967,295"),
        ({"seed": -2}, "render:seed", "-1"),
        ({"steps": 0}, "render:steps", "1 to 100"),
        ({"steps": 101}, "render:steps", "1 to 100"),
        ({"steps": True}, "render:steps", "1 to 100"),
        ({"cfg_scale": float("nan")}, "render:cfg-scale", "0 to 30"),
        ({"cfg_scale": 31}, "render:cfg-scale", "0 to 30"),
        ({"clip_skip": 0}, "render:clip-skip", "1 to 12"),
        ({"prompt": "é" * 5_200}, "render:prompt", "10,240"),
        ({"negative_prompt": "x" * 10_300}, "render:prompt", "negative prompt"),
        ({"sampler_name": "Imaginary"}, "render:sampler", "Imaginary"),
        ({"prompt": "<lora:nothing:1>"}, "render:unknown-network", "nothing"),
        ({"prompt": "<lora:ink:1>" * 17}, "render:too-many-files", "at most 16"),
        ({"prompt": "<lora:ink:99>"}, "render:strength", "-10 to 10"),
        ({"base": {"version_id": 1}}, "render:base", "leave `base` out"),
        ({"loras": [{"version_id": 999_999_999}]}, "not_found", "not yours to see"),
        ({"loras": [{"file_id": 10**30}]}, "not_found", "not yours to see"),
    ],
)
def test_what_is_beyond_a_limit_is_refused_with_the_limit(
    creator: Any, base: File, lora: File, more: dict[str, Any], code: str, says: str
) -> None:
    error = refused(creator, base, **more)
    assert (error.code, says in error.sentence) == (code, True), error.sentence


def test_a_hub_with_a_gpu_renders_larger_pictures(creator: Any, base: File) -> None:
    worker("card", "cuda", largest=10**10)
    assert specs(asked(creator, base, width=2048, height=2048))[0]["width"] == 2048
    with pytest.raises(NoRender, match="4,194,304"):
        asked(creator, base, width=4096, height=4096)


def test_prompts_of_emoji_and_control_characters_are_kept_as_far_as_they_can_be_read(creator: Any, base: File) -> None:
    (spec,) = specs(asked(creator, base, prompt="a \x00cat\x1b 🐈‍⬛\r\nsecond\ud800 line"))
    assert spec["prompt"] == "a cat 🐈‍⬛\nsecond line"


def test_a_random_seed_is_drawn_once_and_kept(creator: Any, base: File) -> None:
    first, second = specs(asked(creator, base, seed=-1, batch_size=2))
    assert 0 <= first["seed"] < 2**32
    assert second["seed"] == first["seed"] + 1


def test_what_one_may_not_see_does_not_exist(creator: Any, stranger: Any) -> None:
    draft = file_of(creator, checkpoint_shapes(), published=False)
    private = file_of(creator, checkpoint_shapes(), visibility="private")
    for file in (draft, private):
        with pytest.raises(NoWeights) as caught:
            asked(stranger, file)
        assert (caught.value.code, caught.value.status) == ("not_found", 404)
        assert asked(creator, file).state == "wanted"


@pytest.mark.parametrize("state", ["queued", "scanning", "quarantined", "danger", "failed"])
def test_weights_that_are_not_ready_are_not_rendered(creator: Any, base: File, state: str) -> None:
    File.objects.filter(pk=base.pk).update(state=state)
    assert refused(creator, base).code == "render:not-ready"


def test_suspicious_bytes_are_rendered_only_when_released(creator: Any, base: File) -> None:
    base.blob.verdict = "suspicious"
    base.blob.save()
    assert refused(creator, base).code == "render:not-ready"
    base.blob.released = True
    base.blob.save()
    assert asked(creator, base).state == "wanted"


def test_withdrawn_versions_and_other_kinds_are_refused(creator: Any, base: File) -> None:
    upscaler = file_of(creator, {"model.0.weight": (64, 3, 3, 3), "model.1.sub.0.RDB1.conv1.0.weight": (32, 64, 3, 3)})
    assert refused(creator, upscaler).code == "render:kind"
    base.version.status = "withdrawn"
    base.version.save()
    assert refused(creator, base).code == "render:withdrawn"


def test_a_pickle_is_rendered_by_its_safetensors_twin_and_called_as_it_was_uploaded(creator: Any, base: File) -> None:
    pickle = FileFactory(version=base.version, name="dream.ckpt", blob__container="torch")
    File.objects.filter(pk=base.pk).update(role="derived", source=pickle, recipe={"keep": "all", "precision": "keep", "converter": "1"})
    render = asked(creator, base)
    assert (render.file, render.files[0]["name"]) == (base, "dream")


def test_a_checkpoint_that_lacks_parts_is_refused_with_the_reason(creator: Any) -> None:
    shapes = {name: shape for name, shape in checkpoint_shapes().items() if not name.startswith("cond_stage_model.")}
    assert refused(creator, file_of(creator, shapes)).code == "render:no-text-encoder"
    shapes = {name: shape for name, shape in checkpoint_shapes().items() if not name.startswith("first_stage_model.")}
    without = file_of(creator, shapes)
    assert refused(creator, without).code == "render:no-vae"
    vae = file_of(creator, vae_shapes())
    assert asked(creator, without, vae={"version_id": vae.version_id}).state == "wanted"


def test_tags_in_a_prompt_find_files_by_name_and_leave_it(stranger: Any, base: File, lora: File) -> None:
    render = asked(stranger, base, prompt="a <lora:INK:0.5:0.75> circle")
    (spec,) = specs(render)
    assert spec["prompt"] == "a  circle"
    assert spec["addons"] == [{"file": 1, "strength": 0.75, "text_strength": 0.5}]
    assert [one["file"] for one in render.files] == [base.pk, lora.pk]
    assert render.weight_bytes == 2000


def test_names_do_not_find_what_is_unlisted_private_or_a_draft(creator: Any, stranger: Any, base: File) -> None:
    for name, more in (("one", {"visibility": "unlisted"}), ("two", {"visibility": "private"}), ("three", {"published": False})):
        file_of(creator, lora_shapes(), name=f"{name}.safetensors", **more)
        assert refused(stranger, base, prompt=f"<lora:{name}:1>").code == "render:unknown-network"
    assert asked(creator, base, prompt="<lora:one:1><lora:two:1><lora:three:1>").weight_bytes == 4000


def test_of_files_of_one_name_the_own_one_is_taken(creator: Any, stranger: Any, base: File, lora: File) -> None:
    own = file_of(stranger, lora_shapes(), name="ink.safetensors", published=False)
    assert asked(stranger, base, prompt="<lora:ink:1>").files[1]["file"] == own.pk
    assert asked(creator, base, prompt="<lora:ink:1>").files[1]["file"] == lora.pk


def test_a_lora_for_another_family_is_refused(creator: Any, base: File) -> None:
    other = file_of(creator, lora_shapes(1024), name="other.safetensors")
    assert refused(creator, base, loras=[{"version_id": other.version_id}]).code == "render:does-not-fit"


def test_listed_add_ons_act_with_their_strength_or_the_recommended_one(creator: Any, base: File, lora: File) -> None:
    (spec,) = specs(asked(creator, base, loras=[{"version_id": lora.version_id}]))
    assert spec["addons"][0]["strength"] == 0.8
    (spec,) = specs(asked(creator, base, loras=[{"file_id": lora.pk, "strength": -0.5}], prompt="<lora:ink:1>"))
    assert [one["strength"] for one in spec["addons"]] == [-0.5], "the list's word holds, and a file acts once"


def test_a_list_takes_only_its_own_kind(creator: Any, base: File, lora: File) -> None:
    assert refused(creator, base, embeddings=[{"version_id": lora.version_id}]).code == "render:role"
    assert refused(creator, base, vae={"version_id": lora.version_id}).code == "render:role"


def test_an_embedding_must_be_called(creator: Any, base: File) -> None:
    word = file_of(creator, embedding_shapes(), name="glow.safetensors")
    wanted = [{"version_id": word.version_id}]
    assert refused(creator, base, embeddings=wanted).code == "render:word-missing"
    assert asked(creator, base, embeddings=wanted, prompt="a Glow cat").files[1]["name"] == "glow"
    assert asked(creator, base, embeddings=wanted, negative_prompt="glow").state == "wanted"


def test_an_add_on_is_rendered_on_a_base(creator: Any, base: File, lora: File) -> None:
    assert refused(creator, lora).code == "preview:no-base"
    assert refused(creator, lora, base={"version_id": lora.version_id}).code == "render:base"
    render = asked(creator, lora, base={"version_id": base.version_id})
    assert (render.file, render.base, render.version) == (lora, base, lora.version)
    assert specs(render)[0]["addons"] == [{"file": 1, "strength": 0.8, "text_strength": None}]


def test_open_renders_and_pictures_of_a_day_are_limited(creator: Any, stranger: Any, base: File, settings: Any) -> None:
    first = asked(creator, base)
    for seed in (1, 2):
        asked(creator, base, seed=seed)
    with pytest.raises(NoRender) as caught:
        asked(creator, base, seed=3)
    assert (caught.value.code, caught.value.status) == ("render:too-many", 429)
    assert asked(stranger, base).state == "wanted"
    renders.cancel(first)
    settings.RENDER_PICTURES_PER_DAY = 5
    with pytest.raises(NoRender, match="at most 5"):
        asked(creator, base, seed=3, batch_size=3)
    settings.RENDER_PICTURES_PER_DAY = 1
    Render.objects.filter(owner=stranger).update(steps_total=0, state="made")
    for _ in range(3):
        Render.objects.create(owner=stranger, version=base.version, file=base, state="made")
    with pytest.raises(NoRender, match="asked 4 times"):
        asked(stranger, base)
    settings.RENDER_PICTURES_PER_DAY = 5
    Render.objects.filter(owner=creator).update(created_at=timezone.now() - timedelta(days=2))
    assert asked(creator, base, seed=3, batch_size=3).state == "wanted"


def test_the_same_recipe_on_the_same_weights_is_not_rendered_again(creator: Any, stranger: Any, base: File) -> None:
    first = asked(creator, base, n_iter=2)
    pictured(first)
    again = asked(stranger, base, n_iter=2)
    assert (again.state, again.steps_total, again.outcome) == ("made", 0, {"cached": 2})
    assert [shot.picture_id for shot in again.shots.all()] == [shot.picture_id for shot in first.shots.all()]
    part = asked(stranger, base, n_iter=3)
    assert (part.state, part.steps_total) == ("wanted", 20)
    assert [shot.picture_id is None for shot in part.shots.all()] == [False, False, True]


@pytest.mark.parametrize("more", [{"steps": 21}, {"seed": 8}, {"prompt": "a blue circle"}, {"width": 136}, {"clip_skip": 2}])
def test_another_recipe_has_another_key(creator: Any, base: File, more: dict[str, Any]) -> None:
    assert asked(creator, base).shots.get().key != asked(creator, base, **more).shots.get().key


def test_a_key_follows_from_weights_strength_device_and_renderer(creator: Any, base: File, lora: File, monkeypatch: Any) -> None:
    def key(file: File = base, **more: Any) -> str:
        render = asked(creator, file, **more)
        found = str(render.shots.get().key)
        render.delete()
        return found

    other = file_of(creator, checkpoint_shapes(), name="lantern.safetensors")
    keys = [key(), key(other), *(key(loras=[{"file_id": lora.pk, "strength": strength}]) for strength in (0.5, 1.0))]
    assert key() == keys[0]
    worker("card", "cuda", largest=10**10)
    keys.append(key())
    monkeypatch.setattr("inference.recipes.RENDERER_VERSION", "next")
    keys.append(key())
    assert len(set(keys)) == len(keys)


def test_cancelling_and_trying_again_follow_the_life(creator: Any, base: File) -> None:
    render = asked(creator, base)
    assert renders.cancel(render).state == "cancelled"
    with pytest.raises(NoRender, match="cancelled already"):
        renders.cancel(render)
    render = lifecycle.fail(lifecycle.claim(asked(creator, base, seed=9), "rendering"), "x:y", "broken")
    Shot.objects.filter(render=render).update(error="black", error_code="render:black")
    assert renders.retry(render).state == "wanted"
    assert render.shots.get().error == ""
    with pytest.raises(NoRender, match="only a failed one"):
        renders.retry(render)


def test_a_cancel_that_meets_the_claim_still_cancels(creator: Any, base: File) -> None:
    seen = Render.objects.get(pk=asked(creator, base).pk)
    lifecycle.claim(Render.objects.get(pk=seen.pk), "rendering")
    assert renders.cancel(seen).state == "cancelled"


def test_renders_are_seen_by_whom_they_concern(creator: Any, stranger: Any, moderator: Any, base: File) -> None:
    render = asked(stranger, base)
    assert renders.find(stranger, render.pk) == renders.find(moderator, render.pk) == render
    with pytest.raises(NoRender) as caught:
        renders.find(creator, render.pk)
    assert caught.value.status == 404
    Render.objects.filter(pk=render.pk).update(purpose="preview", owner=creator)
    assert renders.find(stranger, render.pk).pk == render.pk, "previews of what one may read"
    assert not renders.may_change(stranger, renders.find(stranger, render.pk))


def test_lists_ask_a_constant_number_of_questions(creator: Any, base: File, django_assert_num_queries: Any) -> None:
    for seed in range(3):
        pictured(asked(creator, base, seed=10 * seed, n_iter=2))
    with django_assert_num_queries(3):  # renders, shots, pictures
        rows = list(renders.of(creator))
        assert [len([shot.picture for shot in row.shots.all()]) for row in rows] == [2, 2, 2]
        assert {row.version.entry.name for row in rows} == {base.version.entry.name}


def test_the_queue_lets_people_go_first(creator: Any, base: File) -> None:
    preview, first, second = (asked(creator, base, seed=seed) for seed in range(3))
    Render.objects.filter(pk=preview.pk).update(purpose="preview")
    rows = [Render.objects.get(pk=row.pk) for row in (first, second, preview)]
    assert [renders.place(row) for row in rows] == [1, 2, 3]
    assert renders.place(lifecycle.claim(rows[0], "rendering")) is None


def test_what_was_asked_for_long_ago_is_forgotten_and_what_waits_is_not(stranger: Any, base: File, settings: Any) -> None:
    settings.KEEP_RENDERS_DAYS = 30
    over, waiting, recent, preview = asked(stranger, base), asked(stranger, base, seed=8), asked(stranger, base, seed=9), planned(base)
    Render.objects.exclude(pk=waiting.pk).update(state="made")
    Render.objects.exclude(pk=recent.pk).update(moved_at=timezone.now() - timedelta(days=31))
    pictured(over)
    picture = Picture.objects.first()
    settings.KEEP_RENDERS_DAYS = 0
    assert renders.forget_old() == 0
    settings.KEEP_RENDERS_DAYS = 30
    assert renders.forget_old() == 1
    assert set(Render.objects.all()) == {waiting, recent, preview}
    Picture.objects.update(created_at=timezone.now() - timedelta(days=2))
    assert pictures.collect() == 1
    assert not Picture.objects.filter(pk=picture.pk).exists()  # type: ignore[union-attr]
