"""What is asked of a merge: a method, its numbers and what is baked in. Checked here; it names no file and reads no byte."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from inference.weights.merging.discard import Discard
from registry.formats.errors import FormatError
from registry.formats.plaintext import is_plain

Method = Literal["weighted_sum", "add_difference", "slerp", "no_interpolation"]
Precision = Literal["keep", "fp32", "fp16", "bf16"]
Metadata = Literal["full", "a1111", "plain", "none"]

METHODS: tuple[str, ...] = get_args(Method)
PRECISIONS: tuple[str, ...] = get_args(Precision)
METADATA: tuple[str, ...] = get_args(Metadata)

ROLES: dict[str, tuple[str, ...]] = {
    "weighted_sum": ("a", "b"),
    "add_difference": ("a", "b", "c"),
    "slerp": ("a", "b"),
    "no_interpolation": ("a",),
}
"""Which models a method takes, beside a VAE ("vae") and LoRAs ("lora0", "lora1", ...)."""

LARGEST = 10.0
"""Bound of multipliers, block weights and strengths, either sign. A1111's slider goes from 0 to 1; block mergers go a little beyond."""

BLOCK_COUNTS = (19, 20, 25, 26)
"""SDXL's 19 blocks and the 25 of SD 1.x and 2.x, either with BASE in front or without (then BASE is the multiplier)."""

MAX_LORAS = 16
MAX_NAME = 200


def _refuse(sentence: str) -> FormatError:
    return FormatError("merge:recipe", sentence)


def _number(value: object, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        raise _refuse(f"{what} must be a number from {-LARGEST:g} to {LARGEST:g}.")
    return float(value)


@dataclass(frozen=True, slots=True)
class MergeRecipe:
    """A merge as plain data. Raises FormatError `merge:recipe` (or `merge:discard`) with a sentence for whatever makes no sense.

    `blocks` are the weights of the UNet's blocks in supermerger's order (BASE, IN00.., M00, OUT00..), each in the multiplier's place;
    `loras` the strengths of the LoRAs that are added after merging, in order. `vae`: the file with role "vae" takes the place of A's
    autoencoder. `discard`: names that this expression finds are left out. `copied_too`: whether a precision applies to tensors that were
    not merged, but for noise schedules and the like (`stays_exact`); A1111's "Save as float16" leaves them all as they are. `name`: what
    its maker calls the result.

    `metadata`: "full" (the sources' own, A1111's recipe, ours), "a1111" (the same without ours), "plain" ({"format": "pt"}) or "none".
    `copy_metadata`: whether the sources' own goes along in the first two.
    """

    method: Method = "weighted_sum"
    multiplier: float = 0.5
    precision: Precision = "keep"
    blocks: tuple[float, ...] = ()
    vae: bool = False
    loras: tuple[float, ...] = ()
    discard: str = ""
    copied_too: bool = True
    metadata: Metadata = "full"
    copy_metadata: bool = True
    name: str = ""

    def __post_init__(self) -> None:
        for value, allowed, what in (
            (self.method, METHODS, "The method"),
            (self.precision, PRECISIONS, "The precision"),
            (self.metadata, METADATA, "The metadata"),
        ):
            if value not in allowed:
                raise _refuse(f"{what} must be one of: {', '.join(allowed)}.")
        for flag in (self.vae, self.copied_too, self.copy_metadata):
            if not isinstance(flag, bool):
                raise _refuse("vae, copied_too and copy_metadata are true or false.")
        self._check_numbers()
        if not isinstance(self.name, str) or len(self.name) > MAX_NAME or not is_plain(self.name):
            raise _refuse(f"The name must be plain text of at most {MAX_NAME} characters.")
        Discard(self.discard)

    def _check_numbers(self) -> None:
        object.__setattr__(self, "multiplier", _number(self.multiplier, "The multiplier"))
        for field, what in (("blocks", "A block weight"), ("loras", "A LoRA's strength")):
            values = getattr(self, field)
            if not isinstance(values, list | tuple):
                raise _refuse(f"{field} must be a list of numbers.")
            object.__setattr__(self, field, tuple(_number(value, what) for value in values))
        if self.blocks and len(self.blocks) not in BLOCK_COUNTS:
            raise _refuse("Block weights are 25 values for SD 1.x and 2.x (26 with BASE in front) or 19 for SDXL (20 with BASE).")
        if self.blocks and self.method == "no_interpolation":
            raise _refuse("Block weights need a method that merges; choose another one than no interpolation.")
        if len(self.loras) > MAX_LORAS:
            raise _refuse(f"At most {MAX_LORAS} LoRAs can be baked into one file.")

    @property
    def roles(self) -> tuple[str, ...]:
        """The inputs that this recipe needs, in order."""
        return (*ROLES[self.method], *(("vae",) if self.vae else ()), *(f"lora{number}" for number in range(len(self.loras))))

    def to_json(self) -> dict[str, Any]:
        """JSON-ready, every field; `from_json` is its inverse."""
        return {**asdict(self), "blocks": list(self.blocks), "loras": list(self.loras)}

    @classmethod
    def from_json(cls, data: object) -> MergeRecipe:
        """A recipe of untrusted JSON; fields that are not given have their defaults. Raises FormatError `merge:recipe`."""
        if not isinstance(data, dict):
            raise _refuse("A recipe must be an object.")
        unknown = sorted(str(key) for key in data if key not in cls.__dataclass_fields__)
        if unknown:
            raise _refuse(f"A recipe has no field called {unknown[0][:50]!r}.")
        return cls(**data)


@dataclass(frozen=True, slots=True)
class Origin:
    """What is known of an input beside its bytes, for the recipe that is written into the result: its SHA-256 as lower-case hex, the name
    it goes by and its AutoV1 (A1111's old short hash); empty where unknown.
    """

    sha256: str = ""
    name: str = ""
    autov1: str = ""

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Origin:
        return cls(str(data.get("sha256", ""))[:64], str(data.get("name", ""))[:MAX_NAME], str(data.get("autov1", ""))[:8])
