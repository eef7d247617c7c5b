"""What this hub's renderer puts into a picture is read back exactly, whatever the prompt."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.imagemeta import of_bytes
from inference.diffusion import infotext
from tests import toolimages

PLAIN = toolimages.png({})
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=60)


@settings(max_examples=60, deadline=None)
@given(
    TEXT,
    TEXT,
    st.integers(0, 2**63),
    st.sampled_from([7.0, 6.5, 1.0]),
    st.dictionaries(st.text("abc:, é灯", min_size=1, max_size=9), st.just("ab" * 32)),
)
def test_every_picture_of_ours_is_read_back(prompt: str, negative: str, seed: int, cfg: float, loras: dict[str, str]) -> None:
    facts = infotext.Facts(prompt, negative, seed=seed, cfg_scale=cfg, model="tiny, v1", model_sha256="cd" * 32, loras=loras, clip_skip=2)
    text = infotext.write(facts)
    meta = of_bytes(infotext.embed(PLAIN, text))
    said = infotext.parse(text)
    assert (meta.tool, meta.parameters) == ("Weighhouse", text)
    assert (meta.prompt, meta.negative_prompt) == (said["Prompt"], said["Negative prompt"])
    assert (meta.settings["Seed"], meta.settings["CFG scale"], meta.settings["Clip skip"]) == (str(seed), f"{cfg:g}", "2")
    assert ("model", "tiny, v1", "cd" * 5) in {(one.kind, one.name, one.hash) for one in meta.resources}
    assert meta.not_understood == []
