"""Hypernetworks saved as A1111 saves them and converted by the hub, against attention that is written out with torch's own modules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from inference.diffusion.hypernetwork import load_hypernetwork
from inference.diffusion.patching import applied
from inference.weights.convert import convert
from inference.weights.recipe import Recipe
from registry.formats.errors import FormatError
from tests import tiny as files
from tests.inference.diffusion.addon_files import State, given, numbers, tiny
from tests.opened_weights import opened

FUNCTIONS = {"relu": nn.ReLU, "swish": nn.Hardswish, "tanh": nn.Tanh, "gelu": nn.GELU}


class Trained(nn.Module):
    """One small network as A1111 trains it, built from its settings."""

    def __init__(self, width: int, settings: dict[str, Any], seed: int) -> None:
        super().__init__()
        structure, name = settings["layer_structure"], settings["activation_func"]
        modules: list[nn.Module] = []
        for number in range(len(structure) - 1):
            last = number == len(structure) - 2
            modules.append(nn.Linear(width * structure[number], width * structure[number + 1]))
            if name in FUNCTIONS and (not last or settings.get("activate_output", True)):
                modules.append(FUNCTIONS[name]())
            if settings["is_layer_norm"]:
                modules.append(nn.LayerNorm(width * structure[number + 1]))
            if settings.get("use_dropout") and not last:
                modules.append(nn.Dropout(0.3))
        self.linear = nn.Sequential(*modules).eval()
        for place, parameter in enumerate(self.parameters()):
            parameter.data = numbers(seed + place, *parameter.shape) * 0.4

    def forward(self, values: torch.Tensor, strength: float) -> torch.Tensor:
        return values + self.linear(values) * strength


Trainees = dict[int, tuple[Trained, Trained]]


class Written:
    """Attention written out: what the hypernetworks change goes into keys and values."""

    def __init__(self, nets: Trainees, strength: float) -> None:
        self.nets, self.strength = nets, strength

    def __call__(self, attn: Any, hidden_states: torch.Tensor, encoder_hidden_states: torch.Tensor | None = None, **_: Any) -> torch.Tensor:
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        keys = values = context
        if context.shape[-1] in self.nets:
            keys, values = (net(context, self.strength) for net in self.nets[context.shape[-1]])
        query, key, value = (
            made.unflatten(-1, (attn.heads, -1)).transpose(1, 2) for made in (attn.to_q(hidden_states), attn.to_k(keys), attn.to_v(values))
        )
        seen = torch.softmax(query @ key.transpose(2, 3) * attn.scale, -1) @ value
        return attn.to_out[0](seen.transpose(1, 2).flatten(2))


SETTINGS: dict[str, dict[str, Any]] = {
    "usual": {"layer_structure": [1, 2, 1], "activation_func": "relu", "is_layer_norm": False, "activate_output": False},
    "deep": {
        "layer_structure": [1, 2, 2, 1],
        "activation_func": "swish",
        "is_layer_norm": True,
        "activate_output": True,
        "use_dropout": True,
    },
    "old": {"layer_structure": [1, 2, 1], "activation_func": "tanh", "is_layer_norm": False},
    "linear": {"layer_structure": [1, 2, 1], "activation_func": "linear", "is_layer_norm": False, "use_dropout": True},
    "none": {"layer_structure": [1, 1], "activation_func": None, "is_layer_norm": True},
}


def trained(widths: tuple[int, ...], settings: dict[str, Any]) -> Trainees:
    return {width: (Trained(width, settings, width), Trained(width, settings, width + 50)) for width in widths}


def twin(folder: Path, nets: Trainees, settings: dict[str, Any]) -> Path:
    """The hub's safetensors twin of the .pt that A1111 would save."""
    root = {width: (keys.state_dict(), values.state_dict()) for width, (keys, values) in nets.items()}
    torch.save({**root, "step": 100, "name": "paper", **settings}, folder / "h.pt")
    convert(folder / "h.pt", files.read_directory(folder / "h.pt"), folder / "h.safetensors", Recipe())
    return folder / "h.safetensors"


def seen(family: str) -> torch.Tensor:
    """What the UNet makes of fixed noise and a fixed text."""
    unet = tiny(family).unet
    inputs: dict[str, Any] = {"encoder_hidden_states": numbers(5, 1, 7, unet.config.cross_attention_dim) * 3}
    if family == "sdxl":
        inputs["added_cond_kwargs"] = {"text_embeds": numbers(6, 1, 128), "time_ids": torch.ones(1, 6)}
    with torch.inference_mode():
        made: torch.Tensor = unet(numbers(4, 1, 4, 8, 8) * 3, 500, **inputs).sample
    return made


def written_out(family: str, nets: Trainees, strength: float) -> torch.Tensor:
    unet = tiny(family).unet
    own = unet.attn_processors
    unet.set_attn_processor(Written(nets, strength))
    try:
        return seen(family)
    finally:
        unet.set_attn_processor(own)


