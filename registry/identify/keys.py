"""From the way a tensor has inside a file to the name that it has in the model: roots unwrapped, the rest set aside.

Tools wrap a model's weights in different roots; all of them treat what lies beside the root as training state.
This module knows roots and names only; what the names mean is said in `rules`.
"""

from __future__ import annotations

from dataclasses import dataclass

from registry.formats.directory import Path, TensorDirectory, TensorEntry
from registry.formats.errors import FormatError

ROOTS: tuple[str, ...] = ("state_dict", "model_state_dict", "params_ema", "params-ema", "params", "string_to_param", "model", "net")
"""Wrapping keys in order of preference: ldm/Lightning, BasicSR upscalers (averaged weights first), textual inversion, older trainers."""

TRAINING: frozenset[str] = frozenset(
    [
        "optimizer",
        "optimizers",
        "optimizer_states",
        "optimizer_state_dict",
        "lr_scheduler",
        "lr_schedulers",
        "scheduler",
        "callbacks",
        "loops",
        "ema_state",
        "hparams",
        "hyper_parameters",
        "amp",
        "scaler",
        "native_amp_scaling_state",
        "rng_state",
    ]
)
"""Root keys that hold the state of a training run, never weights that a picture is made with."""

EMA = "model_ema."
"""Prefix of ldm's running averages (ldm/modules/ema.py)."""
EMA_COUNTERS: frozenset[str] = frozenset({"model_ema.decay", "model_ema.num_updates"})


@dataclass(frozen=True, slots=True)
class Named:
    """The model's tensors by name, under the root that held them ("" for none), and the tensors that lie outside of it."""

    root: str
    tensors: dict[str, TensorEntry]
    outside: tuple[TensorEntry, ...]

    @property
    def has_ema(self) -> bool:
        return any(name.startswith(EMA) and name not in EMA_COUNTERS for name in self.tensors)

    @property
    def has_training_state(self) -> bool:
        return bool(self.outside)


def unwrap(directory: TensorDirectory) -> Named:
    """The model inside a file.

    Raises FormatError `weights:duplicate-name` if two tensors would get one name, as ("a", "b") and ("a.b",) do.
    """
    root = _root(directory)
    tensors: dict[str, TensorEntry] = {}
    outside: list[TensorEntry] = []
    for entry in directory.tensors:
        inside = entry.path[0] == root if root else str(entry.path[0]) not in TRAINING
        if not inside:
            outside.append(entry)
            continue
        name = _name(entry.path[1:] if root else entry.path)
        if name in tensors:
            raise FormatError(
                "weights:duplicate-name", f"Two tensors of this file would both be called {name!r}. Save it again with one of them."
            )
        tensors[name] = entry
    if root == "string_to_param" and len(tensors) == 1:
        tensors = {"emb_params": next(iter(tensors.values()))}
    return Named(root, tensors, tuple(outside))


def _root(directory: TensorDirectory) -> str:
    nested = {entry.path[0] for entry in directory.tensors if len(entry.path) > 1}
    for root in ROOTS:
        if root in nested:
            return root
    heads = {entry.path[0] for entry in directory.tensors}
    only = heads.pop() if len(heads) == 1 else None
    return only if isinstance(only, str) and only in nested and only not in TRAINING else ""


def _name(path: Path) -> str:
    """Keys joined by dots; a hypernetwork's (320, 0, "linear.weight") becomes "320.0.linear.weight"."""
    return str(path[0]) if len(path) == 1 else ".".join(str(key) for key in path)


def ema_name(name: str) -> str | None:
    """What ldm calls the running average of this parameter, or None for one that is not averaged.

    Dots vanish in the averages' names, so the map can only be built in this direction (ldm/modules/ema.py).
    """
    return f"{EMA}{name.removeprefix('model.').replace('.', '')}" if name.startswith("model.") else None
