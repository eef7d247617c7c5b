"""A UNet's compiled code in the render child: found by what it was made for, given the model's own weights, called in the UNet's place.

The code is made beforehand, by `compiling` in a process outside of the lock that sees numbers of configurations and no uploaded byte; here
it is only mapped from a folder that may be read and not written. Weights are no part of it. Whatever fails, the UNet itself is called.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch

from inference.diffusion.compiledfolder import folder
from inference.diffusion.loading import Model

CODE, FACTS = "unet.so", "facts.json"
BESIDE = "conv_out.bias"
"""Added behind the compiled code: AOTInductor writes vectors of eight numbers and fewer into the code itself, and there is no other."""
LEAST_ROWS, MOST_ROWS = 2, 63
"""Rows of a batch that code is made for; attention in it holds for no others. Code checks nothing itself."""
WITHIN = "unet."
"""What stands before a parameter's name where the UNet is part of what was compiled."""
FAILED = "Compiled code for this model could not be used ({what}): it was rendered without."

Config = Mapping[str, Any]


def digest(config: Config, dtype: torch.dtype, device: str, size: tuple[int, int], tokens: int) -> str:
    """Under which name code is kept: everything that it depends on. `size` is (height, width) of the latents, `tokens` those of a text."""
    plain = {key: value for key, value in config.items() if key != "sample_size"}
    told = [plain, str(dtype), device, machine(device), list(size), tokens, torch.__version__]
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


@cache
def machine(device: str) -> str:
    """What code may use: the GPU's kind, or the instructions that the processor knows."""
    if device == "cuda":
        return f"{torch.cuda.get_device_name()} {torch.cuda.get_device_capability()}"
    try:
        with open("/proc/cpuinfo") as lines:
            return next((line for line in lines if line.startswith(("flags", "Features"))), "")
    except OSError:
        return os.uname().machine


def runner(path: Path, device: str) -> Any:
    """The code, mapped; its process runs it from here on."""
    kinds: Any = torch._C._aoti
    if device == "cuda":
        return kinds.AOTIModelContainerRunnerCuda(str(path), 1, "cuda", str(path.parent))
    return kinds.AOTIModelContainerRunnerCpu(str(path), 1)


class Compiled:
    """Stands in for a `UNet2DConditionModel` in calls of one size of latents and length of text, whatever the batch."""

    def __init__(self, code: Path, unet: torch.nn.Module, device: str) -> None:
        """Raises RuntimeError or ValueError where the code is not for this UNet."""
        self._run = runner(code, device)
        named: dict[str, str] = self._run.get_constant_names_to_original_fqns()
        names = {name: own.removeprefix(WITHIN) for name, own in named.items()}
        state = dict(unet.named_parameters())
        if state.keys() - set(names.values()) != {BESIDE} or set(names.values()) - state.keys():
            raise ValueError("it was made for other parameters")
        self._beside = state[BESIDE]
        weights = {name: state[own].data for name, own in names.items()}
        self._run.update_constant_buffer(weights, False, True, True)

    def __call__(self, latents: torch.Tensor, time: torch.Tensor, **more: Any) -> tuple[torch.Tensor]:
        added = more.get("added_cond_kwargs") or {}
        given = [latents, time.float(), more["encoder_hidden_states"], *(added[name] for name in ("text_embeds", "time_ids") if added)]
        found: torch.Tensor = self._run.run([one.contiguous() for one in given])[0]
        return (found + self._beside[:, None, None],)


class Fast:
    """The compiled code, and the UNet itself from the first call on that fails."""

    def __init__(self, compiled: Compiled, unet: Any, note: Callable[[str], None]) -> None:
        self._call: Any = compiled
        self._unet, self._note = unet, note

    def __call__(self, *given: Any, **more: Any) -> Any:
        if self._call is not self._unet and LEAST_ROWS <= len(given[0]) <= MOST_ROWS:
            try:
                return self._call(*given, **more)
            except RuntimeError as error:
                if "out of memory" in str(error):
                    raise
                self._note(FAILED.format(what=type(error).__name__))
                self._call = self._unet
        return self._unet(*given, **more)


def fast_unet(model: Model, size: tuple[int, int], tokens: int, rows: int, note: Callable[[str], None]) -> Any:
    """What to call in place of the model's UNet for `rows` rows of all steps together; None where there is no code, or it would not pay.

    `note` hears why code that is there is not used, but for its not paying.
    """
    kept = folder()
    if kept is None or model.architecture.is_flow:
        return None
    device = model.device.type
    found = kept / digest(model.architecture.unet, model.dtype, device, size, tokens)
    try:
        pays = json.loads((found / FACTS).read_text())["break_even"]
        if not isinstance(pays, int) or rows < pays:
            return None
        return Fast(Compiled(found / CODE, model.unet, device), model.unet, note)
    except FileNotFoundError:
        return None
    except (OSError, RuntimeError, ValueError, KeyError, AttributeError) as error:
        note(FAILED.format(what=type(error).__name__))
        return None