@pytest.mark.parametrize("kind", SETTINGS)
def test_keys_and_values_are_made_of_what_it_changes(tmp_path: Path, kind: str) -> None:
    nets = trained((64,), SETTINGS[kind])
    found = load_hypernetwork(opened(twin(tmp_path, nets, SETTINGS[kind])), tiny())
    plain = seen("sd1")
    with applied(tiny(), [(found, 0.6, None)]):
        changed = seen("sd1")
    torch.testing.assert_close(changed, written_out("sd1", nets, 0.6), rtol=1e-4, atol=1e-4)
    assert (changed - plain).abs().max() > 0.01
    assert torch.equal(seen("sd1"), plain), "it is off again"


def test_only_contexts_of_its_widths_change(tmp_path: Path) -> None:
    nets = trained((192, 128), SETTINGS["usual"])
    found = load_hypernetwork(opened(twin(tmp_path, nets, SETTINGS["usual"])), tiny("sdxl"))
    with applied(tiny("sdxl"), [(found, 0.6, None)]):
        changed = seen("sdxl")
    torch.testing.assert_close(changed, written_out("sdxl", nets, 0.6), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(changed, written_out("sdxl", {192: nets[192]}, 0.6), atol=1e-3)


def test_strength_zero_is_the_base(tmp_path: Path) -> None:
    found = load_hypernetwork(opened(twin(tmp_path, trained((64,), SETTINGS["usual"]), SETTINGS["usual"])), tiny())
    plain = seen("sd1")
    with applied(tiny(), [(found, 0.0, 1.0)]):
        assert torch.equal(seen("sd1"), plain)


def test_the_oldest_names_are_read(tmp_path: Path) -> None:
    nets = trained((64,), {**SETTINGS["linear"], "use_dropout": False})
    state: State = {}
    for which, net in enumerate(nets[64]):
        parts = net.state_dict()
        state |= {f"64.{which}.linear{n + 1}.{part}": parts[f"linear.{n}.{part}"] for n in (0, 1) for part in ("weight", "bias")}
    found = load_hypernetwork(given(tmp_path, state), tiny())
    with applied(tiny(), [(found, 1.0, None)]):
        changed = seen("sd1")
    torch.testing.assert_close(changed, written_out("sd1", nets, 1.0), rtol=1e-4, atol=1e-4)


def plain_state(width: int = 64, between: int = 1, **changes: torch.Tensor) -> State:
    """Two linear layers without settings, numbered with or without room for an activation."""
    state: State = {}
    for which in "01":
        state |= {f"{width}.{which}.linear.0.weight": torch.ones(2 * width, width), f"{width}.{which}.linear.0.bias": torch.ones(2 * width)}
        state |= {f"{width}.{which}.linear.{between}.weight": torch.ones(width, 2 * width)}
    return {**state, **changes}


@pytest.mark.parametrize(
    ("state", "metadata", "code", "words"),
    [
        (plain_state(320), {}, "render:other-family", "contexts of 320 numbers, and this model's texts have 64"),
        (plain_state(between=2), {}, "render:hypernetwork", "does not say which activation"),
        (plain_state(), {"weighhouse.value.activation_func": "softmax"}, "render:hypernetwork", r"activation \(softmax\) is not known"),
        ({"a.weight": torch.ones(2)}, {}, "render:hypernetwork", "a.weight is not of a hypernetwork"),
        ({n: t for n, t in plain_state().items() if ".1." not in n[:5]}, {}, "render:hypernetwork", "one of the two networks"),
        (plain_state(**{"64.0.linear.0.weight": torch.ones(128, 63)}), {}, "render:hypernetwork", "layer 0 for width 64 does not take"),
        (
            plain_state(**{"64.0.linear.0.weight": torch.ones(70_000, 64)}),
            {},
            "render:hypernetwork",
            "70,000 numbers; at most 65,536",
        ),
        (plain_state(**{"64.0.linear.0.bias": torch.ones(3)}), {}, "render:hypernetwork", "layer 0 for width 64"),
        (plain_state(**{"64.1.linear.1.weight": torch.ones(5, 128)}), {}, "render:hypernetwork", "the last layer gives 5 numbers"),
        (plain_state(**{"64.1.linear.5.bias": torch.ones(5)}), {"activation_func": "relu"}, "render:hypernetwork", "layer 5 for width 64"),
        (plain_state(**{"64.0.linear.0.bias": torch.full((128,), torch.nan)}), {}, "render:hypernetwork", "NaN or infinity"),
        (plain_state(**{"64.0.linear.0.bias": torch.ones(128).long()}), {}, "render:element-type", "is of type I64"),
    ],
    ids=range(12),
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, state: State, metadata: dict[str, str], code: str, words: str) -> None:
    with pytest.raises(FormatError, match=words) as caught:
        load_hypernetwork(given(tmp_path, state, {"format": "pt", **metadata}), tiny())
    assert caught.value.code == code
