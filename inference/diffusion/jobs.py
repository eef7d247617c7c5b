"""What a render child is told: files by role, and the pictures wanted of them. Plain data, free of torch; it decides nothing.

Everything here is made by the hub from checked input, and checked once more where it is read: a job crosses a pipe as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

CHECKPOINT, VAE, LORA, EMBEDDING, HYPERNETWORK = "checkpoint", "vae", "lora", "embedding", "hypernetwork"
REFINER = "refiner"
ROLES = (CHECKPOINT, VAE, LORA, EMBEDDING, HYPERNETWORK, REFINER)
"""What a file is to a job. `lora` is every flavour (LoCon, LoHa, LoKr, DoRA, OFT...); `refiner` SDXL's second stage over the checkpoint."""
SWITCH_AT = 0.8
"""Share of the noise levels, in training steps, after which a refiner takes over from its base (Podell et al. 2023, "SDXL", section 2.5:
it was trained on the last 200 of 1000)."""


@dataclass(frozen=True, slots=True)
class JobFile:
    """One safetensors file of a job. `name` is the word by which prompts call it: a file name without its ending."""

    role: str
    name: str
    sha256: str
    size_bytes: int
    autov3: str = ""


@dataclass(frozen=True, slots=True)
class AddOn:
    """One add-on in one shot: the file by its place in `Job.files`, and how strongly it acts on UNet and text encoder.

    `text_strength` None means the same as `strength`. An embedding needs none: it acts where its word stands in a prompt. A VAE and a
    refiner act whole.
    """

    file: int
    strength: float = 1.0
    text_strength: float | None = None


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture. Sizes are in pixels; `sampler` and `schedule` are A1111's names; `clip_skip` counts as A1111 counts, from 1."""

    prompt: str
    negative_prompt: str = ""
    width: int = 512
    height: int = 512
    sampler: str = "DPM++ 2M"
    schedule: str = "Karras"
    steps: int = 20
    cfg_scale: float = 7.0
    seed: int = 0
    clip_skip: int = 1
    addons: tuple[AddOn, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Shot:
        """Raises TypeError for other fields."""
        return cls(**{**told, "addons": tuple(AddOn(**one) for one in told.get("addons", ()))})


@dataclass(frozen=True, slots=True)
class Job:
    """Pictures wanted of one checkpoint: `files[0]` is it, the others are add-ons that shots name by their place.

    `prediction` ("epsilon", "v_prediction") is a person's word on what the file cannot tell; None leaves it to the loader.
    """

    files: tuple[JobFile, ...]
    shots: tuple[Shot, ...]
    prediction: str | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Job:
        """Raises TypeError or KeyError for what is no job."""
        files = tuple(JobFile(**one) for one in told["files"])
        shots = tuple(Shot.from_json(one) for one in told["shots"])
        return cls(files, shots, told.get("prediction"), dict(told.get("options", {})))


@dataclass(frozen=True, slots=True)
class Event:
    """What a render says on its way; `kind` is one of

    - "loading": `note` says what is being loaded
    - "step": step `step` of `steps` of the shots `shots` (places in `Job.shots`) is done
    - "picture": shot `shots[0]` is finished; `png` holds the picture without text chunks, `data` facts of it ({"width", "height", ...})
    - "unfit": shot `shots[0]` came out as no picture (black, NaN): `code` and `note` say so; nothing else is affected
    - "note": something worth keeping in the outcome (a batch that was halved, a tensor that was missing): `note`
    - "done": `data` holds {"renderer", "versions": {package: version}, "device", "dtype", "seconds": {...}, "batches": [...], ...}
    """

    kind: str
    shots: tuple[int, ...] = ()
    step: int = 0
    steps: int = 0
    note: str = ""
    code: str = ""
    png: bytes = b""
    data: dict[str, Any] = field(default_factory=dict)
