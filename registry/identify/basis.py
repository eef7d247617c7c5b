"""A row of the tables of base models, and the conditions that several of them share. The rows are in `models` and `addons`."""

from __future__ import annotations

from dataclasses import dataclass

from registry.identify.conditions import Condition


@dataclass(frozen=True, slots=True)
class Base:
    """A base model: `family` is what the tensors prove, `base` the name that an uploader would most often choose ("" for none).

    It is the one of a file for which every condition in `when` holds and none in `unless`.
    """

    family: str
    base: str
    when: tuple[Condition, ...]
    unless: tuple[Condition, ...] = ()
    note: str = ""


SAME_14_15 = "SD 1.4 and 1.5 have the same layout."
SAME_20_21 = "Names cannot tell SD 2.0 from 2.1, nor the 768 px v-prediction models from the 512 px base ones."
SAME_SDXL = "Pony, Illustrious, NoobAI and other descendants of SDXL have its layout; tensors cannot tell them apart."
SAME_FLUX = "Flux.1 Dev, Krea and Kontext have the same layout."
ODD_WIDTHS = "{} layout; its widths are not the standard ones."
