"""Diffusers' configurations of checkpoints: of the published shapes as published, of narrow ones by the same rules."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from hub.api.huggingface import configs, generated
from inference.diffusion import vocabulary
from inference.diffusion.families import describe
from inference.models import PreviewSettings
from registry.models import Version
from tests.inference.diffusion.published import TEXTS, UNETS, VAE
from tests.inference.diffusion.test_families import PUBLISHED, sd2_shapes
from tests.processes import ROOT
from tests.renderable import checkpoint_shapes, file_of, lora_shapes


def loaded(texts: dict[str, bytes], path: str) -> Any:
    return json.loads(texts[path])


@pytest.mark.parametrize("family", PUBLISHED)
def test_published_shapes_give_the_published_configurations(family: str) -> None:
    texts = configs.layout(describe(PUBLISHED[family][0](), prediction=PUBLISHED[family][1]))
    unet, vae = loaded(texts, "unet/config.json"), loaded(texts, "vae/config.json")
    assert {key: unet[key] for key in UNETS[family] if key in unet}.items() <= UNETS[family].items()
    assert {key: vae[key] for key in VAE} == VAE
    kind = family if family in TEXTS else family.split("-")[0]
    encoders = [loaded(texts, path) for path in sorted(texts) if path.startswith("text_encoder")]
    assert [{key: found[key] for key in wanted} for found, wanted in zip(encoders, TEXTS[kind], strict=True)] == TEXTS[kind]


def test_every_named_part_has_its_folder() -> None:
    for family, (shapes, prediction, _, _) in PUBLISHED.items():
        texts = configs.layout(describe(shapes(), prediction=prediction))
        index = loaded(texts, "model_index.json")
        parts = {name for name, told in index.items() if isinstance(told, list) and told[0]}
        assert {path.split("/")[0] for path in texts if "/" in path} == parts, family


def test_velocity_models_are_sampled_as_such() -> None:
    found = loaded(configs.layout(describe(sd2_shapes(), prediction="v_prediction")), "scheduler/scheduler_config.json")
    assert (found["_class_name"], found["prediction_type"]) == ("DDIMScheduler", "v_prediction")
    marked = {**sd2_shapes(), "v_pred": (0,), "ztsnr": (0,)}
    zero = loaded(configs.layout(describe(marked)), "scheduler/scheduler_config.json")
    assert (zero["rescale_betas_zero_snr"], zero["timestep_spacing"]) == (True, "trailing")


def test_schedulers_know_every_key(recwarn: pytest.WarningsRecorder) -> None:
    import diffusers

    for shapes, prediction, _, _ in PUBLISHED.values():
        found = loaded(configs.layout(describe(shapes(), prediction=prediction)), "scheduler/scheduler_config.json")
        made = getattr(diffusers, found["_class_name"]).from_config(found)
        assert found.items() <= dict(made.config).items()
    assert not recwarn.list


def test_without_the_vocabulary_only_tokenizers_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = describe(PUBLISHED["sd1"][0]())
    whole = configs.layout(found)
    monkeypatch.setattr(vocabulary, "PACKAGE", "no_such_package_at_all")
    vocabulary.installed.cache_clear()
    configs._tokenizer.cache_clear()
    try:
        assert set(whole) - set(configs.layout(found)) == {path for path in whole if path.startswith("tokenizer/")}
        assert not configs.has_tokenizers()
    finally:
        vocabulary.installed.cache_clear()
        configs._tokenizer.cache_clear()


def test_the_web_process_needs_no_torch_for_them() -> None:
    code = (
        "import os, sys, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'hub.settings'; django.setup(); "
        "from hub.api.huggingface import generated, wellknown; "
        "assert len(wellknown.find('stabilityai', 'stable-diffusion-xl-base-1.0').contents) > 10; "
        "bad = {'torch', 'diffusers', 'transformers', 'tokenizers', 'open_clip', 'huggingface_hub'} & set(sys.modules); assert not bad, bad"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def texts_of(version: Version) -> dict[str, bytes]:
    return generated.texts(version, list(version.files.select_related("blob", "source")))


def test_a_checkpoints_tree_has_its_configurations_and_says_how_to_use_them(creator: Any) -> None:
    version = file_of(creator, checkpoint_shapes(), name="tiny.safetensors").version
    texts = texts_of(version)
    assert loaded(texts, "unet/config.json")["block_out_channels"] == [64, 64, 64, 64]
    repo = f"ada/{version.entry.slug}"
    assert f'"https://huggingface.co/{repo}/blob/main/tiny.safetensors", config="{repo}", revision="v1"' in texts["README.md"].decode()


def test_an_addons_tree_has_none(creator: Any) -> None:
    assert set(texts_of(file_of(creator, lora_shapes()).version)) == {"README.md"}


def test_shapes_that_fit_nothing_cost_no_card(creator: Any) -> None:
    shapes = {name: shape for name, shape in checkpoint_shapes().items() if "middle_block" not in name and "to_k" not in name}
    version = file_of(creator, shapes, kind="checkpoint").version
    assert set(texts_of(version)) == {"README.md"}


@pytest.mark.parametrize(
    ("base", "owner", "wanted"), [("SD 2.1 768", "", "v_prediction"), ("SD 2.1", "", "epsilon"), ("SD 2.1", "v_prediction", "v_prediction")]
)
def test_a_persons_word_tells_what_tensors_cannot(creator: Any, base: str, owner: str, wanted: str) -> None:
    version = file_of(creator, sd2_shapes(), version={"base_model": base}).version
    if owner:
        PreviewSettings.objects.create(version=version, prediction=owner)
    assert loaded(texts_of(version), "scheduler/scheduler_config.json")["prediction_type"] == wanted
