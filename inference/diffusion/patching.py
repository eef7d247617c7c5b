"""Add-ons put on a loaded model and taken off again, so that not one bit of it has changed. What they add is computed in `deltas`.

The weights that add-ons touch are replaced, and the old tensors kept and put back: nothing is subtracted, nothing is copied back, so the
restored model is the model. That costs the touched weights once more on the device. Where a GPU has no room for that, their bytes are
kept in main memory and copied back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn

from inference.diffusion.loading import Model


class Network(Protocol):
    """What can be put on a model: a `Patch` of weights, or a `Hypernetwork`."""

    def touched(self, model: Model, strength: float, text_strength: float) -> int:
        """Bytes of the model's weights that change."""

    def put_on(self, model: Model, strength: float, text_strength: float, kept: Kept, after: ExitStack) -> None:
        """Acts until `after` is closed; replaces parameters through `kept` alone."""


class Kept:
    """The parameters that were changed, as they were. `in_host`: on the CPU, and the model's own storage is written over."""

    def __init__(self, in_host: bool = False) -> None:
        self._in_host = in_host
        self._was: dict[int, tuple[nn.Parameter, Tensor]] = {}

    def change(self, parameter: nn.Parameter, make: Callable[[Tensor], Tensor]) -> None:
        """Gives the parameter what `make` makes of its value in float32, rounded to its own type, in its own layout in memory."""
        now = parameter.data
        if id(parameter) not in self._was:
            self._was[id(parameter)] = (parameter, now.to("cpu", copy=True) if self._in_host else now)
            target = now if self._in_host else torch.empty_like(now)
        else:
            target = now
        target.copy_(make(now.float()))
        parameter.data = target

    def put_back(self) -> None:
        for parameter, was in self._was.values():
            if self._in_host:
                parameter.data.copy_(was)
            else:
                parameter.data = was
        self._was.clear()


@contextmanager
def applied(model: Model, networks: Sequence[tuple[Network, float, float | None]], in_host: bool | None = None) -> Iterator[None]:
    """The model with these add-ons on, in this order: (add-on, strength, strength on text encoders or None for the same).

    A strength of 0 touches nothing. Afterwards, whatever happened, every parameter has the bytes that it had. `in_host` says where the
    old weights are kept; None looks at the free memory of the device. Raises FormatError `render:...` where one does not fit the model.
    """
    wanted = [(network, strength, strength if text is None else text) for network, strength, text in networks]
    if in_host is None:
        in_host = _crowded(model.device, sum(network.touched(model, strength, text) for network, strength, text in wanted))
    kept = Kept(in_host)
    with ExitStack() as after:
        after.callback(kept.put_back)
        with torch.no_grad():
            for network, strength, text in wanted:
                network.put_on(model, strength, text, kept, after)
        yield


def _crowded(device: torch.device, needed: int) -> bool:
    """Whether keeping so many bytes on the device would take more than a third of what is free there: pictures need the rest."""
    device = torch.device(device)
    return device.type == "cuda" and needed > torch.cuda.mem_get_info(device)[0] // 3
