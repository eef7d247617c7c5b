"""The model card: what it says of a version, that real readers read it, and that nothing in it is a stranger's to change."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from hypothesis import given
from hypothesis import strategies as st

from hub.api.huggingface import cards, generated
from registry.models import Entry, Tag, User, Version
from tests.factories import BlobFactory, EntryFactory, FileFactory, VersionFactory

HOSTILE = [
    "---\nlicense: mit\n---",
    "x: [y, {z: *a}]",
    "yes",
    "1:30",
    "0o17",
    "2026-01-01",
    "'\"\\",
    "!!python/object/apply:os.system [id]",
    "a\u202eb\u2028---\u2028c\x00",
    "# {{7*7}} | `` ` <script>",
]
TEXTS = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=40))


def version_with(**fields: Any) -> Version:
    """A version in memory alone: a card asks nothing of the database but tags, which are given here."""
    entry = Entry(pk=1, owner=User(username="ada"), slug="lantern", **{"kind": "lora", "name": "Lantern", **fields.pop("entry", {})})
    entry._prefetched_objects_cache = {"tags": fields.pop("tags", [])}  # type: ignore[attr-defined]
    return Version(entry=entry, **{"name": "v1", "branch": "v1", "base_model": "SD 1.5", **fields})


def metadata(text: str) -> Any:
    return ModelCard(text, ignore_metadata_errors=False).data.to_dict()


def test_what_a_card_says_of_a_lora() -> None:
    version = version_with(trigger_words=["paper lantern", "glow"], tags=[Tag(name="light")], entry={"spdx": "CC-BY-4.0"})
    assert cards.card_data(version) == {
        "license": "cc-by-4.0",
        "base_model": "stable-diffusion-v1-5/stable-diffusion-v1-5",
        "base_model_relation": "adapter",
        "library_name": "diffusers",
        "pipeline_tag": "text-to-image",
        "tags": ["diffusers", "text-to-image", "lora", "light", "stable-diffusion"],
        "instance_prompt": "paper lantern, glow",
    }


@pytest.mark.parametrize(
    ("spdx", "fields"),
    [
        ("", {"license": "other", "license_name": "permissions-of-the-creator"}),
        ("GPL-3.0-or-later", {"license": "gpl-3.0"}),
        ("MIT AND Apache-2.0", {"license": "other", "license_name": "MIT AND Apache-2.0"}),
    ],
)
def test_licences_in_the_hubs_own_words(spdx: str, fields: dict[str, str]) -> None:
    found = cards.card_data(version_with(entry={"spdx": spdx}))
    assert {key: found[key] for key in found if key.startswith("license")} == fields


def test_a_picture_is_shown_with_its_prompt() -> None:
    sample = cards.Sample("a \n--- cat", "https://hub.example.org/pictures/1.png")
    found = metadata(cards.readme(version_with(), [], "", [sample], []))
    assert found["widget"] == [{"text": "a --- cat", "output": {"url": sample.url}}]
    assert found["thumbnail"] == sample.url


@given(st.lists(TEXTS, min_size=1, max_size=3), TEXTS, TEXTS, TEXTS)
def test_no_text_of_a_creator_changes_what_a_card_says(words: list[str], name: str, tag: str, description: str) -> None:
    """Read by huggingface_hub, and by a reader of YAML that builds objects of nothing."""
    entry = {"name": name, "description": description, "spdx": name[:80]}
    text = cards.readme(version_with(trigger_words=words, tags=[Tag(name=tag)], entry=entry, description=description), [], "use", [], [])
    found = metadata(text)
    head = text.split("\n---\n", 1)[0].removeprefix("---\n")
    assert found.items() <= yaml.safe_load(head).items()
    assert set(yaml.safe_load(head)) <= {
        *("license", "license_name", "base_model", "base_model_relation", "library_name", "pipeline_tag", "tags", "instance_prompt")
    }
    assert all(isinstance(word, str) for word in [found["instance_prompt"], *found["tags"]])
    assert found["base_model"] == "stable-diffusion-v1-5/stable-diffusion-v1-5"


def test_the_same_state_gives_the_same_bytes_and_says_what_files_are_for(db: None) -> None:
    entry = EntryFactory(kind="lora", name="Lan|tern", description="# Not a heading of ours\n\n<b>bold</b>")
    version = VersionFactory(entry=entry, trigger_words=["a`b"], steps=20, cfg_scale=7.5, negative_prompt="blurry")
    file = FileFactory(version=version, name="x | y.safetensors", size_bytes=1_500_000)
    made = FileFactory(version=version, name="x.fp16.safetensors", role="derived", source=file, recipe={"keep": "all", "overflow": 3})
    pickle = FileFactory(version=version, name="x.pt", blob=BlobFactory(container="torch-zip"))
    texts = generated.texts(version, [file, made, pickle])
    assert texts == generated.texts(Version.objects.get(pk=version.pk), [pickle, file, made])
    assert set(texts) == {"README.md"}
    body = texts["README.md"].decode()
    assert "| `x \\| y.safetensors` | 1.5 MB | As its creator uploaded it. |" in body
    assert "take another file" in body
    assert "- ``a`b``" in body
    assert "- CFG scale: `7.5`" in body
    assert "> # Not a heading of ours" in body
    assert "&lt;b>bold" in body
    assert f'load_lora_weights("{entry.owner.username}/{entry.slug}", weight_name="x | y.safetensors", revision="v1")' in body
    assert "a pickle; everything that it imports is known" in body


def test_only_pictures_that_everybody_may_see_are_named(db: None, settings: Any, creator: Any) -> None:
    from tests.renderable import checkpoint_shapes, file_of, made, planned

    settings.PREVIEWS, settings.PUBLIC_URL = True, "https://hub.example.org"
    shown, hidden = (file_of(creator, checkpoint_shapes(), visibility=word).version for word in ("public", "private"))
    for version in (shown, hidden):
        made(planned(version.files.get()))
    assert 0 < len(generated.samples(shown)) <= cards.MAX_WIDGETS
    assert all(one.url.startswith("https://hub.example.org/pictures/") for one in generated.samples(shown))
    assert generated.samples(hidden) == []
    settings.PUBLIC_URL = ""
    assert generated.samples(shown) == []
